/* Tracing: a step is run once on tensors without elements, its gradient is derived on the same
   tape, and what the tape noted is read into a graph.

   What does not depend on the state is not read; see hoist.c. */
#include "autograd/scan/graph.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

static cbi_graph *graph_new(cb_dtype dtype, int state_count, const int64_t *state_size,
                            int weight_count) {
    cbi_graph *graph = cbi_allocate(sizeof(*graph));
    if (graph == NULL)
        return NULL;
    graph->dtype = dtype;
    graph->state_count = state_count;
    graph->weight_count = weight_count;
    memcpy(graph->state_size, state_size, sizeof(*state_size) * (size_t)state_count);
    graph->trace = cbi_tape_new_symbolic();
    graph->weights = cbi_allocate(sizeof(*graph->weights) * (size_t)(weight_count + 1));
    if (graph->trace == NULL || graph->weights == NULL) {
        cbi_graph_free(graph);
        return NULL;
    }
    return graph;
}

static void refuse(cbi_graph *graph, const char *reason) {
    if (graph->reason[0] == '\0')
        snprintf(graph->reason, sizeof(graph->reason), "%s", reason);
}

/* With the failed op's message, in which the batch has the extent that it has in a trace. */
static void refuse_failed(cbi_graph *graph) {
    char reason[sizeof(graph->reason)], batch[24];
    snprintf(batch, sizeof(batch), "%d", CBI_BATCH);
    bool named = strstr(cb_tape_error(graph->trace), batch) != NULL;
    snprintf(reason, sizeof(reason), "%s%s%s", cb_tape_error(graph->trace),
             named ? "; the batch stands as " : "", named ? batch : "");
    refuse(graph, reason);
}

/* A trace is walked by recursion, and its values are compared with each other. */
enum { MOST_OPS = 1024 };

static bool run_step(cbi_graph *graph, cbi_step *step, int64_t input, cb_tensor *const *weights,
                     cb_tensor **next) {
    cb_tape *tape = graph->trace;
    graph->x = cbi_symbol(tape, graph->dtype, CB_SHAPE(CBI_BATCH, input));
    for (int i = 0; i < graph->weight_count; i++)
        if (weights[i] != NULL)
            graph->weights[i] =
                cbi_symbol(tape, weights[i]->dtype, weights[i]->rank, weights[i]->shape);
    for (int i = 0; i < graph->state_count; i++)
        graph->state[i] = cbi_symbol(tape, graph->dtype, CB_SHAPE(CBI_BATCH, graph->state_size[i]));
    step(graph->weights, graph->x, graph->state, next);
    graph->counts.shared = tape->repeated;
    if (tape->ops > MOST_OPS) {
        refuse(graph, "the step has more than 1024 ops");
        return false;
    }
    graph->repeats = cb_tape_status(tape) == CB_OK && cbi_step_repeats(graph, step, next);
    for (int i = 0; i < graph->state_count && cb_tape_status(tape) == CB_OK; i++)
        if (cb_tape_of(next[i]) == tape)
            next[i] = cbi_regroup(graph, next[i]);
    if (cb_tape_status(tape) != CB_OK) {
        refuse_failed(graph);
        return false;
    }
    for (int i = 0; i < graph->state_count; i++) {
        if (next[i] != NULL && cb_tape_of(next[i]) != tape) {
            refuse(graph, "the step uses a tensor on another tape");
            return false;
        }
        if (next[i] == NULL || !cb_tensor_same_shape(next[i], graph->state[i])) {
            refuse(graph, "a state after the step is missing or has another shape than before it");
            return false;
        }
        graph->seed[i] = cbi_symbol(tape, graph->dtype, CB_SHAPE(CBI_BATCH, graph->state_size[i]));
    }
    return true;
}

/* Derives the gradients of the step's inputs. An import may be computed from another one, which
   then is not to get its gradient once more through it: meanwhile, imports are leaves. */
static cb_status derive(cbi_graph *graph, cb_tensor **next, int count, cb_tensor *const *inputs,
                        cb_tensor **gradients) {
    const cb_op *op_of[CBI_GRAPH_IMPORTS];
    for (int i = 0; i < graph->import_count; i++) {
        op_of[i] = graph->imports[i].traced->node->op;
        graph->imports[i].traced->node->op = NULL;
    }
    cb_status status =
        cbi_vector_jacobian(graph->state_count, next, graph->seed, count, inputs, gradients);
    for (int i = 0; i < graph->import_count; i++)
        graph->imports[i].traced->node->op = op_of[i];
    return status;
}

static bool few_imports(cbi_graph *graph) {
    if (graph->import_count > CBI_GRAPH_IMPORTS)
        refuse(graph, "the step uses more than 256 values from outside");
    return graph->import_count <= CBI_GRAPH_IMPORTS;
}

/* The forward values are read first, and with them the imports are known; then the gradients of the
   states and of the imports are derived and read. */
static bool read_all(cbi_graph *graph, cb_tensor **next) {
    for (int i = 0; i < graph->state_count; i++)
        if ((graph->next[i] = cbi_graph_read(graph, next[i])) < 0)
            return false;
    graph->forward_count = graph->value_count;
    if (!few_imports(graph))
        return false;
    cb_tensor *inputs[CBI_GRAPH_STATES + CBI_GRAPH_IMPORTS],
        *gradients[CBI_GRAPH_STATES + CBI_GRAPH_IMPORTS];
    int count = graph->state_count, import_of[CBI_GRAPH_STATES + CBI_GRAPH_IMPORTS];
    memcpy(inputs, graph->state, sizeof(graph->state[0]) * (size_t)count);
    for (int i = 0; i < graph->import_count; i++)
        if (graph->imports[i].traced->node->requires_grad) {
            import_of[count] = i;
            inputs[count++] = graph->imports[i].traced;
        }
    if (derive(graph, next, count, inputs, gradients) != CB_OK) {
        refuse_failed(graph);
        return false;
    }
    for (int k = 0; k < graph->state_count; k++) {
        graph->state_gradient[k] = gradients[k] == NULL ? -1 : cbi_graph_read(graph, gradients[k]);
        if (gradients[k] != NULL && graph->state_gradient[k] < 0)
            return false;
    }
    for (int k = graph->state_count; k < count; k++)
        if (gradients[k] != NULL && !cbi_graph_read_sum(graph, gradients[k], import_of[k]))
            return false;
    return few_imports(graph); /* of which reading the gradients has found more */
}

cbi_graph *cbi_graph_trace(cbi_step *step, cb_dtype dtype, int64_t input, int state_count,
                           const int64_t *state_size, int weight_count, cb_tensor *const *weights) {
    cbi_graph *graph = graph_new(dtype, state_count, state_size, weight_count);
    cb_tensor *next[CBI_GRAPH_STATES] = {NULL};
    if (graph != NULL && (!run_step(graph, step, input, weights, next) || !read_all(graph, next)))
        refuse(graph, "out of memory");
    return graph;
}
