/* Plans as text: the instructions of a step forward and of one backward, as products and the
   programs between them, what is formed after the loop, and the buffers. */
#include "autograd/compiler/call_site.h"
#include "autograd/scan/describe_internal.h"

enum { MOST_NAMES = 64 };

/* ---- Instructions ---------------------------------------------------------------------------- */

static bool is_product(const cbi_instruction *instruction) {
    return instruction->code == CBI_RUN_PACK || instruction->code == CBI_RUN_PRODUCT;
}

int cbi_described_end(const cbi_program *program, int begin) {
    const cbi_instruction *list = program->list;
    int end = begin + 1;
    if (list[begin].code == CBI_RUN_PACK)
        return end < program->count ? end + 1 : end;
    if (list[begin].code == CBI_RUN_PRODUCT || list[begin].code == CBI_RUN_CALL)
        return end;
    while (end < program->count && !is_product(&list[end]) && list[end].code != CBI_RUN_CALL &&
           list[end].rows == list[begin].rows)
        end++;
    return end;
}

static const char *name_of(const cbi_instruction *instruction) {
    switch (instruction->code) {
    case CBI_RUN_ELEMENTWISE:
        return instruction->op->op.name;
    case CBI_RUN_COPY:
        return "copy";
    case CBI_RUN_REDUCE:
        return instruction->reduction == CBI_SUM   ? "sum"
               : instruction->reduction == CBI_MAX ? "max"
                                                   : "min";
    case CBI_RUN_CONTRACT:
        return "product of rows";
    case CBI_RUN_ACCUMULATE:
        return "sum over rows";
    case CBI_RUN_CALL:
        return "call";
    default:
        return "product";
    }
}

/* How often each op occurs in instructions [begin, end). */
static void describe_ops(cbi_text *text, const cbi_program *program, int begin, int end) {
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
        cbi_write(text, "%s%d %s", k > 0 ? ", " : ": ", counts[k], names[k]);
}

static const cbi_operand *operand(const cbi_instruction *instruction, int k) {
    return instruction->operands != NULL ? &instruction->operands[k] : &instruction->in[k];
}

/* The buffers that instructions [begin, end) read, or write. */
static void describe_buffers_of(cbi_text *text, const cbi_plan *plan, const cbi_program *program,
                                int begin, int end, bool written) {
    bool any = false;
    for (int b = 0; b < plan->buffer_count; b++) {
        bool found = false;
        for (int i = begin; i < end && !found; i++) {
            const cbi_instruction *instruction = &program->list[i];
            if (written)
                found = instruction->out.place.buffer == b && instruction->code != CBI_RUN_PACK;
            for (int k = 0; k < instruction->count && !written && !found; k++)
                found = operand(instruction, k)->place.buffer == b;
        }
        if (found)
            cbi_write(text, "%sb%d", any ? " " : written ? " -> " : "; ", b);
        any = any || found;
    }
}

static void describe_product(cbi_text *text, const cbi_instruction *product, int64_t rows) {
    if (product->groups > 1)
        cbi_write(text, "%lld times ", (long long)product->groups);
    cbi_write(text, "product %lld x %lld x %lld (M N K)", (long long)(rows * product->m),
              (long long)product->n, (long long)product->k);
}

/* The ops that an instruction applies as they are. */
static void describe_call(const cbi_description *d, cbi_text *text, const cbi_plan *plan,
                          const cbi_instruction *instruction) {
    const cbi_call_site *call = plan->graph->values[instruction->value].call;
    for (int i = 0; i < call->count; i++)
        cbi_write(text, "%s%s", i > 0 ? ", " : "call of ",
                  cbi_traced_node(d->split->traced, 0, call->nodes[i])->op->name);
    cbi_write(text, call->by_rows ? ", row by row" : ", on the whole batch");
}

