/* Reductions over any axes. The axes are split in two sets, kept and reduced. When the innermost
   axis is reduced, each output is the reduction of its row; when it is kept, a panel of outputs is
   accumulated column by column, so that memory is read in order either way. Floating sums
   accumulate in double. Long rows are summed in lanes, and very long ones in parts; how many, and
   with it the order of a sum, is a matter of the shape and the strides alone. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <math.h>

enum {
    PANEL = 256,
    PART = 65536,    /* elements of a row that make a part of their own */
    MOST_PARTS = 64, /* of a row */
};

/* Folds n elements, step apart, of each of count rows, `apart` from each other, into the rows'
   accumulators. */
typedef void fold_rows(int64_t count, int64_t n, void *accumulators, const void *x, int64_t apart,
                       int64_t step);
typedef void start_panel(int64_t n, void *accumulators);
typedef void finish_panel(int64_t n, void *out, int64_t step, const void *accumulators, bool add);

typedef struct reducer {
    start_panel *start;
    fold_rows *rows;
    fold_rows *panel; /* the same, all rows at once, elements in the same order */
    finish_panel *finish;
    size_t wide; /* bytes of an accumulator */
} reducer;

/* Integers add in unsigned arithmetic, which wraps as NumPy's does. */
#define ADD_FLOAT(s, x)   ((s) + (x))
#define ADD_INTEGER(s, x) ((int64_t)((uint64_t)(s) + (uint64_t)(x)))
/* A NaN, once there, stays. */
#define LARGER(s, x)  ((x) != (x) ? (x) : (x) > (s) ? (x) : (s))
#define SMALLER(s, x) ((x) != (x) ? (x) : (x) < (s) ? (x) : (s))

#define INLINE static inline __attribute__((always_inline))

/* Lanes from `half` on go to those before; of a known number, and where it does not
   unroll the loop first, gcc makes vectors. */
#define HALVE(half, combine)                                                                       \
    _Pragma("GCC unroll 1") for (int64_t l = 0; LANES > (half) && l < (half); l++) lane[l] =       \
        combine(lane[l], lane[l + (half)]);
#define HALVE_ALL(combine)                                                                         \
    HALVE(32, combine)                                                                             \
    HALVE(16, combine)                                                                             \
    HALVE(8, combine) HALVE(4, combine) HALVE(2, combine) HALVE(1, combine)

/* _in_lanes: the fold of n elements, a multiple of _LANES, as if they were rows of so many columns;
   four of the widest registers. Plain loops: gcc takes vectors of its own types apart before it
   knows the CPU. */
#define IN_LANES(name, element, wide, initial, combine)                                            \
    enum { name##_LANES = 256 / sizeof(wide) };                                                    \
    INLINE wide name##_in_lanes(int64_t n, const element *x) {                                     \
        enum { LANES = name##_LANES };                                                             \
        wide lane[LANES];                                                                          \
        int64_t i = 0;                                                                             \
        for (int64_t l = 0; l < LANES; l++)                                                        \
            lane[l] = (wide)(initial);                                                             \
        for (; i + 4 * LANES <= n; i += 4 * LANES)                                                 \
            for (int64_t l = 0; l < LANES; l++) {                                                  \
                wide s = combine(lane[l], x[i + l]);                                               \
                s = combine(s, x[i + LANES + l]);                                                  \
                s = combine(s, x[i + 2 * LANES + l]);                                              \
                lane[l] = combine(s, x[i + 3 * LANES + l]);                                        \
            }                                                                                      \
        for (; i < n; i += LANES)                                                                  \
            for (int64_t l = 0; l < LANES; l++)                                                    \
                lane[l] = combine(lane[l], x[i + l]);                                              \
        HALVE_ALL(combine)                                                                         \
        return lane[0];                                                                            \
    }
#define SUM_LANES(name, element, wide, initial, combine)                                           \
    IN_LANES(name, element, wide, initial, combine)                                                \
    INLINE wide name##_lanes(int64_t n, const element *x, wide *seen) {                            \
        (void)seen;                                                                                \
        return name##_in_lanes(n, x);                                                              \
    }                                                                                              \
    INLINE bool name##_missed(const wide *seen) {                                                  \
        (void)seen;                                                                                \
        return false;                                                                              \
    }
