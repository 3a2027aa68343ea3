/* Describing what the compiler makes of a step.

   The step is traced and compiled anew, and looked at between the passes. So a description costs a
   compilation, and a run costs nothing for being describable. */
#include "autograd/scan/describe_internal.h"

#include "tensor/memory.h"

#include <string.h>

bool cbi_described_table(const cbi_description *d) {
    return d->sizes->table > 0 && d->sizes->table < d->sizes->time * d->sizes->batch;
}

int64_t cbi_described_rows(const cbi_description *d) {
    return cbi_described_table(d) ? d->sizes->table : d->sizes->time * d->sizes->batch;
}

cbi_run cbi_described_run(const cbi_description *d, const cbi_plan *plan) {
    static const int64_t some_row;
    bool step = plan == d->compiled->step;
    return (cbi_run){
        .threads = cb_threads(),
        .plan = plan,
        .steps = step ? d->sizes->time : 1,
        .rows = step ? d->sizes->batch : cbi_described_rows(d),
        .keep = true,
        /* Of a run that looks x up, only whether it does is asked. */
        .row_of = step && cbi_described_table(d) ? &some_row : NULL,
    };
}

size_t cbi_described_bytes(const cbi_run *run, int buffer) {
    const cbi_buffer *b = &run->plan->buffers[buffer];
    if (b->span == CBI_LEFT_OUTPUT || b->span == CBI_LEFT_GRADIENT)
        return (size_t)(run->steps * run->rows * b->bytes);
    return cbi_run_bytes(run, buffer);
}

/* ---- The passes ------------------------------------------------------------------------------ */

static void describe_pass(void *context, const cbi_pass_entry *entry, const cbi_graph *graph,
                          int changes) {
    cbi_description *d = context;
    int of = graph->state_count > 0 ? CBI_OF_STEP : CBI_OF_SEQUENCE;
    cbi_text *text = &d->passes[of];
    if (entry == NULL) {
        if (!cbi_describe_graph(d, &d->equations[of], graph))
            d->equations[of].failed = true;
        cbi_write(text, "  lower");
        cbi_write_pad(text, 22);
        cbi_write(text, "values %d; the same as another %d, simplified %d; ", graph->value_count,
                  graph->shared, graph->simplified);
    } else {
        cbi_write(text, "  %s", entry->name);
        cbi_write_pad(text, 22);
        cbi_write(text, "%s: %d", entry->what, changes);
        if (changes > 0)
            cbi_write(text, "; ");
    }
    if (entry == NULL || changes > 0)
        cbi_describe_products(text, graph);
    cbi_write(text, "\n");
}

static void describe_planning(cbi_description *d, const cbi_plan *plan) {
    const cbi_planning_entry *table = cbi_planning_table();
    for (int i = 0; i < CBI_PLANNINGS; i++) {
        cbi_write(&d->text, "  %s", table[i].name);
        cbi_write_pad(&d->text, 22);
        cbi_write(&d->text, "%s: ", table[i].what);
        if (table[i].each_step)
            cbi_write(&d->text, "forward %d, backward %d\n", plan->made[i][0], plan->made[i][1]);
        else
            cbi_write(&d->text, "%d\n", plan->made[i][0]);
    }
}

