/* Fusing products: a sum or a difference of which one operand is a product, element by element,
   that nothing else reads becomes one op (cbi_algebra says which). The product is not written to a
   register and read again, and one instruction less is begun for each row.

   Gates are full of them: a state that is kept in part and written in part, f c + i g; each step of
   an integrator; gradients that are added to what comes from the next step.

   It comes after the passes that look for sums and for products. */
#include "autograd/compiler/pass.h"

/* Whether operand k of a sum is a product that can be computed with it: for the same rows, in the
   same step. One that is computed once for all rows stays so. */
static bool is_fusible(const cbi_rewrite *rewrite, int old, int k) {
    const cbi_value *sum = &rewrite->old[old], *product = &rewrite->old[sum->in[k]];
    return product->kind == CBI_ELEMENTWISE && cbi_algebra_of(product->op)->product &&
           rewrite->uses[sum->in[k]] == 1 && product->type.rows == sum->type.rows &&
           cbi_count_of(&product->type) == cbi_count_of(&sum->type) &&
           (sum->in[k] < rewrite->old_forward) == (old < rewrite->old_forward);
}

/* The other operand of the sum, and those of the product. */
static int fuse(cbi_rewrite *rewrite, int old, int k, const cbi_elementwise *op) {
    const cbi_value *sum = &rewrite->old[old], *product = &rewrite->old[sum->in[k]];
    const int in[3] = {rewrite->number[sum->in[1 - k]], rewrite->number[product->in[0]],
                       rewrite->number[product->in[1]]};
    cbi_value fused = {.kind = CBI_ELEMENTWISE, .type = sum->type, .op = op, .count = 3, .in = in};
    return cbi_graph_add(rewrite->graph, &fused);
}

static int replace(cbi_rewrite *rewrite, int old) {
    const cbi_value *v = &rewrite->old[old];
    cbi_pass *pass = rewrite->context;
    for (int k = 0; k < 2 && v->kind == CBI_ELEMENTWISE; k++) {
        const cbi_elementwise *op = cbi_algebra_of(v->op)->of_product[k];
        if (op != NULL && op->kernels[v->type.dtype] != NULL && is_fusible(rewrite, old, k)) {
            pass->changes++;
            return fuse(rewrite, old, k, op);
        }
    }
    return cbi_rewrite_copy(rewrite, old);
}

bool cbi_fuse_products(cbi_pass *pass) {
    /* The products are dead after that: a second rewrite drops them. */
    return cbi_graph_rewrite(pass->graph, replace, pass) &&
           cbi_graph_rewrite(pass->graph, cbi_rewrite_copy, NULL);
}
