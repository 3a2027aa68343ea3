/* Running a recurrence: arguments are checked, and the plans run, or the step op by op. */
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

/* Fails unless a state that a run starts from fits. */
static void check_initial(const cb_scan *scan, cb_tensor *x, cb_tensor *state, int i,
                          int64_t batch) {
    char shape[160];
    int64_t size = scan->signature.state_size[i];
    if (state == NULL)
        cb_fail(x, CB_ERROR_VALUE, "scan \"%s\": initial state %d is NULL", scan->name, i);
    else if (cb_tape_of(state) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "scan \"%s\": initial state %d is not on the tape of the input",
                scan->name, i);
    else if (state->rank != 2 || state->shape[0] != batch || state->shape[1] != size)
        cb_fail(x, CB_ERROR_SHAPE, "scan \"%s\": initial state %d is %s, not [%lld,%lld]",
                scan->name, i, cb_shape_format(state, shape, sizeof(shape)), (long long)batch,
                (long long)size);
    else if (state->dtype != x->dtype)
        cb_fail(x, CB_ERROR_DTYPE, "scan \"%s\": initial state %d is %s and the input is %s",
                scan->name, i, cb_dtype_name(state->dtype), cb_dtype_name(x->dtype));
}

static bool same_weight(const cb_scan *scan, int i, const cb_tensor *weight) {
    const cb_tensor *shape = scan->signature.weights[i];
    if (shape == NULL || weight == NULL)
        return shape == NULL && weight == NULL;
    return weight->dtype == shape->dtype && cb_tensor_same_shape(weight, shape);
}

/* "f32 [3,4]", or that there is none. */
static const char *weight_format(const cb_tensor *weight, char *text, size_t size) {
    char shape[128];
    if (weight == NULL)
        return "left out";
    snprintf(text, size, "%s %s", cb_dtype_name(weight->dtype),
             cb_shape_format(weight, shape, sizeof(shape)));
    return text;
}

static void check_weights(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io) {
    char given[160], made[160];
    for (int i = 0; i < scan->signature.weight_count; i++)
        if (!same_weight(scan, i, io->weights[i]))
            cb_fail(x, CB_ERROR_SHAPE, "scan \"%s\": weight %d is %s; it was made for %s",
                    scan->name, i, weight_format(io->weights[i], given, sizeof(given)),
                    weight_format(scan->signature.weights[i], made, sizeof(made)));
        else if (io->weights[i] != NULL && cb_tape_of(io->weights[i]) != cb_tape_of(x))
            cb_fail(x, CB_ERROR_TAPE, "scan \"%s\": weight %d is not on the tape of the input",
                    scan->name, i);
}

/* Fails unless rows of a table are what the input is. Their range is checked when they are read. */
static void check_rows(const cb_scan *scan, cb_tensor *x, const cb_tensor *rows) {
    char shape[160];
    if (cb_tape_of(rows) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "scan \"%s\": the rows are not on the tape of the table",
                scan->name);
    else if (rows->rank != 2 || cb_dtype_is_float(rows->dtype))
        cb_fail(x, CB_ERROR_SHAPE, "scan \"%s\": rows %s %s are not i32 or i64 [time, batch]",
                scan->name, cb_dtype_name(rows->dtype),
                cb_shape_format(rows, shape, sizeof(shape)));
}

static cb_status check(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io) {
    char shape[160];
    const cb_tape *tape = cb_tape_of(x);
    const cbi_signature *s = &scan->signature;
    int rank = io->rows != NULL ? 2 : 3;
    if (x->rank != rank || x->shape[rank - 1] != s->input || x->dtype != s->dtype)
        cb_fail(x, x->dtype != s->dtype ? CB_ERROR_DTYPE : CB_ERROR_SHAPE,
                "scan \"%s\": %s %s is not %s [%s, %lld]", scan->name, cb_dtype_name(x->dtype),
                cb_shape_format(x, shape, sizeof(shape)), cb_dtype_name(s->dtype),
                rank == 2 ? "any" : "time, batch", (long long)s->input);
    else if (io->rows != NULL)
        check_rows(scan, x, io->rows);
    if (cb_tape_status(tape) == CB_OK)
        check_weights(scan, x, io);
    int64_t batch = io->rows != NULL ? io->rows->shape[1] : x->shape[1];
    for (int i = 0; i < s->state_count && cb_tape_status(tape) == CB_OK; i++)
        check_initial(scan, x, io->initial[i], i, batch);
    return cb_tape_status(tape);
}

