/* Running a problem compiled or op by op, and comparing what came of it. */
#include "autograd/scan/check_internal.h"

#include "autograd/ops/list.h"
#include "tensor/memory.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <float.h>
#include <math.h>

/* ---- A run ----------------------------------------------------------------------------------- */

/* A run while it is set up: the leaves of which gradients are wanted. */
typedef struct session {
    const cbi_problem *p;
    cb_tape *tape;
    const cbi_stand_ins *stand_ins;
    int wanted;
    cb_tensor **leaves;
} session;

static cb_tensor *leaf(session *s, const cb_tensor *plain, bool wanted) {
    if (plain == NULL)
        return NULL;
    cb_tensor *t = cb_input(s->tape, plain);
    if (s->tape->noise != NULL) /* an op's result has noise */
        t = cb_scale(t, 1);
    t = wanted ? cb_variable(s->tape, t) : t;
    if (wanted && !cbi_is_poisoned(t))
        s->leaves[s->wanted++] = t;
    return t;
}

static cb_tensor *add_projected(cb_tensor *loss, cb_tensor *t, const cb_tensor *projection) {
    cb_tensor *part = cb_sum(cb_mul(t, cb_input(cb_tape_of(t), projection)), CB_ALL_AXES, false);
    return loss == NULL ? part : cb_add(loss, part);
}

/* Runs the scan; results are y and the last states, and the gradients of the leaves. */
static void run(session *s, cbi_way way, cb_tensor **results, int *count) {
    const cbi_problem *p = s->p;
    const cbi_check_form *f = p->form;
    int states = cbi_problem_states(p), weights = cbi_problem_weights(p);
    cbi_block *block =
        cbi_block_new(s->tape, sizeof(cb_tensor *) * (size_t)(2 * states + weights + 1));
    if (block == NULL)
        return;
    cb_tensor **initial = block->data, ** final = initial + states, **w = final + states;
    cb_tensor *x = leaf(s, p->x, f->gradients && f->of_x), *loss = NULL;
    for (int i = 0; i < states; i++)
        initial[i] = leaf(s, p->states[i], f->gradients && f->of_states);
    for (int i = 0; i < weights; i++)
        w[i] = leaf(s, p->weights[i],
                    f->gradients && (f->of_weights == NULL || f->of_weights[i]) &&
                        p->weights[i] != NULL && cb_dtype_is_float(p->weights[i]->dtype));
    cb_scan_io io = {.weights = w, .initial = initial, .final = final, .reverse = f->reverse};
    io.rows = p->rows != NULL ? cb_input(s->tape, p->rows) : NULL;
    io.lengths = p->lengths != NULL ? cb_input(s->tape, p->lengths) : NULL;
    s->tape->no_variables = !f->own; /* from here on */
    cb_tensor *y = cbi_scan_run_as(p->scan, x, &io, way);
    results[(*count)++] = cb_contiguous(y);
    loss = add_projected(loss, y, p->projection);
    for (int i = 0; i < states; i++) {
        results[(*count)++] = cb_contiguous(final[i]);
        loss = add_projected(loss, final[i], p->final_projections[i]);
    }
    if ((s->wanted > 0 || s->stand_ins->count > 0) && cb_requires_grad(loss))
        cb_backward(loss);
    for (int i = 0; i < s->wanted; i++) {
        cb_tensor *gradient = cb_gradient(s->leaves[i]);
        results[(*count)++] =
            gradient != NULL ? cb_contiguous(gradient) : cbi_filled_like(s->tape, s->leaves[i], 0);
    }
    for (int i = 0; i < s->stand_ins->count; i++)
        results[(*count)++] = s->stand_ins->own[i];
}

static bool make_stand_ins(const cbi_problem *p, cbi_stand_ins *s) {
    *s = (cbi_stand_ins){.of_program = p->gradients};
    s->own = cbi_allocate(sizeof(cb_tensor *) * (size_t)(p->gradient_count + 1));
    for (int i = 0; i < p->gradient_count && s->own != NULL && p->form->gradients; i++) {
        const cb_tensor *of = p->gradients[i];
        if ((s->own[i] = cb_tensor_new(of->dtype, of->rank, of->shape)) == NULL)
            return false;
        s->count++;
    }
    return s->own != NULL;
}

