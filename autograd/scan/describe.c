/* Describing what the compiler makes of a step.

   The step is traced and planned anew, as cbi_scan_plan does, and looked at before and between: the
   equations are those of the graph as traced, and what a pass did is the difference between the
   graph before it and after it. So a description costs a compilation, and a run costs nothing for
   being describable. */
#include "autograd/scan/describe_internal.h"

#include "tensor/memory.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- Text ------------------------------------------------------------------------------------ */

void cbi_describe(cbi_description *d, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (const char *c = text; *c != '\0'; c++) {
        if (d->length + 1 < d->size)
            d->buffer[d->length] = *c;
        d->length++;
        if (*c == '\n')
            d->line = d->length;
    }
}

void cbi_describe_pad(cbi_description *d, size_t column) {
    do
        cbi_describe(d, " ");
    while (d->length - d->line < column);
}

void cbi_describe_amount(cbi_description *d, double amount, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    int prefix = 0;
    for (; amount >= 1000 && prefix < 6; prefix++)
        amount /= 1000;
    cbi_describe(d, prefix == 0 ? "%.0f %s%s" : "%.4g %s%s", amount, prefixes[prefix], unit);
}

cbi_recurrence cbi_described_run(const cbi_description *d) {
    static const int64_t some_row;
    return (cbi_recurrence){
        .plan = d->plan,
        .time = d->sizes->time,
        .batch = d->sizes->batch,
        .keep = true,
        /* Of a run that looks x up, only whether it does is asked. */
        .row_of = d->sizes->table > 0 && d->sizes->table < d->sizes->time * d->sizes->batch
                      ? &some_row
                      : NULL,
    };
}

/* ---- What the passes did --------------------------------------------------------------------- */

/* The products of one of the two steps, with the shapes of a row times a matrix. */
static void describe_products(cbi_description *d, int pass) {
    const cbi_graph *graph = d->graph;
    int count = 0;
    int begin = pass == 0 ? 0 : graph->forward_count;
    int end = pass == 0 ? graph->forward_count : graph->value_count;
    for (int v = begin; v < end; v++)
        count += graph->values[v].kind == CBI_PRODUCT;
    cbi_describe(d, "%d", count);
    for (int v = begin, k = 0; v < end; v++)
        if (graph->values[v].kind == CBI_PRODUCT)
            cbi_describe(d, "%s%lldx%lld", k++ == 0 ? " (" : ", ",
                         (long long)graph->values[graph->values[v].in[0]].columns,
                         (long long)graph->values[v].columns);
    cbi_describe(d, count > 0 ? ")" : "");
}

/* Forward values that are kept, and elementwise ones that the backward step computes again. */
static void describe_kept(cbi_description *d) {
    const cbi_plan *plan = d->plan;
    int count = 0, again = 0;
    int64_t columns = 0;
    for (int b = 0; b < plan->buffer_count; b++)
        if (plan->buffers[b].span == CBI_ALL_STEPS && !plan->buffers[b].backward) {
            count++;
            columns += plan->buffers[b].columns;
        }
    cbi_describe(d,
                 "  keep       for the backward step, besides the states: values %d, columns %lld",
                 count, (long long)columns);
    for (int i = 0; i < plan->backward.count; i++) {
        const cbi_instruction *instruction = &plan->backward.list[i];
        if (instruction->code == CBI_RUN_KERNEL && instruction->value >= 0 &&
            instruction->value < plan->graph->forward_count &&
            plan->graph->values[instruction->value].op == instruction->op)
            cbi_describe(d, "%s%s", again++ == 0 ? "; computed again: " : ", ",
                         instruction->op->op.name);
    }
    cbi_describe(d, again == 0 ? "; nothing is computed again\n" : "\n");
}

static void describe_reuse(cbi_description *d) {
    const cbi_plan *plan = d->plan;
    cbi_recurrence run = cbi_described_run(d);
    int count = 0;
    int64_t columns = 0;
    for (int b = 0; b < plan->buffer_count; b++)
        if (plan->buffers[b].home >= 0) {
            count++;
            columns += plan->buffers[b].columns;
        }
    cbi_describe(
        d, "  reuse      of them, what gradients can be written over: values %d, columns %lld%s\n",
        count, (long long)columns,
        count == 0                        ? ""
        : cbi_recurrence_overwrites(&run) ? "; they are"
                                          : "; only where x is rows of a table");
}