static cb_tensor *run_op_by_op(cbi_scan_run *run, cb_tensor *masks, cb_tensor **state) {
    cb_tensor *x = run->io->rows != NULL ? cb_gather_rows(run->x, run->io->rows) : run->x;
    return cbi_scan_eager(run->scan, x, run->io, masks, state);
}

static cb_tensor *start(cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cbi_way way,
                        cb_tensor **state) {
    cb_tape *tape = cb_tape_of(x);
    if (check(scan, x, io) != CB_OK)
        return cbi_poison(tape);
    const cb_tensor *shape = io->rows != NULL ? io->rows : x;
    cbi_scan_run run = {.scan = scan,
                        .tape = tape,
                        .x = x,
                        .io = io,
                        .time = shape->shape[0],
                        .batch = shape->shape[1],
                        .unchecked = scan->unchecked || way == CBI_UNCHECKED,
                        .checking = way == CBI_UNCHECKED};
    cb_tensor *masks =
        io->lengths != NULL ? cbi_scan_masks(x, io->lengths, run.time, run.batch) : NULL;
    if (cb_tape_status(tape) != CB_OK)
        return cbi_poison(tape);
    if (run.time == 0 || run.batch == 0)
        cbi_scan_clear_reason(scan);
    if (run.time == 0)
        return cbi_scan_no_steps(&run);
    /* Within a step that is traced, and where the op that makes a NaN is wanted, a recurrence is
       its ops. */
    bool op_by_op = tape->trace != NULL || tape->detecting || way == CBI_OP_BY_OP;
    if (run.batch == 0 || op_by_op || !cbi_scan_prepare(&run))
        return tape->status == CB_OK ? run_op_by_op(&run, masks, state) : cbi_poison(tape);
    cb_tensor *y = cbi_scan_compiled(&run, state);
    run.x = x; /* its rows may have been gathered */
    if (run.compiled == NULL && tape->status == CB_OK)
        return run_op_by_op(&run, masks, state);
    return masks != NULL ? cb_mul(y, masks) : y;
}

cb_tensor *cb_scan_run(cb_scan *scan, cb_tensor *x, const cb_scan_io *io) {
    return cbi_scan_run_as(scan, x, io, CBI_AS_IT_IS);
}

cb_tensor *cbi_scan_run_as(cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cbi_way way) {
    cb_tape *tape = cb_tape_of(x);
    cb_tensor *y = cbi_poison(tape), **state = NULL;
    bool usable = tape != NULL && !cbi_is_poisoned(x) && tape->status == CB_OK;
    if (scan == NULL || io == NULL || io->initial == NULL ||
        (io->weights == NULL && scan->signature.weight_count > 0)) {
        cb_fail(x, CB_ERROR_VALUE, "scan: the recurrence, its weights or its states are NULL");
    } else if (usable) {
        int count = scan->signature.state_count;
        cbi_block *block = cbi_block_new(tape, sizeof(*state) * (size_t)count);
        if (block != NULL) {
            state = memcpy(block->data, io->initial, sizeof(*state) * (size_t)count);
            y = start(scan, x, io, way, state);
        }
    }
    bool good = usable && state != NULL && tape->status == CB_OK && !cbi_is_poisoned(y);
    for (int i = 0;
         scan != NULL && io != NULL && io->final != NULL && i < scan->signature.state_count; i++)
        io->final[i] = good ? state[i] : cbi_poison(tape);
    return good ? y : cbi_poison(tape);
}
