/* What a plan costs: floating-point operations, memory, and bytes moved.

   A product of [M, K] and [K, N] is 2 M N K operations; an elementwise op is one for each element,
   whatever it takes to compute a tanh. Bytes moved are those that a step must read and write in
   buffers and packed weights: between two products, each place in memory is counted once, as it
   stays in the cache while a row is worked on, and registers are not counted. Whether a cache holds
   the weights from one step to the next is not asked. */
#include "autograd/scan/describe_internal.h"

#include "autograd/op_list.h"
#include "autograd/tape_internal.h"

/* ---- The loop -------------------------------------------------------------------------------- */

/* Columns of operand k of an instruction; -1: its result. */
static int64_t columns_of(const cbi_instruction *instruction, int k) {
    if (k < 0)
        return instruction->code >= CBI_RUN_SUM ? 1 : instruction->columns;
    return instruction->code == CBI_RUN_SPREAD    ? 1
           : instruction->code == CBI_RUN_PRODUCT ? instruction->depth
                                                  : instruction->columns;
}

static cbi_place place_of(const cbi_instruction *instruction, int k) {
    return k < 0 ? instruction->out : instruction->in[k];
}

/* Whether instructions [begin, at), or earlier operands of instruction `at`, use operand k's place.
   Reading and writing are two uses. */
static bool used_before(const cbi_program *program, int begin, int at, int k) {
    cbi_place place = place_of(&program->list[at], k);
    for (int i = begin; i <= at; i++) {
        const cbi_instruction *other = &program->list[i];
        for (int m = -1; m < other->count; m++) {
            if (i == at && (m < 0 || m >= k))
                continue;
            bool counts = k >= 0 || m < 0; /* what was written before is in the cache for reading */
            if (counts && cbi_same_place(place_of(other, m), place))
                return true;
        }
    }
    return false;
}

cbi_cost cbi_cost_of(const cbi_description *d, const cbi_program *program, int begin, int end) {
    cbi_cost cost = {0};
    double batch = (double)d->sizes->batch, size = (double)cb_dtype_size(d->graph->dtype);
    for (int i = begin; i < end; i++) {
        const cbi_instruction *instruction = &program->list[i];
        double columns = (double)instruction->columns;
        if (instruction->code == CBI_RUN_PRODUCT) {
            cost.products += 2 * batch * columns * (double)instruction->depth;
            cost.bytes += size * columns * (double)instruction->depth;
        } else if (instruction->code != CBI_RUN_SPREAD) {
            cost.others += batch * columns;
        }
        for (int k = -1; k < instruction->count; k++) {
            cbi_place place = place_of(instruction, k);
            if (place.buffer == CBI_REGISTER || used_before(program, begin, i, k))
                continue;
            double rows = place.buffer == CBI_SHARED ? 1 : batch;
            cost.bytes += size * rows * (double)columns_of(instruction, k);
        }
    }
    return cost;
}

/* A whole step: products, and what is between them, each by itself. */
static cbi_cost cost_of_step(const cbi_description *d, const cbi_program *program) {
    cbi_cost sum = {0};
    for (int begin = 0; begin < program->count;) {
        int end = begin + 1;
        while (program->list[begin].code != CBI_RUN_PRODUCT && end < program->count &&
               program->list[end].code != CBI_RUN_PRODUCT)
            end++;
        cbi_cost cost = cbi_cost_of(d, program, begin, end);
        sum.products += cost.products;
        sum.others += cost.others;
        sum.bytes += cost.bytes;
        begin = end;
    }
    return sum;
}

/* ---- Around it ------------------------------------------------------------------------------- */

static double elements_of(const cbi_description *d, const cb_tensor *t) {
    bool table = cbi_described_run(d).row_of != NULL;
    double count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->shape[i] != d->graph->batch ? (double)t->shape[i]
                 : table                        ? (double)d->sizes->table
                                                : (double)d->sizes->time * (double)d->sizes->batch;
    return count;
}

/* What is hoisted, and its gradient: products twice for two operands that have one. */
static void cost_outside(const cbi_description *d, cbi_cost *forward, cbi_cost *backward) {
    double size = (double)cb_dtype_size(d->graph->dtype);
    for (int i = 0; i < d->hoisted_count; i++) {
        const cb_node *node = d->hoisted[i]->node;
        double elements = elements_of(d, d->hoisted[i]);
        double bytes = elements;
        for (int k = 0; k < node->count; k++)
            bytes += elements_of(d, node->in[k]);
        forward->bytes += size * bytes;
        if (node->op != &cbi_matmul_op) {
            forward->others += elements;
            continue;
        }
        double product = 2 * elements * (double)node->in[0]->shape[node->in[0]->rank - 1];
        forward->products += product;
        for (int k = 0; k < node->count; k++)
            if (node->in[k]->node->requires_grad) {
                backward->products += product;
                backward->bytes += size * bytes;
            }
    }
}

