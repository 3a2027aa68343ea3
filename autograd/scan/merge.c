/* Merging products: one large product runs faster than several small ones, and reads its left
   operand once.

   First, sums: a A + b B + c C is one product of the join [a b c] with the matrices on top of each
   other. This is what the gradient of h becomes where each gate has a matrix of its own. Then,
   products with the same left operand: h A, h B, h C are columns of one product with the matrices
   side by side. After both, eight gates cost what one matrix of eight blocks does, whether the
   author wrote one matrix or eight.

   A product takes part in a sum only if no other one there must be computed before it. */
#include "autograd/scan/graph.h"

#include "tensor/memory.h"

#include <string.h>

enum { MOST = CBI_GRAPH_INPUTS - 1 }; /* products, or matrices, that are merged into one */

/* Whether both are values of the forward step, or both of the backward one. */
static bool same_pass(int forward, int a, int b) {
    return (a < forward) == (b < forward);
}

/* ---- Sums of products ------------------------------------------------------------------------ */

typedef struct sums {
    int forward;  /* old values below this number are forward ones */
    bool *inner;  /* sums that are a term of one other sum, and used nowhere else */
    bool *marked; /* for depends_on */
} sums;

/* Whether a value is the sum of two values of its own shape. */
static bool is_sum(const cbi_value *values, int v) {
    const cbi_value *value = &values[v];
    if (value->kind != CBI_ELEMENTWISE || value->op != &cb_add_op || !value->rows)
        return false;
    for (int k = 0; k < 2; k++)
        if (values[value->in[k]].columns != value->columns || !values[value->in[k]].rows)
            return false;
    return true;
}

static void find_inner_sums(const cbi_graph *graph, const int *uses, sums *s) {
    for (int v = 0; v < graph->value_count; v++)
        for (int k = 0; k < 2 && uses[v] > 0 && is_sum(graph->values, v); k++) {
            int in = graph->values[v].in[k];
            if (is_sum(graph->values, in) && uses[in] == 1 && same_pass(s->forward, in, v))
                s->inner[in] = true;
        }
}

/* Whether old value v is computed from old value `from`. */
static bool depends_on(const cbi_rewrite *rewrite, int v, int from) {
    const sums *s = rewrite->context;
    for (int i = from; i <= v; i++) {
        s->marked[i] = i == from;
        for (int k = 0; k < rewrite->old[i].count && !s->marked[i]; k++)
            s->marked[i] = rewrite->old[i].in[k] >= from && s->marked[rewrite->old[i].in[k]];
    }
    return v >= from && s->marked[v];
}

/* The terms of a sum, in the order in which they are added. */
static int find_terms(const cbi_rewrite *rewrite, int sum, int *terms) {
    const sums *s = rewrite->context;
    int count = 0;
    terms[count++] = sum;
    for (int i = 0; i < count;) {
        if (count == MOST || (terms[i] != sum && !s->inner[terms[i]])) {
            i++;
            continue;
        }
        const int *in = rewrite->old[terms[i]].in;
        memmove(&terms[i + 2], &terms[i + 1], sizeof(int) * (size_t)(count - i - 1));
        terms[i] = in[0];
        terms[i + 1] = in[1];
        count++;
    }
    return count;
}

/* Takes the products that can be one out of the terms, in the order of their numbers, so that sums
   over the same operands join them in the same order. */
static int take_products(const cbi_rewrite *rewrite, int sum, int *terms, int *count,
                         int *products) {
    const sums *s = rewrite->context;
    int taken = 0, candidates[MOST], candidate_count = 0;
    for (int i = 0; i < *count; i++) {
        const cbi_value *term = &rewrite->old[terms[i]];
        if (term->kind != CBI_PRODUCT || rewrite->uses[terms[i]] > 1 || term->count != 2 ||
            !same_pass(s->forward, terms[i], sum))
            continue;
        int at = candidate_count++;
        for (; at > 0 && candidates[at - 1] > terms[i]; at--)
            candidates[at] = candidates[at - 1];
        candidates[at] = terms[i];
    }
    for (int i = 0; i < candidate_count; i++) {
        bool free = true;
        for (int k = 0; k < taken && free; k++)
            free = !depends_on(rewrite, rewrite->old[candidates[i]].in[0], products[k]);
        if (free)
            products[taken++] = candidates[i];
    }
    if (taken < 2)
        return 0;
    int left = 0;
    for (int i = 0; i < *count; i++) {
        bool is_taken = false;
        for (int k = 0; k < taken; k++)
            is_taken = is_taken || products[k] == terms[i];
        if (!is_taken)
            terms[left++] = terms[i];
    }
    *count = left;
    return taken;
}

/* [a b c] times the matrices of the products on top of each other. */
static int stack(cbi_rewrite *rewrite, int count, const int *products) {
    int pieces[MOST], in[CBI_GRAPH_INPUTS];
    cbi_value join = {.kind = CBI_JOIN, .rows = true, .count = count, .in = pieces};
    cbi_value product = rewrite->old[products[0]];
    for (int i = 0; i < count; i++) {
        const cbi_value *old = &rewrite->old[products[i]];
        pieces[i] = rewrite->number[old->in[0]];
        join.columns += rewrite->old[old->in[0]].columns;
        in[1 + i] = rewrite->number[old->in[1]];
    }
    in[0] = cbi_graph_add(rewrite->graph, join);
    product.count = 1 + count;
    product.in = in;
    return cbi_graph_add(rewrite->graph, product);
}

