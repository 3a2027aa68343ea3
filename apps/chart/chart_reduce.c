/* Reduction to columns of pixels; see chart_reduce.h. */
#include "chart_reduce.h"

#include "apps/cli/grow.h"

#include <math.h>
#include <stdlib.h>

/* Within a pixel nobody sees more; without a bound every other point could be a gap. */
enum { MOST_GAPS_IN_COLUMN = 2 };

static void keep(reducer *r, canvas_point point) {
    canvas_point *grown = grow(r->points, &r->room, r->count + 1, sizeof *grown);
    if (grown == NULL) {
        r->failed = true;
        return;
    }
    r->points = grown;
    r->points[r->count++] = point;
}

/* Keeps the points of the column that are different ones, in the order in which they came. */
static void flush(reducer *r) {
    if (!r->open)
        return;
    bool low_first = r->lowest_at <= r->highest_at;
    size_t early = low_first ? r->lowest_at : r->highest_at;
    size_t late = low_first ? r->highest_at : r->lowest_at;
    keep(r, r->first);
    if (early != 0 && early != r->last_at)
        keep(r, low_first ? r->lowest : r->highest);
    if (late != early && late != 0 && late != r->last_at)
        keep(r, low_first ? r->highest : r->lowest);
    if (r->last_at != 0)
        keep(r, r->last);
    r->open = false;
}

static void open_column(reducer *r, canvas_point point) {
    r->open = true;
    r->first = r->lowest = r->highest = r->last = point;
    r->lowest_at = r->highest_at = r->last_at = 0;
}

void reducer_add(reducer *r, canvas_point point) {
    if (isnan(point.x) || isnan(point.y)) {
        if (r->gaps < MOST_GAPS_IN_COLUMN) {
            flush(r);
            keep(r, (canvas_point){NAN, NAN});
            r->gaps++;
        }
        return;
    }
    double column = floor(point.x);
    if (column != r->column || (!r->open && r->gaps == 0)) {
        flush(r);
        r->column = column;
        r->gaps = 0;
    }
    if (!r->open) {
        open_column(r, point);
        return;
    }
    r->last = point;
    r->last_at++;
    if (point.y < r->lowest.y) {
        r->lowest = point;
        r->lowest_at = r->last_at;
    }
    if (point.y > r->highest.y) {
        r->highest = point;
        r->highest_at = r->last_at;
    }
}

bool reducer_finish(reducer *r) {
    flush(r);
    return !r->failed;
}
