/* Columns that nobody reads, and zeros that nobody needs to multiply.

   A cell may take three of the four gates that its matrix is made for, and the gradient of a row of
   which parts were used has zeros in the others. A product's columns that are not read are not
   computed; rows of a matrix that would meet zeros are left out; and the gradient of a matrix is
   formed where its operands are not zero. */
#include "autograd/compiler/pass.h"

#include "tensor/memory.h"

#include <string.h>

/* ---- Zeros in operands ----------------------------------------------------------------------- */

/* A run of elements of a concatenation that pieces cover. */
typedef struct run {
    int64_t start, count;
    int value; /* of its pieces */
} run;

/* Whether a value is a concatenation with zeros between its pieces, all of them runs. */
static bool has_gaps(const cbi_graph *graph, int value) {
    const cbi_value *v = &graph->values[value];
    int64_t covered = 0;
    if (v->kind != CBI_CONCAT || v->parameters[0] != 0)
        return false;
    for (int k = 0; k < v->count; k++) {
        if (!cbi_view_is_run(&v->places[k]))
            return false;
        covered += v->places[k].shape[0];
    }
    return covered > 0 && covered < cbi_count_of(&v->type);
}

/* The concatenation of pieces [first, last), which lie side by side. */
static int value_of_run(cbi_graph *graph, const cbi_value *concat, int first, int last) {
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)(last - first));
    int64_t count = 0;
    for (int k = first; k < last && places != NULL; k++) {
        places[k - first] = cbi_view_run(count, concat->places[k].shape[0]);
        count += concat->places[k].shape[0];
    }
    if (places == NULL)
        return -1;
    return cbi_concat_of(graph, cbi_flat_type(concat->type.dtype, concat->type.rows, count),
                         last - first, concat->in + first, places, 0);
}

/* The runs of an operand of n elements that are not zero; pieces are in order. Returns how many
   there are, in memory of the graph; -1 when there is none. */
static int find_runs(cbi_graph *graph, int value, int64_t n, run **runs) {
    const cbi_value concat = graph->values[value];
    bool gaps = has_gaps(graph, value);
    int count = 0, first = 0;
    *runs = cbi_graph_allocate(graph, sizeof(run) * (size_t)(gaps ? concat.count : 1));
    if (*runs == NULL)
        return -1;
    if (!gaps) {
        (*runs)[0] = (run){0, n, value};
        return 1;
    }
    for (int k = 1; k <= concat.count; k++) {
        const cbi_view *last = &concat.places[k - 1];
        int64_t end = last->offset + last->shape[0];
        if (k < concat.count && concat.places[k].offset == end)
            continue;
        int64_t start = concat.places[first].offset;
        (*runs)[count++] = (run){start, end - start, value_of_run(graph, &concat, first, k)};
        first = k;
    }
    return count;
}

/* ---- Gradients of matrices ------------------------------------------------------------------- */

/* Where a block of a product's m x n elements goes; false when that has no form. */
static bool place_of_block(const cbi_view *whole, int64_t n, const run *a, const run *b,
                           cbi_view *place) {
    cbi_view block = {.offset = a->start * n + b->start,
                      .rank = 2,
                      .shape = {a->count, b->count},
                      .stride = {n, 1}};
    return cbi_view_through(&block, whole->rank, whole->shape, whole->offset, whole->stride, place);
}

static bool add_block(cbi_graph *graph, cbi_captured *captured, const cbi_value *product,
                      const run *a, const run *b, const cbi_view *place) {
    int in[2] = {a->value, b->value};
    cbi_value v = *product;
    v.in = in;
    v.m = a->count;
    v.type.shape[0] = 1;
    v.type.shape[1] = a->count;
    v.type.shape[2] = b->count;
    v.type.rank = 3;
    int value = cbi_graph_add(graph, &v);
    if (value < 0 || !cbi_grow(&captured->terms, &captured->term_room, captured->term_count + 1,
                               sizeof(*captured->terms)))
        return false;
    captured->terms[captured->term_count++] = (cbi_term){value, *place};
    return true;
}

