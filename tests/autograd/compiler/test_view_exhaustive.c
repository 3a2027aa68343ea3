/* Views and loops by brute force: what view.c and nest.c make of all small views with one or two
   axes, and of some that are drawn with three, compared with the places that their indices
   enumerate. */
#include "autograd/compiler/nest.h"
#include "raw_graph.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <stdio.h>

enum { MOST_EXTENT = 4, LEAST_STRIDE = -3, MOST_STRIDE = 5, MOST_COUNT = 10, PLACE_COUNT = 7 };

/* The place that index i of a view goes to. */
static int64_t place_at(const cbi_view *view, int64_t i) {
    int64_t place = view->offset;
    for (int axis = view->rank - 1; axis >= 0; i /= view->shape[axis--])
        place += i % view->shape[axis] * view->stride[axis];
    return place;
}

/* Criterion tells its parent of each assertion that passes: of so many, only those that fail. */
#define HOLDS(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail(__VA_ARGS__);                                                           \
    } while (0)

typedef void visit(const cbi_view *view, void *context);

static bool is_within(const cbi_view *view, int64_t count) {
    for (int64_t i = 0; i < cbi_view_count(view); i++)
        if (place_at(view, i) < 0 || place_at(view, i) >= count)
            return false;
    return true;
}

/* Calls for each view of one or two axes that stays within so many elements. */
static void each_view(int64_t count, visit *call, void *context) {
    cbi_view v = {.rank = 2};
    for (v.rank = 1; v.rank <= 2; v.rank++)
        for (v.offset = 0; v.offset < count; v.offset++)
            for (v.shape[0] = 1; v.shape[0] <= MOST_EXTENT; v.shape[0]++)
                for (v.stride[0] = LEAST_STRIDE; v.stride[0] <= MOST_STRIDE; v.stride[0]++)
                    for (v.shape[1] = 1; v.shape[1] <= (v.rank > 1 ? MOST_EXTENT : 1); v.shape[1]++)
                        for (v.stride[1] = LEAST_STRIDE;
                             v.stride[1] <= (v.rank > 1 ? MOST_STRIDE : LEAST_STRIDE);
                             v.stride[1]++)
                            if (is_within(&v, count))
                                call(&v, context);
}

static const char *text_of(const cbi_view *v, char *text, size_t size) {
    int length = snprintf(text, size, "%lld:", (long long)v->offset);
    for (int i = 0; i < v->rank && length < (int)size; i++)
        length += snprintf(text + length, size - (size_t)length, " %lld by %lld",
                           (long long)v->shape[i], (long long)v->stride[i]);
    return text;
}

/* Tried, and how many of them had a form. */
typedef struct tally {
    int64_t tried, found;
    const cbi_view *other;
} tally;

static bool same_places(const cbi_view *a, const cbi_view *b) {
    bool same = cbi_view_count(a) == cbi_view_count(b);
    for (int64_t i = 0; same && i < cbi_view_count(a); i++)
        same = place_at(a, i) == place_at(b, i);
    return same;
}

/* Whether `through` goes to the places of the layout that the view's places are numbers of. */
static bool goes_on(const cbi_view *through, const cbi_view *view, const cbi_view *layout) {
    bool same = cbi_view_count(through) == cbi_view_count(view);
    for (int64_t i = 0; same && i < cbi_view_count(view); i++)
        same = place_at(through, i) == place_at(layout, place_at(view, i));
    return same;
}

/* ---- Normal form ----------------------------------------------------------------------------- */

static void check_normal(const cbi_view *view, void *context) {
    tally *t = context;
    cbi_view normal = *view;
    char text[100];
    cbi_view_normalize(&normal);
    HOLDS(same_places(&normal, view), "%s", text_of(view, text, sizeof(text)));
    for (int i = 0; i < normal.rank; i++)
        HOLDS((normal.shape[i] > 1 || normal.rank == 1) &&
                  (i == 0 || normal.stride[i - 1] != normal.stride[i] * normal.shape[i]),
              "%s is not normal", text_of(view, text, sizeof(text)));
    t->tried++;
}

