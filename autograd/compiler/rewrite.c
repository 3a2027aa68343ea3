/* Rewriting a graph: a pass goes through the old values in order and says for each what takes its
   place. The new values are built as the first were, so that they simplify in turn. Only values
   that a result follows from are rewritten: the others are dead, and with them what is captured or
   given for them alone. */
#include "autograd/compiler/graph.h"

#include "tensor/memory.h"

#include <string.h>

void cbi_graph_results(cbi_graph *graph, void (*use)(void *context, int *value), void *context) {
    for (int i = 0; i < graph->output_count; i++) {
        use(context, &graph->outputs[i].value);
        if (graph->outputs[i].gradient >= 0)
            use(context, &graph->outputs[i].gradient);
    }
    for (int i = 0; i < graph->row_input_count; i++)
        if (graph->row_inputs[i].gradient >= 0)
            use(context, &graph->row_inputs[i].gradient);
    for (int i = 0; i < graph->captured_count; i++)
        for (int k = 0; k < graph->captured[i].term_count; k++)
            use(context, &graph->captured[i].terms[k].value);
}

static void count_use(void *context, int *value) {
    int *uses = context;
    uses[*value]++;
}

void cbi_graph_count_uses(const cbi_graph *graph, int *uses) {
    memset(uses, 0, sizeof(*uses) * (size_t)graph->value_count);
    cbi_graph_results((cbi_graph *)(uintptr_t)graph, count_use, uses);
    for (int v = graph->value_count - 1; v >= 0; v--)
        for (int k = 0; uses[v] > 0 && k < graph->values[v].count; k++)
            uses[graph->values[v].in[k]]++;
}

static void renumber(void *context, int *value) {
    const int *number = context;
    *value = number[*value];
}

int cbi_rewrite_copy(cbi_rewrite *rewrite, int old) {
    cbi_value value = rewrite->old[old];
    int few[8], *in = few;
    if (value.count > 8)
        in = cbi_graph_allocate(rewrite->graph, sizeof(int) * (size_t)value.count);
    if (in == NULL)
        return -1;
    for (int k = 0; k < value.count; k++)
        in[k] = rewrite->number[value.in[k]];
    value.in = in;
    return cbi_graph_add(rewrite->graph, &value);
}

/* Starts an empty list of values. The old ones end with the caller. */
static cbi_value *take_values(cbi_graph *graph) {
    cbi_value *old = graph->values;
    graph->values = NULL;
    graph->value_count = graph->value_room = 0;
    for (int i = 0; i < graph->bucket_count; i++)
        graph->buckets[i] = -1;
    return old;
}

/* Drops terms of gradients that have turned out to be 0. */
static void drop_zeros(cbi_graph *graph) {
    for (int i = 0; i < graph->captured_count; i++) {
        cbi_captured *captured = &graph->captured[i];
        int kept = 0;
        for (int k = 0; k < captured->term_count; k++) {
            const cbi_value *v = &graph->values[captured->terms[k].value];
            if (v->kind != CBI_CONSTANT || v->parameters[0] != 0)
                captured->terms[kept++] = captured->terms[k];
        }
        captured->term_count = kept;
    }
}

static bool rewrite_all(cbi_rewrite *rewrite, cbi_replace *replace) {
    cbi_graph *graph = rewrite->graph;
    for (int v = 0; v < rewrite->old_count; v++)
        rewrite->number[v] = -1;
    for (int v = 0; v < rewrite->old_count; v++) {
        if (v == rewrite->old_forward)
            graph->forward_count = graph->value_count;
        if (rewrite->uses[v] > 0)
            rewrite->number[v] = replace(rewrite, v);
        if (rewrite->uses[v] > 0 && rewrite->number[v] < 0)
            return false;
    }
    if (rewrite->old_forward == rewrite->old_count)
        graph->forward_count = graph->value_count;
    cbi_graph_results(graph, renumber, rewrite->number);
    drop_zeros(graph);
    return true;
}

bool cbi_graph_rewrite(cbi_graph *graph, cbi_replace *replace, void *context) {
    int count = graph->value_count;
    int *uses = cbi_allocate(sizeof(int) * (size_t)(count + 1));
    int *number = cbi_allocate(sizeof(int) * (size_t)(count + 1));
    bool done = uses != NULL && number != NULL && !graph->failed;
    if (done) {
        cbi_graph_count_uses(graph, uses);
        cbi_value *old = take_values(graph);
        cbi_rewrite rewrite = {graph, count, graph->forward_count, old, uses, number, context};
        done = rewrite_all(&rewrite, replace);
        cbi_free(old);
    }
    cbi_free(uses);
    cbi_free(number);
    graph->failed = graph->failed || !done;
    return done;
}
