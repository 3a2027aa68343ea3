/* Ops that are applied as they are: those that have no form of their own in a graph, and the
   user's.

   An op that treats each row by itself is applied to some of the rows at a time. Any other is
   applied to the whole batch, with what computes its inputs where these are no rows either: a
   tensor of one row more than the batch, say. */
#include "autograd/compiler/lower_internal.h"

#include <string.h>

/* Whether a node's result has a form in a graph: rows, or the same for all. */
static bool has_form(const cbi_lowerer *l, int node) {
    cbi_frame frame;
    return cbi_frame_of(l, node, &frame);
}

/* The nodes that a call applies and the inputs that it takes, while they are found. */
typedef struct site {
    cbi_lowerer *l;
    int count, room, input_count, input_room;
    int *nodes;
    cbi_call_input *inputs;
    int *values;
    bool failed;
} site;

static bool is_listed(const int *list, int count, int node) {
    for (int i = 0; i < count; i++)
        if (list[i] == node)
            return true;
    return false;
}

/* A node's elements as one dense row, or shared; false when it has to be computed by the call. */
static bool add_input(site *s, int node) {
    cbi_layout map;
    cbi_frame frame;
    for (int i = 0; i < s->input_count; i++)
        if (s->inputs[i].node == node)
            return true;
    if (!cbi_layout_of(s->l, node, &map) || !cbi_frame_of(s->l, node, &frame))
        return false;
    int value = cbi_mapped_value(s->l, &map);
    if (value < 0)
        return false;
    cbi_call_input *input = &s->inputs[s->input_count];
    input->node = node;
    input->rank = map.rank;
    memcpy(input->axis, map.axis, sizeof(map.axis));
    s->values[s->input_count++] = value;
    return true;
}

/* Adds a node and, before it, what it is computed from, as far as that is no input. */
static void add_node(site *s, int node) {
    const cb_node *n = cbi_traced_node(s->l->traced, 0, node);
    for (int i = 0; i < n->count; i++) {
        int from = n->in[i]->node->index;
        if (!add_input(s, from) && !is_listed(s->nodes, s->count, from))
            add_node(s, from);
    }
    s->nodes[s->count++] = node;
}

static bool is_by_rows(const cbi_lowerer *l, const site *s, const cbi_frame *frame) {
    cb_node *node = cbi_traced_node(l->traced, 0, s->nodes[s->count - 1]);
    cb_call call = cbi_call_of(node);
    bool rows = false;
    if (s->count != 1 || node->op->row_by_row == NULL || frame->rank == 0 || !frame->axis[0].batch)
        return false;
    for (int i = 0; i < node->count; i++) {
        int k = 0;
        while (s->inputs[k].node != node->in[i]->node->index)
            k++;
        int batch = cbi_batch_axis(s->inputs[k].rank, s->inputs[k].axis);
        bool of_rows = cbi_type_of(l, s->values[k])->rows;
        if (of_rows && (batch != 0 || s->inputs[k].axis[0].major != 1 ||
                        s->inputs[k].axis[0].extent != frame->axis[0].extent ||
                        !node->op->row_by_row(&call, i)))
            return false;
        if (!of_rows && batch >= 0)
            return false;
        rows = rows || of_rows;
    }
    return rows;
}

static cbi_type type_of_frame(const cbi_frame *frame, cb_dtype dtype) {
    cbi_type type = {.dtype = dtype, .rows = cbi_batch_axis(frame->rank, frame->axis) >= 0};
    for (int i = 0; i < frame->rank; i++)
        if (!frame->axis[i].batch || frame->axis[i].extent > 1)
            type.shape[type.rank++] = frame->axis[i].extent;
    return type;
}

/* Room for the most that a call can have. */
static bool start_site(site *s, cbi_lowerer *l) {
    int most = cbi_traced_count(l->traced);
    *s = (site){.l = l};
    s->nodes = cbi_graph_allocate(l->graph, sizeof(int) * (size_t)most);
    s->values = cbi_graph_allocate(l->graph, sizeof(int) * (size_t)most);
    s->inputs = cbi_graph_allocate(l->graph, sizeof(cbi_call_input) * (size_t)most);
    return !l->graph->failed;
}

bool cbi_lower_call(cbi_lowerer *l, int node) {
    site s;
    cbi_frame frame;
    int saved = l->node;
    if (!has_form(l, node) || !start_site(&s, l) || !cbi_frame_of(l, node, &frame))
        return false;
    add_node(&s, node);
    cbi_call_site *call = cbi_graph_allocate(l->graph, sizeof(*call));
    if (call == NULL)
        return false;
    call->count = s.count;
    call->nodes = s.nodes;
    call->inputs = s.inputs;
    call->by_rows = is_by_rows(l, &s, &frame);
    call->output = (cbi_call_input){.node = node, .rank = frame.rank};
    memcpy(call->output.axis, frame.axis, sizeof(frame.axis));
    cbi_value v = {.kind = CBI_CALL,
                   .type = type_of_frame(&frame, cbi_traced_node(l->traced, 0, node)->tensor.dtype),
                   .count = s.input_count,
                   .in = s.values,
                   .call = call};
    l->node = node;
    bool done = cbi_set_value(l, cbi_graph_add(l->graph, &v), &frame);
    l->node = saved;
    return done;
}
