/* The loops over tensors' memory, for the ops. Nothing here checks its arguments: shape rules have
   done so. Outputs are split over threads (parallel.h); results do not depend on how. */
#ifndef CEREBRA_TENSOR_KERNELS_H
#define CEREBRA_TENSOR_KERNELS_H

#include <cerebra/export.h>
#include <cerebra/random.h>
#include <cerebra/tensor.h>

/* Whether a tensor of this dtype and shape can exist: rank, signs, no overflow of its size. */
bool cbi_shape_valid(cb_dtype dtype, int rank, const int64_t *shape);
/* Sets the strides of a row-major tensor of t's shape. */
void cbi_strides_row_major(cb_tensor *t);

/* One element as a double, and back with the conversions of cb_tensor_assign. */
double cbi_load(cb_dtype dtype, const void *element);
void cbi_store(cb_dtype dtype, void *element, double value);
/* One element of an integer tensor, i32 or i64. */
int64_t cbi_load_index(cb_dtype dtype, const void *element);

/* target = source, cast, any strides; shapes are equal. */
void cbi_copy(const cb_tensor *target, const cb_tensor *source);
/* The same for one dtype; cbi_copy uses it. */
void cbi_copy_layout(const cb_tensor *target, const cb_tensor *source);

/* What an elementwise kernel works on: rows of n elements, out[r][i] = f(in[0][r][i], ...). The
   elements of a row are neighbours; rows are strides in bytes apart, which may be 0 for an input.
   An input whose bit is set in `single` has one element a row, which stands for all n. out may be
   one of the inputs. */
#define CBI_MAP_INPUTS 3
typedef struct cbi_rows {
    int64_t count, n;
    void *out;
    int64_t out_stride;
    const void *in[CBI_MAP_INPUTS];
    int64_t in_stride[CBI_MAP_INPUTS];
    unsigned single;
} cbi_rows;
typedef void cbi_kernel(const cbi_rows *rows, const double *parameters);
/* A kernel on one row. */
static inline void cbi_run_kernel(cbi_kernel *kernel, int64_t n, void *out, int count,
                                  const void *const *in, const double *parameters) {
    cbi_rows rows = {.count = 1, .n = n, .out = out};
    for (int k = 0; k < count; k++)
        rows.in[k] = in[k];
    kernel(&rows, parameters);
}
/* Elements in the blocks that strided operands are gathered into: they stay in the L1 cache. */
#define CBI_BLOCK 1024
/* out = kernel(in...) over tensors of out's shape: broadcast inputs have strides of 0. Any strides;
   all of one dtype. */
void cbi_map(cbi_kernel *kernel, const cb_tensor *out, int count, const cb_tensor *in,
             const double *parameters);
/* The strides of t when it is broadcast to a shape it is known to fit. */
cb_tensor cbi_broadcast_to(const cb_tensor *t, int rank, const int64_t *shape);
/* target += source, of equal shape and dtype, f32 or f64. Any strides. */
void cbi_add_into(const cb_tensor *target, const cb_tensor *source);

/* Indices are row-major. How many come before the first that is not in 0..extent-1: all of them if
   there is none. The functions below take no index that is not. */
int64_t cbi_first_outside(int64_t count, const int64_t *indices, int64_t extent);
/* out[.., i, ..] = x[.., indices[.., i, ..], ..] along an axis; out is row-major and has the
   indices' shape, which but for the axis is no larger than x's. */
void cbi_gather(const cb_tensor *out, const cb_tensor *x, int axis, const int64_t *indices);
/* out[.., indices[.., i, ..], ..] += source[.., i, ..], f32 or f64, in the order of i; source is
   row-major and has the indices' shape. */
void cbi_scatter_add(const cb_tensor *out, int axis, const int64_t *indices,
                     const cb_tensor *source);
/* out[i] = table[indices[i]], for `count` rows of a row-major out. */
void cbi_gather_rows(const cb_tensor *out, const cb_tensor *table, int64_t count,
                     const int64_t *indices);
/* table = 0, then table[indices[i]] += source[i], in the order of i; both are row-major. */
void cbi_scatter_rows(const cb_tensor *table, const cb_tensor *source, int64_t count,
                      const int64_t *indices);

