/* Where the ticks of a chart's axis stand, and what is written beside them. */
#ifndef CEREBRA_APPS_CHART_TICKS_H
#define CEREBRA_APPS_CHART_TICKS_H

#include <stdbool.h>
#include <stddef.h>

/* How values map onto an axis. Requires minimum < maximum, and 0 < minimum on a logarithmic one. */
typedef struct axis_scale {
    double minimum, maximum; /* the values at the two ends */
    bool logarithmic;
    bool integer; /* the values are whole numbers (epochs): no tick stands at a fraction, unless
                     there is room for fewer than two whole numbers */
} axis_scale;

/* Where value lies: 0 at the minimum, 1 at the maximum, linear in the value or in its logarithm. */
double axis_fraction(const axis_scale *scale, double value);

/* Enough for 20 labelled ticks with nine minor ones each. */
enum { TICKS_CAPACITY = 256, TICKS_MOST = 20, TICKS_LABEL_SIZE = 64 };

typedef struct tick {
    double value;
    bool major;                   /* carries a label */
    char label[TICKS_LABEL_SIZE]; /* UTF-8; "" for a minor tick */
} tick;

typedef struct tick_list {
    size_t count;
    tick items[TICKS_CAPACITY];
    char offset[TICKS_LABEL_SIZE]; /* "", or what is to be added to every label: "+ 1700000000" */
} tick_list;

/* Fills ticks, in no particular order, with all ticks within the scale. At least two and at most
   `most` of them (clamped to 2 .. TICKS_MOST) are major, as many as a good step allows; their
   labels differ.

   Linear: the step is 1, 2 or 5 times a power of ten, and minor ticks divide it into five, four or
   five. Labels have just the decimals the step needs, with a true minus sign; from 10^7 and below
   10^-3 they are written 1.5×10⁷. Where they would have many digits in common, these are the
   offset. An axis of a few hundred neighbouring numbers has its ticks at some of these.
   Logarithmic: powers of ten, or every n-th power; over few decades also their multiples by 3, by 2
   and 5, or by 1 to 9, whatever fits; where even those are fewer than three, the linear ticks. */
void ticks_make(const axis_scale *scale, size_t most, tick_list *ticks);

#endif
