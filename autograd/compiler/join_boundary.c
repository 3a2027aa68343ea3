/* Joining boundary tensors: where gates that are written one by one project x each with a matrix of
   its own, the sequence leaves a tensor for each of them, and the step gives a gradient for each.
   As one tensor, side by side in the order of the products, they are what one matrix of all gates
   would leave: written and read in one row, and their gradient is the operand of one product, of
   which no copy has to be made.

   Only what is a product of the same operand is joined, as it is or with what all rows share added
   to it: such products become one (merge.c). */
#include "autograd/compiler/join_boundary.h"

#include "tensor/memory.h"

#include <string.h>

/* A boundary tensor's place. */
typedef struct place {
    int product;    /* value of the sequence's graph that it is computed from; -1: not joined */
    int joined;     /* number of the tensor that it becomes a part of, or that it becomes */
    int64_t offset; /* of its elements in there */
    bool part;
} place;

typedef struct joining {
    cbi_graph *sequence, *step;
    int count, joined_count;
    place *places;
    int *order; /* boundary tensors, those of one joined tensor together, in the order of parts */
    int *last;  /* of each joined tensor: the last value that is part of it, while rewriting */
    int *together; /* of each joined tensor: the value of all parts */
    bool step_side;
} joining;

/* ---- What is joined -------------------------------------------------------------------------- */

static bool is_alone(const cbi_value *v) {
    return v->kind == CBI_PRODUCT && v->groups == 1 && v->m == 1;
}

/* The product that a value is, with what all rows share added to it; -1. */
static int product_of(const cbi_graph *graph, int value) {
    for (;;) {
        const cbi_value *v = &graph->values[value];
        if (is_alone(v))
            return value;
        if (v->kind != CBI_ELEMENTWISE || !cbi_algebra_of(v->op)->sum)
            return -1;
        bool rows[2] = {graph->values[v->in[0]].type.rows, graph->values[v->in[1]].type.rows};
        if (rows[0] == rows[1])
            return -1;
        value = v->in[rows[0] ? 0 : 1];
        if (cbi_graph_count(graph, value) != cbi_count_of(&v->type))
            return -1;
    }
}

static bool has_gradient(const joining *j, int k) {
    return j->step->row_inputs[k].gradient >= 0;
}

/* Whether two boundary tensors become parts of one. */
static bool go_together(const joining *j, int a, int b) {
    int p = j->places[a].product, q = j->places[b].product;
    return p >= 0 && q >= 0 && j->sequence->values[p].in[0] == j->sequence->values[q].in[0] &&
           j->step->row_inputs[a].type.dtype == j->step->row_inputs[b].type.dtype &&
           has_gradient(j, a) == has_gradient(j, b);
}

/* The parts of the tensor that k is the first one of, in the order of their products. */
static int find_parts(const joining *j, int k, int *parts) {
    int count = 0;
    for (int i = k; i < j->count; i++) {
        int at = count;
        if (i != k && !go_together(j, k, i))
            continue;
        for (count++; at > 0 && j->places[parts[at - 1]].product > j->places[i].product; at--)
            parts[at] = parts[at - 1];
        parts[at] = i;
    }
    return count;
}

/* Which boundary tensors become which; whether any are joined. */
static bool find_joined(joining *j) {
    bool any = false;
    int at = 0;
    for (int k = 0; k < j->count; k++) {
        j->places[k] = (place){.product = product_of(j->sequence, j->sequence->outputs[k].value),
                               .joined = -1};
    }
    for (int k = 0; k < j->count; k++) {
        int64_t offset = 0;
        if (j->places[k].joined >= 0)
            continue;
        int count = find_parts(j, k, j->order + at);
        any = any || count > 1;
        for (int i = 0; i < count; i++) {
            place *p = &j->places[j->order[at + i]];
            p->joined = j->joined_count;
            p->offset = offset;
            p->part = count > 1;
            offset += cbi_count_of(&j->step->row_inputs[j->order[at + i]].type);
        }
        at += count;
        j->joined_count++;
    }
    return any;
}

/* ---- Both graphs ----------------------------------------------------------------------------- */

static int64_t joined_size(const joining *j, int joined) {
    int64_t size = 0;
    for (int k = 0; k < j->count; k++)
        if (j->places[k].joined == joined)
            size += cbi_count_of(&j->step->row_inputs[k].type);
    return size;
}

/* The value of boundary tensor k in the graph that is rewritten: what is left of it forward, or its
   gradient. */
static int left_value(const joining *j, int k) {
    return j->step_side ? j->step->row_inputs[k].gradient : j->sequence->outputs[k].value;
}