Test(views, normal_form) {
    tally t = {0};
    each_view(MOST_COUNT, check_normal, &t);
    cr_expect_gt(t.tried, 1000);
}

/* ---- Views of views -------------------------------------------------------------------------- */

/* The layout of a row-major array is given as a view with the array's shape. */
static void check_through(const cbi_view *view, void *context) {
    tally *t = context;
    const cbi_view *layout = t->other;
    cbi_view through;
    char text[2][100];
    t->tried++;
    if (!cbi_view_through(view, layout->rank, layout->shape, layout->offset, layout->stride,
                          &through))
        return;
    t->found++;
    HOLDS(goes_on(&through, view, layout), "%s of %s", text_of(view, text[0], 100),
          text_of(layout, text[1], 100));
}

/* Of a run, of every other element and the like, each view has a form. */
static bool must_have_form(const cbi_view *layout) {
    cbi_view normal = *layout;
    cbi_view_normalize(&normal);
    return normal.rank == 1;
}

static void each_layout(const cbi_view *layout, void *context) {
    tally *all = context;
    tally t = {.other = layout};
    char text[100];
    each_view(cbi_view_count(layout), check_through, &t);
    HOLDS(!must_have_form(layout) || t.found == t.tried, "%s: %lld of %lld",
          text_of(layout, text, sizeof(text)), (long long)t.found, (long long)t.tried);
    all->tried += t.tried;
    all->found += t.found;
}

/* Layouts of 1 and 2 axes, all; of 3 axes, some that are drawn. */
Test(views, through_a_layout) {
    tally t = {0};
    each_view(MOST_COUNT, each_layout, &t);
    cr_expect_gt(t.tried, 50000);
    cr_expect_gt(t.found, t.tried / 3, "%lld of %lld", (long long)t.found, (long long)t.tried);
}

static cbi_view drawn_view(cb_random *random, int rank) {
    cbi_view v = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        v.shape[i] = 1 + (int64_t)cb_random_below(random, 3);
        v.stride[i] = (int64_t)cb_random_below(random, 13) - 4;
    }
    return v;
}

Test(views, through_three_axes) {
    cb_random random = cb_random_seed(first_seed_of("views/through_three_axes"));
    tally t = {0};
    for (int i = 0; i < 2000; i++) {
        cbi_view layout = drawn_view(&random, 3);
        layout.offset = 20;
        if (i % 2 == 0) { /* as of a row-major tensor with axes exchanged */
            cbi_view whole = cbi_view_whole(3, layout.shape);
            for (int k = 0; k < 3; k++)
                layout.stride[k] = whole.stride[(k + i / 2) % 3];
        }
        tally one = {.other = &layout};
        for (int k = 0; k < 200; k++) {
            cbi_view view = drawn_view(&random, 1 + k % 3);
            view.offset = (int64_t)cb_random_below(&random, (uint64_t)cbi_view_count(&layout));
            if (is_within(&view, cbi_view_count(&layout)))
                check_through(&view, &one);
        }
        t.tried += one.tried;
        t.found += one.found;
    }
    cr_expect_gt(t.found, 10000, "%lld of %lld", (long long)t.found, (long long)t.tried);
}

/* ---- Views inside a place -------------------------------------------------------------------- */

static bool goes_through(const cbi_view *place, int64_t at) {
    for (int64_t i = 0; i < cbi_view_count(place); i++)
        if (place_at(place, i) == at)
            return true;
    return false;
}

static void check_inside(const cbi_view *view, void *context) {
    tally *t = context;
    const cbi_view *place = t->other;
    cbi_view inside;
    char text[2][100];
    bool all = true;
    t->tried++;
    for (int64_t i = 0; i < cbi_view_count(view); i++)
        all = all && goes_through(place, place_at(view, i));
    bool found = cbi_view_inside(view, place, &inside);
    t->found += found;
    bool runs = cbi_view_is_run(view) && cbi_view_is_run(place);
    HOLDS(found ? all : !all || !runs, "%s in %s", text_of(view, text[0], 100),
          text_of(place, text[1], 100));
    HOLDS(!found || (is_within(&inside, cbi_view_count(place)) && goes_on(view, &inside, place)),
          "%s in %s", text_of(view, text[0], 100), text_of(place, text[1], 100));
}

