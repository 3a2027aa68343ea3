/* Axes as users give them, and as ops keep them. */
#ifndef CEREBRA_AUTOGRAD_OPS_AXES_H
#define CEREBRA_AUTOGRAD_OPS_AXES_H

#include <cerebra/tape.h>

typedef struct cbi_axes {
    bool in[CB_MAX_RANK];
} cbi_axes;

/* axis, counted from the end when negative, in 0..rank-1; fails on the tape of x and returns false
   when it is outside. */
bool cbi_axis_resolve(cb_tensor *x, const char *op, int rank, int *axis);
/* The set of axes of x; count -1 is all of them. Fails when one is outside, or given twice. */
bool cbi_axes_resolve(cb_tensor *x, const char *op, int count, const int *axes, cbi_axes *set);

#endif
