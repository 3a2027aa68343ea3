/* Comparing a compiled recurrence with its step run op by op: the check of each plan at first use,
   and cb_scan_check.

   Both runs have the same small random problem. Their results may differ by rounding, and rounding
   may be amplified: by a kink, by cancellation, by a chaotic step. So where a difference is too
   large, the step is run op by op once more, on inputs changed in their last bits, and what that
   changes is allowed as well; and what still differs must do so for several draws. */
#include "autograd/scan/check.h"

#include "autograd/op_list.h"
#include "autograd/trace.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DRAWS = 3, TABLE_ROWS = 3 };

/* A problem: plain tensors. */
typedef struct problem {
    cb_scan *scan;
    const cbi_check_form *form;
    cb_tensor *x, *rows, *lengths, *projection;
    cb_tensor **weights, **states, **final_projections;
} problem;

/* What came of a run: outputs, last states and gradients, copied; NULL where there is none. */
typedef struct outcome {
    cb_status status;
    char message[256];
    bool compiled;
    int count;
    cb_tensor **results;
} outcome;

static int state_count(const problem *p) {
    return p->scan->signature.state_count;
}
static int weight_count(const problem *p) {
    return p->scan->signature.weight_count;
}

/* ---- A problem ------------------------------------------------------------------------------- */

