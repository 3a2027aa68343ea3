/* Building a graph, value by value. Equal values are one value (common subexpressions), found by
   their hash. */
#include "autograd/compiler/graph.h"
#include "autograd/compiler/simplify.h"

#include "tensor/memory.h"

#include <string.h>

enum { CHUNK = 1 << 16, FEWEST_BUCKETS = 256 };

cbi_graph *cbi_graph_new(void) {
    cbi_graph *graph = cbi_allocate(sizeof(*graph));
    if (graph != NULL)
        graph->arena.chunk = CHUNK;
    return graph;
}

void cbi_graph_free(cbi_graph *graph) {
    if (graph == NULL)
        return;
    for (int i = 0; i < graph->captured_count; i++)
        cbi_free(graph->captured[i].terms);
    cbi_free(graph->outputs);
    cbi_free(graph->captured);
    cbi_free(graph->row_inputs);
    cbi_free(graph->values);
    cbi_free(graph->buckets);
    cbi_free(graph->chain);
    cbi_arena_free(&graph->arena);
    cbi_free(graph);
}

void *cbi_graph_allocate(cbi_graph *graph, size_t bytes) {
    void *memory = graph->failed ? NULL : cbi_arena_allocate(&graph->arena, bytes);
    if (memory == NULL)
        graph->failed = true;
    else
        memset(memory, 0, bytes);
    return memory;
}

/* A copy of an array in the graph's memory; NULL of an empty one. */
static const void *copy(cbi_graph *graph, const void *list, int count, size_t entry) {
    if (count == 0 || list == NULL)
        return NULL;
    void *memory = cbi_graph_allocate(graph, entry * (size_t)count);
    return memory != NULL ? memcpy(memory, list, entry * (size_t)count) : NULL;
}

int64_t cbi_count_of(const cbi_type *type) {
    int64_t count = 1;
    for (int i = 0; i < type->rank; i++)
        count *= type->shape[i];
    return count;
}

cbi_type cbi_flat_type(cb_dtype dtype, bool rows, int64_t count) {
    cbi_type type = {.dtype = dtype, .rows = rows, .rank = 1};
    type.shape[0] = count;
    return type;
}

cbi_weight cbi_weight_rows(const cbi_weight *weight, int64_t start, int64_t count) {
    cbi_weight part = *weight;
    part.offset += start * weight->stride[1];
    part.rows = count;
    return part;
}

cbi_weight cbi_weight_columns(const cbi_weight *weight, int64_t start, int64_t count) {
    cbi_weight part = *weight;
    part.offset += start * weight->stride[2];
    part.columns = count;
    return part;
}

/* ---- Equal values ---------------------------------------------------------------------------- */

static bool same_list(const void *a, const void *b, int count, size_t entry) {
    return count == 0 || a == b ||
           (a != NULL && b != NULL && memcmp(a, b, entry * (size_t)count) == 0);
}

static bool same_places(const cbi_value *a, const cbi_value *b) {
    bool same = (a->places == NULL) == (b->places == NULL);
    for (int k = 0; same && a->places != NULL && k < a->count; k++)
        same = cbi_view_equal(&a->places[k], &b->places[k]);
    return same;
}

bool cbi_weight_equal(const cbi_weight *a, const cbi_weight *b) {
    return a->captured == b->captured && a->rows == b->rows && a->columns == b->columns &&
           a->offset == b->offset && memcmp(a->stride, b->stride, sizeof(a->stride)) == 0;
}

static bool same_grid(const cbi_grid *a, const cbi_grid *b) {
    bool same = a->count == b->count && a->across == b->across;
    for (int i = 0; same && i < a->count; i++)
        same = cbi_weight_equal(&a->blocks[i], &b->blocks[i]);
    return same;
}

/* Shapes may differ: elements and their order are what counts. */
static bool same_value(const cbi_value *a, const cbi_value *b) {
    return a->kind == b->kind && a->type.dtype == b->type.dtype && a->type.rows == b->type.rows &&
           cbi_count_of(&a->type) == cbi_count_of(&b->type) && a->count == b->count &&
           a->index == b->index && a->op == b->op && a->call == b->call &&
           a->reduction == b->reduction && a->outer == b->outer && a->n == b->n &&
           a->inner == b->inner && a->groups == b->groups && a->m == b->m && a->k == b->k &&
           /* By their bits: 0 and -0 are two numbers. */
           memcmp(a->parameters, b->parameters, sizeof(a->parameters)) == 0 &&
           same_list(a->in, b->in, a->count, sizeof(int)) && cbi_view_equal(&a->view, &b->view) &&
           same_places(a, b) && same_grid(&a->weights, &b->weights);
}

