/* The differentiable functions. All take and return tensors on a tape; the result belongs to that
   tape. None prints or aborts: a failure (a NULL operand too) is recorded on the tape and gives a
   poisoned tensor, which passes through everything after it (tape.h).

   Conventions. Axes may be negative (-1 is the last). "REAL" means f32 or f64. Operands of one call
   must have one dtype, but for indices, which are i32 or i64, and for masks, the conditions of
   cb_where and cb_masked_fill, which may be of any. Unless said otherwise the result is a new
   row-major tensor. Errors named here are recorded with the op's name and its inputs' shapes.
 */
#ifndef CEREBRA_OPS_H
#define CEREBRA_OPS_H

#include <cerebra/elementwise.h>
#include <cerebra/op.h>
#include <cerebra/random.h>

CB_BEGIN_DECLS

/* ---- Reductions ---------------------------------------------------------------------------- */

/* Axes as two arguments: cb_sum(x, CB_AXES(0, -1), true). */
#define CB_AXES(...) CBI_ARRAY(int, __VA_ARGS__)
/* All axes. */
#define CB_ALL_AXES (-1), NULL

/* y = sum of x over the axes. keepdim leaves them with extent 1, else they go. The sum of no
   elements is 0. Any dtype. CB_ERROR_SHAPE: an axis outside the rank, or given twice. */
CB_API cb_tensor *cb_sum(cb_tensor *x, int count, const int *axes, bool keepdim);
/* y = sum / n, n the number of elements summed (NaN when n is 0). REAL. */
CB_API cb_tensor *cb_mean(cb_tensor *x, int count, const int *axes, bool keepdim);
/* y = largest (smallest) element; NaN if one is. Elements that tie share the gradient equally. Any
   dtype. CB_ERROR_SHAPE when there are no elements to choose from. */
CB_API cb_tensor *cb_max(cb_tensor *x, int count, const int *axes, bool keepdim);
CB_API cb_tensor *cb_min(cb_tensor *x, int count, const int *axes, bool keepdim);
/* Index, i64, of the first largest element along one axis (of the first NaN, if there is one). Not
   differentiable. CB_ERROR_SHAPE as cb_max. */
CB_API cb_tensor *cb_argmax(cb_tensor *x, int axis, bool keepdim);
/* y = log(sum(exp(x))), without overflow; -inf over no elements. REAL. */
CB_API cb_tensor *cb_logsumexp(cb_tensor *x, int count, const int *axes, bool keepdim);
/* y = sum((x - mean)^2) / (n - correction): 0 for the population, 1 for a sample's estimate.
   Infinite, or NaN where the sum is 0, when n <= correction. REAL.
 */
CB_API cb_tensor *cb_var(cb_tensor *x, int count, const int *axes, double correction, bool keepdim);
/* y = exp(x) / sum(exp(x)) along an axis, and its logarithm x - logsumexp(x). REAL. */
CB_API cb_tensor *cb_softmax(cb_tensor *x, int axis);
CB_API cb_tensor *cb_log_softmax(cb_tensor *x, int axis);
/* y_i = x_0 + ... + x_i along an axis. Any dtype: integers wrap, f32 is added up in double
   precision. The gradient is the same sum in reverse order, dx_i = g_i + ... + g_(n-1). */
CB_API cb_tensor *cb_cumsum(cb_tensor *x, int axis);

/* ---- Order along an axis: any dtype ---------------------------------------------------------- */

/* NaN counts as larger than any number: it is last in ascending order and first in descending
   order, as in NumPy and PyTorch. -0 and 0 are equal, subnormal numbers are too, and all NaN. Equal
   elements stay in the order of their indices, ascending or descending (a stable sort). Gradients
   flow through values to the elements that they are; none through indices. indices, where it is not
   NULL, receives the tensor of indices, i64, poisoned on failure. CB_ERROR_SHAPE: an axis outside
   the rank. */

/* x with the elements in order along an axis; index i of y is index indices[i] of x. */
CB_API cb_tensor *cb_sort(cb_tensor *x, int axis, bool descending, cb_tensor **indices);
/* The indices alone, i64, of x's shape: cb_gather(x, axis, cb_argsort(x, axis, d)) is sorted. */
CB_API cb_tensor *cb_argsort(cb_tensor *x, int axis, bool descending);
/* The first k elements of that order, the largest (descending) or the smallest ones: x's shape with
   extent k along the axis. CB_ERROR_VALUE when k is outside 0..extent. */
