/* Finding the op that makes the first NaN. */
#include "autograd/tape_internal.h"

#include "tensor/kernels.h"

#include <cerebra/op.h>

void cb_tape_detect_anomaly(cb_tape *tape, bool on) {
    if (tape != NULL)
        tape->detecting = on;
}

int64_t cbi_first_nan(const cb_tensor *t) {
    int64_t index[CB_MAX_RANK] = {0}, count = cb_tensor_count(t);
    for (int64_t i = 0; cb_dtype_is_float(t->dtype) && i < count; i++) {
        double element = cb_tensor_get(t, index);
        if (element != element)
            return i;
        for (int k = t->rank - 1; k >= 0 && ++index[k] == t->shape[k]; k--)
            index[k] = 0;
    }
    return -1;
}

cb_status cbi_find_anomaly(const cb_call *call) {
    const cb_tape *tape = call->out->node->tape;
    int64_t at = -1;
    for (int k = 0; k < call->out_count && at < 0; k++)
        at = cbi_first_nan(call->outs[k]);
    for (int k = 0; k < call->count && at >= 0; k++)
        if (cbi_first_nan(call->in[k]) >= 0)
            return CB_OK; /* another's fault: that of who made the input */
    if (at < 0)
        return CB_OK;
    return cb_call_fail(call, CB_ERROR_VALUE,
                        "element %lld of the result is nan and no input has one%s%s", (long long)at,
                        tape->gradient_of != NULL ? ", in the gradient of " : "",
                        tape->gradient_of != NULL ? tape->gradient_of : "");
}