static cb_tensor *drawn(cb_random *random, cb_dtype dtype, int rank, const int64_t *shape,
                        double low, double high) {
    cb_tensor *t = cb_tensor_new(dtype, rank, shape);
    if (t != NULL && dtype == CB_F32)
        cb_random_uniform_f32(random, cb_tensor_count(t), t->data, (float)low, (float)high);
    else if (t != NULL)
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
static cb_tensor *weight_of(const problem *p, cb_random *random, int i) {
    const cb_tensor *shape = p->scan->signature.weights[i];
    int64_t fan_in = shape->rank > 0 ? shape->shape[shape->rank - 1] : 1;
    double bound = 1 / sqrt(fan_in > 0 ? (double)fan_in : 1);
    if (p->form->weights != NULL)
        return cb_tensor_copy(p->form->weights[i], shape->dtype);
    if (!cb_dtype_is_float(shape->dtype))
        return cb_tensor_new(shape->dtype, shape->rank, shape->shape);
    return drawn(random, shape->dtype, shape->rank, shape->shape, -bound, bound);
}

static bool problem_fill(problem *p, uint64_t seed, double low, double high) {
    const cbi_signature *s = &p->scan->signature;
    const cbi_check_form *f = p->form;
    cb_random random = cb_random_seed(seed);
    p->x = f->looked_up
               ? drawn(&random, s->dtype, CB_SHAPE(TABLE_ROWS, s->input), low, high)
               : drawn(&random, s->dtype, CB_SHAPE(f->time, f->batch, s->input), low, high);
    bool good = p->x != NULL;
    if (f->looked_up)
        good = (p->rows = drawn_below(&random, TABLE_ROWS, CB_SHAPE(f->time, f->batch))) && good;
    if (f->lengths)
        good = (p->lengths = drawn_below(&random, f->time + 1, CB_SHAPE(f->batch))) && good;
    p->projection = drawn(&random, s->dtype, CB_SHAPE(f->time, f->batch, s->state_size[0]), -1, 1);
    good = good && p->projection != NULL;
    for (int i = 0; i < s->state_count && good; i++) {
        const int64_t shape[2] = {f->batch, s->state_size[i]};
        p->states[i] = drawn(&random, s->dtype, 2, shape, low, high);
        p->final_projections[i] = drawn(&random, s->dtype, 2, shape, -1, 1);
        good = p->states[i] != NULL && p->final_projections[i] != NULL;
    }
    for (int i = 0; i < s->weight_count && good; i++)
        if (s->weights[i] != NULL)
            good = (p->weights[i] = weight_of(p, &random, i)) != NULL;
    return good;
}

static void problem_free(problem *p) {
    cb_tensor_free(p->x);
    cb_tensor_free(p->rows);
    cb_tensor_free(p->lengths);
    cb_tensor_free(p->projection);
    for (int i = 0; p->states != NULL && i < state_count(p); i++) {
        cb_tensor_free(p->states[i]);
        cb_tensor_free(p->final_projections[i]);
    }
    for (int i = 0; p->states != NULL && i < weight_count(p); i++)
        cb_tensor_free(p->weights[i]);
    cbi_free(p->states);
}

/* False when there is no memory; to be freed all the same. */
static bool problem_new(problem *p, cb_scan *scan, const cbi_check_form *form, uint64_t seed,
                        double low, double high) {
    size_t states = (size_t)scan->signature.state_count;
    *p = (problem){.scan = scan, .form = form};
    p->states =
        cbi_allocate(sizeof(cb_tensor *) * (2 * states + (size_t)scan->signature.weight_count + 1));
    if (p->states == NULL)
        return false;
    p->final_projections = p->states + states;
    p->weights = p->final_projections + states;
    return problem_fill(p, seed, low, high);
}

/* ---- A run ----------------------------------------------------------------------------------- */

/* A run while it is set up: the leaves of which gradients are wanted. */
typedef struct session {
    const problem *p;
    cb_tape *tape;
    double change;    /* inputs are multiplied by 1 + or - this */
    cb_random random; /* for which */
    int wanted;
    cb_tensor **leaves, **gradients;
} session;

/* A copy in memory of the tape, some of its elements changed in their last bits. */
static cb_tensor *leaf(session *s, const cb_tensor *plain, bool wanted) {
    if (plain == NULL)
        return NULL;
    cb_tensor *t = wanted ? cb_variable(s->tape, plain) : cb_input(s->tape, plain);
    if (s->change > 0 && cb_dtype_is_float(plain->dtype) && !cbi_is_poisoned(t)) {
        cb_tensor *changed = cb_contiguous(cb_scale(t, 1));
        for (int64_t i = 0; i < cb_tensor_count(plain) && !cbi_is_poisoned(changed); i++) {
            double sign = cb_random_below(&s->random, 2) == 0 ? -1 : 1;
            char *at = (char *)changed->data + (size_t)i * cb_dtype_size(plain->dtype);
            cbi_store(plain->dtype, at, cbi_load(plain->dtype, at) * (1 + sign * s->change));
        }
        t = wanted ? cb_variable(s->tape, changed) : cb_input(s->tape, changed);
    }
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
    const problem *p = s->p;
    const cbi_check_form *f = p->form;
    int states = state_count(p), weights = weight_count(p);
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
    cb_tensor *y = cbi_scan_run_as(p->scan, x, &io, way);
    results[(*count)++] = y;
    loss = add_projected(loss, y, p->projection);
    for (int i = 0; i < states; i++) {
        results[(*count)++] = final[i];
        loss = add_projected(loss, final[i], p->final_projections[i]);
    }
    if (s->wanted > 0 && cb_requires_grad(loss))
        cb_grad(loss, NULL, false, s->wanted, s->leaves, s->gradients);
    for (int i = 0; i < s->wanted; i++)
        results[(*count)++] =
            cb_requires_grad(loss) ? s->gradients[i] : cbi_filled_like(s->tape, s->leaves[i], 0);
}

static void outcome_free(outcome *o) {
    for (int i = 0; i < o->count; i++)
        cb_tensor_free(o->results[i]);
    cbi_free(o->results);
}

/* Copies what came of the run before its tape ends. */
static void keep(outcome *o, const cb_tape *tape, cb_tensor *const *results, int count) {
    o->status = cb_tape_status(tape);
    snprintf(o->message, sizeof(o->message), "%s", cb_tape_error(tape));
    o->results =
        o->status == CB_OK ? cbi_allocate(sizeof(cb_tensor *) * (size_t)(count + 1)) : NULL;
    if (o->status == CB_OK && o->results == NULL)
        o->status = CB_ERROR_MEMORY;
    for (int i = 0; i < count && o->status == CB_OK; i++) {
        o->results[i] = cb_tensor_copy(results[i], CB_F64);
        o->count += o->results[i] != NULL;
        o->status = o->results[i] != NULL ? CB_OK : CB_ERROR_MEMORY;
    }
}

static outcome outcome_of(const problem *p, cbi_way way, double change) {
    outcome o = {.status = CB_ERROR_MEMORY};
    int most = state_count(p) + weight_count(p) + 2, count = 0;
    session s = {.p = p, .change = change, .random = cb_random_seed(1)};
    s.tape = p->form->gradients ? cb_tape_new() : cb_tape_new_no_grad();
    cb_tensor **memory = cbi_allocate(sizeof(cb_tensor *) * (size_t)(4 * most));
    if (s.tape != NULL && memory != NULL) {
        s.leaves = memory;
        s.gradients = memory + most;
        run(&s, way, memory + 2 * most, &count);
        keep(&o, s.tape, memory + 2 * most, count);
    }
    cbi_free(memory);
    cb_tape_free(s.tape);
    return o;
}

/* ---- Generators ------------------------------------------------------------------------------ */

/* The generators that a step draws from, as they were. */
typedef struct generators {
    int count;
    cbi_trace_draw *list;
} generators;

static bool generators_save(generators *g, const cb_scan *scan, int64_t batch) {
    cb_tape *tape = cbi_tape_new_symbolic();
    cbi_side side;
    bool good = tape != NULL;
    *g = (generators){.count = 0};
    if (good && cbi_trace_once(&scan->signature, tape, batch, &side) == NULL) {
        g->list = cbi_allocate(sizeof(*g->list) * (size_t)(tape->trace->draw_count + 1));
        good = g->list != NULL;
        for (int i = 0; good && i < tape->trace->draw_count; i++)
            g->list[g->count++] = tape->trace->draws[i];
    }
    cb_tape_free(tape);
    return good;
}

static void generators_restore(const generators *g) {
    for (int i = 0; i < g->count; i++)
        *g->list[i].generator = g->list[i].start;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool is_same(double a, double b) {
    return a == b || (!isfinite(a) && !isfinite(b));
}

/* The largest difference over the largest element, and where it is. */
static double difference(const cb_tensor *a, const cb_tensor *b, int64_t *where) {
    const double *p = a->data, *q = b->data;
    double scale = 0, worst = 0;
    *where = 0;
    for (int64_t i = 0; i < cb_tensor_count(b); i++)
        if (isfinite(q[i]) && fabs(q[i]) > scale)
            scale = fabs(q[i]);
    for (int64_t i = 0; i < cb_tensor_count(b); i++) {
        double error = is_same(p[i], q[i]) ? 0 : fabs(p[i] - q[i]) / (scale > 0 ? scale : 1);
        if (!(error <= worst)) {
            worst = isfinite(error) ? error : INFINITY;
            *where = i;
        }
    }
    return worst;
}

static void write_name(char *name, size_t size, const char *what, const char *kind,
                       const char *const *names, int i) {
    if (names != NULL)
        snprintf(name, size, "%s %s", what, names[i]);
    else
        snprintf(name, size, "%s %s %d", what, kind, i);
}

static void name_result(const problem *p, int i, char *name, size_t size) {
    const cbi_check_form *f = p->form;
    int at = i - 1 - state_count(p);
    if (i == 0) {
        snprintf(name, size, "output");
        return;
    }
    if (at < 0) {
        write_name(name, size, "last", "state", f->state_names, i - 1);
        return;
    }
    if (f->of_x && at-- == 0) {
        snprintf(name, size, "gradient of %s", f->looked_up ? "the table" : "x");
        return;
    }
    if (f->of_states && at < state_count(p)) {
        write_name(name, size, "gradient of initial", "state", f->state_names, at);
        return;
    }
    at -= f->of_states ? state_count(p) : 0;
    for (int k = 0; k < weight_count(p); k++) {
        bool wanted = (f->of_weights == NULL || f->of_weights[k]) && p->weights[k] != NULL &&
                      cb_dtype_is_float(p->weights[k]->dtype);
        if (wanted && at-- == 0)
            write_name(name, size, "gradient of", "weight", f->weight_names, k);
    }
}

static bool is_finite(const outcome *o) {
    for (int i = 0; i < o->count; i++)
        for (int64_t e = 0; e < cb_tensor_count(o->results[i]); e++)
            if (!isfinite(((const double *)o->results[i]->data)[e]))
                return false;
    return true;
}

static void tell(const problem *p, const outcome *compiled, const outcome *eager, int i, int64_t at,
                 cb_scan_check_report *report) {
    char name[64] = "";
    name_result(p, i, name, sizeof(name));
    snprintf(report->message, sizeof(report->message),
             "%s%s%s%s, element %lld: %.9g compiled, %.9g op by op", name,
             p->form->reverse ? ", in reverse" : "", p->form->lengths ? ", with lengths" : "",
             p->form->looked_up ? ", on rows of a table" : "", (long long)at,
             ((const double *)compiled->results[i]->data)[at],
             ((const double *)eager->results[i]->data)[at]);
}

/* Compares two runs, allowing what a change of the inputs made; changed: NULL, or that run. Returns
   whether they agree. */
static bool compare(const problem *p, const outcome *compiled, const outcome *eager,
                    const outcome *changed, double tolerance, cb_scan_check_report *report) {
    enum { AMPLIFIED = 32 };
    bool good = compiled->count == eager->count;
    report->compared = 0;
    report->worst_value = report->worst_gradient = 0;
    for (int i = 0; i < eager->count && compiled->count == eager->count; i++) {
        int64_t at, anywhere;
        double *worst = i <= state_count(p) ? &report->worst_value : &report->worst_gradient;
        double error = difference(compiled->results[i], eager->results[i], &at);
        double allowed = tolerance;
        if (changed != NULL && changed->count == eager->count)
            allowed += AMPLIFIED * difference(changed->results[i], eager->results[i], &anywhere);
        report->compared += cb_tensor_count(eager->results[i]);
        *worst = error > *worst ? error : *worst;
        if (!(error <= allowed) && good) {
            good = false;
            tell(p, compiled, eager, i, at, report);
        }
    }
    if (compiled->count != eager->count)
        snprintf(report->message, sizeof(report->message), "%d results compiled, %d op by op",
                 compiled->count, eager->count);
    return good;
}

/* The dtype that results are rounded to at worst: a step in f64 may compute something in f32. */
static cb_dtype coarsest(cb_scan *scan) {
    cb_dtype dtype = scan->signature.dtype;
    pthread_mutex_lock(&scan->lock);
    for (int c = 0; c < scan->compilation_count; c++) {
        const cbi_split *split = scan->compilations[c]->split;
        for (int i = 0; split != NULL && i < split->traced->step_count; i++)
            if (cbi_traced_node(split->traced, 0, i)->tensor.dtype == CB_F32)
                dtype = CB_F32;
    }
    pthread_mutex_unlock(&scan->lock);
    return dtype;
}

/* One draw. CB_OK, CB_ERROR_VALUE or CB_ERROR_MEMORY; *plain: whether all numbers were finite. */
static cb_status check_draw(const problem *p, double tolerance, const generators *g,
                            cb_scan_check_report *report, bool *plain) {
    double change = 4 * (coarsest(p->scan) == CB_F32 ? 0x1p-24 : 0x1p-53);
    outcome eager = outcome_of(p, CBI_OP_BY_OP, 0), compiled = {.status = CB_OK};
    cb_status status = eager.status;
    generators_restore(g);
    *plain = status == CB_OK && is_finite(&eager);
    if (status == CB_OK) {
        compiled = outcome_of(p, CBI_UNCHECKED, 0);
        generators_restore(g);
        status = compiled.status;
        if (status != CB_OK && status != CB_ERROR_MEMORY) {
            snprintf(report->message, sizeof(report->message), "an error only where compiled: %s",
                     compiled.message);
            status = CB_ERROR_VALUE;
        }
    } else if (status != CB_ERROR_MEMORY) {
        status = CB_OK; /* nothing to compare with */
    }
    if (status == CB_OK && eager.status == CB_OK &&
        !compare(p, &compiled, &eager, NULL, tolerance, report)) {
        outcome changed = outcome_of(p, CBI_OP_BY_OP, change);
        generators_restore(g);
        bool good =
            changed.status == CB_OK && compare(p, &compiled, &eager, &changed, tolerance, report);
        status = good                                ? CB_OK
                 : changed.status == CB_ERROR_MEMORY ? CB_ERROR_MEMORY
                                                     : CB_ERROR_VALUE;
        outcome_free(&changed);
    }
    outcome_free(&eager);
    outcome_free(&compiled);
    return status;
}

cb_status cbi_check_scan(cb_scan *scan, const cbi_check_form *form, uint64_t seed, double tolerance,
                         cb_scan_check_report *report) {
    /* Where numbers around 0 give none, as a logarithm's, positive ones may. */
    static const double low[] = {-1, 0.25}, high[] = {1, 1.25};
    cb_scan_check_report first = *report;
    generators g;
    cb_status status = generators_save(&g, scan, form->batch) ? CB_ERROR_VALUE : CB_ERROR_MEMORY;
    int range = 0;
    if (tolerance == 0)
        tolerance = coarsest(scan) == CB_F32 ? 1e-4 : 1e-9;
    for (int draw = 0; draw < DRAWS && status == CB_ERROR_VALUE; draw++) {
        problem p;
        bool plain = false;
        status = problem_new(&p, scan, form, seed + (uint64_t)draw, low[range], high[range])
                     ? check_draw(&p, tolerance, &g, report, &plain)
                     : CB_ERROR_MEMORY;
        problem_free(&p);
        if (status == CB_OK && !plain && range == 0) {
            range = 1;
            draw = -1;
            status = CB_ERROR_VALUE;
        }
    }
    cbi_free(g.list);
    report->compared += first.compared;
    if (first.worst_value > report->worst_value)
        report->worst_value = first.worst_value;
    if (first.worst_gradient > report->worst_gradient)
        report->worst_gradient = first.worst_gradient;
    return status;
}

/* ---- At first use, and for the user ---------------------------------------------------------- */

cb_status cbi_scan_self_check(const cbi_scan_run *run, char *reason, size_t size) {
    cb_scan *scan = run->scan;
    const cb_scan_io *io = run->io;
    int64_t only = run->compilation->split->traced->only_batch;
    int weights = scan->signature.weight_count;
    cb_scan_check_report report = {.passed = false};
    bool *of_weights = cbi_allocate((size_t)weights + 1), any = cb_requires_grad(run->x);
    if (of_weights == NULL)
        return CB_ERROR_MEMORY;
    cbi_check_form form = {.time = 3,
                           .batch = only > 0 ? only : 5,
                           .looked_up = run->looked_up,
                           .reverse = io->reverse,
                           .lengths = io->lengths != NULL,
                           .of_x = any,
                           .of_weights = of_weights,
                           .weights = io->weights};
    for (int i = 0; i < scan->signature.state_count; i++)
        form.of_states = form.of_states || cb_requires_grad(io->initial[i]);
    for (int i = 0; i < weights; i++) {
        of_weights[i] = cb_requires_grad(io->weights[i]);
        any = any || of_weights[i];
    }
    form.gradients = run->compiled->variant.gradients && (any || form.of_states);
    cb_status status = cbi_check_scan(scan, &form, 1, 0, &report);
    cbi_free(of_weights);
    if (status == CB_ERROR_VALUE)
        snprintf(reason, size, "the compiler has a bug: %.280s", report.message);
    return status;
}

bool cb_scan_check(cb_scan *scan, const cb_scan_check_options *options,
                   cb_scan_check_report *report) {
    static const cb_scan_check_options defaults = {.time = 0};
    cb_scan_check_report own;
    cb_scan_check_report *r = report != NULL ? report : &own;
    const cb_scan_check_options *o = options != NULL ? options : &defaults;
    *r = (cb_scan_check_report){.passed = false};
    if (scan == NULL) {
        snprintf(r->message, sizeof(r->message), "there is no recurrence");
        return false;
    }
    r->compiled = cb_scan_reason(scan) == NULL;
    cb_status status = CB_OK;
    for (int way = 0; way < 4 && status == CB_OK; way++) {
        cbi_check_form form = {.time = o->time > 0 ? o->time : 3,
                               .batch = o->batch > 0 ? o->batch : 5,
                               .reverse = way == 1,
                               .lengths = way == 2,
                               .looked_up = way == 3,
                               .gradients = true,
                               .of_x = true,
                               .of_states = true,
                               .weight_names = o->weight_names,
                               .state_names = o->state_names,
                               .weights = o->weights};
        status = cbi_check_scan(scan, &form, o->seed, o->tolerance, r);
    }
    if (status == CB_ERROR_MEMORY)
        snprintf(r->message, sizeof(r->message), "out of memory");
    r->passed = status == CB_OK;
    if (r->passed)
        r->message[0] = '\0';
    return r->passed;
}