static void describe_deferred(cbi_description *d) {
    const cbi_graph *graph = d->graph;
    int products = 0, sums = 0;
    for (int v = 0; v < graph->value_count; v++) {
        products += graph->values[v].kind == CBI_BATCH_PRODUCT;
        sums += graph->values[v].kind == CBI_BATCH_SUM;
    }
    cbi_describe(d, "  defer      until after the loop: products %d, sums over the batch %d\n",
                 products, sums);
}

/* Describes, plans, and describes on: the graph changes on the way. */
static bool describe_passes(cbi_description *d, int read, cbi_pass_counts traced) {
    cbi_describe(d, "\nPasses\n");
    cbi_describe(d,
                 "  share      ops applied once more to the same inputs, and computed once: %d\n"
                 "  regroup    sums of three terms or more put in another order: %d\n"
                 "  simplify   of %d values read, equal to another %d, folded or dropped %d, "
                 "without a use %d\n",
                 traced.shared, traced.regrouped, read, traced.equal, traced.simplified,
                 read - d->graph->value_count);
    cbi_describe(d, "  merge      products forward ");
    describe_products(d, 0);
    cbi_describe(d, ", backward ");
    describe_products(d, 1);
    if ((d->plan = cbi_plan_new(d->graph)) == NULL)
        return false;
    cbi_describe(d, "\n             become forward ");
    describe_products(d, 0);
    cbi_describe(d, ", backward ");
    describe_products(d, 1);
    cbi_describe(d, "\n  narrow     elementwise values computed part by part: %d\n",
                 d->graph->counts.narrowed);
    describe_deferred(d);
    describe_kept(d);
    describe_reuse(d);
    return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void describe_setting(cbi_description *d) {
    const cb_scan *scan = d->scan;
    cbi_describe(d, "%s, %s: batch %lld, %lld time step%s, x [%lld]", scan->name,
                 cb_dtype_name(scan->dtype), (long long)d->sizes->batch, (long long)d->sizes->time,
                 d->sizes->time == 1 ? "" : "s", (long long)scan->input);
    for (int i = 0; i < scan->state_count; i++) {
        cbi_describe(d, ", ");
        cbi_describe_state(d, i);
        cbi_describe(d, " [%lld]", (long long)scan->state_size[i]);
    }
    if (d->sizes->table > 0)
        cbi_describe(d, ", x rows of a table of %lld", (long long)d->sizes->table);
    cbi_describe(d, "\n");
}

static bool describe_compiled(cbi_description *d) {
    cb_tensor *weights[CB_SCAN_MAX_WEIGHTS];
    const cb_scan *scan = d->scan;
    for (int i = 0; i < scan->weight_count; i++)
        weights[i] = scan->has_weight[i] ? (cb_tensor *)(uintptr_t)&scan->weights[i] : NULL;
    d->graph = cbi_graph_trace(scan->step, scan->dtype, scan->input, scan->state_count,
                               scan->state_size, scan->weight_count, weights);
    int read = d->graph != NULL ? d->graph->value_count : 0;
    cbi_pass_counts traced = d->graph != NULL ? d->graph->counts : (cbi_pass_counts){0};
    bool done = d->graph != NULL && d->graph->reason[0] == '\0' && cbi_graph_drop_dead(d->graph);
    if (done)
        d->number = cbi_allocate(sizeof(int) * (size_t)(d->graph->value_count + 1));
    done = done && d->number != NULL;
    if (done) {
        cbi_describe(d, "The step is compiled.\n");
        cbi_describe_hoisted(d);
        cbi_describe_step(d);
        done = describe_passes(d, read, traced);
    }
    if (done) {
        cbi_describe_plan(d);
        cbi_describe_cost(d);
    }
    cbi_free(d->number);
    if (d->plan != NULL)
        cbi_plan_free((cbi_plan *)(uintptr_t)d->plan);
    else
        cbi_graph_free(d->graph);
    return done;
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
    cbi_description d = {.buffer = buffer, .size = size, .scan = scan, .sizes = sizes};
    describe_setting(&d);
    bool done = true;
    if (cb_scan_reason(scan) != NULL)
        cbi_describe(&d, "The step is not compiled and runs op by op: %s.\n", cb_scan_reason(scan));
    else
        done = describe_compiled(&d);
    if (!done)
        d.length = 0;
    if (size > 0)
        buffer[d.length < size ? d.length : size - 1] = '\0';
    return d.length;
}
