/* The tape: every op computes at once and notes on the tape what it did, so that gradients can be
   computed from the notes.

   Ownership. A tape owns every tensor that ops make on it, from an arena. cb_tape_reset ends them
   all in one call and keeps the memory: the second step of a training loop allocates nothing.

   Errors. The first op that fails records a status and a message on its tape and returns a
   poisoned tensor (data NULL); every later op passes it through. One test, after cb_backward or of
   cb_tape_status, is enough. After a failure the tape works again once it is reset.

   A tape, and the tensors on it, belong to one thread at a time. */
#ifndef CEREBRA_TAPE_H
#define CEREBRA_TAPE_H

#include <cerebra/tensor.h>
#include <cerebra/threads.h>

CB_BEGIN_DECLS

/* A tape; ended by cb_tape_free. */
typedef struct cb_tape cb_tape;

/* A new empty tape; NULL when there is no memory (ops on what a NULL tape gives are poisoned, and
   cb_backward says CB_ERROR_MEMORY). End it with cb_tape_free. */
CB_API cb_tape *cb_tape_new(void);
/* A tape that records nothing for gradients: ops only compute. For evaluation and sampling. */
CB_API cb_tape *cb_tape_new_no_grad(void);
/* From now on, over resets too: whether modules compute what they do in evaluation, where dropout
   and zoneout keep everything, or in training. A tape with gradients begins in training, one
   without in evaluation: so gradients without dropout are cb_tape_evaluate(tape, true), and dropout
   at test time (Gal & Ghahramani 2016) is cb_tape_evaluate(no_grad, false). */
CB_API void cb_tape_evaluate(cb_tape *tape, bool on);
CB_API bool cb_tape_evaluates(const cb_tape *tape);
/* Frees the tape and all tensors on it; NULL is allowed. */
CB_API void cb_tape_free(cb_tape *tape);
/* Ends all tensors on the tape, clears its error, keeps its memory for the next step. What is used
   of an earlier step all the same fails with CB_ERROR_TAPE, in nearly all cases: copy what is to be
   kept, with cb_tensor_copy. */
CB_API void cb_tape_reset(cb_tape *tape);
/* CB_OK, or the status of the first op that failed since the last reset. */
CB_API cb_status cb_tape_status(const cb_tape *tape);
/* The message of that failure, such as "matmul: [128,512] x [256,64]: inner extents 512 and 256
   differ (op 17)"; "" when there is none. Lives until the next reset. */
CB_API const char *cb_tape_error(const cb_tape *tape);
/* Bytes the tape's arena holds (its high-water mark over all steps), with that of what checkpoints
   compute on (cb_checkpoint). */
CB_API size_t cb_tape_bytes(const cb_tape *tape);

/* Puts a plain tensor on the tape as a constant: no gradient flows to it. Shares the caller's
   memory, which must stay as it is until the tape is reset; any strides. */
CB_API cb_tensor *cb_input(cb_tape *tape, const cb_tensor *value);
/* The same, and gradients are computed for it: see cb_gradient. f32 or f64: CB_ERROR_DTYPE. */
CB_API cb_tensor *cb_variable(cb_tape *tape, const cb_tensor *value);
/* A variable whose gradient cb_backward adds to *gradient, a contiguous plain tensor of the same
   dtype and shape that the caller owns. This is how parameters join a tape. */
CB_API cb_tensor *cb_variable_into(cb_tape *tape, const cb_tensor *value, cb_tensor *gradient);
/* A new constant tensor with every element equal to value. */
CB_API cb_tensor *cb_full(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                          double value);
/* A constant [count] with elements start, start + step, ...: start + i * step. */
CB_API cb_tensor *cb_arange(cb_tape *tape, cb_dtype dtype, double start, double step,
                            int64_t count);

/* From now on, or no longer: an op, or an op of a gradient, that makes a NaN where no input has one
   fails with CB_ERROR_VALUE and a message that names it, and so does an input or a parameter
   that has one; so the first NaN of all is found. Recurrences run op by op. Slow: every element is
   looked at. */
CB_API void cb_tape_detect_anomaly(cb_tape *tape, bool on);
/* The tape a tensor is on; NULL for a plain tensor. */
CB_API cb_tape *cb_tape_of(const cb_tensor *t);
/* Whether gradients flow through this tensor. */
CB_API bool cb_requires_grad(const cb_tensor *t);
/* The value of a tensor with one element. NaN when t is poisoned or, recording CB_ERROR_SHAPE on
   its tape, when it has more or fewer. */
CB_API double cb_item(const cb_tensor *t);
/* Records a failure on the tape of t, unless one is recorded already, and returns the poisoned
   tensor: for functions built from ops that check arguments of their own. The message is printf's.
 */
CB_API cb_tensor *cb_fail(const cb_tensor *t, cb_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Back-propagates from loss, a tensor with one element: adds d loss / d v to the gradient of every
   variable v on the tape (cb_variable_into: to the caller's tensor; cb_variable: cb_gradient).
   Returns the tape's status: an op's failure anywhere before shows here. CB_ERROR_SHAPE when loss
   has not one element; CB_ERROR_TAPE when no variable reaches it, or on a no-grad tape. */
CB_API cb_status cb_backward(cb_tensor *loss);
/* What cb_backward computed for a variable from cb_variable; belongs to the tape. NULL when no
   gradient reached it. */
CB_API cb_tensor *cb_gradient(const cb_tensor *variable);

/* Gradients as tensors: gradients[i] = d sum(output * seed) / d inputs[i] for count inputs, any
   tensors on the tape that require gradients. seed (NULL: ones) has output's shape. An input that
   does not reach output gives zeros. With create_graph the gradients are themselves recorded, so
   that gradients of gradients can be taken. Nothing is added to variables' own gradients.
   On failure all of gradients are poisoned and the tape's status is returned. */
CB_API cb_status cb_grad(cb_tensor *output, cb_tensor *seed, bool create_graph, int count,
                         cb_tensor *const *inputs, cb_tensor **gradients);

CB_END_DECLS

#endif
