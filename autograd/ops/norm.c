/* Options and gradients of normalisations. */
#include "autograd/ops/norm.h"

#include "autograd/tape_internal.h"

#include <cerebra/ops.h>

const cb_option cbi_norm_option_list[3] = {
    CB_OPTION(cbi_norm_options, epsilon, CB_OPTION_REAL),
    CB_OPTION(cbi_norm_options, weighted, CB_OPTION_INT),
    CB_OPTION(cbi_norm_options, biased, CB_OPTION_INT),
};

cb_status cbi_norm_shape(const cb_call *call) {
    for (int k = 1; k < 3; k++) {
        call->outs[k]->dtype = call->in[0]->dtype;
        call->outs[k]->rank = 1;
        call->outs[k]->shape[0] = call->in[0]->shape[1];
    }
    return cb_shape_same(call);
}

void cbi_norm_gradient(const cb_call *call, cb_tensor *g, const cb_op *op, cb_tensor **gradients) {
    const cbi_norm_options *options = call->options;
    cb_tensor *in[3] = {call->in[0], cb_contiguous(g), options->weighted ? call->in[1] : NULL};
    cb_tensor *out[3];
    cbi_norm_gradient_options own = {options->weighted, call->out->node->saved};
    cb_apply_outputs(op, options->weighted ? 3 : 2, in, &own, 3, out);
    gradients[0] = out[0];
    if (options->weighted)
        gradients[1] = out[1];
    if (options->biased)
        gradients[1 + options->weighted] = out[2];
}

void cbi_norm_gradient_plain(const cb_call *call, cb_tensor *g, cb_tensor *weight, int count,
                             const int *axes, int rest_count, const int *rest,
                             cb_tensor **gradients) {
    const cbi_norm_options *options = call->options;
    cb_tensor *x = call->in[0], *d = weight != NULL ? cb_mul(g, weight) : g;
    cb_tensor *centred = cb_sub(x, cb_mean(x, count, axes, true));
    cb_tensor *variance = cb_mean(cb_square(centred), count, axes, true);
    cb_tensor *factor = cb_rsqrt(cb_shift(variance, options->epsilon));
    cb_tensor *z = cb_mul(centred, factor);
    cb_tensor *far = cb_sub(d, cb_mean(d, count, axes, true));
    far = cb_sub(far, cb_mul(z, cb_mean(cb_mul(d, z), count, axes, true)));
    gradients[0] = cb_mul(factor, far);
    if (options->weighted)
        gradients[1] = cb_sum(cb_mul(g, z), rest_count, rest, false);
    if (options->biased)
        gradients[1 + options->weighted] = cb_sum(g, rest_count, rest, false);
}
