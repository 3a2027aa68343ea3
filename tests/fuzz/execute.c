/* One run on one tape: leaves, the recurrence, a loss, backward sweeps, and what came of them. */
#include "execute.h"

#include "data.h"
#include "step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Layouts --------------------------------------------------------------------------------- */

void layout_base(layout l, int rank, const int64_t *shape, int64_t *base) {
    memcpy(base, shape, sizeof(int64_t) * (size_t)rank);
    if (l == TRANSPOSED && rank >= 2) {
        base[0] = shape[1];
        base[1] = shape[0];
    } else if (l == EXPANDED && rank >= 1) {
        base[0] = 1;
    } else if (l == SLICED && rank >= 1) {
        base[rank - 1] = 2 * shape[rank - 1] + 1;
    }
}

cb_tensor *layout_view(layout l, cb_tensor *base, int rank, const int64_t *shape) {
    if (l == TRANSPOSED && rank >= 2)
        return cb_transpose(base, 0, 1);
    if (l == FLIPPED && rank >= 1)
        return cb_flip(base, CB_AXES(0));
    if (l == EXPANDED && rank >= 1)
        return cb_expand(base, rank, shape);
    if (l == SLICED && rank >= 1)
        return cb_slice(base, rank - 1, 1, CB_END, 2);
    return base;
}

int weight_slot(const program *p, int slot) {
    int other = p->weights[slot].same_as;
    bool same = other >= 0 && other < slot &&
                same_extents(&p->weights[slot].shape, &p->weights[other].shape);
    return same ? weight_slot(p, other) : slot;
}

origin origin_of(const program *p, int state) {
    origin s = p->run.initial[state];
    if (s == SHARED && (state == 0 || p->state_size[state] != p->state_size[state - 1]))
        return VARIABLE;
    return s;
}

/* ---- Data ------------------------------------------------------------------------------------ */

static cb_tensor *draw_laid_out(const program *p, uint64_t seed, double bound, layout l, int rank,
                                const int64_t *shape) {
    int64_t base[CB_MAX_RANK];
    layout_base(l, rank, shape, base);
    return drawn(p->dtype, p->run.data + seed, bound, rank, base);
}

bool run_data_draw(const program *p, run_data *data) {
    const run *r = &p->run;
    memset(data, 0, sizeof(*data));
    data->x = r->table > 0
                  ? drawn(p->dtype, r->data + SEED_X, 1, CB_SHAPE(r->table, p->input))
                  : draw_laid_out(p, SEED_X, 1, r->x_layout, CB_SHAPE(r->time, r->batch, p->input));
    data->symbols = drawn_below(r->narrow ? CB_I32 : CB_I64, r->data + SEED_SYMBOLS,
                                r->table > 0 ? r->table : 1, CB_SHAPE(r->time, r->batch));
    data->lengths = drawn_below(r->narrow ? CB_I32 : CB_I64, r->data + SEED_LENGTHS, r->time + 1,
                                CB_SHAPE(r->batch));
    data->projection = drawn(p->dtype, r->data + SEED_PROJECTION, 1,
                             CB_SHAPE(r->time, r->batch, p->state_size[0]));
    bool good = data->x != NULL && data->symbols != NULL && data->lengths != NULL &&
                data->projection != NULL;
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        int64_t shape[MOST_RANK];
        resolve(&w->shape, 0, shape);
        data->weights[i] = draw_laid_out(p, SEED_WEIGHTS + (uint64_t)i, WEIGHT_BOUND, w->layout,
                                         w->shape.rank, shape);
        good = good && data->weights[i] != NULL;
    }
    for (int i = 0; i < p->state_count; i++) {
        int64_t rows = origin_of(p, i) == SPREAD ? 1 : r->batch;
        data->initial[i] = drawn(p->dtype, r->data + SEED_STATES + (uint64_t)i, 1,
                                 CB_SHAPE(rows, p->state_size[i]));
        good = good && data->initial[i] != NULL;
    }
    return good;
}

