/* Reductions over any axes. The axes are split in two sets, kept and reduced. When the innermost
   axis is reduced, each output is the reduction of its row; when it is kept, a panel of outputs is
   accumulated column by column, so that memory is read in order either way. Floating sums
   accumulate in double. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <math.h>

#define PANEL 256

/* Folds n elements, step apart, into one accumulator; and elementwise into a panel of them. */
typedef void fold_row(int64_t n, void *accumulator, const void *x, int64_t step);
typedef void fold_panel(int64_t n, void *accumulators, const void *x, int64_t step);
typedef void start_panel(int64_t n, void *accumulators);
typedef void finish_panel(int64_t n, void *out, int64_t step, const void *accumulators, bool add);

typedef struct reducer {
    start_panel *start;
    fold_row *row;
    fold_panel *panel;
    finish_panel *finish;
} reducer;

/* Integers add in unsigned arithmetic, which wraps as NumPy's does. */
#define ADD_FLOAT(s, x)   ((s) + (x))
#define ADD_INTEGER(s, x) ((int64_t)((uint64_t)(s) + (uint64_t)(x)))
/* A NaN, once there, stays. */
#define LARGER(s, x)  ((x) > (s) || (x) != (x) ? (x) : (s))
#define SMALLER(s, x) ((x) < (s) || (x) != (x) ? (x) : (s))

#define REDUCER(name, element, wide, initial, combine, simd)                                       \
    CBI_MULTIVERSION static void name##_row(int64_t n, void *accumulator, const void *data,        \
                                            int64_t step) {                                        \
        const element *x = data;                                                                   \
        wide s = *(wide *)accumulator;                                                             \
        if (step == 1) {                                                                           \
            simd for (int64_t i = 0; i < n; i++) s = combine(s, x[i]);                             \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++)                                                        \
                s = combine(s, x[i * step]);                                                       \
        }                                                                                          \
        *(wide *)accumulator = s;                                                                  \
    }                                                                                              \
    CBI_MULTIVERSION static void name##_panel(int64_t n, void *accumulators, const void *data,     \
                                              int64_t step) {                                      \
        const element *x = data;                                                                   \
        wide *s = accumulators;                                                                    \
        if (step == 1)                                                                             \
            for (int64_t i = 0; i < n; i++)                                                        \
                s[i] = combine(s[i], x[i]);                                                        \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                s[i] = combine(s[i], x[i * step]);                                                 \
    }                                                                                              \
    static void name##_start(int64_t n, void *accumulators) {                                      \
        wide *s = accumulators;                                                                    \
        for (int64_t i = 0; i < n; i++)                                                            \
            s[i] = (wide)(initial);                                                                \
    }                                                                                              \
    static void name##_finish(int64_t n, void *out, int64_t step, const void *accumulators,        \
                              bool add) {                                                          \
        element *y = out;                                                                          \
        const wide *s = accumulators;                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i * step] = add ? (element)(y[i * step] + (element)s[i]) : (element)s[i];            \
    }

#define SIMD_SUM _Pragma("omp simd reduction(+ : s)")
REDUCER(sum_f32, float, double, 0, ADD_FLOAT, SIMD_SUM)
REDUCER(sum_f64, double, double, 0, ADD_FLOAT, SIMD_SUM)
REDUCER(sum_i32, int32_t, int64_t, 0, ADD_INTEGER, )
REDUCER(sum_i64, int64_t, int64_t, 0, ADD_INTEGER, )
REDUCER(max_f32, float, float, -INFINITY, LARGER, )
REDUCER(max_f64, double, double, -INFINITY, LARGER, )
REDUCER(max_i32, int32_t, int32_t, INT32_MIN, LARGER, )
REDUCER(max_i64, int64_t, int64_t, INT64_MIN, LARGER, )
REDUCER(min_f32, float, float, INFINITY, SMALLER, )
REDUCER(min_f64, double, double, INFINITY, SMALLER, )
REDUCER(min_i32, int32_t, int32_t, INT32_MAX, SMALLER, )
REDUCER(min_i64, int64_t, int64_t, INT64_MAX, SMALLER, )