/* Comparisons pass NaNs over. That there may be one is seen by sums beside, over all rows of a
   call, in which a NaN stays; opposite infinities leave one, too, and cost a look at all elements.
 */
#define ABOVE(s, x)         ((x) > (s) ? (x) : (s))
#define BELOW(s, x)         ((x) < (s) ? (x) : (s))
#define WATCH_FLOAT(w, x)   ((w) + (x))
#define WATCH_NOTHING(w, x) (w)
#define CHOICE_LANES(name, element, initial, combine, plain, watch)                                \
    enum { name##_LANES = 256 / sizeof(element) };                                                 \
    INLINE element name##_lanes(int64_t n, const element *x, element *seen) {                      \
        enum { LANES = name##_LANES };                                                             \
        element lane[LANES];                                                                       \
        for (int64_t l = 0; l < LANES; l++)                                                        \
            lane[l] = (element)(initial);                                                          \
        for (int64_t i = 0; i < n; i += LANES)                                                     \
            for (int64_t l = 0; l < LANES; l++) {                                                  \
                lane[l] = plain(lane[l], x[i + l]);                                                \
                seen[l] = watch(seen[l], x[i + l]);                                                \
            }                                                                                      \
        HALVE_ALL(plain)                                                                           \
        return lane[0];                                                                            \
    }                                                                                              \
    INLINE bool name##_missed(const element *seen) {                                               \
        int nans = 0;                                                                              \
        for (int64_t l = 0; l < name##_LANES; l++)                                                 \
            nans |= seen[l] != seen[l];                                                            \
        return nans != 0;                                                                          \
    }

/* _fold: s[o] = the fold of s[o] and column o of n rows, step apart; columns are `apart` from each
   other. */
#define REDUCER(name, element, wide, initial, combine, simd)                                       \
    INLINE void name##_fold(int64_t count, int64_t n, wide *restrict s, const element *data,       \
                            int64_t apart, int64_t step) {                                         \
        for (int64_t k = 0; k < n;) {                                                              \
            const element *restrict x = data + k * step;                                           \
            const element *restrict y = x + step, *restrict z = y + step, *restrict w = z + step;  \
            if (apart == 1 && k + 4 <= n) {                                                        \
                for (int64_t o = 0; o < count; o++) {                                              \
                    wide sum = combine(s[o], x[o]);                                                \
                    sum = combine(sum, y[o]);                                                      \
                    sum = combine(sum, z[o]);                                                      \
                    s[o] = combine(sum, w[o]);                                                     \
                }                                                                                  \
                k += 4;                                                                            \
                continue;                                                                          \
            }                                                                                      \
            if (apart == 1)                                                                        \
                for (int64_t o = 0; o < count; o++)                                                \
                    s[o] = combine(s[o], x[o]);                                                    \
            else                                                                                   \
                for (int64_t o = 0; o < count; o++)                                                \
                    s[o] = combine(s[o], x[o * apart]);                                            \
            k++;                                                                                   \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void name##_rows(int64_t count, int64_t n, void *accumulators,         \
                                             const void *data, int64_t apart, int64_t step) {      \
        enum { LANES = name##_LANES };                                                             \
        wide *all = accumulators, seen[LANES];                                                     \
        for (int64_t l = 0; l < LANES; l++)                                                        \
            seen[l] = 0;                                                                           \
        int64_t in_lanes = step == 1 ? n / LANES * LANES : 0;                                      \
        for (int64_t o = 0; o < count; o++) {                                                      \
            const element *x = (const element *)data + o * apart;                                  \
            wide s = all[o];                                                                       \
            if (in_lanes > 0)                                                                      \
                s = combine(s, name##_lanes(in_lanes, x, seen));                                   \
            if (step == 1)                                                                         \
                simd for (int64_t i = in_lanes; i < n; i++) s = combine(s, x[i]);                  \
            else                                                                                   \
                for (int64_t i = 0; i < n; i++)                                                    \
                    s = combine(s, x[i * step]);                                                   \
            all[o] = s;                                                                            \
        }                                                                                          \
        for (int64_t o = 0; name##_missed(seen) && o < count; o++)                                 \
            for (int64_t i = 0; i < in_lanes; i++)                                                 \
                all[o] = combine(all[o], ((const element *)data)[o * apart + i]);                  \
    }                                                                                              \
    CBI_MULTIVERSION static void name##_panel(int64_t count, int64_t n, void *accumulators,        \
                                              const void *data, int64_t apart, int64_t step) {     \
        name##_fold(count, n, accumulators, data, apart, step);                                    \
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
#define SUM(name, element, wide, combine, simd)                                                    \
    SUM_LANES(name, element, wide, 0, combine)                                                     \
    REDUCER(name, element, wide, 0, combine, simd)
#define CHOICE(name, element, initial, combine, plain, watch)                                      \
    CHOICE_LANES(name, element, initial, combine, plain, watch)                                    \
    REDUCER(name, element, element, initial, combine, )
SUM(sum_f32, float, double, ADD_FLOAT, SIMD_SUM)
SUM(sum_f64, double, double, ADD_FLOAT, SIMD_SUM)
SUM(sum_i32, int32_t, int64_t, ADD_INTEGER, )
SUM(sum_i64, int64_t, int64_t, ADD_INTEGER, )
CHOICE(max_f32, float, -INFINITY, LARGER, ABOVE, WATCH_FLOAT)
CHOICE(max_f64, double, -INFINITY, LARGER, ABOVE, WATCH_FLOAT)
CHOICE(max_i32, int32_t, INT32_MIN, LARGER, ABOVE, WATCH_NOTHING)
CHOICE(max_i64, int64_t, INT64_MIN, LARGER, ABOVE, WATCH_NOTHING)
CHOICE(min_f32, float, INFINITY, SMALLER, BELOW, WATCH_FLOAT)
CHOICE(min_f64, double, INFINITY, SMALLER, BELOW, WATCH_FLOAT)
CHOICE(min_i32, int32_t, INT32_MAX, SMALLER, BELOW, WATCH_NOTHING)
CHOICE(min_i64, int64_t, INT64_MAX, SMALLER, BELOW, WATCH_NOTHING)

#define ENTRY(name, wide)                                                                          \
    { name##_start, name##_rows, name##_panel, name##_finish, wide }
static const reducer reducers[3][4] = {
    [CBI_SUM] = {[CB_F32] = ENTRY(sum_f32, 8),
                 [CB_F64] = ENTRY(sum_f64, 8),
                 [CB_I32] = ENTRY(sum_i32, 8),
                 [CB_I64] = ENTRY(sum_i64, 8)},
    [CBI_MAX] = {[CB_F32] = ENTRY(max_f32, 4),
                 [CB_F64] = ENTRY(max_f64, 8),
                 [CB_I32] = ENTRY(max_i32, 4),
                 [CB_I64] = ENTRY(max_i64, 8)},
    [CBI_MIN] = {[CB_F32] = ENTRY(min_f32, 4),
                 [CB_F64] = ENTRY(min_f64, 8),
                 [CB_I32] = ENTRY(min_i32, 4),
                 [CB_I64] = ENTRY(min_i64, 8)},
};

typedef struct reduce_job {
    const reducer *reducer;
    const cb_tensor *out, *in;
    size_t size;
    bool add, by_panel;
    cbi_loops kept, reduced; /* kept: operands out, in; reduced: in */
    int64_t parts;           /* of each row, where there are several */
    char *partial;           /* accumulators, of each row's parts */
} reduce_job;

static void reduce_range(void *context, int64_t begin, int64_t end) {
    const reduce_job *job = context;
    int64_t size = (int64_t)job->size;
    fold_rows *fold = job->by_panel ? job->reducer->panel : job->reducer->rows;
    _Alignas(64) double accumulators[PANEL]; /* as wide as any accumulator */
    for (cbi_cursor at = cbi_cursor_start(&job->kept, begin); at.item < end;
         cbi_cursor_next(&job->kept, &at)) {
        job->reducer->start(at.length, accumulators);
        for (cbi_cursor of = cbi_cursor_start(&job->reduced, 0); of.item < job->reduced.items;
             cbi_cursor_next(&job->reduced, &of)) {
            const char *x = (const char *)job->in->data + (at.offset[1] + of.offset[0]) * size;
            fold(at.length, of.length, accumulators, x, job->kept.step[1], job->reduced.step[0]);
        }
        job->reducer->finish(at.length, (char *)job->out->data + at.offset[0] * size,
                             job->kept.step[0], accumulators, job->add);
    }
}

static int64_t magnitude(int64_t x) {
    return x < 0 ? -x : x;
}

/* ---- Rows in parts --------------------------------------------------------------------------- */

/* How many parts the rows are reduced in: few rows, each of them one long run. */
static int64_t parts_of(const reduce_job *job) {
    int64_t n = job->reduced.run, parts = n / PART < MOST_PARTS ? n / PART : MOST_PARTS;
    bool fits = !job->by_panel && job->reduced.outer == 0 && job->reduced.step[0] == 1 &&
                job->kept.outer == 0 && job->kept.run < 8;
    return fits && parts > 1 ? parts : 1;
}

static void reduce_parts(void *context, int64_t begin, int64_t end) {
    const reduce_job *job = context;
    int64_t n = job->reduced.run, wide = (int64_t)job->reducer->wide;
    int64_t length = (n + job->parts - 1) / job->parts;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / job->parts, first = i % job->parts * length;
        int64_t x = row * job->kept.step[1] + first;
        job->reducer->start(1, job->partial + i * wide);
        job->reducer->rows(1, first + length < n ? length : n - first, job->partial + i * wide,
                           (const char *)job->in->data + x * (int64_t)job->size, 0, 1);
    }
}

/* The reducer of a reducer's accumulators. */
static const reducer *of_wide(cbi_reduction kind, cb_dtype dtype) {
    if (kind == CBI_SUM)
        dtype = cb_dtype_is_float(dtype) ? CB_F64 : CB_I64;
    return &reducers[kind][dtype];
}

static void reduce_in_parts(cbi_reduction kind, reduce_job *job) {
    _Alignas(64) double partial[8 * MOST_PARTS], accumulators[8];
    int64_t rows = job->kept.run;
    job->partial = (char *)partial;
    cbi_parallel_for(rows * job->parts, 1, reduce_parts, job);
    job->reducer->start(rows, accumulators);
    of_wide(kind, job->in->dtype)->rows(rows, job->parts, accumulators, partial, job->parts, 1);
    job->reducer->finish(rows, job->out->data, job->kept.step[0], accumulators, job->add);
}

/* ---- Any ------------------------------------------------------------------------------------- */

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
    job.parts = parts_of(&job);
    if (job.parts > 1) {
        reduce_in_parts(kind, &job);
        return;
    }
    if (!job.by_panel) {
        int64_t together = 16 * PANEL / (job.reduced.run + 1);
        cbi_loops_plan(&job.kept, 2, kept_operands,
                       together < 1       ? 1
                       : together > PANEL ? PANEL
                                          : together);
    }
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
    r->rows(1, n, &accumulator, in, 0, 1);
    r->finish(1, out, 1, &accumulator, false);
}
