/* Where the largest element along an axis is: the first of equals, or the first NaN. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

enum { PANEL = 128, TOGETHER = 64 };

/* _find: the first of n neighbours that is the largest, known already, or the first NaN. _panel:
   of columns that are neighbours, all at once; rows are step apart. _any: of one column. */
#define ARGMAX(name, element, dtype)                                                               \
    CBI_MULTIVERSION static int64_t name##_find(int64_t n, const element *x, element largest) {    \
        int64_t i = 0;                                                                             \
        for (; i + TOGETHER <= n; i += TOGETHER) {                                                 \
            int there = 0;                                                                         \
            for (int64_t l = 0; l < TOGETHER; l++)                                                 \
                there |= (x[i + l] == largest) | (x[i + l] != x[i + l]);                           \
            if (there != 0)                                                                        \
                break;                                                                             \
        }                                                                                          \
        while (i + 1 < n && x[i] != largest && x[i] == x[i])                                       \
            i++;                                                                                   \
        return i;                                                                                  \
    }                                                                                              \
    CBI_MULTIVERSION static void name##_panel(int64_t count, int64_t n, const element *data,       \
                                              int64_t step, int64_t *at) {                         \
        element best[PANEL];                                                                       \
        for (int64_t o = 0; o < count; o++) {                                                      \
            best[o] = data[o];                                                                     \
            at[o] = 0;                                                                             \
        }                                                                                          \
        for (int64_t k = 1; k < n; k++) {                                                          \
            const element *restrict x = data + k * step;                                           \
            for (int64_t o = 0; o < count; o++) {                                                  \
                bool better = (x[o] > best[o]) | ((x[o] != x[o]) & (best[o] == best[o]));          \
                best[o] = better ? x[o] : best[o];                                                 \
                at[o] = better ? k : at[o];                                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static int64_t name##_any(int64_t n, const element *x, int64_t step) {                         \
        int64_t best = 0;                                                                          \
        for (int64_t i = 1; i < n && x[best * step] == x[best * step]; i++)                        \
            if (x[i * step] > x[best * step] || x[i * step] != x[i * step])                        \
                best = i;                                                                          \
        return best;                                                                               \
    }                                                                                              \
    static void name(int64_t count, int64_t n, const void *data, int64_t apart, int64_t step,      \
                     int64_t *at) {                                                                \
        const element *x = data;                                                                   \
        if (apart == 1 && step != 1) {                                                             \
            name##_panel(count, n, x, step, at);                                                   \
            return;                                                                                \
        }                                                                                          \
        for (int64_t o = 0; o < count; o++) {                                                      \
            const element *row = x + o * apart;                                                    \
            element largest;                                                                       \
            if (step != 1) {                                                                       \
                at[o] = name##_any(n, row, step);                                                  \
                continue;                                                                          \
            }                                                                                      \
            cbi_reduce_row(CBI_MAX, dtype, n, &largest, row);                                      \
            at[o] = name##_find(n, row, largest);                                                  \
        }                                                                                          \
    }
ARGMAX(argmax_f32, float, CB_F32)
ARGMAX(argmax_f64, double, CB_F64)
ARGMAX(argmax_i32, int32_t, CB_I32)
ARGMAX(argmax_i64, int64_t, CB_I64)

typedef struct argmax_job {
    const cb_tensor *out, *x;
    int64_t n, step; /* along the axis */
    cbi_loops loops; /* over the others: out, x */
} argmax_job;

static void argmax_range(void *context, int64_t begin, int64_t end) {
    static void (*const kernels[])(int64_t, int64_t, const void *, int64_t, int64_t, int64_t *) = {
        [CB_F32] = argmax_f32, [CB_F64] = argmax_f64, [CB_I32] = argmax_i32, [CB_I64] = argmax_i64};
    const argmax_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->x->dtype);
    for (cbi_cursor at = cbi_cursor_start(&job->loops, begin); at.item < end;
         cbi_cursor_next(&job->loops, &at))
        kernels[job->x->dtype](at.length, job->n, (const char *)job->x->data + at.offset[1] * size,
                               job->loops.step[1], job->step,
                               (int64_t *)job->out->data + at.offset[0]);
}

void cbi_argmax(const cb_tensor *out, const cb_tensor *x, int axis) {
    argmax_job job = {out, x, x->shape[axis], x->stride[axis], {0}};
    cbi_loops_plan(&job.loops, 2, (const cb_tensor *[]){out, x}, PANEL);
    cbi_parallel_for(job.loops.items, CBI_GRAIN / (job.loops.typical * (job.n + 1)) + 1,
                     argmax_range, &job);
}
