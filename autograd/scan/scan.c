/* A recurrence: compiled when it is first needed, run as a plan or op by op. */
#include "autograd/scan/scan_internal.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

cb_scan *cb_scan_new(cb_scan_step *step, const cb_scan_options *options) {
    if (step == NULL || options == NULL || options->state_size == NULL ||
        (options->weights == NULL && options->weight_count > 0) || options->state_count < 1 ||
        options->state_count > CB_SCAN_MAX_STATES || options->weight_count < 0 ||
        options->weight_count > CB_SCAN_MAX_WEIGHTS)
        return NULL;
    cb_scan *scan = cbi_allocate(sizeof(*scan));
    if (scan == NULL)
        return NULL;
    scan->step = step;
    scan->dtype = options->dtype;
    scan->input = options->input;
    scan->state_count = options->state_count;
    scan->weight_count = options->weight_count;
    memcpy(scan->state_size, options->state_size, sizeof(int64_t) * (size_t)scan->state_count);
    for (int i = 0; i < scan->weight_count; i++)
        if (options->weights[i] != NULL) {
            scan->has_weight[i] = true;
            scan->weights[i] = *options->weights[i];
            scan->weights[i].data = NULL;
        }
    snprintf(scan->name, sizeof(scan->name), "%s", options->name != NULL ? options->name : "step");
    if (options->eager) {
        scan->compiled = true;
        snprintf(scan->reason, sizeof(scan->reason), "it was asked for");
    }
    pthread_mutex_init(&scan->lock, NULL);
    return scan;
}

void cb_scan_free(cb_scan *scan) {
    if (scan == NULL)
        return;
    pthread_mutex_destroy(&scan->lock);
    cbi_plan_free(scan->plan);
    cbi_free(scan);
}

/* ---- Compiling ------------------------------------------------------------------------------- */

static const char out_of_memory[] = "out of memory";

static void compile(cb_scan *scan) {
    cb_tensor *weights[CB_SCAN_MAX_WEIGHTS];
    scan->reason[0] = '\0';
    if (!cb_dtype_is_float(scan->dtype)) {
        snprintf(scan->reason, sizeof(scan->reason), "only f32 and f64 are compiled");
        return;
    }
    for (int i = 0; i < scan->weight_count; i++)
        weights[i] = scan->has_weight[i] ? &scan->weights[i] : NULL;
    cbi_graph *graph = cbi_graph_trace(scan->step, scan->dtype, scan->input, scan->state_count,
                                       scan->state_size, scan->weight_count, weights);
    if (graph != NULL && cbi_unread_was_read(&graph->trace->unread))
        snprintf(scan->reason, sizeof(scan->reason),
                 "the step reads elements: what it computes may depend on them");
    else if (graph != NULL && (graph->reason[0] != '\0' || !cbi_imports_check(graph)))
        snprintf(scan->reason, sizeof(scan->reason), "%s", graph->reason);
    else if (graph != NULL && !graph->repeats)
        snprintf(scan->reason, sizeof(scan->reason),
                 "the step differs from call to call, or with the number of sequences");
    else if (graph == NULL || (scan->plan = cbi_plan_new(graph)) == NULL)
        snprintf(scan->reason, sizeof(scan->reason), "%s",
                 graph != NULL && graph->reason[0] != '\0' ? graph->reason : out_of_memory);
    if (scan->plan == NULL)
        cbi_graph_free(graph);
}

/* The plan, as cbi_scan_plan; *starved: whether there is none for want of memory. */
static const cbi_plan *plan_of(cb_scan *scan, bool *starved) {
    pthread_mutex_lock(&scan->lock);
    if (!scan->compiled)
        compile(scan);
    scan->compiled = strcmp(scan->reason, out_of_memory) != 0; /* there may be some next time */
    *starved = !scan->compiled;
    const cbi_plan *plan = scan->plan;
    pthread_mutex_unlock(&scan->lock);
    return plan;
}

const cbi_plan *cbi_scan_plan(cb_scan *scan) {
    bool starved;
    return plan_of(scan, &starved);
}