/* Replaces a term by those of its blocks that are not zero. */
static bool split_term(cbi_pass *pass, cbi_captured *captured, int at) {
    cbi_graph *graph = pass->graph;
    const cbi_term whole = captured->terms[at];
    const cbi_value product = graph->values[whole.value];
    run *a, *b;
    if (product.kind != CBI_BATCH_PRODUCT || product.groups != 1 || product.k != 1 ||
        (!has_gaps(graph, product.in[0]) && !has_gaps(graph, product.in[1])))
        return true;
    int64_t n = cbi_count_of(&product.type) / product.m;
    int rows = find_runs(graph, product.in[0], product.m, &a);
    int columns = find_runs(graph, product.in[1], n, &b);
    cbi_view place;
    for (int i = 0; i < rows * columns; i++)
        if (!place_of_block(&whole.place, n, &a[i / columns], &b[i % columns], &place))
            return true;
    captured->terms[at] = captured->terms[--captured->term_count];
    for (int i = 0; i < rows * columns; i++)
        if (!place_of_block(&whole.place, n, &a[i / columns], &b[i % columns], &place) ||
            !add_block(graph, captured, &product, &a[i / columns], &b[i % columns], &place))
            return false;
    pass->changes++;
    return rows > 0 && columns > 0;
}

static bool split_terms(cbi_pass *pass) {
    for (int i = 0; i < pass->graph->captured_count; i++) {
        cbi_captured *captured = &pass->graph->captured[i];
        for (int k = captured->term_count - 1; k >= 0; k--)
            if (!split_term(pass, captured, k))
                return false;
    }
    return true;
}

/* ---- Rows of a product's matrices ------------------------------------------------------------ */

/* The parts of the grid's blocks that meet a run of the left operand, added to `blocks`. */
static int cut_rows(const cbi_grid *grid, const run *r, cbi_weight *blocks, int at) {
    int64_t top = 0;
    for (int i = 0; i < grid->count; i += grid->across) {
        int64_t rows = grid->blocks[i].rows;
        int64_t begin = r->start > top ? r->start : top;
        int64_t end = r->start + r->count < top + rows ? r->start + r->count : top + rows;
        for (int k = 0; k < grid->across && begin < end; k++)
            blocks[at++] = cbi_weight_rows(&grid->blocks[i + k], begin - top, end - begin);
        top += rows;
    }
    return at;
}

/* A product without the rows of its matrices that meet zeros. */
static int drop_rows(cbi_rewrite *rewrite, const cbi_value *old) {
    cbi_graph *graph = rewrite->graph;
    cbi_value product = *old;
    int left = rewrite->number[old->in[0]], at = 0;
    const cbi_value concat = graph->values[left];
    run *runs;
    int count = find_runs(graph, left, old->k, &runs);
    size_t most = (size_t)(old->weights.count * (concat.count + 1));
    cbi_weight *blocks = cbi_graph_allocate(graph, sizeof(*blocks) * most);
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)concat.count);
    if (count < 0 || blocks == NULL || places == NULL)
        return -1;
    product.k = 0;
    for (int i = 0; i < count; i++)
        at = cut_rows(&old->weights, &runs[i], blocks, at);
    for (int k = 0; k < concat.count; k++) {
        places[k] = cbi_view_run(product.k, concat.places[k].shape[0]);
        product.k += concat.places[k].shape[0];
    }
    left = cbi_concat_of(graph, cbi_flat_type(concat.type.dtype, true, product.k), concat.count,
                         concat.in, places, 0);
    product.in = &left;
    product.weights = (cbi_grid){at, old->weights.across, blocks};
    return cbi_graph_add(graph, &product);
}

static int replace_rows(cbi_rewrite *rewrite, int old) {
    cbi_pass *pass = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    if (v->kind != CBI_PRODUCT || v->groups != 1 || v->m != 1 ||
        !has_gaps(rewrite->graph, rewrite->number[v->in[0]]))
        return cbi_rewrite_copy(rewrite, old);
    pass->changes++;
    return drop_rows(rewrite, v);
}

/* ---- Columns of a product -------------------------------------------------------------------- */

/* Of each product of which columns are unread: which are read, and where they are then. */
typedef struct columns {
    cbi_pass *pass;
    bool **read; /* of each old value; NULL: all */
} columns;

static int64_t span_of(const cbi_view *view, int64_t *least) {
    int64_t most = view->offset;
    *least = view->offset;
    for (int i = 0; i < view->rank; i++)
        *(view->stride[i] < 0 ? least : &most) += (view->shape[i] - 1) * view->stride[i];
    return most + 1 - *least;
}

