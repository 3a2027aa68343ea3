/* Sinking slices: what is computed over a wide row and then read slice by slice is computed slice
   by slice.

   A cell adds up the inputs of all its gates in one go and takes the gates from the sum. Row by
   row, that sum is four or eight times as wide as everything after it, and would push the rest out
   of the L1 cache; of each slice, what passes from one instruction to the next stays there. */
#include "autograd/compiler/pass.h"

#include "tensor/memory.h"

typedef struct sinking {
    bool *sinks; /* of each old value: it is computed slice by slice */
    int count;
} sinking;

/* Whether a use of `from` by v can do with a slice of it. */
static bool takes_slice(const cbi_graph *graph, const bool *sinks, int v, int from) {
    const cbi_value *user = &graph->values[v];
    int64_t count = cbi_graph_count(graph, from);
    return user->kind == CBI_VIEW ? cbi_view_is_run(&user->view)
                                  : sinks[v] && cbi_count_of(&user->type) == count && count > 1;
}

/* Marks elementwise values of which only slices are used. */
static void find_sinking(const cbi_graph *graph, const int *uses, sinking *s) {
    int *by_slices = (int *)(uintptr_t)uses + graph->value_count;
    for (int v = graph->value_count - 1; v >= 0; v--) {
        const cbi_value *value = &graph->values[v];
        s->sinks[v] = uses[v] > 0 && value->kind == CBI_ELEMENTWISE && value->type.rows &&
                      by_slices[v] == uses[v];
        s->count += s->sinks[v];
        for (int k = 0; uses[v] > 0 && k < value->count; k++)
            by_slices[value->in[k]] += takes_slice(graph, s->sinks, v, value->in[k]);
    }
}

/* Elements [start, start + count) of an old value, in the new graph. */
static int slice_of(cbi_rewrite *rewrite, int old, int64_t start, int64_t count) {
    const sinking *s = rewrite->context;
    cbi_value value = rewrite->old[old];
    int in[CBI_MAP_INPUTS];
    if (value.kind == CBI_CONSTANT)
        return rewrite->number[old];
    if (!s->sinks[old])
        return cbi_slice_of(rewrite->graph, rewrite->number[old], start, count);
    for (int k = 0; k < value.count; k++)
        if ((in[k] = slice_of(rewrite, value.in[k], start, count)) < 0)
            return -1;
    value.in = in;
    value.type = cbi_flat_type(value.type.dtype, true, count);
    return cbi_graph_add(rewrite->graph, &value);
}

static int replace(cbi_rewrite *rewrite, int old) {
    const cbi_value *value = &rewrite->old[old];
    const sinking *s = rewrite->context;
    if (value->kind == CBI_VIEW && cbi_view_is_run(&value->view) && s->sinks[value->in[0]])
        return slice_of(rewrite, value->in[0], value->view.offset, value->view.shape[0]);
    return cbi_rewrite_copy(rewrite, old);
}

bool cbi_sink_slices(cbi_pass *pass) {
    cbi_graph *graph = pass->graph;
    size_t count = (size_t)graph->value_count + 1;
    int *uses = cbi_allocate(sizeof(int) * 2 * count);
    sinking s = {cbi_allocate(count), 0};
    bool done = uses != NULL && s.sinks != NULL;
    if (done) {
        cbi_graph_count_uses(graph, uses);
        find_sinking(graph, uses, &s);
        /* What sank is dead as a whole: a second rewrite drops it. */
        done = cbi_graph_rewrite(graph, replace, &s) &&
               cbi_graph_rewrite(graph, cbi_rewrite_copy, NULL);
        pass->changes = s.count;
    }
    cbi_free(uses);
    cbi_free(s.sinks);
    return done;
}
