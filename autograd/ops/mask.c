/* Masks: functions built from ops, with no gradient of their own. A mask of any dtype is made one
   of the operands' in cb_where (elementwise.c). */
#include <cerebra/ops.h>

#include "autograd/tape_internal.h"

#include <math.h>

static cb_tensor *masked_fill_in_ops(cb_tensor *x, cb_tensor *mask, double value) {
    if (x != NULL && !cbi_is_poisoned(x) && !cb_dtype_is_float(x->dtype) && value != trunc(value))
        return cbi_function_fail(x, "masked_fill", CB_ERROR_VALUE,
                                 "%g is not a whole number; cast to f32 or f64", value);
    cb_tensor *one =
        x == NULL ? NULL
                  : cb_full(cb_tape_of(x), x->dtype, CB_SCALAR, value); /* broadcast, not written */
    return cb_where(mask, one, x);
}

cb_tensor *cb_masked_fill(cb_tensor *x, cb_tensor *mask, double value) {
    cbi_within f = cbi_function_begin(x, "masked_fill");
    return cbi_function_end(f, masked_fill_in_ops(x, mask, value));
}

/* Fills what lies outside of a triangle: element (i, j) where j is beyond i + diagonal. */
static cb_tensor *triangle(cb_tensor *x, const char *name, int64_t diagonal, bool lower) {
    if (x == NULL || cbi_is_poisoned(x))
        return cbi_poison(cb_tape_of(x));
    if (x->rank < 2)
        return cbi_function_fail(x, name, CB_ERROR_SHAPE, "it takes matrices");
    cb_tape *tape = cb_tape_of(x);
    int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
    /* Beyond the matrix all diagonals are alike, and sums stay in range. */
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    cb_tensor *i = cb_unsqueeze(cb_arange(tape, CB_I64, (double)diagonal, 1, rows), 1);
    cb_tensor *j = cb_arange(tape, CB_I64, 0, 1, columns);
    return cb_masked_fill(x, lower ? cb_greater(j, i) : cb_less(j, i), 0);
}

cb_tensor *cb_tril(cb_tensor *x, int64_t diagonal) {
    return triangle(x, "tril", diagonal, true);
}

cb_tensor *cb_triu(cb_tensor *x, int64_t diagonal) {
    return triangle(x, "triu", diagonal, false);
}

cb_tensor *cb_length_mask(cb_tensor *lengths, int64_t time, cb_dtype dtype) {
    if (lengths == NULL || cbi_is_poisoned(lengths))
        return cbi_poison(cb_tape_of(lengths));
    if (cb_dtype_is_float(lengths->dtype))
        return cbi_function_fail(lengths, "length_mask", CB_ERROR_DTYPE,
                                 "lengths are %s; they must be i32 or i64",
                                 cb_dtype_name(lengths->dtype));
    if (lengths->rank == CB_MAX_RANK || time < 0)
        return cbi_function_fail(lengths, "length_mask", CB_ERROR_SHAPE,
                                 "no room for an axis of %lld time steps", (long long)time);
    int64_t shape[CB_MAX_RANK] = {time, 1, 1, 1, 1, 1, 1, 1};
    cb_tensor *steps = cb_arange(cb_tape_of(lengths), CB_I64, 0, 1, time);
    cb_tensor *columns = cb_reshape(steps, lengths->rank + 1, shape);
    return cb_cast(cb_less(columns, cb_cast(lengths, CB_I64)), dtype);
}
