/* The ops that are not elementwise, by file. */
#ifndef CEREBRA_AUTOGRAD_OPS_LIST_H
#define CEREBRA_AUTOGRAD_OPS_LIST_H

#include <cerebra/op.h>

extern const cb_op cbi_sum_op, cbi_max_op, cbi_min_op, cbi_argmax_op;
extern const cb_op cbi_reshape_op, cbi_permute_op, cbi_expand_op, cbi_squeeze_op, cbi_unsqueeze_op,
    cbi_flip_op, cbi_stop_gradient_op, cbi_stop_gradient_at_op;
extern const cb_op cbi_slice_op, cbi_place_op;
extern const cb_op cbi_contiguous_op, cbi_cast_op, cbi_cast_integer_op, cbi_pad_op, cbi_concat_op;
extern const cb_op cbi_matmul_op;
extern const cb_op cbi_gather_rows_op, cbi_rows_of_op, cbi_scatter_rows_op, cbi_gather_op,
    cbi_scatter_add_op, cbi_one_hot_op;
extern const cb_op cbi_full_op, cbi_arange_op;
extern const cb_op cbi_random_op;
extern const cb_op cbi_dropout_op;
extern const cb_op cbi_cumsum_op, cbi_order_op;
extern const cb_op cbi_cross_entropy_op, cbi_cross_entropy_gradient_op;
extern const cb_op cbi_softmax_op, cbi_softmax_gradient_op, cbi_log_softmax_op,
    cbi_log_softmax_gradient_op, cbi_logsumexp_op, cbi_logsumexp_gradient_op;

extern const cb_op cbi_layer_norm_op, cbi_layer_norm_gradient_op;
extern const cb_op cbi_attention_op, cbi_attention_gradient_op;
extern const cb_op cbi_batch_norm_op, cbi_batch_norm_gradient_op;
extern const cb_op cbi_max_pool_op, cbi_max_pool_gradient_op;
extern const cb_op cbi_convolution_op, cbi_convolution_gradient_op;
extern const cb_op cbi_windows_op, cbi_overlap_add_op;
extern const cb_op cbi_checkpoint_op;
extern const cb_op cbi_scan_op, cbi_scan_gradient_op;

#endif
