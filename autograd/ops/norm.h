/* What layer norm and batch norm share:  y = z weight + bias,  z = (x - mean) f,
   f = 1 / sqrt(var + epsilon), with mean and variance over some of x's axes. */
#ifndef CEREBRA_AUTOGRAD_OPS_NORM_H
#define CEREBRA_AUTOGRAD_OPS_NORM_H

#include <cerebra/op.h>

/* Of the ops; inputs: x, then the weight and the bias that there are. */
typedef struct cbi_norm_options {
    double epsilon;
    bool weighted, biased;
} cbi_norm_options;

extern const cb_option cbi_norm_option_list[3];

/* Of the ops of their gradients. in: x, g, and the weight where there is one; out: dx, dweight,
   dbias. */
typedef struct cbi_norm_gradient_options {
    bool weighted;
    void *saved; /* what the forward pass has left */
} cbi_norm_gradient_options;

/* Output 0 is like x, the other two are [axis 1 of x]. */
cb_status cbi_norm_shape(const cb_call *call);

/* Gradients in one pass, by an op with the options above. */
void cbi_norm_gradient(const cb_call *call, cb_tensor *g, const cb_op *op, cb_tensor **gradients);

/* The same in plain ops, which have gradients themselves. weight: as it broadcasts against x, NULL
   without one; mean and variance are over `axes`; the weight's gradient is a sum over `rest`. */
void cbi_norm_gradient_plain(const cb_call *call, cb_tensor *g, cb_tensor *weight, int count,
                             const int *axes, int rest_count, const int *rest,
                             cb_tensor **gradients);

#endif
