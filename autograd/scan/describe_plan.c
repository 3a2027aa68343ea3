/* A plan as text: the instructions of a step forward and of one backward, as products and the
   programs between them, and the buffers they read and write. */
#include "autograd/scan/describe_internal.h"

#include "autograd/tape_internal.h"

enum { MOST_NAMES = 64 };

/* ---- Instructions ---------------------------------------------------------------------------- */

static const char *name_of(const cbi_instruction *instruction) {
    switch (instruction->code) {
    case CBI_RUN_KERNEL:
        return instruction->op == &cb_scale_op && instruction->parameters[0] == 1
                   ? "copy"
                   : instruction->op->op.name;
    case CBI_RUN_SPREAD:
        return "spread";
    case CBI_RUN_SUM:
        return "row sum";
    case CBI_RUN_MAX:
        return "row max";
    case CBI_RUN_MIN:
        return "row min";
    case CBI_RUN_PRODUCT:
        break;
    }
    return "product";
}

/* How often each op occurs in instructions [begin, end). */
static void describe_ops(cbi_description *d, const cbi_program *program, int begin, int end) {
    const char *names[MOST_NAMES];
    int counts[MOST_NAMES], count = 0;
    for (int i = begin; i < end; i++) {
        int k = 0;
        while (k < count && names[k] != name_of(&program->list[i]))
            k++;
        if (k == count && count < MOST_NAMES) {
            names[count] = name_of(&program->list[i]);
            counts[count++] = 0;
        }
        if (k < count)
            counts[k]++;
    }
    for (int k = 0; k < count; k++)
        cbi_describe(d, "%s%d %s", k > 0 ? ", " : ": ", counts[k], names[k]);
}

/* The buffers that instructions [begin, end) read, or write. */
static void describe_buffers_of(cbi_description *d, const cbi_program *program, int begin, int end,
                                bool written) {
    bool any = false;
    for (int b = 0; b < d->plan->buffer_count; b++) {
        bool found = false;
        for (int i = begin; i < end && !found; i++) {
            const cbi_instruction *instruction = &program->list[i];
            if (written)
                found = instruction->out.buffer == b;
            for (int k = 0; k < instruction->count && !written && !found; k++)
                found = instruction->in[k].buffer == b;
        }
        if (found)
            cbi_describe(d, "%sb%d", any ? " " : written ? " -> " : "; ", b);
        any = any || found;
    }
}

static void describe_product(cbi_description *d, const cbi_instruction *product) {
    cbi_describe(d, "product %lld x %lld x %lld (M N K)", (long long)d->sizes->batch,
                 (long long)product->columns, (long long)product->depth);
}

static int64_t widest(const cbi_program *program, int begin, int end) {
    int64_t columns = 0;
    for (int i = begin; i < end; i++)
        if (program->list[i].columns > columns)
            columns = program->list[i].columns;
    return columns;
}

static void describe_program(cbi_description *d, const cbi_program *program, const char *title) {
    int64_t size = (int64_t)cb_dtype_size(d->graph->dtype);
    cbi_describe(d, "\n%s; registers of a row: ", title);
    cbi_describe_amount(d, (double)(program->register_columns * size), "B");
    cbi_describe(d, "\n");
    for (int begin = 0, number = 1; begin < program->count; number++) {
        int end = begin + 1;
        cbi_describe(d, "  %2d ", number);
        if (program->list[begin].code == CBI_RUN_PRODUCT) {
            describe_product(d, &program->list[begin]);
        } else {
            while (end < program->count && program->list[end].code != CBI_RUN_PRODUCT)
                end++;
            cbi_describe(d, "fused, %d instruction%s, up to %lld columns", end - begin,
                         end - begin == 1 ? "" : "s", (long long)widest(program, begin, end));
            describe_ops(d, program, begin, end);
        }
        describe_buffers_of(d, program, begin, end, false);
        describe_buffers_of(d, program, begin, end, true);
        cbi_cost cost = cbi_cost_of(d, program, begin, end);
        cbi_describe(d, "; ");
        cbi_describe_amount(d, cost.products + cost.others, "FLOP");
        cbi_describe(d, ", ");
        cbi_describe_amount(d, cost.bytes, "B");
        cbi_describe(d, " moved\n");
        begin = end;
    }
}

/* ---- After the loop -------------------------------------------------------------------------- */