CB_API cb_tensor *cb_topk(cb_tensor *x, int axis, int64_t k, bool largest, cb_tensor **indices);

/* ---- Products ------------------------------------------------------------------------------ */

/* C = A B. A [..., m, k], B [..., k, n] -> [..., m, n], the leading axes broadcast. REAL, any
   strides. CB_ERROR_SHAPE: a rank below 2, or inner extents that differ. */
CB_API cb_tensor *cb_matmul(cb_tensor *a, cb_tensor *b);
typedef struct cb_attention_options {
    cb_tensor *values; /* [..., S, e] */
    cb_tensor *mask; /* NULL: all keys; any dtype, broadcasts to [..., T, S]: where it is 0, a query
                        does not see a key. No gradient flows to it. */
    bool causal;     /* query t sees keys 0..t only */
    double scale;    /* of the products; 0: 1 / sqrt(d) */
} cb_attention_options;
/* Scaled dot-product attention (Vaswani et al. 2017), in one pass:
     Y = softmax(scale Q K') V,   cb_attention(q, k, v, .causal = true),
   softmax over the keys. q [..., T, d], k [..., S, d], v [..., S, e] -> [..., T, e]; the leading
   axes (batch, heads) broadcast. A query that sees no key gives 0. REAL, any strides. Memory
   for the gradient is one number for each query, not [T, S]. CB_ERROR_SHAPE, CB_ERROR_DTYPE. */
#define cb_attention(q, k, ...)                                                                    \
    cb_attention_with(q, k, CB_STRUCT(cb_attention_options, .values = __VA_ARGS__))
CB_API cb_tensor *cb_attention_with(cb_tensor *q, cb_tensor *k,
                                    const cb_attention_options *options);
/* y = x W' + b. x [..., in], weight [out, in], bias [out] or NULL -> [..., out]. REAL. */
CB_API cb_tensor *cb_linear(cb_tensor *x, cb_tensor *weight, cb_tensor *bias);

/* ---- Shape: views share memory with x, nothing is copied, where it says "view" -------------- */

/* The same elements in row-major order under a new shape; one extent may be -1 and is computed. A
   view when x is contiguous, else a copy. CB_ERROR_SHAPE when the counts differ. */
CB_API cb_tensor *cb_reshape(cb_tensor *x, int rank, const int64_t *shape);
/* View: axis i of the result is axis axes[i] of x; rank entries, each axis once. */
CB_API cb_tensor *cb_permute(cb_tensor *x, int rank, const int *axes);
/* View: two axes exchanged. */
CB_API cb_tensor *cb_transpose(cb_tensor *x, int axis_a, int axis_b);
/* View: elements start, start + step, ... before stop along an axis. As in Python, negative start
   and stop count from the end and both are clipped to the extent; CB_END stands for the end.
   CB_ERROR_VALUE when step < 1. */
#define CB_END INT64_MAX
CB_API cb_tensor *cb_slice(cb_tensor *x, int axis, int64_t start, int64_t stop, int64_t step);
/* View without the axis: element index along it. CB_ERROR_INDEX when out of range. */
CB_API cb_tensor *cb_select(cb_tensor *x, int axis, int64_t index);
/* View: part index of count equal parts along an axis. CB_ERROR_SHAPE when the extent is not a
   multiple of count, CB_ERROR_INDEX when index is outside 0..count-1. */
CB_API cb_tensor *cb_chunk(cb_tensor *x, int axis, int64_t count, int64_t index);
/* View under a larger shape, extents of 1 repeated, axes added in front (NumPy's broadcast_to). */
CB_API cb_tensor *cb_expand(cb_tensor *x, int rank, const int64_t *shape);
/* View without an axis of extent 1; with a new one at that place (axis up to the rank). */
CB_API cb_tensor *cb_squeeze(cb_tensor *x, int axis);
CB_API cb_tensor *cb_unsqueeze(cb_tensor *x, int axis);
/* View with the order of elements reversed along the axes. */
CB_API cb_tensor *cb_flip(cb_tensor *x, int count, const int *axes);
/* x with before[i] elements in front of and after[i] behind axis i, all equal to value. Arrays of
   rank entries, none negative: CB_ERROR_VALUE. */
