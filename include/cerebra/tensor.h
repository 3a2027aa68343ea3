/* Tensors: a dtype, a shape, strides and a pointer.

   Invariants
   - 0 <= rank <= CB_MAX_RANK; shape[i] >= 0; a tensor with a zero in its shape has no elements.
   - Strides count elements, not bytes. They may be 0 (an expanded axis) or negative (a flipped
     one). A fresh tensor is row-major: the last axis has stride 1.
   - data points at element (0, ..., 0) and is aligned for its dtype; NULL when there is nothing to
     point at (no elements, or a tensor that stands for a failed op).
   - The struct is open: fields may be read freely. node belongs to the tape (tape.h): NULL for a
     plain tensor, not to be touched.

   Two lifetimes: a plain tensor is the caller's (cb_tensor_new / cb_tensor_free, or a cb_tensor on
   the caller's stack made by cb_tensor_wrap); a tensor returned by an op belongs to its tape and
   lives until cb_tape_reset or cb_tape_free. */
#ifndef CEREBRA_TENSOR_H
#define CEREBRA_TENSOR_H

#include <cerebra/arguments.h>
#include <cerebra/export.h>
#include <cerebra/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

CB_BEGIN_DECLS

/* The most axes that a tensor has. */
#define CB_MAX_RANK 8

/* Element types: IEEE 754 binary32 and binary64, two's complement 32 and 64 bits. There is no
   boolean: comparisons give 1 and 0 in the dtype of their operands, so that a mask multiplies, and
   what chooses by a mask takes one of any dtype (ops.h). */
typedef enum cb_dtype { CB_F32, CB_F64, CB_I32, CB_I64 } cb_dtype;

/* A tensor; the invariants are above. */
typedef struct cb_tensor {
    cb_dtype dtype;              /* type of an element */
    int rank;                    /* number of axes */
    int64_t shape[CB_MAX_RANK];  /* extents */
    int64_t stride[CB_MAX_RANK]; /* elements from one index to the next */
    void *data;                  /* element (0, ..., 0) */
    struct cb_node *node;        /* the tape's */
} cb_tensor;

/* A shape as two arguments, rank and extents: cb_tensor_new(CB_F32, CB_SHAPE(2, 3)). */
#define CB_SHAPE(...) CBI_ARRAY(int64_t, __VA_ARGS__)
/* The shape of a scalar (rank 0, one element). */
#define CB_SCALAR 0, NULL

/* Bytes of one element (4 or 8), and the name "f32", "f64", "i32" or "i64". */
CB_API size_t cb_dtype_size(cb_dtype dtype);
CB_API const char *cb_dtype_name(cb_dtype dtype);
/* Whether the dtype is f32 or f64. */
CB_API bool cb_dtype_is_float(cb_dtype dtype);

/* A new row-major tensor of zeros, aligned to 64 bytes. The caller owns it and ends it with
   cb_tensor_free. NULL when the rank is outside 0..CB_MAX_RANK, an extent is negative, the size in
   bytes overflows, or there is no memory. */
CB_API cb_tensor *cb_tensor_new(cb_dtype dtype, int rank, const int64_t *shape);
/* The same with the elements of t, cast to dtype. NULL as above, or when t has no data. */
CB_API cb_tensor *cb_tensor_copy(const cb_tensor *t, cb_dtype dtype);
/* Frees a tensor from cb_tensor_new or cb_tensor_copy; NULL is allowed. */
CB_API void cb_tensor_free(cb_tensor *t);
/* A row-major tensor over the caller's memory, by value; nothing is owned or copied. The memory
   must hold all elements and outlive the tensor. rank must be 0..CB_MAX_RANK. */
CB_API cb_tensor cb_tensor_wrap(cb_dtype dtype, int rank, const int64_t *shape, void *data);

/* Number of elements: the product of the shape, 1 for a scalar. */
CB_API int64_t cb_tensor_count(const cb_tensor *t);
/* Bytes of all elements: count times the size of one. */
CB_API size_t cb_tensor_bytes(const cb_tensor *t);
/* Whether the elements lie row-major without gaps (true also when there are none). */
CB_API bool cb_tensor_is_contiguous(const cb_tensor *t);
/* Whether two tensors have the same rank and extents. */
CB_API bool cb_tensor_same_shape(const cb_tensor *a, const cb_tensor *b);

/* Element at a multi-index of rank entries, as a double (i64 beyond 2^53 rounds). NaN when an index
   is out of range or there is no data. For a tensor on a tape prefer cb_item, which records. */
CB_API double cb_tensor_get(const cb_tensor *t, const int64_t *index);
/* Stores value, cast to the dtype, at a multi-index; CB_ERROR_INDEX when out of range. */
CB_API cb_status cb_tensor_set(cb_tensor *t, const int64_t *index, double value);
/* Sets every element to value, cast to the dtype. */
CB_API void cb_tensor_fill(cb_tensor *t, double value);
/* Copies the elements of source into target, casting as C does (a float out of an integer's range
   saturates, NaN becomes 0; i64 to i32 wraps). Shapes must be equal: CB_ERROR_SHAPE otherwise;
   CB_ERROR_VALUE when one has no data, as what a failed op gave. The two may not overlap. */
CB_API cb_status cb_tensor_assign(cb_tensor *target, const cb_tensor *source);

/* Writes "[128,512]" into buffer (always terminated, cut at size) and returns buffer. */
CB_API char *cb_shape_format(const cb_tensor *t, char *buffer, size_t size);

/* The elements as text: up to six digits each, aligned, in a pair of brackets for each axis and
   rows of at most 80 characters; of more than 1000 elements the first and last three of each axis,
   with
   "..." between them. Writes at most size bytes, always terminated, and returns the length of the
   whole text, as snprintf does. */
CB_API size_t cb_tensor_format(const cb_tensor *t, char *buffer, size_t size);
/* Writes that text and a newline to a stream of the caller's choice. CB_ERROR_FILE when the stream
   fails. A tensor without data is "(no data)", here and in cb_tensor_format. */
CB_API cb_status cb_tensor_print(const cb_tensor *t, FILE *stream);

CB_END_DECLS

#endif