static int64_t most_elements(const cbi_program *program, int begin, int end) {
    int64_t most = 0;
    for (int i = begin; i < end; i++)
        if (cbi_instruction_elements(&program->list[i]) > most)
            most = cbi_instruction_elements(&program->list[i]);
    return most;
}

static void describe_part(const cbi_description *d, cbi_text *text, const cbi_plan *plan,
                          const cbi_program *program, int begin, int end) {
    const cbi_instruction *last = &program->list[end - 1];
    if (last->code == CBI_RUN_PRODUCT) {
        describe_product(text, last, cbi_described_run(d, plan).rows);
        return;
    }
    if (last->code == CBI_RUN_CALL) {
        describe_call(d, text, plan, last);
        return;
    }
    cbi_write(text, "%s, %d instruction%s, up to %lld elements", last->rows ? "fused" : "once",
              end - begin, end - begin == 1 ? "" : "s",
              (long long)most_elements(program, begin, end));
    describe_ops(text, program, begin, end);
}

static void describe_program(cbi_description *d, const cbi_plan *plan, const cbi_program *program,
                             const char *title) {
    cbi_text *text = &d->text;
    cbi_write(text, "\n%s; registers of a row: ", title);
    cbi_write_amount(text, (double)program->register_bytes, "B");
    cbi_write(text, program->count == 0 ? "\n  nothing\n" : "\n");
    for (int begin = 0, number = 1; begin < program->count; number++) {
        int end = cbi_described_end(program, begin);
        cbi_cost cost = cbi_cost_of(plan, program, begin, end, cbi_described_run(d, plan).rows);
        cbi_write(text, "  %2d ", number);
        describe_part(d, text, plan, program, begin, end);
        describe_buffers_of(text, plan, program, begin, end, false);
        describe_buffers_of(text, plan, program, begin, end, true);
        cbi_write(text, "; ");
        cbi_write_amount(text, cost.products + cost.others, "FLOP");
        cbi_write(text, ", ");
        cbi_write_amount(text, cost.bytes, "B");
        cbi_write(text, " moved\n");
        begin = end;
    }
}

/* ---- After the loop -------------------------------------------------------------------------- */

static void describe_deferred(cbi_description *d, const cbi_plan *plan) {
    const cbi_graph *graph = plan->graph;
    cbi_run run = cbi_described_run(d, plan);
    long long rows = (long long)(run.steps * run.rows);
    for (int i = 0; i < plan->sum_count; i++) {
        const cbi_sum *sum = &plan->sums[i];
        cbi_write(&d->text, "  d");
        cbi_write_part(d, &d->text, &graph->captured[sum->captured], &sum->place);
        if (sum->kind == CBI_SUM_PRODUCT && sum->groups > 1)
            cbi_write(&d->text, " += %lld times product", (long long)sum->groups);
        else if (sum->kind == CBI_SUM_PRODUCT)
            cbi_write(&d->text, " += product");
        if (sum->kind == CBI_SUM_PRODUCT)
            cbi_write(&d->text, " %lld x %lld x %lld (M N K)\n", (long long)sum->m,
                      (long long)sum->n, (long long)sum->k * rows);
        else
            cbi_write(&d->text, " += what was added up of %lld rows of %lld elements\n", rows,
                      (long long)plan->accumulators[sum->accumulator].count);
    }
    for (int i = 0; i < graph->row_input_count; i++)
        if (graph->row_inputs[i].gradient >= 0 && plan->looked_up) {
            cbi_write(&d->text, "  d");
            cbi_write_row_input(d, &d->text, graph, i);
            cbi_write(&d->text, ": %lld rows of %lld elements, added to those of the table\n", rows,
                      (long long)cbi_count_of(&graph->row_inputs[i].type));
        }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static const char *span_of(const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return "one step";
    case CBI_TWO_STEPS:
        return "two steps: d";
    case CBI_ALL_STEPS:
        return "all steps";
    case CBI_ALL_STATES:
        return "all steps and before them: ";
    case CBI_GIVEN_ROWS:
        return "given: ";
    case CBI_GIVEN_OUTPUT:
        return "given: d";
    case CBI_LEFT_OUTPUT:
        return "left: ";
    case CBI_LEFT_GRADIENT:
        return "left: d";
    }
    return "";
}