CB_API cb_tensor *cb_pad(cb_tensor *x, const int64_t *before, const int64_t *after, double value);
/* The inputs one after the other along an axis; other extents equal. count >= 1. */
CB_API cb_tensor *cb_concat(int count, cb_tensor *const *inputs, int axis);
/* Inputs of one shape along a new axis. */
CB_API cb_tensor *cb_stack(int count, cb_tensor *const *inputs, int axis);
/* x itself when it is contiguous, else a row-major copy. */
CB_API cb_tensor *cb_contiguous(cb_tensor *x);
/* x summed down to a shape that broadcasts to x's: the adjoint of cb_expand. */
CB_API cb_tensor *cb_sum_to(cb_tensor *x, int rank, const int64_t *shape);
/* x in another dtype (conversions as cb_tensor_assign). Gradients flow between f32 and f64. */
CB_API cb_tensor *cb_cast(cb_tensor *x, cb_dtype dtype);
/* x, through which no gradient flows. A view. */
CB_API cb_tensor *cb_stop_gradient(cb_tensor *x);
/* x, through whose part at an index along an axis no gradient flows: a row of a table that is not
   to be learned. A view. A negative index counts from the end. CB_ERROR_SHAPE: an axis outside the
   rank; CB_ERROR_INDEX: an index outside the extent. */
CB_API cb_tensor *cb_stop_gradient_at(cb_tensor *x, int axis, int64_t index);

/* ---- Masks: an element counts as true where it is not 0, NaN too ------------------------------
 */

/* A mask may be of any dtype, whatever that of the operands: cb_where(cb_equal(ids, pad), a, b)
   with ids i64 and a, b f32. It must not be a factor of another dtype: cb_mul takes operands of one
   dtype as everywhere, because a product with 0 is NaN where the other factor is NaN or infinite,
   which a mask is there to hide. Cast a mask (cb_cast) to count with it. No gradient flows to a
   mask. */

/* y = value where the mask is true, else x; shapes broadcast. Any dtype of x; value is cast to it.
   dx = g where the mask is false. CB_ERROR_VALUE: no whole number for an integer dtype. */
CB_API cb_tensor *cb_masked_fill(cb_tensor *x, cb_tensor *mask, double value);
/* The lower and the upper triangle of the matrices [..., m, n], 0 outside: element (i, j) of the
   last two axes stays where j - i <= diagonal, or j - i >= diagonal. diagonal 0 keeps the main one.
   A causal mask is cb_tril of ones. CB_ERROR_SHAPE: a rank below 2. */
CB_API cb_tensor *cb_tril(cb_tensor *x, int64_t diagonal);
CB_API cb_tensor *cb_triu(cb_tensor *x, int64_t diagonal);
/* y[t, ...] = 1 where t < lengths[...], else 0: lengths, i32 or i64, of any shape -> a new first
   axis of extent time. So lengths [batch] give [time, batch], the layout of recurrent networks
   (rnn.h); cb_transpose(y, 0, 1) is [batch, time]. A length of 0 or less gives zeros, one above
   time ones. CB_ERROR_DTYPE: lengths of a float; CB_ERROR_SHAPE: no room for an axis, or time is
   negative.
   */
CB_API cb_tensor *cb_length_mask(cb_tensor *lengths, int64_t time, cb_dtype dtype);

/* ---- Random numbers -------------------------------------------------------------------------- */

/* Independent random numbers of a shape, f32 or f64, from the caller's generator, which advances
   (by at most one block an element, random.h). They are constants: no gradient flows to them, nor
   to x, of which the functions that end in _like take shape and dtype. So a sample with a gradient
   is a function of its parameters (a pathwise, or reparameterised, sample; Kingma & Welling 2014):
     cb_add(mean, cb_mul(sigma, cb_normal_like(mean, 0, 1, &random)))
   The numbers depend on the generator, dtype and shape alone, not on strides or the number of
   threads. They are the same under cb_checkpoint, which draws them again, and in a compiled
   recurrence. CB_ERROR_VALUE: the generator is NULL, or a parameter is outside its range;
   CB_ERROR_DTYPE: a dtype of integers. */

/* Uniform in [low, high); finite, low <= high. Bernoulli numbers with a probability for each
   element are cb_less(cb_uniform_like(p, 0, 1, random), p). */
