/* Lowering the two parts of a trace, each with the gradients that a run wants. */
#include "autograd/compiler/lower_internal.h"
#include "autograd/compiler/split.h"
#include "autograd/compiler/terms.h"

#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

/* A part while it is lowered. */
typedef struct lowering {
    cbi_split *split;
    const cbi_part *part;
    cbi_lowerer l;
    cbi_role *roles;
    cbi_lowered *lowered;
    int state_count;
    bool *wanted; /* of each of the part's inputs and then captured tensors: its gradient */
    cbi_trace_terms terms;
} lowering;

static bool fail(lowering *w, const char *reason) {
    if (w->split->reason[0] == '\0')
        snprintf(w->split->reason, sizeof(w->split->reason), "%s", reason);
    return false;
}

static cbi_type type_of_value(const lowering *w, int value) {
    return w->l.graph->values[value].type;
}

static void set_role(lowering *w, int node, cbi_kind kind, int number) {
    if (node >= 0)
        w->roles[node] = (cbi_role){kind, number};
}

static void set_roles(lowering *w) {
    const cbi_part *part = w->part;
    for (int i = 0; i < cbi_traced_count(w->split->traced); i++) {
        w->roles[i] = (cbi_role){CBI_CAPTURED, -1};
        w->lowered[i] = (cbi_lowered){.value = -1, .deferred = -1};
    }
    for (int i = 0; i < part->input_count; i++)
        set_role(w, part->inputs[i], i < w->state_count ? CBI_STATE : CBI_ROW_INPUT,
                 i < w->state_count ? i : i - w->state_count);
    for (int i = 0; i < part->captured_count; i++)
        set_role(w, part->captured[i], CBI_CAPTURED, i);
    for (int i = 0; i < part->output_count; i++)
        set_role(w, part->cotangents[i], CBI_COTANGENT, i);
}

/* ---- The forward step ------------------------------------------------------------------------ */

/* A result's value. Of several batches one after the other a result cannot be: each sequence has
   its elements together. Such a tensor is copied, as it is. */
static int value_of(lowering *w, int node) {
    cbi_layout map;
    if (cbi_layout_of(&w->l, node, &map)) {
        int batch = cbi_batch_axis(map.rank, map.axis);
        if (batch >= 0 && map.axis[batch].major != 1)
            cbi_lower_call(&w->l, node);
    }
    int value = cbi_lowered_value(&w->l, node);
    if (value < 0)
        fail(w, "a result of the step has no form in rows");
    return value;
}

/* Outputs, inputs and captured tensors, with the types that their leaves have. */
static bool declare(lowering *w) {
    cbi_graph *graph = w->l.graph;
    const cbi_part *part = w->part;
    graph->failed = graph->failed ||
                    !cbi_grow(&graph->outputs, &graph->output_room, part->output_count + 1,
                              sizeof(*graph->outputs)) ||
                    !cbi_grow(&graph->row_inputs, &graph->row_input_room, part->input_count + 1,
                              sizeof(*graph->row_inputs)) ||
                    !cbi_grow(&graph->captured, &graph->captured_room, part->captured_count + 1,
                              sizeof(*graph->captured));
    if (graph->failed)
        return false;
    graph->state_count = w->state_count;
    graph->output_count = part->output_count;
    graph->row_input_count = part->input_count - w->state_count;
    graph->captured_count = part->captured_count;
    if (!cbi_lower_nodes(&w->l, part->input_count, part->inputs) ||
        !cbi_lower_nodes(&w->l, part->captured_count, part->captured))
        return false;
    for (int i = 0; i < graph->row_input_count; i++) {
        int node = part->inputs[w->state_count + i];
        graph->row_inputs[i] = (cbi_row_input){node, type_of_value(w, w->lowered[node].value), -1};
    }
    for (int i = 0; i < part->captured_count; i++) {
        graph->captured[i].node = part->captured[i];
        graph->captured[i].type = type_of_value(w, w->lowered[part->captured[i]].value);
    }
    return true;
}

