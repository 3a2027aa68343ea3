/* One step over the elements of all parameters, which threads share out (flat.h): it reads
   gradient, state and value once, writes state and value, and leaves the gradient zero.

   Clipping takes one more reading of the gradients, for their norm; they are scaled in the sweep, a
   block at a time just before the rule reads it from the cache. So no rule knows of clipping, and
   results are those of cb_clip_gradient_norm before the step, to the bit. */
#include "optim/flat.h"
#include "optim/optimizer_internal.h"

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
        if (run->scale != 1) {
            cbi_clip_scale_elements(s->param->gradient, run->scale, begin, end);
        }
        update(run->optimizer, s, begin, end);
    }
}

static void sweep_part(void *context, int i, int64_t first, int64_t last) {
    const sweep *run = context;
    const cbi_slot *s = run->optimizer->slots[i];
    const cb_tensor *gradient = s->param->gradient;
    if (s->param->frozen) {
        memset(element(gradient, first), 0,
               cb_dtype_size(gradient->dtype) * (size_t)(last - first));
    } else {
        scale_and_update(run, s, first, last);
    }
}

void cbi_optimizer_sweep(const cb_optimizer *optimizer, double scale) {
    sweep run = {.optimizer = optimizer, .scale = scale};
    cbi_flat_for(optimizer->params, optimizer->slot_count, sweep_part, &run);
}