CB_API cb_tensor *cb_uniform(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                             double low, double high, cb_random *random);
CB_API cb_tensor *cb_uniform_like(cb_tensor *x, double low, double high, cb_random *random);
/* Normal; stddev >= 0, both finite. */
CB_API cb_tensor *cb_normal(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                            double mean, double stddev, cb_random *random);
CB_API cb_tensor *cb_normal_like(cb_tensor *x, double mean, double stddev, cb_random *random);
/* 1 with probability p, else 0; 0 <= p <= 1. */
CB_API cb_tensor *cb_bernoulli(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                               double p, cb_random *random);
CB_API cb_tensor *cb_bernoulli_like(cb_tensor *x, double p, cb_random *random);
/* Exponential with mean 1: -log(1 - u), u uniform in (0, 1). Always above 0. */
CB_API cb_tensor *cb_exponential(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                                 cb_random *random);
CB_API cb_tensor *cb_exponential_like(cb_tensor *x, cb_random *random);
/* Gumbel's standard distribution: -log(e), e exponential. cb_argmax(cb_add(logits, cb_gumbel_like(
   logits, random)), -1, false) draws classes from softmax(logits) (Gumbel 1954; Maddison et al.
   2014), and softmax((logits + gumbel) / t) is a sample with a gradient (Jang et al. 2017). */
CB_API cb_tensor *cb_gumbel(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                            cb_random *random);
CB_API cb_tensor *cb_gumbel_like(cb_tensor *x, cb_random *random);

/* ---- Indexing: CB_ERROR_INDEX, with the index and its place, when one is out of range -------- */

/* y[i..., :] = table[indices[i...], :]: an embedding. table [rows, ...], indices of any shape ->
   indices' shape + table's shape without the first axis. Any dtype of table. */
CB_API cb_tensor *cb_gather_rows(cb_tensor *table, cb_tensor *indices);
/* Its adjoint: zeros [rows, ...] with source[i..., :] added to row indices[i...]. */
CB_API cb_tensor *cb_scatter_rows(cb_tensor *source, cb_tensor *indices, int64_t rows);
/* y[..., i, ...] = x[..., indices[..., i, ...], ...] along an axis; indices has x's rank, and its
   extents, but for the axis, are at most x's. */
CB_API cb_tensor *cb_gather(cb_tensor *x, int axis, cb_tensor *indices);
/* x with source added at the places that cb_gather would read; source has indices' shape. */
CB_API cb_tensor *cb_scatter_add(cb_tensor *x, int axis, cb_tensor *indices, cb_tensor *source);
/* 1 at the index, 0 elsewhere, along a new last axis of extent classes. Not differentiable. */
CB_API cb_tensor *cb_one_hot(cb_tensor *indices, int64_t classes, cb_dtype dtype);

/* ---- Windows, convolutions and pooling ------------------------------------------------------ */

/* Sliding windows over the last `count` axes of x, 1 to 3 of them:
     y[k.., i.., p..] = x[i.., p stride + k dilation ..]
   x [lead.., L..] -> [size.., lead.., (L - dilation (size - 1) - 1) / stride + 1 ..] (the last
   windows that are whole). Arrays of `count` entries; stride and dilation NULL: 1. A copy; what
   gradients come from several windows are added up. Any dtype. CB_ERROR_VALUE: a count, size,
   stride or dilation below 1; CB_ERROR_SHAPE: a window larger than its axis, or a rank above
   CB_MAX_RANK.
 */
CB_API cb_tensor *cb_windows(cb_tensor *x, int count, const int64_t *size, const int64_t *stride,
                             const int64_t *dilation);

/* Entries are for the axes in their order: 1d uses the first. */
typedef struct cb_conv_options {
    cb_tensor *bias;     /* [out]; NULL: none */
    int64_t stride[2];   /* 0: 1 */
    int64_t padding[2];  /* zeros at either end of an axis */
    int64_t dilation[2]; /* 0: 1 */
    int64_t groups;      /* 0: 1 */
} cb_conv_options;
/* y[n, o, p..] = bias[o] + sum over c, k of weight[o, c, k..] x[n, c', p stride + k dilation -
   padding ..], c' the c-th channel of o's group: the cross-correlation that PyTorch calls
   convolution. x [N, C, L] or [N, C, H, W], weight [out, C / groups, size..] -> [N, out, places..].
   REAL. cb_conv2d(x, weight, bias, .stride = {2, 2}, .padding = {1, 1}). Nothing stays on the tape
   but y; only gradients of gradients keep the windows, size times x. CB_ERROR_SHAPE: ranks, channels
   and groups that do not fit, a window larger than the padded axis; CB_ERROR_VALUE: a negative
   option. */
