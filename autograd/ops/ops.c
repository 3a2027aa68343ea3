/* The list of ops. A new one is declared in its own file and entered here; an elementwise one
   enters itself by its row. */
#include <cerebra/op.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/list.h"

static const cb_op *const ops[] = {
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    &function##_op.op,
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                    &function##_op.op,
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high) &function##_op.op,
#define CB_FLAT_BINARY(function, name, kind, value)                               &function##_op.op,
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    &function##_op.op,
#include "elementwise_table.h"
    /* clang-format off */
    &cbi_sum_op,
    &cbi_max_op,
    &cbi_min_op,
    &cbi_argmax_op,
    &cbi_cumsum_op,
    &cbi_order_op,
    &cbi_reshape_op,
    &cbi_permute_op,
    &cbi_expand_op,
    &cbi_squeeze_op,
    &cbi_unsqueeze_op,
    &cbi_flip_op,
    &cbi_stop_gradient_op,
    &cbi_stop_gradient_at_op,
    &cbi_slice_op,
    &cbi_place_op,
    &cbi_contiguous_op,
    &cbi_cast_op,
    &cbi_cast_integer_op,
    &cbi_pad_op,
    &cbi_concat_op,
    &cbi_matmul_op,
    &cbi_gather_rows_op,
    &cbi_scatter_rows_op,
    &cbi_gather_op,
    &cbi_scatter_add_op,
    &cbi_one_hot_op,
    &cbi_full_op,
    &cbi_arange_op,
    &cbi_random_op,
    &cbi_dropout_op,
    &cbi_layer_norm_op,
    &cbi_layer_norm_gradient_op,
    &cbi_batch_norm_op,
    &cbi_batch_norm_gradient_op,
    &cbi_attention_op,
    &cbi_attention_gradient_op,
    &cbi_softmax_op,
    &cbi_softmax_gradient_op,
    &cbi_log_softmax_op,
    &cbi_log_softmax_gradient_op,
    &cbi_logsumexp_op,
    &cbi_logsumexp_gradient_op,
    &cbi_cross_entropy_op,
    &cbi_cross_entropy_gradient_op,
    &cbi_convolution_op,
    &cbi_convolution_gradient_op,
    &cbi_max_pool_op,
    &cbi_max_pool_gradient_op,
    &cbi_windows_op,
    &cbi_overlap_add_op,
    NULL,
    /* clang-format on */
};

const cb_op *const *cb_ops(void) {
    return ops;
}
