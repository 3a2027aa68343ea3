/* Ops that are applied as they are: on a tape without gradients, to the tile's rows or to the whole
   batch.

   Inputs are tensors over the rows where they lie, if their axes allow it, and copies otherwise.
   The result is copied to its place. What an op draws is what it would draw at this time step. */
#include "autograd/compiler/call_site.h"
#include "autograd/runtime/run_internal.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

cbi_call_tapes *cbi_call_tapes_new(int count) {
    cbi_call_tapes *tapes = cbi_allocate(sizeof(*tapes) + sizeof(cb_tape *) * (size_t)count);
    if (tapes == NULL)
        return NULL;
    tapes->tapes = (cb_tape **)(void *)(tapes + 1);
    pthread_mutex_init(&tapes->lock, NULL);
    for (; tapes->count < count; tapes->count++) {
        tapes->tapes[tapes->count] = cb_tape_new_no_grad();
        if (tapes->tapes[tapes->count] == NULL) {
            cbi_call_tapes_free(tapes);
            return NULL;
        }
    }
    return tapes;
}

void cbi_call_tapes_free(cbi_call_tapes *tapes) {
    if (tapes == NULL)
        return;
    for (int i = 0; i < tapes->count; i++)
        cb_tape_free(tapes->tapes[i]);
    pthread_mutex_destroy(&tapes->lock);
    cbi_free(tapes);
}

/* Keeps the first failure. */
static void note_failure(const cbi_tile *t, const cb_tape *tape) {
    cbi_call_tapes *tapes = t->run->tapes;
    pthread_mutex_lock(&tapes->lock);
    if (tapes->status == CB_OK) {
        snprintf(tapes->message, sizeof(tapes->message), "%s", cb_tape_error(tape));
        tapes->status = cb_tape_status(tape);
    }
    pthread_mutex_unlock(&tapes->lock);
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* Extents and strides of a tensor over rows: the batch's axis is in up to three parts. */
typedef struct parts {
    int rank;
    int64_t shape[3 * CB_MAX_RANK], stride[3 * CB_MAX_RANK];
} parts;

static void add_part(parts *p, int64_t extent, int64_t stride) {
    p->shape[p->rank] = extent;
    p->stride[p->rank++] = stride;
}

/* The parts of a tensor's axes, with the strides of its dense rows, and of the rows. */
static parts parts_of(const cbi_call_input *input, int64_t rows, int64_t row, int64_t size) {
    parts p = {.rank = 0};
    int64_t stride = 1;
    int batch = cbi_batch_axis(input->rank, input->axis);
    int64_t strides[CB_MAX_RANK], majors[CB_MAX_RANK];
    for (int i = input->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= input->axis[i].extent;
        majors[i] = stride;
        stride *= input->axis[i].major;
    }
    for (int i = 0; i < input->rank; i++) {
        if (i == batch && input->axis[i].major > 1)
            add_part(&p, input->axis[i].major, majors[i]);
        if (i == batch)
            add_part(&p, rows, row / size);
        if (i != batch || input->axis[i].extent > 1)
            add_part(&p, input->axis[i].extent, strides[i]);
    }
    return p;
}

/* The extents of the tensor itself. */
static cb_tensor tensor_of(const cbi_call_input *input, cb_dtype dtype, int64_t rows, void *data) {
    int64_t shape[CB_MAX_RANK];
    for (int i = 0; i < input->rank; i++)
        shape[i] = input->axis[i].major * input->axis[i].extent * (input->axis[i].batch ? rows : 1);
    return cb_tensor_wrap(dtype, input->rank, shape, data);
}

/* Takes the innermost parts whose elements lie one after the other in the rows, too, out of the
   parts; returns how many elements they have. */
static int64_t take_run(parts *p) {
    int64_t run = 1;
    while (p->rank > 0 && (p->stride[p->rank - 1] == run || p->shape[p->rank - 1] == 1))
        run *= p->shape[--p->rank];
    return run;
}

/* Walks over the parts and copies between rows and a dense tensor. */
static void copy_parts(parts p, int64_t size, char *rows, char *dense, bool to_rows) {
    int64_t index[3 * CB_MAX_RANK] = {0}, at = 0, count = 1, run = take_run(&p);
    for (int i = 0; i < p.rank; i++)
        count *= p.shape[i];
    for (int64_t e = 0; e < count; e++) {
        char *row = rows + at * size, *in_dense = dense + e * run * size;
        memcpy(to_rows ? row : in_dense, to_rows ? in_dense : row, (size_t)(run * size));
        for (int i = p.rank - 1; i >= 0; i--) {
            at += p.stride[i];
            if (++index[i] < p.shape[i])
                break;
            at -= p.shape[i] * p.stride[i];
            index[i] = 0;
        }
    }
}

/* An input as a tensor on the tape. */
static cb_tensor *bind(const cbi_tile *t, cb_tape *tape, const cbi_call_input *input, int value,
                       const cbi_address *address) {
    const cbi_graph *graph = t->run->plan->graph;
    const cbi_value *v = &graph->values[value];
    cb_dtype dtype = v->type.dtype;
    int64_t size = (int64_t)cb_dtype_size(dtype);
    char *base = address->base + (v->type.rows ? t->first * address->row : 0);
    cb_tensor tensor = tensor_of(input, dtype, t->rows, base);
    if (v->kind == CBI_CONSTANT)
        return cb_full(tape, dtype, tensor.rank, tensor.shape, v->parameters[0]);
    parts p = parts_of(input, t->rows, v->type.rows ? address->row : 0, size);
    if (p.rank == input->rank) {
        memcpy(tensor.stride, p.stride, sizeof(tensor.stride[0]) * (size_t)p.rank);
        if (cb_tensor_count(&tensor) == 0)
            tensor.data = NULL;
        return cb_input(tape, &tensor);
    }
    cbi_block *block = cbi_block_new(tape, cb_tensor_bytes(&tensor));
    if (block == NULL)
        return cbi_poison(tape);
    copy_parts(p, size, base, block->data, false);
    tensor.data = block->data;
    return cb_input(tape, &tensor);
}

/* ---- Options --------------------------------------------------------------------------------- */

/* What an op draws at a step. The op is one of the step, or of its gradient, which draws again what
   one of the step has drawn. */
static cb_draw draw_at(const cbi_run *run, const cb_draw *traced, int64_t step) {
    const cbi_trace *trace = run->traced->side[0].tape->trace;
    cb_draw draw = *traced;
    int g = 0, node = 0;
    while (trace->draws[g].generator != traced->generator)
        g++;
    for (const cb_draw *of = NULL; of == NULL || of->generator != traced->generator ||
                                   of->random.counter != traced->random.counter;)
        of = cbi_draw_of(trace->nodes[node++]);
    draw.random = run->draws[g].start;
    draw.random.counter += (uint64_t)(step * run->draws[g].each_step) + run->draw_offsets[node - 1];
    return draw;
}

/* A node's options for the tile's rows, at its step. */
static void fit_options(const cbi_tile *t, int node, int64_t row_elements, void *options) {
    const cb_op *op = cbi_traced_node(t->run->traced, 0, node)->op;
    cbi_options_at(t->run->traced, node, t->rows, options);
    for (int i = 0; i < op->option_count && op->option_list != NULL; i++) {
        if (op->option_list[i].kind != CB_OPTION_DRAW)
            continue;
        char *at = (char *)options + op->option_list[i].offset;
        cb_draw draw =
            draw_at(t->run, cbi_draw_of(cbi_traced_node(t->run->traced, 0, node)), t->step);
        draw.first = t->first * row_elements;
        memcpy(at, &draw, sizeof(draw));
    }
}

/* ---- Applying -------------------------------------------------------------------------------- */

/* The tensor that a node of the call is, among those that are there. */
static cb_tensor *made(const cbi_call_site *site, cb_tensor **nodes, cb_tensor **inputs,
                       int input_count, int node) {
    for (int i = 0; i < input_count; i++)
        if (site->inputs[i].node == node)
            return inputs[i];
    for (int i = 0; i < site->count; i++)
        if (site->nodes[i] == node)
            return nodes[i];
    return NULL;
}

static cb_tensor *apply(const cbi_tile *t, cb_tape *tape, const cbi_value *v, cb_tensor **inputs) {
    const cbi_call_site *site = v->call;
    int64_t row_elements = cbi_count_of(&v->type);
    cbi_block *list = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)site->count);
    for (int i = 0; i < site->count && list != NULL; i++) {
        const cb_node *node = cbi_traced_node(t->run->traced, 0, site->nodes[i]);
        cbi_block *options = cbi_block_new(tape, node->op->options_size + 1);
        cbi_block *in = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)(node->count + 1));
        if (options == NULL || in == NULL)
            return cbi_poison(tape);
        for (int k = 0; k < node->count; k++) {
            cb_tensor *from = made(site, list->data, inputs, v->count, node->in[k]->node->index);
            /* As it was while tracing: a reshape relies on it. */
            bool dense = cb_tensor_is_contiguous(node->in[k]);
            ((cb_tensor **)in->data)[k] = dense ? cb_contiguous(from) : from;
        }
        fit_options(t, site->nodes[i], row_elements, options->data);
        ((cb_tensor **)list->data)[i] = cbi_apply_like(tape, node, in->data, options->data);
    }
    return list != NULL ? ((cb_tensor **)list->data)[site->count - 1] : cbi_poison(tape);
}

