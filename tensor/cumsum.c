/* Running sums along an axis. */
#include "tensor/kernels.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

enum { PANEL = 128 };

/* Sums in place along n rows, step apart, of `count` neighbours each, in `sum` type: wider than the
   elements where these are f32, and unsigned where they are whole, so that sums wrap. A negative
   step sums backwards. One column alone has its sum in a register. */
#define CUMSUM(name, element, sum)                                                                 \
    static void name##_line(int64_t n, element *x, int64_t step) {                                 \
        sum total = 0;                                                                             \
        for (int64_t k = 0; k < n; k++) {                                                          \
            total += (sum)x[k * step];                                                             \
            x[k * step] = (element)total;                                                          \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void name##_panel(int64_t count, int64_t n, element *x,                \
                                              int64_t step) {                                      \
        sum total[PANEL];                                                                          \
        for (int64_t o = 0; o < count; o++)                                                        \
            total[o] = 0;                                                                          \
        for (int64_t k = 0; k < n; k++)                                                            \
            for (int64_t o = 0; o < count; o++) {                                                  \
                total[o] += (sum)x[k * step + o];                                                  \
                x[k * step + o] = (element)total[o];                                               \
            }                                                                                      \
    }                                                                                              \
    static void name(int64_t count, int64_t n, void *data, int64_t step) {                         \
        if (count == 1)                                                                            \
            name##_line(n, data, step);                                                            \
        else                                                                                       \
            name##_panel(count, n, data, step);                                                    \
    }
CUMSUM(cumsum_f32, float, double)
CUMSUM(cumsum_f64, double, double)
CUMSUM(cumsum_i32, int32_t, uint32_t)
CUMSUM(cumsum_i64, int64_t, uint64_t)

typedef struct cumsum_job {
    const cb_tensor *out;
    int64_t n, inner; /* along the axis, and elements after it */
    int64_t panels;   /* of a run of `inner` elements */
    bool reverse;
} cumsum_job;

static void cumsum_range(void *context, int64_t begin, int64_t end) {
    static void (*const kernels[])(int64_t, int64_t, void *, int64_t) = {
        [CB_F32] = cumsum_f32, [CB_F64] = cumsum_f64, [CB_I32] = cumsum_i32, [CB_I64] = cumsum_i64};
    const cumsum_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->out->dtype);
    for (int64_t item = begin; item < end; item++) {
        int64_t outer = item / job->panels, column = item % job->panels * PANEL;
        int64_t count = job->inner - column < PANEL ? job->inner - column : PANEL;
        int64_t first = outer * job->n + (job->reverse ? job->n - 1 : 0);
        kernels[job->out->dtype](count, job->n,
                                 (char *)job->out->data + (first * job->inner + column) * size,
                                 job->reverse ? -job->inner : job->inner);
    }
}

void cbi_cumsum(const cb_tensor *out, const cb_tensor *x, int axis, bool reverse) {
    cumsum_job job = {.out = out, .n = out->shape[axis], .inner = 1, .reverse = reverse};
    int64_t count = cb_tensor_count(out);
    if (count == 0)
        return;
    cbi_copy(out, x);
    for (int i = axis + 1; i < out->rank; i++)
        job.inner *= out->shape[i];
    job.panels = (job.inner + PANEL - 1) / PANEL;
    int64_t items = count / (job.n * job.inner) * job.panels;
    cbi_parallel_for(items, CBI_GRAIN / (count / items) + 1, cumsum_range, &job);
}
