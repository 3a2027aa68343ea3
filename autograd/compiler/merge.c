/* Merging products: one large product runs faster than several small ones, and reads its left
   operand once.

   First, sums: a A + b B + c C is one product of the concatenation [a b c] with the matrices on top
   of each other. This is what the gradient of h becomes where each gate has a matrix of its own.
   Then, products with the same left operand: h A, h B, h C are columns of one product with the
   matrices side by side. After both, eight gates cost what one matrix of eight blocks does, whether
   the author wrote one matrix or eight.

   A product takes part in a sum only if no other one there must be computed before it. */
#include "autograd/compiler/pass.h"

#include "tensor/memory.h"

#include <string.h>

/* Whether both are values of the forward step, or both of the backward one. */
static bool same_step(const cbi_rewrite *rewrite, int a, int b) {
    return (a < rewrite->old_forward) == (b < rewrite->old_forward);
}

/* ---- Sums of products ------------------------------------------------------------------------ */

typedef struct sums {
    bool *inner; /* of each value: a sum that is a term of one other sum, and used nowhere else */
    int *terms, *products;
    int merged;
} sums;

/* Whether a value is the sum of two values of its own count. */
static bool is_sum(const cbi_value *values, int v) {
    const cbi_value *value = &values[v];
    if (value->kind != CBI_ELEMENTWISE || !cbi_algebra_of(value->op)->sum || !value->type.rows)
        return false;
    for (int k = 0; k < 2; k++) {
        const cbi_value *in = &values[value->in[k]];
        if (!in->type.rows || cbi_count_of(&in->type) != cbi_count_of(&value->type))
            return false;
    }
    return true;
}

static void find_inner_sums(const cbi_graph *graph, const int *uses, sums *s) {
    for (int v = 0; v < graph->value_count; v++)
        for (int k = 0; k < 2 && uses[v] > 0 && is_sum(graph->values, v); k++) {
            int in = graph->values[v].in[k];
            if (is_sum(graph->values, in) && uses[in] == 1 &&
                (in < graph->forward_count) == (v < graph->forward_count))
                s->inner[in] = true;
        }
}