void run_data_free(run_data *data) {
    cb_tensor_free(data->x);
    cb_tensor_free(data->symbols);
    cb_tensor_free(data->lengths);
    cb_tensor_free(data->projection);
    for (int i = 0; i < MOST_WEIGHTS; i++)
        cb_tensor_free(data->weights[i]);
    for (int i = 0; i < MOST_STATES; i++)
        cb_tensor_free(data->initial[i]);
    memset(data, 0, sizeof(*data));
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

enum { MOST_VARIABLES = MOST_WEIGHTS + MOST_STATES + 2 };

/* A variable, and where its gradient is added; NULL: asked for with cb_gradient. given: what
   cb_grad gave, where it was asked. */
typedef struct variable {
    char name[48];
    cb_tensor *tensor, *gradient, *given;
} variable;

typedef struct session {
    const program *p;
    const run_data *data;
    cb_tape *tape;
    int variable_count;
    variable variables[MOST_VARIABLES];
    cb_tensor *x, *rows, *lengths, *weights[MOST_WEIGHTS], *initial[MOST_STATES];
    cb_tensor *output[MOST_RUNS], *final[MOST_RUNS][MOST_STATES];
} session;

static cb_tensor *leaf(session *s, const cb_tensor *plain, bool constant, const char *kind,
                       int number) {
    if (constant)
        return cb_input(s->tape, plain);
    variable *v = &s->variables[s->variable_count++];
    snprintf(v->name, sizeof(v->name), "gradient of %s", kind);
    if (number >= 0)
        snprintf(v->name, sizeof(v->name), "gradient of %s%d", kind, number);
    v->gradient = v->given = NULL;
    if (s->p->run.into && (v->gradient = cb_tensor_new(plain->dtype, plain->rank, plain->shape)))
        cb_tensor_fill(v->gradient, GRADIENT_BEFORE);
    v->tensor = v->gradient != NULL ? cb_variable_into(s->tape, plain, v->gradient)
                                    : cb_variable(s->tape, plain);
    return v->tensor;
}

static void place_weights(session *s) {
    const program *p = s->p;
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        int64_t shape[MOST_RANK];
        if (weight_slot(p, i) != i) {
            s->weights[i] = s->weights[weight_slot(p, i)];
            continue;
        }
        resolve(&w->shape, 0, shape);
        s->weights[i] = layout_view(w->layout, leaf(s, s->data->weights[i], w->constant, "w", i),
                                    w->shape.rank, shape);
    }
}

static void place_states(session *s) {
    const program *p = s->p;
    for (int i = 0; i < p->state_count; i++) {
        int64_t shape[2] = {p->run.batch, p->state_size[i]};
        origin from = origin_of(p, i);
        if (from == SHARED)
            s->initial[i] = s->initial[i - 1];
        else if (from == ZEROS)
            s->initial[i] = cb_full(s->tape, p->dtype, 2, shape, 0);
        else
            s->initial[i] = leaf(s, s->data->initial[i], from == CONSTANT, "initial state ", i);
        if (from == SPREAD)
            s->initial[i] = cb_expand(s->initial[i], 2, shape);
    }
}

static void place(session *s) {
    const run *r = &s->p->run;
    cb_tensor *x = leaf(s, s->data->x, r->constant_x, r->table > 0 ? "the table" : "x", -1);
    s->x = x;
    s->rows = r->table > 0 ? cb_input(s->tape, s->data->symbols) : NULL;
    if (r->table == 0) {
        s->x = layout_view(r->x_layout, x, CB_SHAPE(r->time, r->batch, s->p->input));
    } else if (!r->rows) {
        s->x = cb_gather_rows(x, s->rows);
        s->rows = NULL;
    }
    s->lengths = r->lengths ? cb_input(s->tape, s->data->lengths) : NULL;
    place_weights(s);
    place_states(s);
}

/* ---- Loss ------------------------------------------------------------------------------------ */

static cb_tensor *total(cb_tensor *t) {
    return cb_sum(t, CB_ALL_AXES, false);
}

static cb_tensor *loss_of_output(const session *s, cb_tensor *y) {
    const run *r = &s->p->run;
    if (r->output == PROJECTED)
        return total(cb_mul(y, cb_input(s->tape, s->data->projection)));
    if (r->output == SINES)
        return total(cb_sin(y));
    if (r->output == LAST && r->time > 0)
        return total(cb_square(cb_select(y, 0, r->time - 1)));
    return NULL;
}

/* The anchor is a variable that every loss depends on: without one that reaches the loss a sweep is
   an error. */
