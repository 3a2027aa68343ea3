/* The list of forms; leaves and constants. */
#include "forms.h"

#define FORM_ADDRESS(name) &form_##name,
const form *const all_forms[] = {FORMS(FORM_ADDRESS) NULL};

bool form_is_leaf(const form *f) {
    return f->apply == NULL;
}

/* ---- What a step is given -------------------------------------------------------------------- */

static bool infer_x(const program *p, value *v) {
    v->type = (type){p->dtype, rows_of(p->input), -1, 1};
    return true;
}

static bool infer_state(const program *p, value *v) {
    int64_t s = v->number[0];
    if (s < 0 || s >= p->state_count)
        return false;
    double bound = p->sums[s] ? SUM_BOUND : STATE_BOUND;
    v->type = (type){p->dtype, rows_of(p->state_size[s]), -bound, bound};
    return true;
}

static bool infer_weight(const program *p, value *v) {
    int64_t slot = v->number[0];
    if (slot < 0 || slot >= p->weight_count)
        return false;
    v->type = (type){p->dtype, p->weights[slot].shape, -WEIGHT_BOUND, WEIGHT_BOUND};
    return true;
}

const form form_x = {.name = "x", .text = "x", .infer = infer_x, .exact = true};
const form form_state = {.name = "state", .text = "s[$i]", .infer = infer_state, .exact = true};
const form form_weight = {.name = "weight", .text = "w[$i]", .infer = infer_weight, .exact = true};

/* ---- Constants ------------------------------------------------------------------------------- */

static bool whole(double x) {
    return x == (double)(int64_t)x;
}

static bool infer_full(const program *p, value *v) {
    (void)p;
    v->type = (type){v->dtype, v->shape, v->parameter[0], v->parameter[0]};
    return cb_dtype_is_float(v->dtype) || whole(v->parameter[0]);
}

static cb_tensor *apply_full(const value *v, cb_tensor *const *in, const surroundings *s) {
    int64_t shape[MOST_RANK];
    (void)in;
    resolve(&v->shape, s->batch, shape);
    return cb_full(s->tape, v->dtype, v->shape.rank, shape, v->parameter[0]);
}

/* number: how many */
static bool infer_arange(const program *p, value *v) {
    (void)p;
    double start = v->parameter[0], last = start + v->parameter[1] * (double)(v->number[0] - 1);
    v->type = (type){v->dtype, vector_of(v->number[0]), start < last ? start : last,
                     start < last ? last : start};
    return cb_dtype_is_float(v->dtype) || (whole(start) && whole(v->parameter[1]));
}

static cb_tensor *apply_arange(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)in;
    return cb_arange(s->tape, v->dtype, v->parameter[0], v->parameter[1], v->number[0]);
}

/* A tensor of the program's, not of the run's. number: a seed */
static bool infer_constant(const program *p, value *v) {
    v->type = (type){p->dtype, v->shape, -1, 1};
    return batch_count(&v->shape) == 0;
}

/* number: a seed, and what all elements are below */
static bool infer_indices(const program *p, value *v) {
    (void)p;
    v->type = (type){v->dtype, v->shape, 0, (double)(v->number[1] - 1)};
    return batch_count(&v->shape) == 0 && !cb_dtype_is_float(v->dtype);
}

static cb_tensor *apply_constant(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)in, (void)v;
    return cb_input(s->tape, s->constant);
}

const form form_full = {.name = "cb_full",
                        .text = "cb_full($t, $d, $s, $p)",
                        .infer = infer_full,
                        .apply = apply_full,
                        .exact = true};
const form form_arange = {.name = "cb_arange",
                          .text = "cb_arange($t, $d, $p, $q, $i)",
                          .infer = infer_arange,
                          .apply = apply_arange,
                          .exact = true};
const form form_constant = {.name = "cb_input of a constant",
                            .text = "cb_input($t, &c$v)",
                            .infer = infer_constant,
                            .apply = apply_constant,
                            .exact = true};
const form form_indices = {.name = "cb_input of indices",
                           .text = "cb_input($t, &c$v)",
                           .infer = infer_indices,
                           .apply = apply_constant,
                           .exact = true};
