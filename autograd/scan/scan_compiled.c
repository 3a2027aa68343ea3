/* Running a compiled recurrence: finding what was compiled for this kind of run, and applying it.
 */
#include "autograd/scan/scan_op.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

/* Which gradients the run wants, in memory of the tape; false, recorded, when there is none. */
static bool variant_of(const cbi_scan_run *run, cb_tensor *const *state, cbi_variant *variant) {
    int captured = run->compilation->captured_count;
    cbi_block *block = cbi_block_new(run->tape, (size_t)captured + 1);
    bool *wanted = block != NULL ? block->data : NULL, any = cb_requires_grad(run->x);
    if (wanted == NULL)
        return false;
    for (int i = 0; i < captured; i++) {
        wanted[i] = cb_requires_grad(run->captured[i]);
        any = any || wanted[i];
    }
    for (int i = 0; i < run->scan->signature.state_count; i++)
        any = any || cb_requires_grad(state[i]);
    *variant = (cbi_variant){.looked_up = run->looked_up,
                             .gradients = any && run->tape->recording,
                             .x = cb_requires_grad(run->x),
                             .captured = wanted};
    return true;
}

/* The generators of the step as they are now, which move past what the run will draw; and where in
   a step each op draws: that may depend on the number of sequences in any way. */
static bool draw(cbi_scan_run *run) {
    const cbi_trace *trace = run->trace;
    size_t draws = sizeof(*run->draws) * (size_t)(trace->draw_count + 1);
    cbi_block *block =
        cbi_block_new(run->tape, draws + sizeof(uint64_t) * (size_t)(trace->count + 1));
    if (block == NULL)
        return false;
    run->draws = block->data;
    run->draw_offsets = (uint64_t *)(void *)((char *)block->data + draws);
    for (int i = 0; i < trace->count; i++) {
        const cb_draw *of = cbi_draw_of(trace->nodes[i]);
        for (int g = 0; of != NULL && g < trace->draw_count; g++)
            if (trace->draws[g].generator == of->generator)
                run->draw_offsets[i] = of->random.counter - trace->draws[g].start.counter;
    }
    for (int g = 0; g < trace->draw_count; g++) {
        const cbi_trace_draw *of = &trace->draws[g];
        run->draws[g].each_step = of->count;
        run->draws[g].start = cbi_draw(run->tape, of->generator, of->count * run->time);
    }
    return true;
}

/* Before plans run for the first time, they are compared with the step run op by op; and again
   before they do so for one sequence, where an op's gradient may be another. False when they fail:
   then the step runs op by op from now on. */
static bool check(cbi_scan_run *run) {
    cb_scan *scan = run->scan;
    cbi_compiled *compiled = run->compiled;
    char reason[sizeof(compiled->refused)] = "";
    pthread_mutex_lock(&scan->lock);
    bool *checked = run->batch == 1 ? &compiled->checked_one : &compiled->checked;
    bool known = run->unchecked || *checked || compiled->refused[0] != '\0';
    pthread_mutex_unlock(&scan->lock);
    /* Without the lock: the check runs the step itself. */
    bool compared = false;
    cb_status status = known ? CB_OK : cbi_scan_self_check(run, &compared, reason, sizeof(reason));
    if (status == CB_ERROR_MEMORY) {
        cbi_tape_fail(run->tape, status, "scan \"%s\": out of memory", scan->name);
        return false;
    }
    pthread_mutex_lock(&scan->lock);
    if (!known) {
        *checked = compared || status != CB_OK;
        if (status != CB_OK) /* another thread may have found what this one did not */
            memcpy(compiled->refused, reason, sizeof(reason));
    }
    bool good = run->unchecked || compiled->refused[0] == '\0';
    if (!good)
        snprintf(scan->reason, sizeof(scan->reason), "%s", compiled->refused);
    pthread_mutex_unlock(&scan->lock);
    run->compiled = good ? compiled : NULL;
    return good;
}

