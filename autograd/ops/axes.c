/* Reading axes. */
#include "autograd/ops/axes.h"

#include "autograd/tape_internal.h"

bool cbi_axis_resolve(cb_tensor *x, const char *op, int rank, int *axis) {
    if (x == NULL || cbi_is_poisoned(x))
        return false;
    int given = *axis;
    *axis = given < 0 ? given + rank : given;
    if (*axis >= 0 && *axis < rank)
        return true;
    cbi_function_fail(x, op, CB_ERROR_SHAPE, "axis %d is outside a rank of %d", given, rank);
    return false;
}

bool cbi_axes_resolve(cb_tensor *x, const char *op, int count, const int *axes, cbi_axes *set) {
    *set = (cbi_axes){{false}};
    if (x == NULL || cbi_is_poisoned(x))
        return false;
    if (count < -1) {
        cbi_function_fail(x, op, CB_ERROR_VALUE, "%d axes", count);
        return false;
    }
    for (int i = 0; i < (count < 0 ? x->rank : count); i++) {
        int axis = count < 0 ? i : axes[i];
        if (!cbi_axis_resolve(x, op, x->rank, &axis))
            return false;
        if (set->in[axis]) {
            cbi_function_fail(x, op, CB_ERROR_SHAPE, "axis %d is given twice", axis);
            return false;
        }
        set->in[axis] = true;
    }
    return true;
}
