/* Sums of products: a product of two values, element by element, that is only summed along an axis
   becomes a contraction, which reads both and writes the sums alone.

   Gradients are full of them: of what was broadcast along an axis, and of an outer product, where
   matrices times vectors are left. The product would fill a row of its own, as large as a matrix
   memory, and be read again. A contraction takes its terms in vectors: one operand, at least, has
   to have neighbours along the axis that it does so, see row_contract.c.

   An outer product with short rows, of which both operands would be copied first (nest.c), is one
   too, of one term. */
#include "autograd/compiler/nest.h"
#include "autograd/compiler/pass.h"

enum { SHORTEST = 4 }; /* terms, or sums, that are neighbours: fewer are not worth it */

/* A sum over n of [outer, n, inner] of a product, and the strides of its two factors. */
typedef struct sum {
    int64_t outer, n, inner;
    int factor[2];
    int64_t stride[2][3];
} sum;

static bool is_product(const cbi_value *v) {
    return v->kind == CBI_ELEMENTWISE && cbi_algebra_of(v->op)->product;
}

/* Whether a sum is one of products that nothing else reads; fills in all but the factors. */
static bool sums_products(const cbi_rewrite *rewrite, const cbi_value *v, sum *s) {
    if (v->kind != CBI_REDUCE || v->reduction != CBI_SUM || !cb_dtype_is_float(v->type.dtype))
        return false;
    *s = (sum){.outer = v->outer, .n = v->n, .inner = v->inner};
    return is_product(&rewrite->old[v->in[0]]) && rewrite->uses[v->in[0]] == 1;
}

/* Whether both factors can be gone through in loops over [outer, n, inner]. */
static bool find_strides(const cbi_graph *graph, sum *s) {
    const int64_t shape[3] = {s->outer, s->n, s->inner};
    bool found = true;
    for (int k = 0; k < 2 && found; k++)
        found = !cbi_is_constant(graph, s->factor[k]) &&
                cbi_strides_of(graph, s->factor[k], 3, shape, s->stride[k]);
    return found;
}

/* The contraction [groups, m, k] [groups, k, n]. */
static int contraction(cbi_graph *graph, const cbi_type *type, int64_t groups, int64_t m, int64_t k,
                       int left, int right) {
    const int in[2] = {left, right};
    return cbi_graph_add(graph, &(cbi_value){.kind = CBI_CONTRACT,
                                             .type = *type,
                                             .count = 2,
                                             .in = in,
                                             .groups = groups,
                                             .m = m,
                                             .k = k});
}

/* Sums over the last axis, of rows of a matrix times one vector; k: which factor is the vector. */
static bool is_matrix_times_vector(const sum *s, int k) {
    return s->inner == 1 && s->n >= SHORTEST && s->stride[k][1] == 1 && s->stride[1 - k][1] == 1 &&
           (s->outer == 1 || s->stride[k][0] == 0);
}

static int matrix_times_vector(cbi_graph *graph, const cbi_type *type, const sum *s, int k) {
    int vector = cbi_slice_of(graph, s->factor[k], 0, s->n);
    return contraction(graph, type, 1, s->outer, s->n, s->factor[1 - k], vector);
}

/* Sums over an axis that others follow, of rows of a matrix that are scaled each by one element of
   a vector; k: which factor is the vector. */
static bool is_vector_times_matrix(const sum *s, int k) {
    return s->inner >= SHORTEST && s->stride[k][2] == 0 && s->stride[1 - k][2] == 1 &&
           (s->outer == 1 || s->n >= SHORTEST);
}

static int vector_times_matrix(cbi_graph *graph, const cbi_type *type, const sum *s, int k) {
    const cbi_view each = {
        .rank = 2, .shape = {s->outer, s->n}, .stride = {s->n * s->inner, s->inner}};
    int vector = cbi_view_of(graph, s->factor[k], &each);
    return contraction(graph, type, s->outer, 1, s->n, vector, s->factor[1 - k]);
}

/* The contraction that a product is whose factor k varies along the rows of a matrix only, and the
   other along its columns; in: the factors. -1: it is no such product. */
static int outer_product(cbi_graph *graph, const cbi_value *product, const int *in, int k) {
    cbi_nest nest;
    bool copied[2];
    cbi_value now = *product;
    now.in = in;
    if (!cbi_nest_of(graph, cbi_count_of(&product->type), 2, in, &nest) || nest.rank != 2 ||
        nest.extent[1] < SHORTEST || nest.stride[k][1] != 0 || nest.stride[1 - k][0] != 0 ||
        nest.stride[1 - k][1] != 1 || cbi_is_constant(graph, in[0]) ||
        cbi_is_constant(graph, in[1]))
        return -1;
    cbi_nest_copies(graph, &now, copied);
    if (!copied[0] || !copied[1])
        return -1;
    const cbi_view each = {.rank = 1, .shape = {nest.extent[0]}, .stride = {nest.extent[1]}};
    return contraction(graph, &product->type, 1, nest.extent[0], 1,
                       cbi_view_of(graph, in[k], &each),
                       cbi_slice_of(graph, in[1 - k], 0, nest.extent[1]));
}

static int replace_product(cbi_rewrite *rewrite, int old) {
    cbi_pass *pass = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    const int in[2] = {rewrite->number[v->in[0]], rewrite->number[v->in[1]]};
    int outer = -1;
    for (int k = 0; k < 2 && outer < 0 && cb_dtype_is_float(v->type.dtype); k++)
        outer = outer_product(rewrite->graph, v, in, k);
    pass->changes += outer >= 0;
    return outer >= 0 ? outer : cbi_rewrite_copy(rewrite, old);
}

static int replace(cbi_rewrite *rewrite, int old) {
    cbi_pass *pass = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    sum s;
    if (is_product(v))
        return replace_product(rewrite, old);
    if (!sums_products(rewrite, v, &s))
        return cbi_rewrite_copy(rewrite, old);
    for (int k = 0; k < 2; k++)
        s.factor[k] = rewrite->number[rewrite->old[v->in[0]].in[k]];
    bool loops = find_strides(rewrite->graph, &s);
    for (int k = 0; k < 2 && loops; k++) {
        if (!is_matrix_times_vector(&s, k) && !is_vector_times_matrix(&s, k))
            continue;
        pass->changes++;
        return is_matrix_times_vector(&s, k) ? matrix_times_vector(rewrite->graph, &v->type, &s, k)
                                             : vector_times_matrix(rewrite->graph, &v->type, &s, k);
    }
    return cbi_rewrite_copy(rewrite, old);
}

bool cbi_contract_sums(cbi_pass *pass) {
    /* The products are dead after that: a second rewrite drops them. */
    return cbi_graph_rewrite(pass->graph, replace, pass) &&
           cbi_graph_rewrite(pass->graph, cbi_rewrite_copy, NULL);
}