static void describe_passes(cbi_description *d) {
    cbi_write(&d->text, "\nPasses over the trace\n");
    cbi_write(&d->text, "  share               ops that another one computes: %d\n",
              d->split->shared);
    cbi_write(&d->text, "  reassociate         sums put in another order: %d\n",
              d->split->reassociated);
    cbi_write(&d->text, "  hoist               ops computed outside: %d\n", d->split->hoisted);
    cbi_write(&d->text, "\nPasses over the step\n");
    cbi_write_text(&d->text, &d->passes[CBI_OF_STEP]);
    describe_planning(d, d->compiled->step);
    if (d->compiled->sequence == NULL)
        return;
    cbi_write(&d->text, "\nPasses over what is computed outside\n");
    cbi_write_text(&d->text, &d->passes[CBI_OF_SEQUENCE]);
    describe_planning(d, d->compiled->sequence);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void describe_setting(cbi_description *d) {
    const cbi_signature *signature = &d->scan->signature;
    cbi_write(&d->text, "%s, %s: batch %lld, %lld time step%s, x [%lld]", d->scan->name,
              cb_dtype_name(signature->dtype), (long long)d->sizes->batch,
              (long long)d->sizes->time, d->sizes->time == 1 ? "" : "s",
              (long long)signature->input);
    for (int i = 0; i < signature->state_count; i++) {
        cbi_write(&d->text, ", ");
        cbi_write_state(d, &d->text, i);
        cbi_write(&d->text, " [%lld]", (long long)signature->state_size[i]);
    }
    if (d->sizes->table > 0)
        cbi_write(&d->text, ", x rows of a table of %lld", (long long)d->sizes->table);
    cbi_write(&d->text, "\n");
}

static void describe_outside(cbi_description *d) {
    cbi_text *text = &d->text;
    long long all = (long long)(d->sizes->time * d->sizes->batch);
    cbi_write(text, "\nOutside of the recurrence, for all time steps at once\n");
    if (d->compiled->sequence == NULL)
        cbi_write(text, "  nothing\n");
    else
        cbi_write_text(text, &d->equations[CBI_OF_SEQUENCE]);
    if (cbi_described_table(d))
        cbi_write(text, "  rows: the %lld of the table, from which the %lld of x are taken\n",
                  (long long)d->sizes->table, all);
    else
        cbi_write(text,
                  "  rows: the %lld of x; where x is looked up in a table of fewer, those of the "
                  "table\n",
                  all);
}

static void describe_compiled(cbi_description *d) {
    const cbi_variant variant = {.looked_up = cbi_described_table(d), .gradients = true, .x = true};
    d->split = d->compilation->split;
    d->compiled = cbi_number_captured(d)
                      ? cbi_compile_watched(d->compilation, &variant, describe_pass, d)
                      : NULL;
    if (d->compiled == NULL)
        return;
    cbi_write(&d->text, "The step is compiled%s.\n",
              d->split->traced->only_batch > 0 ? " for this number of sequences" : "");
    cbi_describe_captured(d);
    describe_outside(d);
    cbi_write(&d->text, "\nThe step and its gradient, for each row of the batch\n");
    cbi_write_text(&d->text, &d->equations[CBI_OF_STEP]);
    describe_passes(d);
    cbi_describe_plans(d);
    cbi_describe_cost(d);
}

/* Whether the whole text is written. */
static bool describe(cbi_description *d) {
    const char *reason = cb_scan_reason(d->scan);
    describe_setting(d);
    d->compilation = reason == NULL ? cbi_compilation_new(&d->scan->signature, 0) : NULL;
    if (d->compilation != NULL && d->compilation->varies) {
        cbi_compilation_free(d->compilation);
        d->compilation = cbi_compilation_new(&d->scan->signature, d->sizes->batch);
    }
    if (d->compilation != NULL && d->compilation->reason[0] == '\0')
        describe_compiled(d);
    if (d->compilation != NULL && d->compilation->reason[0] != '\0')
        reason = d->compilation->reason;
    if (reason != NULL)
        cbi_write(&d->text, "The step is not compiled and runs op by op: %s.\n", reason);
    return !d->text.failed && (reason != NULL || d->compiled != NULL);
}

static bool in_range(int64_t extent, int64_t low) {
    return extent >= low && extent <= CB_SCAN_MOST_DESCRIBED;
}

size_t cb_scan_describe(cb_scan *scan, const cb_scan_sizes *sizes, char *buffer, size_t size) {
    if (size > 0)
        buffer[0] = '\0';
    if (scan == NULL || sizes == NULL || !in_range(sizes->time, 1) || !in_range(sizes->batch, 1) ||
        !in_range(sizes->table, 0))
        return 0;
    cbi_description d = {.scan = scan, .sizes = sizes};
    size_t length = describe(&d) ? d.text.length : 0;
    if (size > 0 && length > 0) {
        size_t written = length < size ? length : size - 1;
        memcpy(buffer, d.text.memory, written);
        buffer[written] = '\0';
    }
    for (int i = 0; i < CBI_GRAPHS; i++) {
        cbi_text_free(&d.equations[i]);
        cbi_text_free(&d.passes[i]);
    }
    cbi_text_free(&d.text);
    cbi_free(d.captured_number);
    cbi_compiled_free((cbi_compiled *)(uintptr_t)d.compiled);
    cbi_compilation_free(d.compilation);
    return length;
}
