/* A small random problem to run a recurrence on. */
#include "autograd/scan/check_internal.h"

#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <math.h>

enum { TABLE_ROWS = 3 };

static cb_tensor *drawn(cb_random *random, cb_dtype dtype, int rank, const int64_t *shape,
                        double low, double high) {
    cb_tensor *t = cb_tensor_new(dtype, rank, shape);
    for (int64_t i = 0; t != NULL && !cb_dtype_is_float(dtype) && i < cb_tensor_count(t); i++)
        cbi_store(dtype, (char *)t->data + (size_t)i * cb_dtype_size(dtype),
                  (double)cb_random_below(random, 3));
    if (t == NULL || !cb_dtype_is_float(dtype))
        return t;
    if (dtype == CB_F32)
        cb_random_uniform_f32(random, cb_tensor_count(t), t->data, (float)low, (float)high);
    else
        cb_random_uniform_f64(random, cb_tensor_count(t), t->data, low, high);
    return t;
}

static cb_tensor *drawn_below(cb_random *random, int64_t limit, int rank, const int64_t *shape) {
    cb_tensor *t = cb_tensor_new(CB_I64, rank, shape);
    for (int64_t i = 0; t != NULL && i < cb_tensor_count(t); i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(random, (uint64_t)limit);
    return t;
}

/* A weight: the values that are given, or numbers as large as those of a fresh network. */
static cb_tensor *weight_of(const cbi_problem *p, cb_random *random, int i) {
    const cb_tensor *shape = p->scan->signature.weights[i];
    int64_t fan_in = shape->rank > 0 ? shape->shape[shape->rank - 1] : 1;
    double bound = 1 / sqrt(fan_in > 0 ? (double)fan_in : 1);
    const cb_tensor *given = p->form->weights != NULL ? p->form->weights[i] : NULL;
    if (given != NULL && given->dtype == shape->dtype) {
        p->given[i] = *given;
        p->given[i].node = NULL;
        return &p->given[i];
    }
    if (given != NULL)
        return cb_tensor_copy(given, shape->dtype);
    if (!cb_dtype_is_float(shape->dtype))
        return cb_tensor_new(shape->dtype, shape->rank, shape->shape);
    return drawn(random, shape->dtype, shape->rank, shape->shape, -bound, bound);
}

/* The first rows of a tensor, along its axes but the last one, over again where there are too few.
 */
static cb_tensor *first_of(const cb_tensor *t, int rank, const int64_t *shape) {
    cb_tensor *first = cb_tensor_new(t->dtype, rank, shape);
    int64_t to[CB_MAX_RANK] = {0}, from[CB_MAX_RANK];
    for (int64_t i = 0; first != NULL && i < cb_tensor_count(first); i++) {
        for (int k = 0; k < rank; k++)
            from[k] = to[k] % t->shape[k];
        cb_tensor_set(first, to, cb_tensor_get(t, from));
        for (int k = rank - 1; k >= 0 && ++to[k] == shape[k]; k--)
            to[k] = 0;
    }
    return first;
}

/* A plain tensor like one on a tape. */
static cb_tensor plain_of(const cb_tensor *t) {
    cb_tensor plain = *t;
    plain.node = NULL;
    return plain;
}

static bool fill_from_run(cbi_problem *p) {
    const cbi_signature *s = &p->scan->signature;
    const cbi_check_form *f = p->form;
    cb_tensor x = plain_of(f->run->x);
    p->x = f->looked_up ? cb_tensor_copy(&x, s->dtype)
                        : first_of(&x, CB_SHAPE(f->time, f->batch, s->input));
    bool good = p->x != NULL;
    if (f->looked_up) {
        cb_tensor rows = plain_of(f->run->io->rows);
        good = (p->rows = first_of(&rows, CB_SHAPE(f->time, f->batch))) != NULL && good;
    }
    for (int i = 0; i < s->state_count && good; i++) {
        cb_tensor state = plain_of(f->run->io->initial[i]);
        p->states[i] = first_of(&state, CB_SHAPE(f->batch, s->state_size[i]));
        good = p->states[i] != NULL;
    }
    return good;
}

static bool fill_at_random(cbi_problem *p, cb_random *random, cbi_range range) {
    const cbi_signature *s = &p->scan->signature;
    const cbi_check_form *f = p->form;
    double low = range == CBI_AROUND_0 ? -1 : 0.25, high = low + (range == CBI_AROUND_0 ? 2 : 1);
    p->x = f->looked_up ? drawn(random, s->dtype, CB_SHAPE(TABLE_ROWS, s->input), low, high)
                        : drawn(random, s->dtype, CB_SHAPE(f->time, f->batch, s->input), low, high);
    bool good = p->x != NULL;
    if (f->looked_up)
        good = (p->rows = drawn_below(random, TABLE_ROWS, CB_SHAPE(f->time, f->batch))) && good;
    for (int i = 0; i < s->state_count && good; i++)
        good = (p->states[i] = drawn(random, s->dtype, CB_SHAPE(f->batch, s->state_size[i]), low,
                                     high)) != NULL;
    return good;
}

static bool problem_fill(cbi_problem *p, uint64_t seed, cbi_range range) {
    const cbi_signature *s = &p->scan->signature;
    const cbi_check_form *f = p->form;
    cb_random random = cb_random_seed(seed);
    bool good = range == CBI_OF_RUN ? fill_from_run(p) : fill_at_random(p, &random, range);
    if (f->lengths)
        good = (p->lengths = drawn_below(&random, f->time + 1, CB_SHAPE(f->batch))) && good;
    p->projection = drawn(&random, s->dtype, CB_SHAPE(f->time, f->batch, s->state_size[0]), -1, 1);
    good = good && p->projection != NULL;
    for (int i = 0; i < s->state_count && good; i++) {
        p->final_projections[i] =
            drawn(&random, s->dtype, CB_SHAPE(f->batch, s->state_size[i]), -1, 1);
        good = p->final_projections[i] != NULL;
    }
    for (int i = 0; i < s->weight_count && good; i++)
        if (s->weights[i] != NULL)
            good = (p->weights[i] = weight_of(p, &random, i)) != NULL;
    return good;
}

void cbi_problem_free(cbi_problem *p) {
    cb_tensor_free(p->x);
    cb_tensor_free(p->rows);
    cb_tensor_free(p->lengths);
    cb_tensor_free(p->projection);
    for (int i = 0; p->states != NULL && i < cbi_problem_states(p); i++) {
        cb_tensor_free(p->states[i]);
        cb_tensor_free(p->final_projections[i]);
    }
    for (int i = 0; p->states != NULL && i < cbi_problem_weights(p); i++)
        if (p->weights[i] != &p->given[i])
            cb_tensor_free(p->weights[i]);
    cbi_free(p->states);
}

bool cbi_problem_new(cbi_problem *p, cb_scan *scan, const cbi_check_form *form, uint64_t seed,
                     cbi_range range) {
    size_t states = (size_t)scan->signature.state_count;
    size_t weights = (size_t)scan->signature.weight_count;
    *p = (cbi_problem){.scan = scan, .form = form};
    p->states =
        cbi_allocate(sizeof(cb_tensor) * weights + sizeof(cb_tensor *) * (2 * states + weights));
    if (p->states == NULL)
        return false;
    p->final_projections = p->states + states;
    p->weights = p->final_projections + states;
    p->given = (cb_tensor *)(void *)(p->weights + weights);
    return problem_fill(p, seed, range);
}