static bool lower_forward(lowering *w) {
    cbi_graph *graph = w->l.graph;
    const cbi_part *part = w->part;
    if (!cbi_lower_nodes(&w->l, part->output_count, part->outputs))
        return false;
    for (int i = 0; i < part->output_count; i++) {
        int value = value_of(w, part->outputs[i]);
        if (value < 0)
            return false;
        graph->outputs[i] = (cbi_output){.node = part->outputs[i], .value = value, .gradient = -1};
    }
    graph->forward_count = graph->value_count;
    /* An output has the type of its cotangent, also where its value is a number, or shared. */
    if (!cbi_lower_nodes(&w->l, part->output_count, part->cotangents))
        return false;
    for (int i = 0; i < part->output_count; i++)
        graph->outputs[i].type = type_of_value(w, w->lowered[part->cotangents[i]].value);
    return true;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* Of a sum over rows, what is formed after the loop; of anything else, the value. */
static int term_value(lowering *w, int node) {
    return w->lowered[node].deferred >= 0 ? w->lowered[node].deferred : value_of(w, node);
}

static bool add_term(lowering *w, const cbi_trace_term *term) {
    cbi_graph *graph = w->l.graph;
    cbi_captured *captured = &graph->captured[term->captured];
    int value = term_value(w, term->node);
    if (value < 0)
        return false;
    if (cbi_is_constant(graph, value) && graph->values[value].parameters[0] == 0)
        return true;
    if (!cbi_grow(&captured->terms, &captured->term_room, captured->term_count + 1,
                  sizeof(*captured->terms)))
        return false;
    captured->terms[captured->term_count++] = (cbi_term){value, term->place};
    return true;
}

/* Lowers all nodes that are wanted, in the order of the trace: each is then soon followed by what
   reads it, and its register is free again. */
static bool lower_wanted(lowering *w) {
    const cbi_part *part = w->part;
    int count = 0;
    int *nodes = cbi_allocate(sizeof(int) * (size_t)(part->input_count + w->terms.count + 1));
    if (nodes == NULL) {
        w->l.graph->failed = true;
        return false;
    }
    for (int i = 0; i < part->input_count; i++)
        if (w->wanted[i] && part->gradients[i] >= 0)
            nodes[count++] = part->gradients[i];
    for (int i = 0; i < w->terms.count; i++)
        nodes[count++] = w->terms.list[i].node;
    bool good = cbi_lower_nodes(&w->l, count, nodes);
    cbi_free(nodes);
    return good;
}

static bool lower_gradients(lowering *w) {
    cbi_graph *graph = w->l.graph;
    const cbi_part *part = w->part;
    for (int i = 0; i < part->captured_count; i++) {
        int node = part->gradients[part->input_count + i];
        if (w->wanted[part->input_count + i] && node >= 0 &&
            !cbi_find_terms(w->split->traced, i, node, &w->terms))
            return false;
    }
    if (!lower_wanted(w))
        return false;
    for (int i = 0; i < part->input_count; i++) {
        if (!w->wanted[i] || part->gradients[i] < 0)
            continue;
        int value = value_of(w, part->gradients[i]);
        *(i < w->state_count ? &graph->outputs[i].gradient
                             : &graph->row_inputs[i - w->state_count].gradient) = value;
        if (value < 0)
            return false;
    }
    for (int i = 0; i < w->terms.count; i++)
        if (!add_term(w, &w->terms.list[i]))
            return false;
    return true;
}

/* ---- Both parts ------------------------------------------------------------------------------ */

static bool start(lowering *w, cbi_split *split, const cbi_part *part, int state_count) {
    size_t count = (size_t)cbi_traced_count(split->traced) + 1;
    *w = (lowering){.split = split, .part = part, .state_count = state_count};
    w->roles = cbi_allocate(sizeof(*w->roles) * count);
    w->lowered = cbi_allocate(sizeof(*w->lowered) * count);
    w->wanted = cbi_allocate((size_t)(part->input_count + part->captured_count) + 1);
    cbi_graph *graph = cbi_graph_new();
    w->l = (cbi_lowerer){split->traced, graph, w->roles, w->lowered, 0};
    if (graph == NULL || w->roles == NULL || w->lowered == NULL || w->wanted == NULL)
        return false;
    set_roles(w);
    return true;
}

static void want_captured(lowering *w, const cbi_needs *needs) {
    const cbi_part *part = w->part;
    for (int i = 0; i < part->captured_count; i++)
        w->wanted[part->input_count + i] =
            needs->gradients && (needs->captured == NULL || needs->captured[part->captured[i]]);
}

static cbi_graph *finish(lowering *w, bool good) {
    cbi_graph *graph = w->l.graph;
    good = good && lower_gradients(w) && !graph->failed;
    cbi_free(w->roles);
    cbi_free(w->lowered);
    cbi_free(w->wanted);
    cbi_free(w->terms.list);
    if (good)
        return graph;
    if (graph != NULL && graph->failed)
        w->split->reason[0] = '\0'; /* no fault of the step's: there may be memory next time */
    cbi_graph_free(graph);
    return NULL;
}

static bool is_x(const cbi_split *split, int node) {
    return node == split->traced->side[0].x->node->index;
}

/* What the step does not depend on has no gradient from it. */
static int replace_cotangent(cbi_rewrite *rewrite, int old) {
    const cbi_split *split = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    int states = split->traced->signature.state_count;
    return v->kind == CBI_COTANGENT && split->step.gradients[states + v->index] < 0
               ? cbi_constant(rewrite->graph, v->type.dtype, 0)
               : cbi_rewrite_copy(rewrite, old);
}

static void mark_cotangent(const cbi_graph *graph, bool *of_boundary) {
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].kind == CBI_COTANGENT)
            of_boundary[graph->values[v].index] = true;
}

cbi_graph *cbi_split_lower_sequence(cbi_split *split, const cbi_needs *needs, bool *of_boundary) {
    lowering w;
    bool good = start(&w, split, &split->sequence, 0) && declare(&w) && lower_forward(&w);
    if (good) {
        for (int i = 0; i < w.part->input_count; i++)
            w.wanted[i] = needs->gradients && needs->x && is_x(split, w.part->inputs[i]);
        want_captured(&w, needs);
    }
    cbi_graph *graph = finish(&w, good);
    if (graph == NULL || !cbi_graph_rewrite(graph, replace_cotangent, split)) {
        cbi_graph_free(graph);
        return NULL;
    }
    for (int k = 0; k < split->boundary_count; k++)
        of_boundary[k] = false;
    mark_cotangent(graph, of_boundary);
    return graph;
}

cbi_graph *cbi_split_lower_step(cbi_split *split, const cbi_needs *needs, const bool *of_boundary) {
    lowering w;
    int states = split->traced->signature.state_count;
    bool good = start(&w, split, &split->step, states) && declare(&w) && lower_forward(&w);
    if (good) {
        for (int i = 0; i < w.part->input_count; i++)
            w.wanted[i] = needs->gradients && (i < states || of_boundary[i - states]);
        want_captured(&w, needs);
    }
    cbi_graph *graph = finish(&w, good);
    if (graph == NULL || !cbi_graph_rewrite(graph, cbi_rewrite_copy, NULL)) {
        cbi_graph_free(graph);
        return NULL;
    }
    return graph;
}
