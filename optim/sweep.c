/* One step over the elements of all parameters, which threads share out (flat.h): it reads
   gradient, state and value once, writes state and value, and leaves the gradient zero.

   Clipping takes one more reading of the gradients, for their norm; they are scaled in the sweep, a
   block at a time just before the rule reads it from the cache. So no rule knows of clipping, and
   results are those of cb_clip_gradient_norm before the step, to the bit. */
#include "nn/params_internal.h"
#include "optim/flat.h"
#include "optim/optimizer_internal.h"

#include "tensor/multiversion.h"

#include <string.h>

/* Elements that are scaled and then used: few enough to stay in the L1 cache in between. */
#define BLOCK 2048

typedef struct sweep {
    const cb_optimizer *optimizer;
    double scale; /* of the gradients; 1: they are not clipped */
} sweep;

static void *element(const cb_tensor *t, int64_t i) {
    return t == NULL ? NULL : (char *)t->data + cb_dtype_size(t->dtype) * (size_t)i;
}

/* Hands elements first..last-1 of a parameter to the rule. */
static void update(const cb_optimizer *optimizer, const cbi_slot *s, int64_t first, int64_t last) {
    const cb_optimizer_rule *rule = optimizer->rule;
    cb_optimizer_update u = {.options = optimizer->groups[s->group],
                             .step = s->steps,
                             .count = last - first,
                             .value = element(s->param->value, first),
                             .gradient = element(s->param->gradient, first)};
    for (int k = 0; k < CB_OPTIMIZER_STATES; k++) {
        bool needed = cbi_rule_needs(rule, u.options, k);
        u.state[k] = needed ? element(s->state[k], first) : NULL;
    }
    (s->param->gradient->dtype == CB_F64 ? rule->update_f64 : rule->update_f32)(&u);
}

/* The same with gradients that are scaled first. */
static void scale_and_update(const sweep *run, const cbi_slot *s, int64_t first, int64_t last) {
    int64_t block = run->scale == 1 ? last - first : BLOCK;
    for (int64_t begin = first; begin < last; begin += block) {
        int64_t end = last - begin < block ? last : begin + block;
        if (run->scale != 1)
            cbi_clip_scale_elements(s->param->gradient, run->scale, begin, end);
        update(run->optimizer, s, begin, end);
    }
}

/* ---- Lazy rows ------------------------------------------------------------------------------- */

#define ANY_LOOP(type)                                                                             \
    do {                                                                                           \
        const type *x = t->data;                                                                   \
        while (begin < end && !any) {                                                              \
            int64_t stop = end - begin < LOOKED_AT ? end : begin + LOOKED_AT;                      \
            for (; begin < stop; begin++)                                                          \
                any |= x[begin] != 0;                                                              \
        }                                                                                          \
    } while (0)

/* Whether one of elements begin..end-1 is not 0; NaN is not. Looks at a few at a time, so that the
   loop within has no way out and vectorises. */
#define LOOKED_AT 64
CBI_MULTIVERSION static bool optimizer_any_gradient(const cb_tensor *t, int64_t begin,
                                                    int64_t end) {
    int any = 0;
    if (t->dtype == CB_F64)
        ANY_LOOP(double);
    else
        ANY_LOOP(float);
    return any != 0;
}

/* Updates the rows that have a gradient, of those that begin among elements first..last-1: so each
   row is one thread's as a whole, and none looks at a gradient that another is setting to zero. */
static void update_touched_rows(const sweep *run, const cbi_slot *s, int64_t first, int64_t last) {
    const cb_tensor *gradient = s->param->gradient;
    int64_t width = cb_tensor_count(gradient) / gradient->shape[0];
    int64_t row = (first + width - 1) / width, end = (last + width - 1) / width;
    while (row < end) {
        int64_t begin = row;
        while (row < end && optimizer_any_gradient(gradient, row * width, (row + 1) * width))
            row++;
        if (begin < row)
            scale_and_update(run, s, begin * width, row * width);
        row++;
    }
}

static void sweep_part(void *context, int i, int64_t first, int64_t last) {
    const sweep *run = context;
    const cbi_slot *s = run->optimizer->slots[i];
    const cb_tensor *gradient = s->param->gradient;
    if (cbi_is_fixed(s->param)) {
        memset(element(gradient, first), 0,
               cb_dtype_size(gradient->dtype) * (size_t)(last - first));
    } else if (run->optimizer->groups[s->group]->lazy_rows) {
        update_touched_rows(run, s, first, last);
    } else {
        scale_and_update(run, s, first, last);
    }
}

void cbi_optimizer_sweep(const cb_optimizer *optimizer, double scale) {
    sweep run = {.optimizer = optimizer, .scale = scale};
    cbi_flat_for(optimizer->params, optimizer->slot_count, sweep_part, &run);
}