#define cb_conv1d(x, weight, ...)                                                                  \
    cb_conv_with(1, x, weight, CB_STRUCT(cb_conv_options, .bias = __VA_ARGS__))
#define cb_conv2d(x, weight, ...)                                                                  \
    cb_conv_with(2, x, weight, CB_STRUCT(cb_conv_options, .bias = __VA_ARGS__))
CB_API cb_tensor *cb_conv_with(int axes, cb_tensor *x, cb_tensor *weight,
                               const cb_conv_options *options);

/* Entries are for the axes in their order: 1d uses the first. */
typedef struct cb_pool_options {
    int64_t size[2];      /* of the window, along each axis */
    int64_t stride[2];    /* 0: the size */
    int64_t padding[2];   /* at either end, at most half the size */
    int64_t dilation[2];  /* 0: 1 */
    bool exclude_padding; /* averages are over the elements of x alone */
} cb_pool_options;
/* The largest element, or the average, of each window over the last axis or the last two; x
   [.., L] or [.., H, W] -> [.., places..]. Padding is -inf for the largest, of which ties share the
   gradient, and 0 for the average, where it counts as elements unless excluded. REAL. The windows of
   an average, size times x, stay on the tape; of the largest, only y does.
   cb_max_pool2d(x, .size = {2, 2}). CB_ERROR_VALUE: no size, padding above half of it; others as
   cb_windows. */
#define cb_max_pool1d(x, ...) cb_max_pool_with(1, x, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_max_pool2d(x, ...) cb_max_pool_with(2, x, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_avg_pool1d(x, ...) cb_avg_pool_with(1, x, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_avg_pool2d(x, ...) cb_avg_pool_with(2, x, CB_STRUCT(cb_pool_options, __VA_ARGS__))
CB_API cb_tensor *cb_max_pool_with(int axes, cb_tensor *x, const cb_pool_options *options);
CB_API cb_tensor *cb_avg_pool_with(int axes, cb_tensor *x, const cb_pool_options *options);

/* ---- Regularisation and losses -------------------------------------------------------------- */

/* y = x m / (1 - rate), m independent Bernoulli(1 - rate) (inverted dropout, Srivastava et al.
   2014). The mask is a function of *random, which advances. x itself when rate is 0.
   CB_ERROR_VALUE unless 0 <= rate < 1. */
CB_API cb_tensor *cb_dropout(cb_tensor *x, double rate, cb_random *random);
/* y = (x - mean) / sqrt(var + epsilon) * weight + bias over the last axes, as many as weight or
   bias has (the last one when both are NULL) (Ba et al. 2016). weight, bias: those axes' shape, or
   NULL. */
CB_API cb_tensor *cb_layer_norm(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon);

/* y = (x - mean) / sqrt(variance + epsilon) * weight + bias for each channel, an index of axis 1
   (Ioffe & Szegedy 2015). x [N, C, ...]; all others [C]. mean and variance, both or neither, may be
   NULL: then they are x's own, over all axes but 1, the variance that of the population, and nothing
   but y and two numbers a channel stay on the tape (where a channel of an image has 8 elements or
   more). weight and bias may be NULL. REAL. CB_ERROR_SHAPE: x's rank below 2, or another shape than [C];
   CB_ERROR_VALUE: a negative epsilon, or one of mean and variance NULL. */
CB_API cb_tensor *cb_batch_norm(cb_tensor *x, cb_tensor *mean, cb_tensor *variance,
                                cb_tensor *weight, cb_tensor *bias, double epsilon);

/* What a loss does with its terms: their mean (the default), their sum, or nothing. */
typedef enum cb_reduction { CB_REDUCE_MEAN, CB_REDUCE_SUM, CB_REDUCE_NONE } cb_reduction;

/* A few indices. */
typedef struct cb_indices {
    int count;     /* how many there are */
    int64_t at[8]; /* they */
} cb_indices;