/* All parts of a joined tensor side by side, once the last of them is there. */
static int join_parts(const joining *j, cbi_rewrite *rewrite, int joined) {
    cbi_graph *graph = rewrite->graph;
    int *pieces = cbi_graph_allocate(graph, sizeof(int) * (size_t)j->count);
    cbi_view *views = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)j->count);
    int count = 0;
    if (graph->failed)
        return -1;
    cb_dtype dtype = CB_F32;
    for (int i = 0; i < j->count; i++) {
        int k = j->order[i];
        if (j->places[k].joined != joined)
            continue;
        const cbi_type *type = &j->step->row_inputs[k].type;
        pieces[count] = rewrite->number[left_value(j, k)];
        views[count++] = cbi_view_run(j->places[k].offset, cbi_count_of(type));
        dtype = type->dtype;
    }
    return cbi_concat_of(graph, cbi_flat_type(dtype, true, joined_size(j, joined)), count, pieces,
                         views, 0);
}

/* A part of a joined tensor that the graph is given; or the tensor under its new number. */
static int given_value(const joining *j, cbi_rewrite *rewrite, const cbi_value *old) {
    const place *p = &j->places[old->index];
    cbi_value whole = *old, part = *old;
    whole.index = p->joined;
    if (!p->part)
        return cbi_graph_add(rewrite->graph, &whole);
    whole.type = cbi_flat_type(old->type.dtype, true, joined_size(j, p->joined));
    int value = cbi_graph_add(rewrite->graph, &whole);
    part.kind = CBI_VIEW;
    part.index = 0;
    part.count = 1;
    part.in = &value;
    part.view = cbi_view_run(p->offset, cbi_count_of(&old->type));
    return value < 0 ? -1 : cbi_graph_add(rewrite->graph, &part);
}

static int replace(cbi_rewrite *rewrite, int old) {
    joining *j = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    bool given = v->kind == (j->step_side ? CBI_ROW_INPUT : CBI_COTANGENT);
    int number = given ? given_value(j, rewrite, v) : cbi_rewrite_copy(rewrite, old);
    rewrite->number[old] = number;
    for (int g = 0; g < j->joined_count && number >= 0; g++)
        if (j->last[g] == old) {
            j->together[g] = join_parts(j, rewrite, g);
            number = j->together[g] < 0 ? -1 : number;
        }
    return number;
}

/* Rewrites a graph; together gets the values that its results become. */
static bool rewrite(joining *j, bool step_side) {
    j->step_side = step_side;
    for (int g = 0; g < j->joined_count; g++)
        j->last[g] = j->together[g] = -1;
    for (int k = 0; k < j->count; k++) {
        int value = left_value(j, k), g = j->places[k].joined;
        if (j->places[k].part && value > j->last[g])
            j->last[g] = value;
    }
    return cbi_graph_rewrite(step_side ? j->step : j->sequence, replace, j);
}

/* The lists of what lies between the graphs, under the new numbers. */
static void renumber(joining *j) {
    for (int i = 0; i < j->count; i++) {
        int k = j->order[i];
        const place *p = &j->places[k];
        if (p->part && p->offset > 0)
            continue;
        cbi_row_input *input = &j->step->row_inputs[j->count + p->joined];
        cbi_output *output = &j->sequence->outputs[j->count + p->joined];
        *input = j->step->row_inputs[k];
        *output = j->sequence->outputs[k];
        if (p->part)
            input->type = output->type =
                cbi_flat_type(input->type.dtype, true, joined_size(j, p->joined));
    }
    j->step->row_input_count = j->sequence->output_count = j->joined_count;
    memmove(j->step->row_inputs, j->step->row_inputs + j->count,
            sizeof(cbi_row_input) * (size_t)j->joined_count);
    memmove(j->sequence->outputs, j->sequence->outputs + j->count,
            sizeof(cbi_output) * (size_t)j->joined_count);
}

static bool join(joining *j) {
    int *gradients = j->last + j->joined_count;
    bool good = cbi_grow(&j->step->row_inputs, &j->step->row_input_room, 2 * j->count,
                         sizeof(cbi_row_input)) &&
                cbi_grow(&j->sequence->outputs, &j->sequence->output_room, 2 * j->count,
                         sizeof(cbi_output)) &&
                rewrite(j, true);
    for (int g = 0; g < j->joined_count && good; g++)
        gradients[g] = j->together[g];
    good = good && rewrite(j, false);
    if (!good)
        return false;
    renumber(j);
    for (int g = 0; g < j->joined_count; g++) {
        if (gradients[g] >= 0)
            j->step->row_inputs[g].gradient = gradients[g];
        if (j->together[g] >= 0)
            j->sequence->outputs[g].value = j->together[g];
    }
    return true;
}

bool cbi_join_boundary(cbi_graph *sequence, cbi_graph *step) {
    size_t count = (size_t)sequence->output_count + 1;
    joining j = {.sequence = sequence, .step = step, .count = sequence->output_count};
    j.places = cbi_allocate(sizeof(place) * count);
    j.order = cbi_allocate(sizeof(int) * 4 * count);
    bool good = j.places != NULL && j.order != NULL;
    if (good) {
        j.together = j.order + count;
        j.last = j.order + 2 * count;
        good = !find_joined(&j) || join(&j);
    }
    cbi_free(j.places);
    cbi_free(j.order);
    return good;
}