#define ENTRY(name)                                                                                \
    { name##_start, name##_row, name##_panel, name##_finish }
static const reducer reducers[3][4] = {
    [CBI_SUM] = {[CB_F32] = ENTRY(sum_f32),
                 [CB_F64] = ENTRY(sum_f64),
                 [CB_I32] = ENTRY(sum_i32),
                 [CB_I64] = ENTRY(sum_i64)},
    [CBI_MAX] = {[CB_F32] = ENTRY(max_f32),
                 [CB_F64] = ENTRY(max_f64),
                 [CB_I32] = ENTRY(max_i32),
                 [CB_I64] = ENTRY(max_i64)},
    [CBI_MIN] = {[CB_F32] = ENTRY(min_f32),
                 [CB_F64] = ENTRY(min_f64),
                 [CB_I32] = ENTRY(min_i32),
                 [CB_I64] = ENTRY(min_i64)},
};

typedef struct reduce_job {
    const reducer *reducer;
    const cb_tensor *out, *in;
    size_t size;
    bool add, by_panel;
    cbi_loops kept, reduced; /* kept: operands out, in; reduced: in */
} reduce_job;

static void reduce_range(void *context, int64_t begin, int64_t end) {
    const reduce_job *job = context;
    int64_t size = (int64_t)job->size;
    _Alignas(64) double accumulators[PANEL]; /* as wide as any accumulator */
    for (cbi_cursor at = cbi_cursor_start(&job->kept, begin); at.item < end;
         cbi_cursor_next(&job->kept, &at)) {
        job->reducer->start(at.length, accumulators);
        for (cbi_cursor of = cbi_cursor_start(&job->reduced, 0); of.item < job->reduced.items;
             cbi_cursor_next(&job->reduced, &of)) {
            const char *x = (const char *)job->in->data + (at.offset[1] + of.offset[0]) * size;
            if (job->by_panel)
                job->reducer->panel(at.length, accumulators, x, job->kept.step[1]);
            else
                job->reducer->row(of.length, accumulators, x, job->reduced.step[0]);
        }
        job->reducer->finish(at.length, (char *)job->out->data + at.offset[0] * size,
                             job->kept.step[0], accumulators, job->add);
    }
}

static int64_t magnitude(int64_t x) {
    return x < 0 ? -x : x;
}

static void reduce(cbi_reduction kind, const cb_tensor *out, const cb_tensor *in, bool add) {
    cb_tensor kept = *in, reduced = *in;
    for (int i = 0; i < in->rank; i++)
        if (out->shape[i] == in->shape[i])
            reduced.shape[i] = 1;
        else
            kept.shape[i] = 1;
    reduce_job job = {.reducer = &reducers[kind][in->dtype],
                      .out = out,
                      .in = in,
                      .size = cb_dtype_size(in->dtype),
                      .add = add};
    const cb_tensor *kept_operands[] = {out, &kept}, *reduced_operands[] = {&reduced};
    cbi_loops_plan(&job.kept, 2, kept_operands, PANEL);
    cbi_loops_plan(&job.reduced, 1, reduced_operands, INT64_MAX / 2);
    job.by_panel = job.kept.run > 1 && (job.reduced.run <= 1 || magnitude(job.kept.step[1]) <
                                                                    magnitude(job.reduced.step[0]));
    if (job.by_panel)
        cbi_loops_plan(&job.reduced, 1, reduced_operands, 1);
    else
        cbi_loops_plan(&job.kept, 2, kept_operands, 1);
    int64_t work = cb_tensor_count(in) / (job.kept.items > 0 ? job.kept.items : 1);
    cbi_parallel_for(job.kept.items, CBI_GRAIN / (work + 1) + 1, reduce_range, &job);
}

void cbi_reduce(cbi_reduction kind, const cb_tensor *out, const cb_tensor *in) {
    reduce(kind, out, in, false);
}

void cbi_sum_into(const cb_tensor *out, const cb_tensor *in) {
    reduce(CBI_SUM, out, in, true);
}

void cbi_reduce_row(cbi_reduction kind, cb_dtype dtype, int64_t n, void *out, const void *in) {
    const reducer *r = &reducers[kind][dtype];
    double accumulator; /* as wide as any */
    r->start(1, &accumulator);
    r->row(n, &accumulator, in, 1);
    r->finish(1, out, 1, &accumulator, false);
}