int64_t cbi_summed_rows(const cbi_description *d, const cbi_value *sum) {
    const cbi_graph *graph = d->graph;
    /* The rows of a table's gradient add up to the same sum, once they are there. */
    for (int i = 0; i < graph->import_count && cbi_described_run(d).row_of != NULL; i++)
        if (graph->imports[i].rows && graph->imports[i].gradient_count == 1 &&
            graph->imports[i].gradients[0] == sum->in[0])
            return d->sizes->table;
    return d->sizes->time * d->sizes->batch;
}

/* The sums after the loop, and the gradients of rows that leave it: those of a table are added to
   its own, the others are there. */
static cbi_cost cost_deferred(const cbi_description *d) {
    cbi_cost cost = {0};
    const cbi_graph *graph = d->graph;
    double rows = (double)d->sizes->time * (double)d->sizes->batch;
    double size = (double)cb_dtype_size(graph->dtype);
    bool table = cbi_described_run(d).row_of != NULL;
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count; k++) {
            const cbi_value *value = &graph->values[graph->imports[i].gradients[k]];
            double columns = (double)value->columns; /* of a product: all its elements */
            if (value->kind == CBI_BATCH_PRODUCT) {
                cost.products += 2 * rows * columns;
                for (int m = 0; m < 2; m++)
                    cost.bytes += size * rows * (double)graph->values[value->in[m]].columns;
                cost.bytes += size * columns;
            } else if (value->kind == CBI_BATCH_SUM) {
                double summed = (double)cbi_summed_rows(d, value);
                cost.others += summed * columns;
                cost.bytes += size * (summed + 1) * columns;
            } else if (table) {
                cost.others += rows * columns;
                cost.bytes += 2 * size * rows * columns;
            }
        }
    return cost;
}

/* ---- Totals ---------------------------------------------------------------------------------- */

static void describe_row(cbi_description *d, const char *title, cbi_cost cost) {
    cbi_describe(d, "  %s", title);
    cbi_describe_pad(d, 34);
    cbi_describe_amount(d, cost.products, "FLOP");
    cbi_describe_pad(d, 50);
    cbi_describe_amount(d, cost.others, "FLOP");
    cbi_describe_pad(d, 66);
    cbi_describe_amount(d, cost.bytes, "B");
    cbi_describe(d, "\n");
}

static cbi_cost times(cbi_cost cost, double factor) {
    return (cbi_cost){cost.products * factor, cost.others * factor, cost.bytes * factor};
}

static cbi_cost plus(cbi_cost a, cbi_cost b) {
    return (cbi_cost){a.products + b.products, a.others + b.others, a.bytes + b.bytes};
}

static void describe_memory(cbi_description *d) {
    cbi_recurrence run = cbi_described_run(d);
    double kept = 0, gradients = 0, weights[2] = {0};
    for (int b = 0; b < d->plan->buffer_count; b++)
        *(cbi_recurrence_is_backward(&run, b) ? &gradients : &kept) +=
            (double)cbi_recurrence_bytes(&run, b);
    for (int i = 0; i < d->plan->weights_count; i++)
        weights[d->plan->weights[i].backward] += (double)cbi_recurrence_weights(&run, i);
    cbi_describe(d, "\nMemory of a sequence: buffers from the forward pass on ");
    cbi_describe_amount(d, kept, "B");
    cbi_describe(d, ", in the backward pass only ");
    cbi_describe_amount(d, gradients, "B");
    cbi_describe(d, ";\n  packed weights forward ");
    cbi_describe_amount(d, weights[0], "B");
    cbi_describe(d, ", backward ");
    cbi_describe_amount(d, weights[1], "B");
    cbi_describe(d, "\n");
}

void cbi_describe_cost(cbi_description *d) {
    double steps = (double)d->sizes->time;
    cbi_cost outside = {0}, outside_backward = {0}, deferred = cost_deferred(d);
    cbi_cost forward = cost_of_step(d, &d->plan->forward);
    cbi_cost backward = cost_of_step(d, &d->plan->backward);
    cost_outside(d, &outside, &outside_backward);
    describe_memory(d);
    cbi_describe(d, "\nCost");
    cbi_describe_pad(d, 34);
    cbi_describe(d, "products");
    cbi_describe_pad(d, 50);
    cbi_describe(d, "the rest");
    cbi_describe_pad(d, 66);
    cbi_describe(d, "moved\n");
    describe_row(d, "one step forward", forward);
    describe_row(d, "one step backward", backward);
    describe_row(d, "before the loop", outside);
    describe_row(d, "its gradient, products only", outside_backward);
    describe_row(d, "after the loop", deferred);
    cbi_cost all_forward = plus(outside, times(forward, steps));
    cbi_cost all_backward = plus(plus(times(backward, steps), deferred), outside_backward);
    describe_row(d, "a sequence forward", all_forward);
    describe_row(d, "a sequence backward", all_backward);
    describe_row(d, "a sequence, both", plus(all_forward, all_backward));
}
