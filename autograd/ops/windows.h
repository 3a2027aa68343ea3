/* Sliding windows, as convolutions and pooling take them. */
#ifndef CEREBRA_AUTOGRAD_OPS_WINDOWS_H
#define CEREBRA_AUTOGRAD_OPS_WINDOWS_H

#include <cerebra/op.h>

#define CBI_WINDOW_AXES 3

typedef struct cbi_windows_options {
    int count; /* of the last axes of x, over which windows slide */
    int at;    /* in front of which axis of x the axes of a window are put */
    int64_t size[CBI_WINDOW_AXES], stride[CBI_WINDOW_AXES], dilation[CBI_WINDOW_AXES];
    int64_t extent[CBI_WINDOW_AXES]; /* of these axes of x */
} cbi_windows_options;

/* As cb_windows, with the axes of a window in front of axis `at` of x. stride and dilation may be
   NULL: 1. */
cb_tensor *cbi_windows(cb_tensor *x, int count, const int64_t *size, const int64_t *stride,
                       const int64_t *dilation, int at);
/* The gradient of x from that of the windows of x with a margin, `padding` on both ends of the last
   axes: added up where they overlap, without the margin. */
cb_tensor *cbi_windows_back(cb_tensor *windows, const cb_tensor *x, int count, const int64_t *size,
                            const int64_t *stride, const int64_t *dilation, const int64_t *padding,
                            int at);

#endif