const char *cb_scan_reason(cb_scan *scan) {
    if (scan == NULL)
        return "there is no recurrence";
    return cbi_scan_plan(scan) == NULL ? scan->reason : NULL;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* The plan, as cbi_scan_plan. A step that uses tensors of the caller's tape may have failed there
   while it was traced; that is no failure of the run. Want of memory is: run op by op meanwhile,
   the step would give other numbers, if only in their last digits. */
static const cbi_plan *plan_for(cb_scan *scan, cb_tensor *x) {
    bool starved;
    const cbi_plan *plan = plan_of(scan, &starved);
    cb_tape_of(x)->status = CB_OK;
    cb_tape_of(x)->message[0] = '\0';
    if (starved)
        cb_fail(x, CB_ERROR_MEMORY, "scan \"%s\": out of memory to compile its step", scan->name);
    return plan;
}

/* Fails unless a state that a run starts from fits. */
static void check_initial(const cb_scan *scan, cb_tensor *x, cb_tensor *state, int i) {
    char shape[160];
    if (state == NULL)
        cb_fail(x, CB_ERROR_VALUE, "rnn: an initial state is NULL");
    else if (cb_tape_of(state) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "rnn: an initial state is not on the tape of the input");
    else if (state->rank != 2 || state->shape[0] != x->shape[1] ||
             state->shape[1] != scan->state_size[i])
        cb_fail(x, CB_ERROR_SHAPE, "rnn: initial state %s of %s is not [%lld,%lld]",
                cb_shape_format(state, shape, sizeof(shape)), scan->name, (long long)x->shape[1],
                (long long)scan->state_size[i]);
    else if (state->dtype != x->dtype)
        cb_fail(x, CB_ERROR_DTYPE, "rnn: an initial state of %s is %s and the input is %s",
                scan->name, cb_dtype_name(state->dtype), cb_dtype_name(x->dtype));
}

static bool same_weight(const cb_scan *scan, int i, const cb_tensor *weight) {
    return scan->has_weight[i] ? weight != NULL && weight->dtype == scan->weights[i].dtype &&
                                     cb_tensor_same_shape(weight, &scan->weights[i])
                               : weight == NULL;
}

static cb_status check(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io) {
    char shape[160];
    if (x->rank != 3 || x->shape[2] != scan->input || x->dtype != scan->dtype)
        cb_fail(x, CB_ERROR_SHAPE, "scan \"%s\": %s %s is not %s [time, batch, %lld]", scan->name,
                cb_dtype_name(x->dtype), cb_shape_format(x, shape, sizeof(shape)),
                cb_dtype_name(scan->dtype), (long long)scan->input);
    for (int i = 0; i < scan->weight_count && cb_tape_status(cb_tape_of(x)) == CB_OK; i++)
        if (!same_weight(scan, i, io->weights[i]))
            cb_fail(x, CB_ERROR_SHAPE, "scan \"%s\": weight %d is not as it was made for",
                    scan->name, i);
        else if (io->weights[i] != NULL && cb_tape_of(io->weights[i]) != cb_tape_of(x))
            cb_fail(x, CB_ERROR_TAPE, "scan \"%s\": weight %d is not on the tape of the input",
                    scan->name, i);
    for (int i = 0; i < scan->state_count && cb_tape_status(cb_tape_of(x)) == CB_OK; i++)
        check_initial(scan, x, io->initial[i], i);
    return cb_tape_status(cb_tape_of(x));
}

static cb_tensor *run(cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cb_tensor **state) {
    cb_tape *tape = cb_tape_of(x);
    if (check(scan, x, io) != CB_OK)
        return cbi_poison(tape);
    cb_tensor *masks = io->lengths != NULL ? cbi_scan_masks(x, io->lengths) : NULL;
    if (cb_tape_status(tape) != CB_OK)
        return cbi_poison(tape);
    if (x->shape[0] == 0)
        return cb_full(tape, x->dtype, CB_SHAPE(0, x->shape[1], scan->state_size[0]), 0);
    const cbi_plan *plan = x->shape[1] > 0 ? plan_for(scan, x) : NULL;
    if (cb_tape_status(tape) != CB_OK)
        return cbi_poison(tape);
    if (plan == NULL)
        return cbi_scan_eager(scan, x, io, masks, state);
    cb_tensor *y = cbi_scan_compiled(plan, x, io, state);
    return masks != NULL ? cb_mul(y, masks) : y;
}

cb_tensor *cb_scan_run(cb_scan *scan, cb_tensor *x, const cb_scan_io *io) {
    cb_tape *tape = cb_tape_of(x);
    cb_tensor *state[CB_SCAN_MAX_STATES], *y = cbi_poison(tape);
    if (scan == NULL || io == NULL || io->initial == NULL ||
        (io->weights == NULL && scan->weight_count > 0))
        cb_fail(x, CB_ERROR_VALUE, "scan: the recurrence, its weights or its states are NULL");
    else if (tape != NULL && !cbi_is_poisoned(x) && tape->status == CB_OK) {
        memcpy(state, io->initial, sizeof(*state) * (size_t)scan->state_count);
        y = run(scan, x, io, state);
    }
    bool good = tape != NULL && tape->status == CB_OK && !cbi_is_poisoned(y);
    for (int i = 0; scan != NULL && io != NULL && io->final != NULL && i < scan->state_count; i++)
        io->final[i] = good ? state[i] : cbi_poison(tape);
    return good ? y : cbi_poison(tape);
}
