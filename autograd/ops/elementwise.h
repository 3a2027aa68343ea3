/* An elementwise op is an op with a kernel for each dtype it takes; elementwise_table.h has them
   all. */
#ifndef CEREBRA_AUTOGRAD_OPS_ELEMENTWISE_H
#define CEREBRA_AUTOGRAD_OPS_ELEMENTWISE_H

#include <cerebra/op.h>

#include "tensor/kernels.h"

typedef struct cbi_elementwise {
    cb_op op;
    cbi_kernel *kernels[4]; /* by dtype; NULL: not accepted */
} cbi_elementwise;

/* What may be computed in place of an op. */
typedef struct cbi_algebra {
    bool sum;            /* y = a + b */
    bool product;        /* y = a b */
    bool fills;          /* y = the first parameter, whatever x holds */
    bool absorbs;        /* y = 0 where an operand is 0 */
    bool has_neutral[2]; /* y = the other operand where this one is `neutral` */
    double neutral[2];
    bool slow;   /* takes longer than its result takes to be written to memory and read again */
    bool copies; /* y = x with the parameters `copying` */
    double copying[2];
} cbi_algebra;
/* That of an op; of most, nothing. */
const cbi_algebra *cbi_algebra_of(const cbi_elementwise *op);

/* Whether an op is elementwise. */
bool cbi_is_elementwise(const cb_op *op);
/* The elementwise op that an op is, known to be one. */
static inline const cbi_elementwise *cbi_elementwise_of(const cb_op *op) {
    return (const cbi_elementwise *)(const void *)op;
}

#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    extern const cbi_elementwise function##_op;
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    extern const cbi_elementwise function##_op;
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    extern const cbi_elementwise function##_op;
#define CB_FLAT_BINARY(function, name, kind, value) extern const cbi_elementwise function##_op;
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    extern const cbi_elementwise function##_op;
#include "elementwise_table.h"

#endif