/* The terms of a sum, in the order in which they are added. */
static int find_terms(const cbi_rewrite *rewrite, int sum, int *terms) {
    const sums *s = rewrite->context;
    int count = 0;
    terms[count++] = sum;
    for (int i = 0; i < count;) {
        if (terms[i] != sum && !s->inner[terms[i]]) {
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

/* Whether a term is a product of one row and one matrix that is used nowhere else. */
static bool is_candidate(const cbi_rewrite *rewrite, int term, int sum) {
    const cbi_value *v = &rewrite->old[term];
    return v->kind == CBI_PRODUCT && rewrite->uses[term] == 1 && v->groups == 1 && v->m == 1 &&
           v->weights.count == 1 && same_step(rewrite, term, sum);
}

/* The concatenation whose pieces are the operands of these products, all of them; -1. */
static int find_joined(const cbi_rewrite *rewrite, int count, const int *products) {
    for (int v = 0; v < rewrite->old_count; v++) {
        const cbi_value *value = &rewrite->old[v];
        int found = 0;
        for (int i = 0; i < count && value->kind == CBI_CONCAT && value->count == count; i++)
            for (int k = 0; k < count; k++)
                found += value->in[k] == rewrite->old[products[i]].in[0];
        if (found == count && rewrite->uses[v] > 0)
            return v;
    }
    return -1;
}

/* Where the operand of a product lies in what it is joined from or with: in a concatenation, or in
   what it is a slice of. */
static int64_t place_of(const cbi_rewrite *rewrite, int joined, int product) {
    int operand = rewrite->old[product].in[0];
    const cbi_value *v = &rewrite->old[operand];
    for (int k = 0; joined >= 0 && k < rewrite->old[joined].count; k++)
        if (rewrite->old[joined].in[k] == operand)
            return rewrite->old[joined].places[k].offset;
    return v->kind == CBI_VIEW ? v->view.offset : 0;
}

/* Puts products into the order in which their operands lie: then what they are joined to is there
   already, or need not be copied. */
static void put_in_order(const cbi_rewrite *rewrite, int count, int *products) {
    int joined = find_joined(rewrite, count, products), base = -1;
    for (int i = 0; i < count && joined < 0; i++) {
        const cbi_value *v = &rewrite->old[rewrite->old[products[i]].in[0]];
        if (v->kind != CBI_VIEW || !cbi_view_is_run(&v->view) || (base >= 0 && v->in[0] != base))
            return;
        base = v->in[0];
    }
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && place_of(rewrite, joined, products[k - 1]) >
                                     place_of(rewrite, joined, products[k]);
             k--) {
            int other = products[k];
            products[k] = products[k - 1];
            products[k - 1] = other;
        }
}

/* Takes the products that can be one out of the terms, in the order of their numbers, so that sums
   over the same operands join them in the same order. None is computed from another: each is used
   once, in this sum. */
static int take_products(const cbi_rewrite *rewrite, int sum, int *count) {
    const sums *s = rewrite->context;
    int taken = 0, left = 0;
    for (int i = 0; i < *count; i++) {
        int at = taken;
        if (!is_candidate(rewrite, s->terms[i], sum))
            continue;
        for (taken++; at > 0 && s->products[at - 1] > s->terms[i]; at--)
            s->products[at] = s->products[at - 1];
        s->products[at] = s->terms[i];
    }
    if (taken < 2)
        return 0;
    for (int i = 0; i < *count; i++)
        if (!is_candidate(rewrite, s->terms[i], sum))
            s->terms[left++] = s->terms[i];
    *count = left;
    put_in_order(rewrite, taken, s->products);
    return taken;
}

/* [a b c] times the matrices of the products on top of each other. */
static int stack(cbi_rewrite *rewrite, int count, const int *products) {
    cbi_graph *graph = rewrite->graph;
    int *pieces = cbi_graph_allocate(graph, sizeof(int) * (size_t)count);
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)count);
    cbi_weight *blocks = cbi_graph_allocate(graph, sizeof(*blocks) * (size_t)count);
    cbi_value product = rewrite->old[products[0]];
    product.k = 0;
    if (graph->failed)
        return -1;
    for (int i = 0; i < count; i++) {
        const cbi_value *old = &rewrite->old[products[i]];
        pieces[i] = rewrite->number[old->in[0]];
        places[i] = cbi_view_run(product.k, old->k);
        blocks[i] = old->weights.blocks[0];
        product.k += old->k;
    }
    int joined = cbi_concat_of(graph, cbi_flat_type(product.type.dtype, true, product.k), count,
                               pieces, places, 0);
    product.in = &joined;
    product.weights = (cbi_grid){count, 1, blocks};
    return cbi_graph_add(graph, &product);
}

static int merge_sum(cbi_rewrite *rewrite, int old) {
    sums *s = rewrite->context;
    if (!is_sum(rewrite->old, old) || s->inner[old])
        return cbi_rewrite_copy(rewrite, old);
    int count = find_terms(rewrite, old, s->terms);
    int taken = take_products(rewrite, old, &count);
    if (taken == 0)
        return cbi_rewrite_copy(rewrite, old);
    s->merged += taken - 1;
    int total = stack(rewrite, taken, s->products);
    for (int i = 0; i < count && total >= 0; i++) {
        int in[2] = {rewrite->number[s->terms[i]], total};
        cbi_value sum = rewrite->old[old];
        sum.in = in;
        total = cbi_graph_add(rewrite->graph, &sum);
    }
    return total;
}

bool cbi_merge_sums(cbi_pass *pass) {
    cbi_graph *graph = pass->graph;
    size_t count = (size_t)graph->value_count + 2;
    int *uses = cbi_allocate(sizeof(int) * count * 3);
    bool *inner = cbi_allocate(count), done = false;
    if (uses != NULL && inner != NULL) {
        sums s = {inner, uses + count, uses + 2 * count, 0};
        cbi_graph_count_uses(graph, uses);
        find_inner_sums(graph, uses, &s);
        done = cbi_graph_rewrite(graph, merge_sum, &s);
        pass->changes = s.merged;
    }
    cbi_free(uses);
    cbi_free(inner);
    return done;
}

