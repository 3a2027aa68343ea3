/* What the op of a convolution and its plain ops share. */
#ifndef CEREBRA_AUTOGRAD_OPS_CONVOLUTION_H
#define CEREBRA_AUTOGRAD_OPS_CONVOLUTION_H

#include <cerebra/op.h>

/* Inputs: x, the weight, then the bias where there is one. */
typedef struct cbi_conv_options {
    int axes;
    bool biased;
    int64_t stride[2], padding[2], dilation[2], groups;
} cbi_conv_options;

/* The convolution, of inputs whose ranks and channels fit together; bias may be NULL. */
cb_tensor *cbi_convolution_plain(cb_tensor *x, cb_tensor *weight, cb_tensor *bias,
                                 const cbi_conv_options *o);
/* The vjp of the op, whose options are these. */
void cbi_convolution_plain_gradient(const cb_call *call, cb_tensor *g, cb_tensor **gradients);

#endif
