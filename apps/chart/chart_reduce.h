/* Curves of more points than a page has pixels. */
#ifndef CEREBRA_APPS_CHART_CHART_REDUCE_H
#define CEREBRA_APPS_CHART_CHART_REDUCE_H

#include "canvas.h"

/* Points come in one by one; of consecutive ones in the same column of pixels the first, the
   lowest, the highest and the last are kept, in their order, which draws what all of them would
   (Jugel and others 2014, "M4: a visualization-oriented time series data aggregation"). {0} is an
   empty reducer. */
typedef struct reducer {
    canvas_point *points; /* what is kept; the caller frees */
    size_t count, room;
    bool failed; /* no memory */
    bool open;   /* first .. last are of a column that is not over */
    double column;
    canvas_point first, lowest, highest, last;
    size_t lowest_at, highest_at, last_at; /* numbers of the points in the column */
    size_t gaps;                           /* in the column */
} reducer;

/* A NaN coordinate is a gap; of the gaps within a column the first few are kept. */
void reducer_add(reducer *r, canvas_point point);

/* Ends the last column. False when there was no memory; then the points are incomplete. */
bool reducer_finish(reducer *r);

#endif
