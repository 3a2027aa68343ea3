/* Tracing: a step is run once on tensors without elements, its gradient is derived on the same
   tape, and what the tape noted is read into a graph.

   What does not depend on the state is not read; see hoist.c. */
#include "autograd/scan/graph.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

/* What a step is given, without elements. */
typedef struct given {
    cb_dtype dtype;
    int64_t input;
    int state_count, weight_count;
    const int64_t *state_size;
    cb_tensor *const *weights;
} given;

/* Whether an extent is one of a step's input, states or weights. */
static bool is_extent(const given *g, int64_t extent) {
    bool found = g->input == extent;
    for (int i = 0; i < g->state_count; i++)
        found = found || g->state_size[i] == extent;
    for (int i = 0; i < g->weight_count; i++)
        for (int k = 0; g->weights[i] != NULL && k < g->weights[i]->rank; k++)
            found = found || g->weights[i]->shape[k] == extent;
    return found;
}

/* The first prime after n that can stand for the batch. Of primes, as no product of extents is one.
 */
static int64_t stand_in_after(const given *g, int64_t n) {
    for (;;) {
        int64_t factor = 2;
        for (n++; factor * factor <= n && n % factor != 0;)
            factor++;
        if (factor * factor > n && !is_extent(g, n))
            return n;
    }
}

static cbi_graph *graph_new(const given *g, int64_t after) {
    cbi_graph *graph = cbi_allocate(sizeof(*graph));
    if (graph == NULL)
        return NULL;
    graph->batch = stand_in_after(g, after);
    graph->other_batch = stand_in_after(g, graph->batch);
    graph->dtype = g->dtype;
    graph->state_count = g->state_count;
    graph->weight_count = g->weight_count;
    memcpy(graph->state_size, g->state_size, sizeof(*g->state_size) * (size_t)g->state_count);
    graph->trace = cbi_tape_new_symbolic();
    graph->weights = cbi_allocate(sizeof(*graph->weights) * (size_t)(g->weight_count + 1));
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

static const char out_of_memory[] = "out of memory";

/* With the failed op's message, in which the batch has the extent that it has in a trace. */
static void refuse_failed(cbi_graph *graph) {
    if (cb_tape_status(graph->trace) == CB_ERROR_MEMORY) {
        refuse(graph, out_of_memory);
        return;
    }
    char reason[sizeof(graph->reason)], batch[24];
    snprintf(batch, sizeof(batch), "%lld", (long long)graph->batch);
    bool named = strstr(cb_tape_error(graph->trace), batch) != NULL;
    snprintf(reason, sizeof(reason), "%s%s%s", cb_tape_error(graph->trace),
             named ? "; the batch stands as " : "", named ? batch : "");
    refuse(graph, reason);
}

/* A trace is walked by recursion, and its values are compared with each other. */
enum { MOST_OPS = 1024 };

static bool run_step(cbi_graph *graph, cbi_step *step, const given *g, cb_tensor **next) {
    cb_tape *tape = graph->trace;
    graph->x = cbi_symbol(tape, graph->dtype, CB_SHAPE(graph->batch, g->input));
    for (int i = 0; i < graph->weight_count; i++)
        if (g->weights[i] != NULL)
            graph->weights[i] =
                cbi_symbol(tape, g->weights[i]->dtype, g->weights[i]->rank, g->weights[i]->shape);
    for (int i = 0; i < graph->state_count; i++)
        graph->state[i] =
            cbi_symbol(tape, graph->dtype, CB_SHAPE(graph->batch, graph->state_size[i]));
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
        graph->seed[i] =
            cbi_symbol(tape, graph->dtype, CB_SHAPE(graph->batch, graph->state_size[i]));
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

/* Stand-ins for the batch that are tried before the compiler gives up. */
enum { MOST_TRIES = 8 };

cbi_graph *cbi_graph_trace(cbi_step *step, cb_dtype dtype, int64_t input, int state_count,
                           const int64_t *state_size, int weight_count, cb_tensor *const *weights) {
    const given g = {dtype, input, state_count, weight_count, state_size, weights};
    int64_t after = 1000; /* few steps have so wide a part, and a trace's tensors stay small */
    for (int tries = 1;; tries++) {
        cb_tensor *next[CBI_GRAPH_STATES] = {NULL};
        cbi_graph *graph = graph_new(&g, after);
        if (graph != NULL && (!run_step(graph, step, &g, next) || !read_all(graph, next)))
            refuse(graph, out_of_memory);
        if (graph == NULL || !graph->collides || tries == MOST_TRIES)
            return graph;
        after = graph->other_batch;
        cbi_graph_free(graph);
    }
}