/* Options of cb_cross_entropy. */
typedef struct cb_cross_entropy_options {
    cb_tensor *target;      /* [...], i32 or i64: the true classes */
    cb_reduction reduction; /* the mean is over targets that are not ignored, weighted */
    cb_tensor *weight;      /* [C], of the logits' dtype: w, what a class counts; NULL: 1 each */
    cb_indices ignored;     /* targets equal to one of them count as 0: see CB_IGNORE */
    double label_smoothing; /* s in [0, 1) */
} cb_cross_entropy_options;
/* The ignored indices, one or up to eight, whether they are classes or not:
   cb_cross_entropy(logits, target, CB_IGNORE(-100)). Where the ignored places are known as a mask,
   as from cb_length_mask, the targets there are set first: cb_masked_fill(target, mask, -100). */
#define CB_IGNORE(...) .ignored = CBI_LIST(cb_indices, int64_t, __VA_ARGS__)
/* Cross entropy in nats of classes given by logits [..., C] (last axis):
     l = -sum_c q_c w_c log softmax(logits)_c,   q = (1 - s) onehot(target) + s / C,
     mean = (sum of l) / (sum of w_target),
   as PyTorch's. cb_cross_entropy(logits, target, .label_smoothing = 0.1). An ignored index that is
   a class stays one that label smoothing spreads to. A mean over no targets, or over weights of 0,
   is NaN. Gradients flow to logits and weight. CB_ERROR_INDEX when a target is outside 0..C-1 and
   not ignored; CB_ERROR_SHAPE and CB_ERROR_DTYPE: a weight that is not [C] of the logits' dtype. */
#define cb_cross_entropy(logits, ...)                                                              \
    cb_cross_entropy_with(logits, CB_STRUCT(cb_cross_entropy_options, .target = __VA_ARGS__))
CB_API cb_tensor *cb_cross_entropy_with(cb_tensor *logits, const cb_cross_entropy_options *options);
/* l = max(x, 0) - x t + log(1 + exp(-|x|)), the cross entropy of t in [0, 1] and sigma(x). Shapes
   broadcast. */
CB_API cb_tensor *cb_binary_cross_entropy(cb_tensor *logits, cb_tensor *target,
                                          cb_reduction reduction);
/* l = (prediction - target)^2. */
CB_API cb_tensor *cb_mse(cb_tensor *prediction, cb_tensor *target, cb_reduction reduction);
/* l = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); d = prediction - target (Huber
   1964). CB_ERROR_VALUE unless delta > 0. */
CB_API cb_tensor *cb_huber(cb_tensor *prediction, cb_tensor *target, double delta,
                           cb_reduction reduction);

/* ---- Recomputation --------------------------------------------------------------------------- */

/* What a checkpoint computes: a result from its inputs, in ops. context: as given. */
typedef cb_tensor *cb_checkpoint_function(const void *context, cb_tensor *const *inputs);
/* y = function(context, inputs), of which only y is kept: when its gradient is wanted, the function
   is run again (gradient checkpointing, Chen et al. 2016). Costs one more run of the function, and
   saves the memory of everything in between. Several results are packed into one with cb_concat and
   taken apart with cb_slice.
   The function is given copies of its inputs on another tape, that of the inputs it sees: of the
   caller's tensors it may use only these, but for parameters (cb_parameter on that tape, and so
   modules), which get their gradients as ever. It must do the same each time, with values,
   parameters too, that stay as they are until the tape is reset. Ops that draw, such as
   cb_dropout, draw the same again; what the function draws by other means should be an input. The
   function may contain checkpoints of its own. On a tape without gradients it is run once, and its
   intermediate results' memory used again. context_size bytes of the context are copied; 0: it must
   live as long as the tape's step. At least one input; any dtypes. Errors, on the inputs' tape:
   CB_ERROR_VALUE (function is NULL), CB_ERROR_TAPE (a result that is not made from the inputs, a
   tensor used that is not among them, a gradient of the gradient), CB_ERROR_MEMORY, and what the
   function's ops record. */
CB_API cb_tensor *cb_checkpoint(cb_checkpoint_function *function, const void *context,
                                size_t context_size, int count, cb_tensor *const *inputs);

CB_END_DECLS

#endif
