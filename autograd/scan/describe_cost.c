/* What a plan costs: floating-point operations, memory, and bytes moved.

   A product of [M, K] and [K, N] is 2 M N K operations; an elementwise op is one for each element,
   whatever it takes to compute a tanh. Bytes moved are those that a step must read and write in
   buffers and packed weights: between two products, each place in memory is counted once, as it
   stays in the cache while a row is worked on, and registers are not counted. Whether a cache holds
   the weights from one step to the next is not asked. */
#include "autograd/scan/describe_internal.h"

/* ---- The loop -------------------------------------------------------------------------------- */

static double product_of(int64_t a, int64_t b, int64_t c, int64_t d) {
    return (double)a * (double)b * (double)c * (double)d;
}

int64_t cbi_instruction_elements(const cbi_instruction *instruction) {
    int64_t count = 1;
    if (instruction->code == CBI_RUN_CONTRACT || instruction->code == CBI_RUN_PRODUCT)
        return instruction->groups * instruction->m * instruction->n;
    for (int i = 0; i < instruction->rank; i++)
        count *= instruction->extent[i];
    return count;
}

static const cbi_operand *operand_of(const cbi_instruction *instruction, int k) {
    if (k < 0)
        return &instruction->out;
    return instruction->operands != NULL ? &instruction->operands[k] : &instruction->in[k];
}

/* Elements of a row of operand k; -1: of the result. */
static double elements_of(const cbi_plan *plan, const cbi_instruction *instruction, int k) {
    const cbi_instruction *i = instruction;
    const cbi_value *value = i->value >= 0 ? &plan->graph->values[i->value] : NULL;
    double count = 1;
    switch (i->code) {
    case CBI_RUN_PACK:
        return k < 0 ? 0 : (double)i->groups * (double)i->m * (double)i->k;
    case CBI_RUN_PRODUCT:
        return k < 0 ? (double)i->groups * (double)i->m * (double)i->n : 0;
    case CBI_RUN_CONTRACT:
        return (double)i->groups * (double)(k == 1 ? i->k : i->m) * (double)(k == 0 ? i->k : i->n);
    case CBI_RUN_CALL:
        return (double)cbi_graph_count(plan->graph, k < 0 ? i->value : value->in[k]);
    case CBI_RUN_REDUCE:
        for (int a = 0; a < i->rank; a++)
            count *= k < 0 && a == 1 ? 1 : (double)i->extent[a];
        return count;
    default:
        for (int a = 0; a < i->rank; a++)
            count *= operand_of(i, k)->stride[a] == 0 ? 1 : (double)i->extent[a];
        return count;
    }
}

/* Rows of a place that are read or written for so many rows of the batch. */
static int64_t rows_of(const cbi_plan *plan, cbi_place place, int64_t rows) {
    if (place.buffer >= 0)
        return plan->buffers[place.buffer].shared ? 1 : rows;
    return place.buffer == CBI_SHARED ? 1 : 0;
}

/* Whether instructions [begin, at), or earlier operands of instruction `at`, use operand k's place.
   Reading and writing are two uses. */
static bool used_before(const cbi_program *program, int begin, int at, int k) {
    cbi_place place = operand_of(&program->list[at], k)->place;
    for (int i = begin; i <= at; i++) {
        const cbi_instruction *other = &program->list[i];
        for (int m = -1; m < other->count; m++) {
            if (i == at && (m < 0 || m >= k))
                continue;
            bool counts = k >= 0 || m < 0; /* what was written before is in the cache for reading */
            if (counts && cbi_same_place(operand_of(other, m)->place, place))
                return true;
        }
    }
    return false;
}

static void add_instruction(cbi_cost *cost, const cbi_plan *plan, const cbi_instruction *i,
                            int64_t rows) {
    double size = (double)cb_dtype_size(i->dtype);
    double all = i->rows ? (double)rows : 1;
    if (i->code == CBI_RUN_PRODUCT) {
        cost->products += 2 * (double)rows * product_of(i->groups, i->m, i->n, i->k);
        cost->bytes += size * product_of(i->groups, i->n, i->k, 1);
    } else if (i->code == CBI_RUN_CONTRACT) {
        cost->products += 2 * all * product_of(i->groups, i->m, i->n, i->k);
    } else if (i->code == CBI_RUN_CALL) {
        cost->others += all * elements_of(plan, i, -1);
    } else if (i->code != CBI_RUN_PACK && i->code != CBI_RUN_COPY) {
        cost->others += all * (double)cbi_instruction_elements(i);
    }
}

cbi_cost cbi_cost_of(const cbi_plan *plan, const cbi_program *program, int begin, int end,
                     int64_t rows) {
    cbi_cost cost = {0};
    for (int i = begin; i < end; i++) {
        const cbi_instruction *instruction = &program->list[i];
        double size = (double)cb_dtype_size(instruction->dtype);
        add_instruction(&cost, plan, instruction, rows);
        for (int k = -1; k < instruction->count; k++)
            if (!used_before(program, begin, i, k))
                cost.bytes += size * elements_of(plan, instruction, k) *
                              (double)rows_of(plan, operand_of(instruction, k)->place, rows);
    }
    return cost;
}

static cbi_cost plus(cbi_cost a, cbi_cost b) {
    return (cbi_cost){a.products + b.products, a.others + b.others, a.bytes + b.bytes};
}