typedef enum cbi_reduction { CBI_SUM, CBI_MAX, CBI_MIN } cbi_reduction;
/* out = reduction of in; out has in's rank, with extent 1 and any stride where it is reduced. */
void cbi_reduce(cbi_reduction kind, const cb_tensor *out, const cb_tensor *in);
/* The same for sums, added to out (f32 or f64). */
void cbi_sum_into(const cb_tensor *out, const cb_tensor *in);

/* out, i64 and row-major, of x's shape but with extent 1 along the axis: where the largest element
   is, the first of equals, or the first NaN. */
void cbi_argmax(const cb_tensor *out, const cb_tensor *x, int axis);

/* The reduction of n elements in a row. On the calling thread. */
void cbi_reduce_row(cbi_reduction kind, cb_dtype dtype, int64_t n, void *out, const void *in);

/* C = A B, or C += A B; f32 or f64. Strides of rows and columns in elements, any sign. */
typedef struct cbi_matrix {
    void *data;
    int64_t row_stride, column_stride;
} cbi_matrix;
/* The matrix that begins at an element of another. */
static inline cbi_matrix cbi_matrix_at(cb_dtype dtype, cbi_matrix matrix, int64_t row,
                                       int64_t column) {
    int64_t element = row * matrix.row_stride + column * matrix.column_stride;
    matrix.data = (char *)matrix.data + element * (int64_t)cb_dtype_size(dtype);
    return matrix;
}
void cbi_gemm(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
              bool accumulate, cbi_matrix c);

/* Several products that share an operand. The rows of A are those of matrices A_i on top of each
   other, and C_i = A_i B, or C_i += A_i B; or, across, the columns of B are those of matrices B_i
   side by side, and C_i = A B_i. The same bits as by cbi_gemm for each, in less time: the shared
   operand is packed once. The extents add up to m, across to n; no C_i overlaps another. */
typedef struct cbi_gemm_block {
    int64_t extent; /* rows of C_i, or columns */
    bool accumulate;
    cbi_matrix c;
} cbi_gemm_block;
enum { CBI_MOST_BLOCKS = 64 }; /* that share a packed operand; more are formed one by one */
void cbi_gemm_blocks(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool across, int count, const cbi_gemm_block *blocks);
/* out = a b for each of a batch: tensors of one rank, of which the last two axes are those of the
   matrices and a's and b's others have out's extents, or strides of 0. The same bits as by cbi_gemm
   for each. There is an element at least. */
void cbi_gemm_batch(const cb_tensor *out, const cb_tensor *a, const cb_tensor *b);
/* Matrix i of a batch whose axes before the last two have the extents of shape. */
cbi_matrix cbi_matrix_of(const cb_tensor *t, int64_t i, const int64_t *shape);
/* cbi_gemm for a product that is one of many: to the same bits, without packing where it is small.
 */
void cbi_gemm_one(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                  bool accumulate, cbi_matrix c);
/* Why products should not be computed, NULL when they can be: the user has set BLIS_ARCH_TYPE to
   what BLIS would abort on. Another configuration is then taken for those that are computed all the
   same.
 */
const char *cbi_gemm_fault(void);
/* The same with BLIS's own call, for m and n above 0; what cbi_gemm falls back to. */
void cbi_gemm_blis(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                   bool accumulate, cbi_matrix c);
/* The same for a few rows, read from B as it lies; cbi_gemm uses it where it can. False, and
   nothing done, for more rows and for strides that it is not made for. */
enum { CBI_GEMV_ROWS = 4 };
bool cbi_gemv(cb_dtype dtype, int64_t rows, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
              bool accumulate, cbi_matrix c);
/* cbi_gemm_blocks on operands packed for the call (gemm_packed.c); cbi_gemm and cbi_gemm_blocks use
   it where they can. False, and nothing done, for sizes of 0, where BLIS has no kernel that is
   known here, for C_i of which neither rows nor columns lie one element apart in all, and when
   memory is short. */
bool cbi_gemm_packed(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool across, int count, const cbi_gemm_block *blocks);

#endif