static cb_tensor *loss_of(const session *s, cb_tensor *anchor) {
    const program *p = s->p;
    cb_tensor *loss = anchor;
    for (int k = 0; k < p->run.runs; k++) {
        cb_tensor *term = loss_of_output(s, s->output[k]);
        loss = term != NULL ? cb_add(loss, term) : loss;
        for (int i = 0; i < p->state_count; i++)
            if (p->run.final[i])
                loss =
                    cb_add(loss, cb_scale(total(cb_square(s->final[k][i])), 0.1 * (double)(i + 1)));
    }
    return loss;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

static bool is_asked(const run *r, int number) {
    return (r->asked >> (number % 64) & 1) != 0;
}

static void ask(session *s, cb_tensor *loss) {
    cb_tensor *inputs[MOST_VARIABLES], *gradients[MOST_VARIABLES];
    int count = 0;
    for (int i = 0; i < s->variable_count; i++)
        if (is_asked(&s->p->run, i))
            inputs[count++] = s->variables[i].tensor;
    if (count > 0)
        cb_grad(loss, NULL, false, count, inputs, gradients);
    for (int i = s->variable_count - 1; i >= 0; i--)
        if (is_asked(&s->p->run, i))
            s->variables[i].given = gradients[--count];
}

static void sweep(session *s, cb_tensor *loss) {
    for (int i = 0; i < s->p->run.sweeps; i++)
        if (s->p->run.asked != 0)
            ask(s, loss);
        else
            cb_backward(loss);
}

/* ---- Results --------------------------------------------------------------------------------- */

static void keep(result *r, const char *name, const cb_tensor *t) {
    if (r->count == MOST_RESULTS)
        return;
    r->of[r->count].value = cb_tensor_count(t) > 0 ? cb_tensor_copy(t, CB_F64)
                                                   : cb_tensor_new(CB_F64, t->rank, t->shape);
    snprintf(r->of[r->count].name, sizeof(r->of[r->count].name), "%s", name);
    r->count++;
}

static void keep_all(const session *s, result *r) {
    for (int k = 0; k < s->p->run.runs; k++) {
        char name[48];
        keep(r, k == 0 ? "output" : "output of the second run", s->output[k]);
        for (int i = 0; i < s->p->state_count; i++) {
            snprintf(name, sizeof(name), "final state %d%s", i, k == 0 ? "" : " of the second run");
            keep(r, name, s->final[k][i]);
        }
    }
    for (int i = 0; i < s->variable_count && !s->p->run.no_gradient; i++) {
        const variable *v = &s->variables[i];
        const cb_tensor *gradient = v->gradient != NULL ? v->gradient : cb_gradient(v->tensor);
        if (s->p->run.asked != 0 && !is_asked(&s->p->run, i))
            continue;
        gradient = s->p->run.asked != 0 ? v->given : gradient;
        cb_tensor *zeros = cb_tensor_new(CB_F64, v->tensor->rank, v->tensor->shape);
        keep(r, v->name, gradient != NULL ? gradient : zeros);
        cb_tensor_free(zeros);
    }
}

/* ---- Tapes ----------------------------------------------------------------------------------- */

/* A tape from the run before. A new one would take more time than most runs, and its memory would
   be zeros, which hide that something was never written. */
static cb_tape *dirty_tape(bool no_gradient) {
    static _Thread_local cb_tape *tapes[2];
    cb_tape **tape = &tapes[no_gradient];
    if (*tape == NULL)
        *tape = no_gradient ? cb_tape_new_no_grad() : cb_tape_new();
    if (*tape != NULL) {
        cb_tape_reset(*tape);
        cb_full(*tape, CB_F64, CB_SHAPE(DIRTY), NAN);
        cb_tape_reset(*tape);
    }
    return *tape;
}

/* ---- The run --------------------------------------------------------------------------------- */

cb_scan *scan_of(const program *p, bool eager) {
    cb_tensor shapes[MOST_WEIGHTS], *weights[MOST_WEIGHTS];
    for (int i = 0; i < p->weight_count; i++) {
        int64_t shape[MOST_RANK];
        resolve(&p->weights[i].shape, 0, shape);
        shapes[i] = cb_tensor_wrap(p->dtype, p->weights[i].shape.rank, shape, NULL);
        weights[i] = &shapes[i];
    }
    return cb_scan_new(step_call, &(cb_scan_options){.name = "fuzzed",
                                                     .dtype = p->dtype,
                                                     .input = p->input,
                                                     .state_count = p->state_count,
                                                     .state_size = p->state_size,
                                                     .weight_count = p->weight_count,
                                                     .weights = weights,
                                                     .eager = eager,
                                                     .unchecked = p->run.data % 8 != 0});
}

static void run_all(session *s, cb_scan *scan) {
    const run *r = &s->p->run;
    for (int k = 0; k < r->runs; k++)
        s->output[k] = cb_scan_run(scan, s->x,
                                   &(cb_scan_io){.weights = s->weights,
                                                 .initial = k == 0 ? s->initial : s->final[k - 1],
                                                 .final = s->final[k],
                                                 .lengths = s->lengths,
                                                 .rows = s->rows,
                                                 .reverse = r->reverse});
}

void execute(const program *p, cb_scan *scan, const run_data *data, result *r) {
    session s = {.p = p, .data = data};
    double nothing = 0;
    cb_tensor zero = cb_tensor_wrap(CB_F64, CB_SCALAR, &nothing);
    memset(r, 0, sizeof(*r));
    s.tape = dirty_tape(p->run.no_gradient);
    place(&s);
    run_all(&s, scan);
    if (!p->run.no_gradient) {
        cb_tensor *anchor = cb_cast(cb_variable(s.tape, &zero), p->dtype);
        cb_tensor *loss = loss_of(&s, anchor);
        sweep(&s, loss);
        r->loss = cb_item(loss);
    }
    r->status = cb_tape_status(s.tape);
    snprintf(r->message, sizeof(r->message), "%s", cb_tape_error(s.tape));
    if (r->status == CB_OK)
        keep_all(&s, r);
    for (int i = 0; i < s.variable_count; i++)
        cb_tensor_free(s.variables[i].gradient);
}

void result_free(result *r) {
    for (int i = 0; i < r->count; i++)
        cb_tensor_free(r->of[i].value);
    r->count = 0;
}