static int merge_sum(cbi_rewrite *rewrite, int old) {
    const sums *s = rewrite->context;
    int terms[MOST], products[MOST];
    if (!is_sum(rewrite->old, old) || s->inner[old])
        return cbi_rewrite_copy(rewrite, old);
    int count = find_terms(rewrite, old, terms);
    if (count == MOST) /* there may be more, which would be left out of what is merged */
        return cbi_rewrite_copy(rewrite, old);
    int taken = take_products(rewrite, old, terms, &count, products);
    if (taken == 0)
        return cbi_rewrite_copy(rewrite, old);
    int total = stack(rewrite, taken, products);
    for (int i = 0; i < count; i++) {
        int in[2] = {rewrite->number[terms[i]], total};
        cbi_value sum = rewrite->old[old];
        sum.in = in;
        total = cbi_graph_add(rewrite->graph, sum);
    }
    return total;
}

static bool merge_sums(cbi_graph *graph) {
    size_t count = (size_t)graph->value_count + 1;
    int *uses = cbi_allocate(sizeof(int) * count);
    bool *flags = cbi_allocate(2 * sizeof(bool) * count), done = false;
    if (uses != NULL && flags != NULL) {
        sums s = {graph->forward_count, flags, flags + count};
        cbi_graph_count_uses(graph, uses);
        find_inner_sums(graph, uses, &s);
        done = cbi_graph_rewrite(graph, merge_sum, &s);
    }
    cbi_free(uses);
    cbi_free(flags);
    return done;
}

/* ---- Products with the same left operand ----------------------------------------------------- */

static int grid_rows(const cbi_value *product) {
    return (product->count - 1) / product->across;
}

static int64_t depth_of(const cbi_rewrite *rewrite, const cbi_value *product, int grid_row) {
    int matrix = product->in[1 + grid_row * product->across];
    return rewrite->graph->imports[rewrite->old[matrix].index].traced->shape[0];
}

/* Whether two products' matrices can stand side by side. */
static bool fit_together(const cbi_rewrite *rewrite, const cbi_value *a, const cbi_value *b) {
    bool fit = a->in[0] == b->in[0] && grid_rows(a) == grid_rows(b);
    for (int i = 0; fit && i < grid_rows(a); i++)
        fit = depth_of(rewrite, a, i) == depth_of(rewrite, b, i);
    return fit;
}

/* The product with the matrices of all of them, a row of the grid after the other. */
static int side_by_side(cbi_rewrite *rewrite, int count, const int *products) {
    int in[CBI_GRAPH_INPUTS];
    cbi_value wide = rewrite->old[products[0]];
    int rows = grid_rows(&wide);
    wide.count = 1;
    wide.columns = 0;
    wide.across = 0;
    in[0] = rewrite->number[wide.in[0]];
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < count; k++) {
            const cbi_value *product = &rewrite->old[products[k]];
            for (int m = 0; m < product->across; m++)
                in[wide.count++] =
                    cbi_rewrite_copy(rewrite, product->in[1 + i * product->across + m]);
            wide.columns += i == 0 ? product->columns : 0;
            wide.across += i == 0 ? product->across : 0;
        }
    wide.in = in;
    return cbi_graph_add(rewrite->graph, wide);
}

/* The first product of a group makes the merged one and says which part each of the others is. */
static int merge_product(cbi_rewrite *rewrite, int old) {
    const cbi_value *product = &rewrite->old[old];
    const int *forward = rewrite->context;
    int products[MOST], count = 0, matrices = 0;
    if (product->kind != CBI_PRODUCT)
        return cbi_rewrite_copy(rewrite, old);
    if (rewrite->number[old] >= 0)
        return rewrite->number[old];
    for (int v = old; v < rewrite->old_count; v++) {
        const cbi_value *other = &rewrite->old[v];
        if (other->kind == CBI_PRODUCT && rewrite->uses[v] > 0 && rewrite->number[v] < 0 &&
            same_pass(*forward, v, old) && fit_together(rewrite, product, other) &&
            matrices + other->count - 1 <= MOST) {
            products[count++] = v;
            matrices += other->count - 1;
        }
    }
    if (count == 1)
        return cbi_rewrite_copy(rewrite, old);
    int wide = side_by_side(rewrite, count, products);
    cbi_value part = {.kind = CBI_PART, .rows = true, .count = 1, .in = &wide};
    for (int k = 0; k < count; k++) {
        part.columns = rewrite->old[products[k]].columns;
        rewrite->number[products[k]] = cbi_graph_add(rewrite->graph, part);
        if (rewrite->number[products[k]] < 0)
            return -1;
        part.start += part.columns;
    }
    return rewrite->number[old];
}

bool cbi_graph_merge(cbi_graph *graph) {
    if (!merge_sums(graph))
        return false;
    int forward = graph->forward_count;
    return cbi_graph_rewrite(graph, merge_product, &forward);
}