static cbi_cost times(cbi_cost cost, double factor) {
    return (cbi_cost){cost.products * factor, cost.others * factor, cost.bytes * factor};
}

/* A whole step: each part of it by itself. */
static cbi_cost cost_of_step(const cbi_plan *plan, const cbi_program *program, int64_t rows) {
    cbi_cost sum = {0};
    for (int begin = 0; begin < program->count;) {
        int end = cbi_described_end(program, begin);
        sum = plus(sum, cbi_cost_of(plan, program, begin, end, rows));
        begin = end;
    }
    return sum;
}

/* ---- After the loop -------------------------------------------------------------------------- */

/* The sums after the loop, and the gradients of rows that leave it: those of a table are added to
   its own, the others are there. */
static cbi_cost cost_deferred(const cbi_description *d, const cbi_plan *plan) {
    cbi_cost cost = {0};
    cbi_run run = cbi_described_run(d, plan);
    double rows = (double)run.steps * (double)run.rows;
    double size = (double)cb_dtype_size(plan->graph->outputs[0].type.dtype);
    for (int i = 0; i < plan->sum_count; i++) {
        const cbi_sum *sum = &plan->sums[i];
        if (sum->kind != CBI_SUM_PRODUCT)
            continue;
        cost.products += 2 * rows * product_of(sum->groups, sum->m, sum->n, sum->k);
        cost.bytes += size * rows * product_of(sum->groups, sum->k, sum->m + sum->n, 1);
        cost.bytes += size * product_of(sum->groups, sum->m, sum->n, 1);
    }
    for (int i = 0; i < plan->graph->row_input_count && plan->looked_up; i++)
        if (plan->graph->row_inputs[i].gradient >= 0) {
            double elements = rows * (double)cbi_count_of(&plan->graph->row_inputs[i].type);
            cost.others += elements;
            cost.bytes += 2 * size * elements;
        }
    return cost;
}

/* ---- Totals ---------------------------------------------------------------------------------- */

static void describe_row(cbi_description *d, const char *title, cbi_cost cost) {
    cbi_write(&d->text, "  %s", title);
    cbi_write_pad(&d->text, 34);
    cbi_write_amount(&d->text, cost.products, "FLOP");
    cbi_write_pad(&d->text, 50);
    cbi_write_amount(&d->text, cost.others, "FLOP");
    cbi_write_pad(&d->text, 66);
    cbi_write_amount(&d->text, cost.bytes, "B");
    cbi_write(&d->text, "\n");
}

static void add_memory(const cbi_description *d, const cbi_plan *plan, double *kept,
                       double *gradients, double *weights) {
    cbi_run run = cbi_described_run(d, plan);
    for (int b = 0; b < plan->buffer_count; b++)
        *(cbi_run_is_backward(&run, b) ? gradients : kept) += (double)cbi_described_bytes(&run, b);
    for (int i = 0; i < plan->weights_count; i++)
        weights[plan->weights[i].backward] += (double)cbi_run_weights_bytes(&run, i);
}

static void describe_memory(cbi_description *d) {
    double kept = 0, gradients = 0, weights[2] = {0};
    add_memory(d, d->compiled->step, &kept, &gradients, weights);
    if (d->compiled->sequence != NULL)
        add_memory(d, d->compiled->sequence, &kept, &gradients, weights);
    cbi_write(&d->text, "\nMemory of a sequence: buffers from the forward pass on ");
    cbi_write_amount(&d->text, kept, "B");
    cbi_write(&d->text, ", in the backward pass only ");
    cbi_write_amount(&d->text, gradients, "B");
    cbi_write(&d->text, ";\n  packed weights forward ");
    cbi_write_amount(&d->text, weights[0], "B");
    cbi_write(&d->text, ", backward ");
    cbi_write_amount(&d->text, weights[1], "B");
    cbi_write(&d->text, "\n");
}

static void describe_titles(cbi_description *d) {
    cbi_write(&d->text, "\nCost");
    cbi_write_pad(&d->text, 34);
    cbi_write(&d->text, "products");
    cbi_write_pad(&d->text, 50);
    cbi_write(&d->text, "the rest");
    cbi_write_pad(&d->text, 66);
    cbi_write(&d->text, "moved\n");
}

void cbi_describe_cost(cbi_description *d) {
    const cbi_plan *sequence = d->compiled->sequence, *step = d->compiled->step;
    double steps = (double)d->sizes->time;
    int64_t rows = cbi_described_rows(d);
    cbi_cost before = {0}, after = cost_deferred(d, step);
    cbi_cost forward = cost_of_step(step, &step->forward, d->sizes->batch);
    cbi_cost backward = cost_of_step(step, &step->backward, d->sizes->batch);
    if (sequence != NULL) {
        before = cost_of_step(sequence, &sequence->forward, rows);
        after = plus(after, plus(cost_of_step(sequence, &sequence->backward, rows),
                                 cost_deferred(d, sequence)));
    }
    describe_memory(d);
    describe_titles(d);
    describe_row(d, "one step forward", forward);
    describe_row(d, "one step backward", backward);
    describe_row(d, "before the loop", before);
    describe_row(d, "after the loop", after);
    cbi_cost all_forward = plus(before, times(forward, steps));
    cbi_cost all_backward = plus(times(backward, steps), after);
    describe_row(d, "a sequence forward", all_forward);
    describe_row(d, "a sequence backward", all_backward);
    describe_row(d, "a sequence, both", plus(all_forward, all_backward));
}