static uint64_t mixed(uint64_t hash, uint64_t with) {
    hash = (hash ^ with) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const cbi_value *v) {
    uint64_t hash = mixed((uint64_t)v->kind, (uint64_t)v->index);
    hash = mixed(hash, (uint64_t)cbi_count_of(&v->type));
    hash = mixed(hash, (uint64_t)(uintptr_t)v->op);
    hash = mixed(hash, (uint64_t)v->view.offset);
    for (int k = 0; k < v->count; k++)
        hash = mixed(hash, (uint64_t)v->in[k]);
    return hash;
}

static void enter(cbi_graph *graph, int value) {
    int bucket = (int)(hash_of(&graph->values[value]) % (uint64_t)graph->bucket_count);
    graph->chain[value] = graph->buckets[bucket];
    graph->buckets[bucket] = value;
}

/* Room for the hash table: at least as many buckets as values. */
static bool make_buckets(cbi_graph *graph) {
    if (!cbi_grow(&graph->chain, &graph->chain_room, graph->value_count + 1, sizeof(int)))
        return false;
    if (graph->bucket_count > graph->value_count)
        return true;
    int count = graph->bucket_count == 0 ? FEWEST_BUCKETS : 2 * graph->bucket_count;
    int *buckets = cbi_allocate(sizeof(int) * (size_t)count);
    if (buckets == NULL)
        return false;
    for (int i = 0; i < count; i++)
        buckets[i] = -1;
    cbi_free(graph->buckets);
    graph->buckets = buckets;
    graph->bucket_count = count;
    for (int v = 0; v < graph->value_count; v++)
        enter(graph, v);
    return true;
}

static int find(const cbi_graph *graph, const cbi_value *value) {
    if (graph->bucket_count == 0)
        return -1;
    int v = graph->buckets[hash_of(value) % (uint64_t)graph->bucket_count];
    while (v >= 0 && !same_value(&graph->values[v], value))
        v = graph->chain[v];
    return v;
}

int cbi_graph_intern(cbi_graph *graph, const cbi_value *value) {
    for (int k = 0; k < value->count; k++)
        if (value->in[k] < 0)
            return -1;
    int found = graph->failed ? -1 : find(graph, value);
    if (found >= 0) {
        graph->shared += value->count > 0 && value->kind != CBI_VIEW;
        return found;
    }
    cbi_value new = *value;
    new.in = copy(graph, value->in, value->count, sizeof(int));
    new.places = copy(graph, value->places, value->count, sizeof(cbi_view));
    new.weights.blocks =
        copy(graph, value->weights.blocks, value->weights.count, sizeof(cbi_weight));
    graph->failed =
        graph->failed || !make_buckets(graph) ||
        !cbi_grow(&graph->values, &graph->value_room, graph->value_count + 1, sizeof(new));
    if (graph->failed)
        return -1;
    graph->values[graph->value_count] = new;
    enter(graph, graph->value_count);
    return graph->value_count++;
}

int cbi_graph_add(cbi_graph *graph, const cbi_value *value) {
    for (int k = 0; k < value->count; k++)
        if (value->in[k] < 0)
            return -1;
    int simpler = cbi_simpler(graph, value);
    if (simpler < 0)
        return graph->failed ? -1 : cbi_graph_intern(graph, value);
    graph->simplified += value->kind == CBI_ELEMENTWISE;
    return simpler;
}

/* ---- Values of each kind --------------------------------------------------------------------- */

int cbi_constant(cbi_graph *graph, cb_dtype dtype, double number) {
    return cbi_graph_add(
        graph,
        &(cbi_value){.kind = CBI_CONSTANT, .type = {.dtype = dtype}, .parameters = {number}});
}

int cbi_elementwise_value(cbi_graph *graph, const cbi_elementwise *op, const double *parameters,
                          cbi_type type, int count, const int *in) {
    cbi_value value = {.kind = CBI_ELEMENTWISE, .type = type, .count = count, .in = in, .op = op};
    if (parameters != NULL)
        memcpy(value.parameters, parameters, sizeof(value.parameters));
    return cbi_graph_add(graph, &value);
}

int cbi_view_of(cbi_graph *graph, int value, const cbi_view *view) {
    cbi_view normal = *view;
    if (value < 0)
        return -1;
    cbi_view_normalize(&normal);
    const cbi_type *of = &graph->values[value].type;
    cbi_value v = {.kind = CBI_VIEW, .type = *of, .count = 1, .in = &value, .view = normal};
    v.type.rank = normal.rank;
    memcpy(v.type.shape, normal.shape, sizeof(normal.shape));
    return cbi_graph_add(graph, &v);
}

int cbi_slice_of(cbi_graph *graph, int value, int64_t start, int64_t count) {
    cbi_view run = cbi_view_run(start, count);
    return cbi_view_of(graph, value, &run);
}

int cbi_concat_of(cbi_graph *graph, cbi_type type, int count, const int *pieces,
                  const cbi_view *places, double fill) {
    return cbi_graph_add(graph, &(cbi_value){.kind = CBI_CONCAT,
                                             .type = type,
                                             .count = count,
                                             .in = pieces,
                                             .places = places,
                                             .parameters = {fill}});
}