/* Whether no two elements go to one place, as those of a concatenation's pieces. */
static bool is_place(const cbi_view *view) {
    for (int64_t i = 0; i < cbi_view_count(view); i++)
        for (int64_t k = 0; k < i; k++)
            if (place_at(view, i) == place_at(view, k))
                return false;
    return true;
}

static void each_place(const cbi_view *place, void *context) {
    tally *all = context;
    tally t = {.other = place};
    if (!is_place(place))
        return;
    each_view(PLACE_COUNT, check_inside, &t);
    all->tried += t.tried;
    all->found += t.found;
}

Test(views, inside_a_place) {
    tally t = {0};
    each_view(PLACE_COUNT, each_place, &t);
    cr_expect_gt(t.tried, 50000);
    cr_expect_gt(t.found, t.tried / 100, "%lld of %lld", (long long)t.found, (long long)t.tried);
}

/* ---- Loops ----------------------------------------------------------------------------------- */

static void check_strides(const cbi_view *view, void *context) {
    tally *t = context;
    int64_t count = cbi_view_count(view), strides[3];
    char text[100];
    for (int64_t a = 1; a <= count; a++)
        for (int64_t b = 1; a * b <= count; b++) {
            const int64_t shape[3] = {a, b, count / (a * b)};
            if (count % (a * b) != 0)
                continue;
            t->tried++;
            if (!cbi_view_strides(view, 3, shape, strides))
                continue;
            t->found++;
            cbi_view array = {.offset = view->offset, .rank = 3};
            for (int i = 0; i < 3; i++) {
                array.shape[i] = shape[i];
                array.stride[i] = strides[i];
            }
            HOLDS(same_places(&array, view), "%s as [%lld,%lld,...]",
                  text_of(view, text, sizeof(text)), (long long)a, (long long)b);
        }
}

Test(views, as_an_array) {
    tally t = {0};
    each_view(MOST_COUNT, check_strides, &t);
    cr_expect_gt(t.found, t.tried / 3, "%lld of %lld", (long long)t.found, (long long)t.tried);
}

/* Loops over two views and a number together. */
static void check_nest(const cbi_view *a, const cbi_view *b, tally *t) {
    const cbi_view *views[3] = {a, NULL, b};
    cbi_nest nest;
    char text[2][100];
    t->tried++;
    if (!cbi_nest_of_views(cbi_view_count(a), 3, views, &nest))
        return;
    t->found++;
    for (int k = 0; k < 3; k += 2) {
        cbi_view loops = {.offset = views[k]->offset, .rank = nest.rank};
        for (int i = 0; i < nest.rank; i++) {
            loops.shape[i] = nest.extent[i];
            loops.stride[i] = nest.stride[k][i];
            HOLDS(nest.stride[1][i] == 0, "a number that moves");
        }
        HOLDS(same_places(&loops, views[k]), "%s with %s", text_of(a, text[0], 100),
              text_of(b, text[1], 100));
    }
}

Test(views, loops_over_several) {
    cb_random random = cb_random_seed(first_seed_of("views/loops_over_several"));
    tally t = {0};
    while (t.tried < 20000) {
        cbi_view a = drawn_view(&random, 1 + (int)cb_random_below(&random, 3));
        cbi_view b = drawn_view(&random, 1 + (int)cb_random_below(&random, 3));
        if (cbi_view_count(&a) == cbi_view_count(&b)) {
            cbi_view_normalize(&a);
            cbi_view_normalize(&b);
            check_nest(&a, &b, &t);
        }
    }
    cr_expect_gt(t.found, t.tried / 3, "%lld of %lld", (long long)t.found, (long long)t.tried);
}