/* Finds what was compiled for the run, or compiles it; false when the step runs op by op. */
static bool find_compiled(cbi_scan_run *run, cb_tensor **state) {
    cb_scan *scan = run->scan;
    cbi_variant variant;
    if (!cbi_capture(run) || !variant_of(run, state, &variant))
        return false;
    pthread_mutex_lock(&scan->lock);
    run->compiled = cbi_compile(run->compilation, &variant);
    if (run->compiled == NULL && run->compilation->reason[0] == '\0')
        cbi_tape_fail(run->tape, CB_ERROR_MEMORY, "scan \"%s\": out of memory", scan->name);
    else if (run->compiled == NULL)
        snprintf(scan->reason, sizeof(scan->reason), "%s", run->compilation->reason);
    pthread_mutex_unlock(&scan->lock);
    return run->compiled != NULL && check(run);
}

void cbi_scan_clear_reason(cb_scan *scan) {
    pthread_mutex_lock(&scan->lock);
    if (!scan->eager)
        scan->reason[0] = '\0';
    pthread_mutex_unlock(&scan->lock);
}

static cbi_application *application_new(cbi_scan_run *run) {
    cbi_block *block = cbi_block_new(run->tape, sizeof(cbi_application));
    if (block == NULL)
        return NULL;
    cbi_application *a = block->data;
    *a = (cbi_application){.scan = run->scan,
                           .compilation = run->compilation,
                           .checking = run->checking,
                           .compiled = run->compiled,
                           .time = run->time,
                           .batch = run->batch,
                           .sequence_rows =
                               run->looked_up ? run->x->shape[0] : run->time * run->batch,
                           .reverse = run->io->reverse,
                           .looked_up = run->looked_up,
                           .has_lengths = run->io->lengths != NULL,
                           .draws = run->draws,
                           .draw_offsets = run->draw_offsets};
    return a;
}

static cb_tensor *apply(cbi_scan_run *run, cb_tensor **state) {
    int states = run->scan->signature.state_count, captured = run->compilation->captured_count;
    cbi_application *a = application_new(run);
    cbi_block *block =
        cbi_block_new(run->tape, sizeof(cb_tensor *) * (size_t)(captured + 2 * states + 8));
    if (a == NULL || block == NULL)
        return cbi_poison(run->tape);
    cb_tensor **in = block->data, **outputs = in + captured + states + 3;
    int count = captured;
    memcpy(in, run->captured, sizeof(*in) * (size_t)captured);
    in[count++] = cb_contiguous(run->x);
    for (int i = 0; i < states; i++)
        in[count++] = cb_contiguous(state[i]);
    if (run->looked_up)
        in[count++] = cb_contiguous(cb_cast(run->io->rows, CB_I64));
    if (run->io->lengths != NULL)
        in[count++] = cb_contiguous(cb_cast(run->io->lengths, CB_I64));
    if (cb_apply_outputs(&cbi_scan_op, count, in, &(cbi_scan_op_options){.a = a}, 1 + states,
                         outputs) != CB_OK)
        return cbi_poison(run->tape);
    if (run->tape->recording && !cbi_scan_cut(run, state, &outputs[0], outputs + 1))
        return cbi_poison(run->tape);
    memcpy(state, outputs + 1, sizeof(*state) * (size_t)states);
    return outputs[0];
}

cb_tensor *cbi_scan_compiled(cbi_scan_run *run, cb_tensor **state) {
    run->looked_up =
        run->io->rows != NULL && run->x->shape[0] < run->time * run->batch && run->x->shape[0] > 0;
    if (run->io->rows != NULL && !run->looked_up)
        run->x = cb_gather_rows(run->x, run->io->rows);
    if (!find_compiled(run, state))
        return cbi_poison(run->tape);
    cbi_scan_clear_reason(run->scan);
    for (int i = 0; i < run->compilation->captured_count; i++)
        run->captured[i] = cb_contiguous(run->captured[i]);
    if (!draw(run))
        return cbi_poison(run->tape);
    return apply(run, state);
}
