/* Running a program as a step: its values in order, each by its form. */
#include "step.h"

#include "data.h"
#include "forms.h"
#include "own_ops.h"

#include <string.h>

static _Thread_local struct {
    const program *program;
    cb_tensor *constants[MOST_VALUES];
    cb_random drawn, noise;
    bool noisy;
} current;

cb_tensor *step_constant(const program *p, const value *v) {
    int64_t shape[MOST_RANK];
    resolve(&v->shape, 0, shape);
    uint64_t seed = (uint64_t)v->number[0];
    if (v->form == &form_indices)
        return drawn_below(v->dtype, seed, v->number[1], v->shape.rank, shape);
    return drawn(p->dtype, seed, 1, v->shape.rank, shape);
}

bool step_load(const program *p) {
    memset(&current, 0, sizeof(current));
    current.program = p;
    step_reset(false, 0);
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        if (v->form != &form_constant && v->form != &form_indices)
            continue;
        current.constants[i] = step_constant(p, v);
        if (current.constants[i] == NULL)
            return false;
    }
    return true;
}

void step_unload(void) {
    for (int i = 0; i < MOST_VALUES; i++)
        cb_tensor_free(current.constants[i]);
    memset(&current, 0, sizeof(current));
}

void step_reset(bool noisy, uint64_t noise_seed) {
    current.drawn = cb_random_seed(STEP_SEED);
    current.noise = cb_random_seed(noise_seed);
    current.noisy = noisy;
}

/* A type that was inferred wrongly would make other programs invalid: it is told at once. */
static cb_tensor *of_type(const value *v, cb_tensor *result, int64_t batch) {
    int64_t shape[MOST_RANK];
    resolve(&v->type.shape, batch, shape);
    if (cb_tape_status(cb_tape_of(result)) != CB_OK ||
        (result->dtype == v->type.dtype && result->rank == v->type.shape.rank &&
         memcmp(result->shape, shape, sizeof(int64_t) * (size_t)result->rank) == 0))
        return result;
    return cb_fail(result, CB_ERROR_SHAPE, "fuzz: %s gives another type than was inferred",
                   v->form->name);
}

/* A cast to f32 rounds gradients as well: their sums do not come to the same in f32 and f64. */
static bool is_rounded(const value *v) {
    return cb_dtype_is_float(v->type.dtype) &&
           (!v->form->exact || (v->form == &form_cast && v->dtype == CB_F32));
}

/* What rounding might have made of a value. */
static cb_tensor *disturb(cb_tensor *x) {
    return own_noise(x, x->dtype == CB_F32 ? 4e-7 : 8e-16, cb_random_u64(&current.noise));
}

static cb_tensor *evaluate(const value *v, cb_tensor *const *values, const surroundings *s) {
    cb_tensor *in[MOST_INPUTS] = {NULL};
    for (int k = 0; k < v->count; k++) {
        in[k] = v->in[k] == NO_VALUE ? NULL : values[v->in[k]];
        if (in[k] != NULL && current.noisy && v->form->amplifies)
            in[k] = disturb(in[k]);
    }
    cb_tensor *result = of_type(v, v->form->apply(v, in, s), s->batch);
    return current.noisy && is_rounded(v) ? disturb(result) : result;
}

void step_call(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    const program *p = current.program;
    cb_tensor *values[MOST_VALUES];
    surroundings s = {cb_tape_of(x), x->shape[0], NULL, &current.drawn};
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        s.constant = current.constants[i];
        values[i] = v->form == &form_x        ? x
                    : v->form == &form_state  ? state[v->number[0]]
                    : v->form == &form_weight ? weights[v->number[0]]
                                              : evaluate(v, values, &s);
    }
    for (int i = 0; i < p->state_count; i++)
        next[i] = values[p->next[i]];
}
