/* Elementwise kernels over tensors of any strides. Operands that are not contiguous are gathered, a
   block at a time, into buffers that stay in the L1 cache, so that there is one kernel for an op,
   over contiguous blocks, wherever its operands lie. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

typedef struct map_job {
    cbi_kernel *kernel;
    const double *parameters;
    size_t size; /* of an element */
    int count;
    char *data[CBI_MAP_INPUTS + 1]; /* of out, then of the inputs */
    cbi_loops loops;
} map_job;

typedef union block {
    char bytes[8 * CBI_BLOCK];
    uint32_t words[CBI_BLOCK];
    uint64_t doubles[CBI_BLOCK];
} block;

static void gather(block *buffer, size_t size, const char *source, int64_t step, int64_t n) {
    if (size == 4)
        for (int64_t i = 0; i < n; i++)
            buffer->words[i] = *(const uint32_t *)(const void *)(source + 4 * i * step);
    else
        for (int64_t i = 0; i < n; i++)
            buffer->doubles[i] = *(const uint64_t *)(const void *)(source + 8 * i * step);
}

static void scatter(const block *buffer, size_t size, char *target, int64_t step, int64_t n) {
    if (size == 4)
        for (int64_t i = 0; i < n; i++)
            *(uint32_t *)(void *)(target + 4 * i * step) = buffer->words[i];
    else
        for (int64_t i = 0; i < n; i++)
            *(uint64_t *)(void *)(target + 8 * i * step) = buffer->doubles[i];
}

static void map_range(void *context, int64_t begin, int64_t end) {
    const map_job *job = context;
    const cbi_loops *loops = &job->loops;
    _Alignas(64) block buffers[CBI_MAP_INPUTS + 1];
    const void *in[CBI_MAP_INPUTS];
    int64_t splat_row[CBI_MAP_INPUTS] = {-1, -1, -1};
    int64_t size = (int64_t)job->size;
    for (cbi_cursor at = cbi_cursor_start(loops, begin); at.item < end;
         cbi_cursor_next(loops, &at)) {
        for (int k = 1; k <= job->count; k++) {
            const char *source = job->data[k] + at.offset[k] * size;
            bool splat = loops->step[k] == 0;
            in[k - 1] = loops->step[k] == 1 ? (const void *)source : (const void *)&buffers[k];
            /* A run's one broadcast value is spread only once. */
            if (loops->step[k] != 1 && !(splat && splat_row[k - 1] == at.item - at.piece))
                gather(&buffers[k], job->size, source, loops->step[k],
                       splat && at.piece == 0 ? loops->typical : at.length);
            if (splat)
                splat_row[k - 1] = at.piece == 0 ? at.item : splat_row[k - 1];
        }
        char *target = job->data[0] + at.offset[0] * size;
        if (loops->step[0] == 1) {
            cbi_run_kernel(job->kernel, at.length, target, job->count, in, job->parameters);
        } else {
            cbi_run_kernel(job->kernel, at.length, &buffers[0], job->count, in, job->parameters);
            scatter(&buffers[0], job->size, target, loops->step[0], at.length);
        }
    }
}

void cbi_map(cbi_kernel *kernel, const cb_tensor *out, int count, const cb_tensor *in,
             const double *parameters) {
    map_job job = {kernel, parameters, cb_dtype_size(out->dtype), count, {out->data}, {0}};
    const cb_tensor *tensors[CBI_MAP_INPUTS + 1] = {out};
    for (int k = 0; k < count; k++) {
        tensors[k + 1] = &in[k];
        job.data[k + 1] = in[k].data;
    }
    cbi_loops_plan(&job.loops, count + 1, tensors, CBI_BLOCK);
    cbi_parallel_for(job.loops.items, CBI_GRAIN / job.loops.typical + 1, map_range, &job);
}

CBI_MULTIVERSION static void add_into_f32(const cbi_rows *rows, const double *parameters) {
    float *y = rows->out;
    const float *a = rows->in[0], *b = rows->in[1];
    int64_t n = rows->n;
    (void)parameters;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

CBI_MULTIVERSION static void add_into_f64(const cbi_rows *rows, const double *parameters) {
    double *y = rows->out;
    const double *a = rows->in[0], *b = rows->in[1];
    int64_t n = rows->n;
    (void)parameters;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void cbi_add_into(const cb_tensor *target, const cb_tensor *source) {
    cb_tensor in[2] = {*target, *source};
    cbi_map(target->dtype == CB_F32 ? add_into_f32 : add_into_f64, target, 2, in, NULL);
}