/* ---- Products with the same left operand ----------------------------------------------------- */

static int grid_rows(const cbi_value *product) {
    return product->weights.count / product->weights.across;
}

/* Whether two products' matrices can stand side by side. */
static bool fit_together(const cbi_value *a, const cbi_value *b) {
    bool fit = a->in[0] == b->in[0] && a->groups == 1 && b->groups == 1 && a->m == b->m &&
               grid_rows(a) == grid_rows(b) && a->type.dtype == b->type.dtype;
    for (int i = 0; fit && i < grid_rows(a); i++)
        fit = a->weights.blocks[i * a->weights.across].rows ==
              b->weights.blocks[i * b->weights.across].rows;
    return fit;
}

static int64_t columns_of(const cbi_value *product) {
    return cbi_count_of(&product->type) / product->m;
}

/* The product with the matrices of all of them, a row of the grid after the other. */
static int side_by_side(cbi_rewrite *rewrite, int count, const int *products) {
    cbi_value wide = rewrite->old[products[0]];
    int rows = grid_rows(&wide), blocks = 0, at = 0;
    int64_t columns = 0;
    for (int k = 0; k < count; k++) {
        blocks += rewrite->old[products[k]].weights.count;
        columns += columns_of(&rewrite->old[products[k]]);
    }
    cbi_weight *grid = cbi_graph_allocate(rewrite->graph, sizeof(*grid) * (size_t)blocks);
    if (grid == NULL)
        return -1;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < count; k++) {
            const cbi_grid *of = &rewrite->old[products[k]].weights;
            for (int b = 0; b < of->across; b++)
                grid[at++] = of->blocks[i * of->across + b];
        }
    wide.in = &rewrite->number[wide.in[0]];
    wide.weights = (cbi_grid){blocks, blocks / rows, grid};
    wide.type.rank = 2;
    wide.type.shape[0] = wide.m;
    wide.type.shape[1] = columns;
    return cbi_graph_add(rewrite->graph, &wide);
}

/* The first product of a group makes the merged one and says which part each of the others is. */
static int merge_product(cbi_rewrite *rewrite, int old) {
    const cbi_value *product = &rewrite->old[old];
    int *products = ((int **)rewrite->context)[0], *merged = ((int **)rewrite->context)[1];
    int count = 0;
    if (product->kind != CBI_PRODUCT)
        return cbi_rewrite_copy(rewrite, old);
    if (rewrite->number[old] >= 0)
        return rewrite->number[old];
    for (int v = old; v < rewrite->old_count; v++) {
        const cbi_value *other = &rewrite->old[v];
        if (other->kind == CBI_PRODUCT && rewrite->uses[v] > 0 && rewrite->number[v] < 0 &&
            same_step(rewrite, v, old) && fit_together(product, other))
            products[count++] = v;
    }
    if (count < 2)
        return cbi_rewrite_copy(rewrite, old);
    *merged += count - 1;
    int wide = side_by_side(rewrite, count, products);
    int64_t all = wide < 0 ? 0 : cbi_graph_count(rewrite->graph, wide) / product->m, at = 0;
    for (int k = 0; k < count && wide >= 0; k++) {
        int64_t columns = columns_of(&rewrite->old[products[k]]);
        cbi_view part = {
            .offset = at, .rank = 2, .shape = {product->m, columns}, .stride = {all, 1}};
        rewrite->number[products[k]] = cbi_view_of(rewrite->graph, wide, &part);
        if (rewrite->number[products[k]] < 0)
            return -1;
        at += columns;
    }
    return wide < 0 ? -1 : rewrite->number[old];
}

bool cbi_merge_products(cbi_pass *pass) {
    cbi_graph *graph = pass->graph;
    int *products = cbi_allocate(sizeof(int) * ((size_t)graph->value_count + 1));
    int *context[2] = {products, &pass->changes};
    bool done = products != NULL && cbi_graph_rewrite(graph, merge_product, context);
    cbi_free(products);
    return done;
}