static void describe_buffer(cbi_description *d, const cbi_run *run, int b) {
    const cbi_buffer *buffer = &run->plan->buffers[b];
    const cbi_graph *graph = run->plan->graph;
    int64_t size = (int64_t)cb_dtype_size(buffer->dtype);
    cbi_text *text = &d->text;
    cbi_write(text, "  b%d", b);
    cbi_write_pad(text, 6);
    cbi_write(text, "%s%s", buffer->backward ? "backward" : "forward",
              buffer->shared ? ", once" : "");
    cbi_write_pad(text, 16);
    cbi_write(text, "[%lld]", (long long)(buffer->bytes / size));
    cbi_write_pad(text, 26);
    if (buffer->home >= 0)
        cbi_write(text, "in b%d from %lld", buffer->home, (long long)(buffer->home_offset / size));
    else
        cbi_write_amount(text, (double)cbi_described_bytes(run, b), "B");
    cbi_write_pad(text, 52);
    cbi_write(text, "%s", span_of(buffer));
    if (buffer->span == CBI_GIVEN_ROWS || buffer->span == CBI_LEFT_GRADIENT)
        cbi_write_row_input(d, text, graph, buffer->index);
    else if (buffer->span != CBI_ONE_STEP && buffer->span != CBI_ALL_STEPS)
        cbi_write_output(d, text, graph, buffer->index);
    cbi_write(text, "\n");
}

static void describe_weights(cbi_description *d, const cbi_run *run, int i) {
    const cbi_weights *weights = &run->plan->weights[i];
    size_t bytes = cbi_run_weights_bytes(run, i);
    cbi_text *text = &d->text;
    cbi_write(text, "  %s", weights->backward ? "backward" : "forward");
    cbi_write_pad(text, 12);
    if (weights->groups > 1)
        cbi_write(text, "%lld of ", (long long)weights->groups);
    cbi_write(text, "[%lld, %lld] ", (long long)weights->depth, (long long)weights->columns);
    if (bytes > 0)
        cbi_write_amount(text, (double)bytes, "B");
    else
        cbi_write(text, "read where they lie");
    cbi_write(text, ": ");
    cbi_write_weights(d, text, run->plan->graph, &run->plan->graph->values[weights->value]);
    cbi_write(text, "\n");
}

static void describe_memory(cbi_description *d, const cbi_plan *plan) {
    cbi_run run = cbi_described_run(d, plan);
    cbi_write(&d->text, "\nBuffers\n");
    for (int b = 0; b < plan->buffer_count; b++)
        describe_buffer(d, &run, b);
    cbi_write(&d->text, "\nWeights of the products, packed once a pass\n");
    for (int i = 0; i < plan->weights_count; i++)
        describe_weights(d, &run, i);
    cbi_write(&d->text, plan->weights_count == 0 ? "  none\n" : "");
}

void cbi_describe_plans(cbi_description *d) {
    const cbi_plan *sequence = d->compiled->sequence, *step = d->compiled->step;
    if (sequence != NULL) {
        describe_program(d, sequence, &sequence->forward, "Outside, before the loop");
        describe_program(d, sequence, &sequence->backward, "Outside, after the loop");
        cbi_write(&d->text, "\nAfter that\n");
        describe_deferred(d, sequence);
        describe_memory(d, sequence);
    }
    describe_program(d, step, &step->forward, "A step forward");
    describe_program(d, step, &step->backward, "A step backward");
    cbi_write(&d->text, "\nAfter the last step backward\n");
    describe_deferred(d, step);
    describe_memory(d, step);
}