static void leave(const cbi_tile *t, cb_tape *tape, const cbi_value *v, cb_tensor *result,
                  const cbi_address *out) {
    int64_t size = (int64_t)cb_dtype_size(v->type.dtype);
    result = cb_contiguous(result);
    if (cbi_is_poisoned(result) || cb_tensor_count(result) == 0)
        return;
    (void)tape;
    parts p = parts_of(&v->call->output, t->rows, v->type.rows ? out->row : 0, size);
    copy_parts(p, size, out->base + (v->type.rows ? t->first * out->row : 0), result->data, true);
}

static void run_call(const cbi_tile *t, int instruction) {
    const cbi_instruction *call = &t->program->list[instruction];
    const cbi_address *addresses = t->addresses + t->first_address[instruction];
    const cbi_value *v = &t->run->plan->graph->values[call->value];
    cb_tape *tape = t->run->tapes->tapes[t->thread];
    cb_tape_reset(tape);
    cbi_block *inputs = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)(v->count + 1));
    if (inputs != NULL) {
        for (int k = 0; k < v->count; k++)
            ((cb_tensor **)inputs->data)[k] =
                bind(t, tape, &v->call->inputs[k], v->in[k], &addresses[k + 1]);
        leave(t, tape, v, apply(t, tape, v, inputs->data), &addresses[0]);
    }
    if (cb_tape_status(tape) != CB_OK)
        note_failure(t, tape);
}

/* What comes before the call has left out the sequences that are over, so that there is nothing to
   apply an op to: it is applied to each run of the others. */
void cbi_run_call(const cbi_tile *t, int instruction) {
    int64_t end = t->first + t->rows;
    for (int64_t row = t->first; row < end;) {
        cbi_tile part = *t;
        part.first = row;
        while (row < end && cbi_is_running(t, row))
            row++;
        part.rows = row - part.first;
        if (part.rows > 0)
            run_call(&part, instruction);
        row += part.rows == 0;
    }
}
