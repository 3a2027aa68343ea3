/* Smaller sizes. A program does not say which of its numbers belong together. So numbers are
   replaced wherever they stand: one of them, two, all large ones by their half, or by one less.
   What is no longer valid is not tried. */
#include "reduce_edits.h"

enum { MOST_SIZES = 24 };

/* from[i] becomes to[i] everywhere; numbers of at least halve are halved where they are even, and
   those of at least lessen become one less (0: none). */
typedef struct renaming {
    int count;
    int64_t from[2], to[2], halve, lessen;
} renaming;

static int64_t renamed(const renaming *n, int64_t size) {
    for (int i = 0; i < n->count; i++)
        if (n->from[i] == size)
            return n->to[i];
    if (n->halve > 0 && size >= n->halve && size % 2 == 0 && size != CB_END)
        return size / 2;
    return n->lessen > 0 && size >= n->lessen && size != CB_END ? size - 1 : size;
}

static void rename_extents(const renaming *n, extents *shape) {
    for (int i = 0; i < shape->rank; i++)
        shape->at[i].times = renamed(n, shape->at[i].times);
}

/* How many of a form's numbers are sizes or places, from which on. */
static void sizes_among_numbers(const form *f, int *first, int *count) {
    *first = f == &form_indices ? 1 : 0;
    *count =
        f == &form_slice ? 2
        : f == &form_arange || f == &form_one_hot || f == &form_scatter_rows || f == &form_indices
            ? 1
            : 0;
}

static void rename_all(program *p, const renaming *n) {
    p->input = renamed(n, p->input);
    for (int s = 0; s < p->state_count; s++)
        p->state_size[s] = renamed(n, p->state_size[s]);
    for (int i = 0; i < p->weight_count; i++)
        rename_extents(n, &p->weights[i].shape);
    for (int i = 0; i < p->value_count; i++) {
        value *v = &p->values[i];
        int first, count;
        rename_extents(n, &v->shape);
        sizes_among_numbers(v->form, &first, &count);
        for (int k = first; k < first + count; k++)
            v->number[k] = renamed(n, v->number[k]);
    }
}

/* ---- Which sizes there are ------------------------------------------------------------------- */

static void add_size(int64_t *sizes, int *count, int64_t size) {
    for (int i = 0; i < *count; i++)
        if (sizes[i] == size)
            return;
    if (size > 1 && size < 1000 && *count < MOST_SIZES)
        sizes[(*count)++] = size;
}

static int all_sizes(const program *p, int64_t sizes[MOST_SIZES]) {
    int count = 0;
    add_size(sizes, &count, p->input);
    for (int s = 0; s < p->state_count; s++)
        add_size(sizes, &count, p->state_size[s]);
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        int first, numbers;
        for (int k = 0; k < v->type.shape.rank; k++)
            add_size(sizes, &count, v->type.shape.at[k].times);
        sizes_among_numbers(v->form, &first, &numbers);
        for (int k = first; k < first + numbers; k++)
            add_size(sizes, &count, v->number[k]);
    }
    return count;
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static bool try_renaming(reducer *r, const renaming *n) {
    rename_all(reducer_begin(r), n);
    return reducer_try(r);
}

static bool reduce_one(reducer *r, const int64_t *sizes, int count) {
    for (int i = 0; i < count; i++)
        for (int64_t to = 1; to < sizes[i]; to++)
            if (try_renaming(r, &(renaming){.count = 1, .from = {sizes[i]}, .to = {to}}))
                return true;
    return false;
}

static bool reduce_two(reducer *r, const int64_t *sizes, int count) {
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            for (int64_t to = 1; to < sizes[i]; to++)
                for (int64_t other = 1; other < sizes[k]; other++)
                    if (try_renaming(r, &(renaming){.count = 2,
                                                    .from = {sizes[i], sizes[k]},
                                                    .to = {to, other}}))
                        return true;
    return false;
}

static bool reduce_large(reducer *r, const int64_t *sizes, int count) {
    for (int i = 0; i < count; i++)
        if (try_renaming(r, &(renaming){.halve = sizes[i]}) ||
            try_renaming(r, &(renaming){.lessen = sizes[i]}))
            return true;
    return false;
}

/* Fewer parts of a value that is cut up, each as large as before. */
static bool reduce_chunks(reducer *r) {
    for (int i = 0; i < reducer_best(r)->value_count; i++) {
        const program *p = reducer_best(r);
        const value *v = &p->values[i];
        if (v->form != &form_chunk)
            continue;
        int64_t whole = input_type(p, v, 0)->shape.at[v->axes[0]].times, count = v->number[0];
        for (int64_t fewer = 1; fewer < count; fewer++) {
            program *edited = reducer_begin(r);
            int64_t *number = edited->values[i].number;
            number[0] = fewer;
            number[1] = number[1] < fewer ? number[1] : fewer - 1;
            rename_all(edited,
                       &(renaming){.count = 1, .from = {whole}, .to = {whole / count * fewer}});
            if (reducer_try(r))
                return true;
        }
    }
    return false;
}

bool reduce_sizes(reducer *r) {
    int64_t sizes[MOST_SIZES];
    int count = all_sizes(reducer_best(r), sizes);
    return reduce_one(r, sizes, count) || reduce_chunks(r) || reduce_large(r, sizes, count) ||
           reduce_two(r, sizes, count);
}