static bool note_reads(const cbi_graph *graph, const int *uses, columns *c) {
    for (int v = 0; v < graph->value_count; v++) {
        const cbi_value *p = &graph->values[v];
        int views = 0;
        for (int u = v + 1; u < graph->value_count && p->kind == CBI_PRODUCT; u++)
            views +=
                uses[u] > 0 && graph->values[u].kind == CBI_VIEW && graph->values[u].in[0] == v;
        if (uses[v] == 0 || p->kind != CBI_PRODUCT || p->groups != 1 || p->m != 1 ||
            views < uses[v])
            continue;
        int64_t n = cbi_count_of(&p->type), unread = n;
        bool *read = cbi_allocate((size_t)n + 1);
        if (read == NULL)
            return false;
        for (int u = v + 1; u < graph->value_count; u++) {
            int64_t first;
            if (uses[u] == 0 || graph->values[u].kind != CBI_VIEW || graph->values[u].in[0] != v)
                continue;
            int64_t span = span_of(&graph->values[u].view, &first);
            memset(read + first, true, (size_t)span);
        }
        for (int64_t i = 0; i < n; i++)
            unread -= read[i];
        if (unread > 0)
            c->read[v] = read;
        else
            cbi_free(read);
    }
    return true;
}

static int64_t read_before(const bool *read, int64_t column) {
    int64_t count = 0;
    for (int64_t i = 0; i < column; i++)
        count += read[i];
    return count;
}

/* The parts of a row of the grid's blocks that are read, added to `blocks`. */
static int cut_columns(const cbi_weight *row, int across, const bool *read, cbi_weight *blocks,
                       int at) {
    int64_t left = 0;
    for (int k = 0; k < across; k++) {
        for (int64_t i = 0; i < row[k].columns; i++) {
            if (!read[left + i])
                continue;
            int64_t end = i + 1;
            while (end < row[k].columns && read[left + end])
                end++;
            blocks[at++] = cbi_weight_columns(&row[k], i, end - i);
            i = end;
        }
        left += row[k].columns;
    }
    return at;
}

static int drop_columns(cbi_rewrite *rewrite, int old, const bool *read) {
    cbi_graph *graph = rewrite->graph;
    cbi_value product = rewrite->old[old];
    int64_t n = cbi_count_of(&product.type), kept = read_before(read, n);
    int grid_rows = product.weights.count / product.weights.across, at = 0;
    cbi_weight *blocks = cbi_graph_allocate(
        graph, sizeof(*blocks) * (size_t)((n / 2 + 1 + product.weights.across) * grid_rows));
    if (blocks == NULL)
        return -1;
    for (int i = 0; i < grid_rows; i++)
        at = cut_columns(product.weights.blocks + i * product.weights.across,
                         product.weights.across, read, blocks, at);
    product.in = &rewrite->number[product.in[0]];
    product.weights = (cbi_grid){at, at / grid_rows, blocks};
    product.type = cbi_flat_type(product.type.dtype, true, kept);
    return cbi_graph_add(graph, &product);
}

static int replace_columns(cbi_rewrite *rewrite, int old) {
    const columns *c = rewrite->context;
    const cbi_value *v = &rewrite->old[old];
    if (c->read[old] != NULL) {
        c->pass->changes++;
        return drop_columns(rewrite, old, c->read[old]);
    }
    if (v->kind != CBI_VIEW || c->read[v->in[0]] == NULL)
        return cbi_rewrite_copy(rewrite, old);
    int64_t first;
    cbi_view view = v->view;
    span_of(&view, &first);
    view.offset += read_before(c->read[v->in[0]], first) - first;
    return cbi_view_of(rewrite->graph, rewrite->number[v->in[0]], &view);
}

static bool drop_all_columns(cbi_pass *pass) {
    cbi_graph *graph = pass->graph;
    int count = graph->value_count;
    int *uses = cbi_allocate(sizeof(int) * ((size_t)count + 1));
    columns c = {pass, cbi_allocate(sizeof(bool *) * ((size_t)count + 1))};
    bool done = uses != NULL && c.read != NULL;
    if (done) {
        cbi_graph_count_uses(graph, uses);
        done = note_reads(graph, uses, &c) && cbi_graph_rewrite(graph, replace_columns, &c);
    }
    for (int v = 0; v < count && c.read != NULL; v++)
        cbi_free(c.read[v]);
    cbi_free(c.read);
    cbi_free(uses);
    return done;
}

bool cbi_drop_unread(cbi_pass *pass) {
    return split_terms(pass) && cbi_graph_rewrite(pass->graph, replace_rows, pass) &&
           drop_all_columns(pass);
}