static void describe_deferred(cbi_description *d) {
    const cbi_graph *graph = d->graph;
    long long rows = (long long)(d->sizes->time * d->sizes->batch);
    cbi_describe(d, "\nAfter the last step backward (defer)\n");
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count; k++) {
            const cbi_value *value = &graph->values[graph->imports[i].gradients[k]];
            cbi_describe(d, "  d");
            cbi_describe_tensor(d, graph->imports[i].traced);
            if (value->kind == CBI_BATCH_PRODUCT)
                cbi_describe(d, " = product %lld x %lld x %lld (M N K)\n",
                             (long long)graph->values[value->in[0]].columns,
                             (long long)graph->values[value->in[1]].columns, rows);
            else if (value->kind == CBI_BATCH_SUM)
                cbi_describe(d, " = sum of %lld rows of %lld columns\n",
                             (long long)cbi_summed_rows(d, value), (long long)value->columns);
            else
                cbi_describe(d, ": %lld rows of %lld columns%s\n", rows, (long long)value->columns,
                             cbi_described_run(d).row_of != NULL ? ", added to those of the table"
                                                                 : "");
        }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static const char *span_of(const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return "one step";
    case CBI_TWO_STEPS:
        return "two steps";
    case CBI_ALL_STEPS:
        return "all steps";
    case CBI_ALL_STATES:
        return "all steps and before them";
    case CBI_OUTSIDE:
        return "computed outside";
    case CBI_GIVEN:
        return "given: the gradient of the output";
    }
    return "";
}

static void describe_buffer(cbi_description *d, const cbi_recurrence *run, int b) {
    const cbi_buffer *buffer = &d->plan->buffers[b];
    cbi_describe(d, "  b%d", b);
    cbi_describe_pad(d, 6);
    cbi_describe(d, "%s",
                 buffer->span == CBI_OUTSIDE || buffer->span == CBI_GIVEN ? "-"
                 : buffer->backward                                       ? "backward"
                                                                          : "forward");
    cbi_describe_pad(d, 16);
    cbi_describe(d, "[%lld]", (long long)buffer->columns);
    cbi_describe_pad(d, 26);
    if (buffer->home >= 0 && cbi_recurrence_overwrites(run))
        cbi_describe(d, "in b%d from column %lld", buffer->home, (long long)buffer->home_column);
    else
        cbi_describe_amount(d, (double)cbi_recurrence_bytes(run, b), "B");
    cbi_describe_pad(d, 52);
    cbi_describe(d, "%s", span_of(buffer));
    if (buffer->span == CBI_ALL_STATES || buffer->span == CBI_TWO_STEPS) {
        cbi_describe(d, buffer->backward ? ": d" : ": ");
        cbi_describe_state(d, buffer->index);
    } else if (buffer->span == CBI_OUTSIDE) {
        cbi_describe(d, ": ");
        cbi_describe_tensor(d, d->graph->imports[buffer->index].traced);
    }
    cbi_describe(d, "\n");
}

static void describe_weights(cbi_description *d, const cbi_recurrence *run, int i) {
    const cbi_weights *weights = &d->plan->weights[i];
    const cbi_value *product = &d->graph->values[weights->value];
    size_t bytes = cbi_recurrence_weights(run, i);
    cbi_describe(d, "  %s", weights->backward ? "backward" : "forward");
    cbi_describe_pad(d, 12);
    cbi_describe(d, "[%lld, %lld] ", (long long)weights->depth, (long long)weights->columns);
    if (bytes > 0)
        cbi_describe_amount(d, (double)bytes, "B");
    else
        cbi_describe(d, "read where they lie, as rows are few");
    for (int k = 1; k < product->count; k++) {
        cbi_describe(d, k == 1 ? ": " : (k - 1) % product->across == 0 ? "; " : " | ");
        cbi_describe_tensor(d, d->graph->imports[d->graph->values[product->in[k]].index].traced);
    }
    cbi_describe(d, "\n");
}

void cbi_describe_plan(cbi_description *d) {
    cbi_recurrence run = cbi_described_run(d);
    describe_program(d, &d->plan->forward, "A step forward (fuse, place)");
    describe_program(d, &d->plan->backward, "A step backward");
    describe_deferred(d);
    cbi_describe(d, "\nBuffers\n");
    for (int b = 0; b < d->plan->buffer_count; b++)
        describe_buffer(d, &run, b);
    cbi_describe(d, "\nWeights of the products, packed once a pass\n");
    for (int i = 0; i < d->plan->weights_count; i++)
        describe_weights(d, &run, i);
    cbi_describe(d, d->plan->weights_count == 0 ? "  none\n" : "");
}