cbi_outcome cbi_outcome_of(const cbi_problem *p, cbi_way way, double change) {
    cbi_outcome o = {.status = CB_ERROR_MEMORY};
    int most = cbi_problem_states(p) + cbi_problem_weights(p) + p->gradient_count + 2;
    cbi_noise noise = {change, cb_random_seed(1)};
    session s = {.p = p};
    bool plain = p->form->evaluating && !p->form->gradients;
    o.tape = s.tape = plain ? cb_tape_new_no_grad() : cb_tape_new();
    cb_tape_evaluate(o.tape, p->form->evaluating);
    o.results = cbi_allocate(sizeof(cb_tensor *) * (size_t)(4 * most));
    if (!make_stand_ins(p, &o.stand_ins) || o.tape == NULL || o.results == NULL)
        return o;
    s.stand_ins = o.tape->stand_ins = &o.stand_ins;
    s.leaves = o.results + 2 * most;
    s.tape->noise = change > 0 ? &noise : NULL;
    run(&s, way, o.results, &o.count);
    o.tape->noise = NULL;
    o.tape->stand_ins = NULL;
    o.status = cb_tape_status(o.tape);
    return o;
}

void cbi_outcome_end(cbi_outcome *o) {
    cb_tape_free(o->tape);
    for (int i = 0; i < o->stand_ins.count; i++)
        cb_tensor_free(o->stand_ins.own[i]);
    cbi_free(o->stand_ins.own);
    cbi_free(o->results);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static double element(const cb_tensor *t, int64_t i) {
    return t->dtype == CB_F32 ? (double)((const float *)t->data)[i] : ((const double *)t->data)[i];
}

/* The largest elements of b and of a - b; how many of b's are not finite, how often a's alone is
   not, and how often b's alone. */
typedef struct spread {
    double scale, worst;
    int64_t infinite, only_a, only_b;
} spread;

#define OVER_ALL                                                                                   \
    _Pragma("omp simd reduction(max : scale, worst) reduction(+ : infinite, only_a, only_b)")
#define SPREAD(name, real, fabs, most)                                                             \
    static spread name(const real *a, const real *b, int64_t count) {                              \
        real scale = 0, worst = 0;                                                                 \
        int64_t infinite = 0, only_a = 0, only_b = 0;                                              \
        OVER_ALL for (int64_t i = 0; i < count; i++) {                                             \
            bool left = fabs(a[i]) <= most, right = fabs(b[i]) <= most;                            \
            real element = right ? fabs(b[i]) : 0, error = left && right ? fabs(a[i] - b[i]) : 0;  \
            scale = element > scale ? element : scale;                                             \
            worst = error > worst ? error : worst;                                                 \
            infinite += !right;                                                                    \
            only_a += right && !left;                                                              \
            only_b += left && !right;                                                              \
        }                                                                                          \
        return (spread){scale, worst, infinite, only_a, only_b};                                   \
    }
SPREAD(spread_f32, float, fabsf, FLT_MAX)
SPREAD(spread_f64, double, fabs, DBL_MAX)

/* Two tensors while they are compared, part by part. */
enum { PARTS = 16 };
typedef struct comparison {
    const cb_tensor *a, *b;
    spread parts[PARTS];
} comparison;

static void compare_parts(void *context, int64_t begin, int64_t end) {
    comparison *c = context;
    int64_t count = cb_tensor_count(c->b);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = count * i / PARTS, n = count * (i + 1) / PARTS - first;
        c->parts[i] = c->b->dtype == CB_F32 ? spread_f32((const float *)c->a->data + first,
                                                         (const float *)c->b->data + first, n)
                                            : spread_f64((const double *)c->a->data + first,
                                                         (const double *)c->b->data + first, n);
    }
}

double cbi_difference(const cb_tensor *a, const cb_tensor *b, bool any_for_none, bool *finite) {
    comparison c = {.a = a, .b = b};
    spread all = {0};
    cbi_parallel_for(PARTS, PARTS * CBI_GRAIN / (cb_tensor_count(b) + 1) + 1, compare_parts, &c);
    for (int i = 0; i < PARTS; i++) {
        all.scale = fmax(all.scale, c.parts[i].scale);
        all.worst = fmax(all.worst, c.parts[i].worst);
        all.infinite += c.parts[i].infinite;
        all.only_a += c.parts[i].only_a;
        all.only_b += any_for_none ? 0 : c.parts[i].only_b;
    }
    *finite = *finite && all.infinite == 0;
    /* What all numbers are smaller than underflows on the way, here or there. */
    double least = b->dtype == CB_F32 ? 0x1p-100 : 0x1p-960;
    return all.only_a + all.only_b > 0 ? INFINITY : all.worst / fmax(all.scale, least);
}

int64_t cbi_worst_place(const cb_tensor *a, const cb_tensor *b) {
    double worst = -1;
    int64_t at = 0;
    for (int64_t i = 0; i < cb_tensor_count(b); i++) {
        double p = element(a, i), q = element(b, i);
        double error = isfinite(p) && isfinite(q)   ? fabs(p - q)
                       : isfinite(p) != isfinite(q) ? INFINITY
                                                    : 0;
        if (error > worst) {
            worst = error;
            at = i;
        }
    }
    return at;
}
