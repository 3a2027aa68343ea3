/* The gradient checker: gradients of a function against central differences, in f64.

   For a function y = f(x_1, ..., x_n) and a random projection r, the loss is s = sum(r * y). Each
   element of ds/dx_i from cb_grad is compared, with its sign, with (s(x + h) - s(x - h)) / 2h. The
   random projection lets nothing cancel, as sum(y) would for a softmax. With second_order the same
   is done for the function's own gradient, projected in its turn. */
#ifndef CEREBRA_CHECK_H
#define CEREBRA_CHECK_H

#include <cerebra/op.h>
#include <cerebra/random.h>

CB_BEGIN_DECLS

/* How a check is made; all of it may be 0. */
typedef struct cb_check_options {
    double step;       /* h; 0: chosen so that the differences are good to about 1e-10 */
    double tolerance;  /* largest relative error that passes; 0: 1e-7 */
    bool second_order; /* check gradients of gradients as well */
    uint64_t seed;     /* of the projection and of inputs drawn for a sample */
} cb_check_options;

/* What a check found. */
typedef struct cb_check_report {
    bool passed;              /* whether all elements were within the tolerance */
    int64_t compared;         /* elements compared; 0 is no failure by itself (zero-size inputs) */
    double worst;             /* largest relative error: |analytic - numeric| over the larger of the
                                 largest |numeric| of that input's gradient, and 1e-3 of the
                                 larger of 1 and the projected output */
    int order;                /* of the worst or failing element: 1 or 2 */
    int input;                /* which input */
    int64_t element;          /* which element of it, in row-major order */
    double analytic, numeric; /* of that element: from cb_grad, and from differences */
    char message[512];        /* what failed, "" when passed */
} cb_check_report;

/* The function to check: builds y from count inputs on one tape, using ops. context is the
   caller's. It must be deterministic. Integer inputs are passed through and not differentiated. */
typedef cb_tensor *cb_check_function(cb_tensor *const *inputs, void *context);

/* Checks f at the given plain f64 (or integer) tensors, which are left as they were. options may be
   NULL. Returns whether it passed; the report may be NULL. Never prints. */
CB_API bool cb_check_gradient(cb_check_function *f, void *context, int count,
                              cb_tensor *const *inputs, const cb_check_options *options,
                              cb_check_report *report);
/* Checks one of an op's samples with inputs drawn as it says. */
CB_API bool cb_check_sample(const cb_sample *sample, const cb_check_options *options,
                            cb_check_report *report);

CB_END_DECLS

#endif
