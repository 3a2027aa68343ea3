/* Views against the enumeration of their elements, for all that small shapes can have. */
#include "autograd/compiler/graph.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MOST = 256 };

/* The elements that a view goes through, in its order. */
static int elements(const cbi_view *view, int64_t *list) {
    int64_t count = cbi_view_count(view);
    cr_assert_leq(count, MOST);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = view->offset, rest = i;
        for (int k = view->rank - 1; k >= 0; k--) {
            at += rest % view->shape[k] * view->stride[k];
            rest /= view->shape[k];
        }
        list[i] = at;
    }
    return (int)count;
}

static bool same_elements(const cbi_view *a, const int64_t *expected, int count) {
    int64_t list[MOST];
    return elements(a, list) == count &&
           memcmp(list, expected, sizeof(int64_t) * (size_t)count) == 0;
}

/* View number i of `all` elements, of a few kinds: slices with steps, in either direction,
   transposes, repetitions, windows; false when there are no more. */
static bool view_number(int i, int64_t all, cbi_view *view) {
    int64_t start = i % 3, step = 1 + i / 3 % 3;
    int kind = i / 9;
    *view = (cbi_view){
        .offset = start, .rank = 1, .shape = {(all - start + step - 1) / step}, .stride = {step}};
    if (kind == 1) {
        view->offset = all - 1 - start;
        view->shape[0] = (all - start + step - 1) / step;
        view->stride[0] = -step;
    } else if (kind == 2) {
        *view =
            (cbi_view){.rank = 2, .shape = {step + 1, all / (step + 1)}, .stride = {1, step + 1}};
    } else if (kind == 3) {
        *view =
            (cbi_view){.offset = start, .rank = 2, .shape = {step, all - start}, .stride = {0, 1}};
    } else if (kind == 4) {
        *view =
            (cbi_view){.offset = start, .rank = 2, .shape = {all - start, step}, .stride = {1, 0}};
    } else if (kind == 5) {
        *view = (cbi_view){
            .offset = start, .rank = 3, .shape = {2, (all - start) / 4, 2}, .stride = {2, 4, 1}};
        if (view->shape[1] == 0)
            view->shape[1] = view->shape[0] = view->shape[2] = 1;
    }
    return kind < 6;
}

Test(view, normalizing_keeps_the_elements) {
    for (int64_t all = 4; all <= 12; all += 4) {
        cbi_view view;
        for (int i = 0; view_number(i, all, &view); i++) {
            int64_t expected[MOST];
            int count = elements(&view, expected);
            cbi_view_normalize(&view);
            cr_expect(same_elements(&view, expected, count), "view %d of %d", i, (int)all);
            for (int k = 0; k < view.rank && count > 1; k++)
                cr_expect_neq(view.shape[k], 1);
        }
    }
}

/* Of a view b of what a view a goes through: element i is a's element number b's element i. */
Test(view, a_view_through_a_view_has_the_elements_of_both) {
    int found = 0, tried = 0;
    for (int64_t all = 4; all <= 12; all += 4) {
        cbi_view a, b, through;
        for (int i = 0; view_number(i, all, &a); i++)
            for (int k = 0; view_number(k, cbi_view_count(&a), &b); k++) {
                int64_t of_a[MOST], of_b[MOST], expected[MOST];
                cbi_view normal = a, inner = b;
                cbi_view_normalize(&normal);
                cbi_view_normalize(&inner);
                elements(&a, of_a);
                int count = elements(&b, of_b);
                for (int e = 0; e < count; e++)
                    expected[e] = of_a[of_b[e]];
                tried++;
                if (!cbi_view_through(&inner, normal.rank, normal.shape, normal.offset,
                                      normal.stride, &through))
                    continue;
                found++;
                cr_expect(same_elements(&through, expected, count), "view %d of view %d of %d", k,
                          i, (int)all);
            }
    }
    cr_expect_gt(found, tried / 2, "%d of %d have a form", found, tried);
}

/* Of a view whose elements all lie in a place: their numbers there. */
Test(view, a_view_inside_a_place_has_its_elements_numbers) {
    int found = 0;
    for (int64_t all = 4; all <= 12; all += 4) {
        cbi_view view, place, inside;
        for (int i = 0; view_number(i, all, &view); i++)
            for (int k = 0; view_number(k, all, &place); k++) {
                int64_t of_view[MOST], of_place[MOST], expected[MOST];
                int count = elements(&view, of_view), places = elements(&place, of_place);
                bool unique = true;
                for (int e = 0; e < places; e++)
                    for (int f = 0; f < e; f++)
                        unique = unique && of_place[e] != of_place[f];
                cbi_view_normalize(&view);
                cbi_view_normalize(&place);
                if (!unique || !cbi_view_inside(&view, &place, &inside))
                    continue;
                for (int e = 0; e < count; e++) {
                    int at = 0;
                    while (at < places && of_place[at] != of_view[e])
                        at++;
                    cr_assert_lt(at, places, "view %d, place %d of %d: not inside", i, k, (int)all);
                    expected[e] = at;
                }
                found++;
                cr_expect(same_elements(&inside, expected, count), "view %d in place %d of %d", i,
                          k, (int)all);
            }
    }
    cr_expect_gt(found, 100);
}
