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

/* A piece of a run. A broadcast operand has one value, which the kernel reads where it is; others
   that do not lie end to end are gathered. */
static void map_piece(const map_job *job, const cbi_cursor *at, block *buffers) {
    const cbi_loops *loops = &job->loops;
    int64_t size = (int64_t)job->size;
    char *target = job->data[0] + at->offset[0] * size;
    bool plain = loops->step[0] == 1;
    cbi_rows rows = {.count = 1, .n = at->length, .out = plain ? target : (char *)&buffers[0]};
    for (int k = 1; k <= job->count; k++) {
        const char *source = job->data[k] + at->offset[k] * size;
        bool lies = loops->step[k] == 0 || loops->step[k] == 1;
        rows.in[k - 1] = lies ? (const void *)source : (const void *)&buffers[k];
        rows.single |= loops->step[k] == 0 ? 1u << (k - 1) : 0;
        if (!lies)
            gather(&buffers[k], job->size, source, loops->step[k], at->length);
    }
    job->kernel(&rows, job->parameters);
    if (!plain)
        scatter(&buffers[0], job->size, target, loops->step[0], at->length);
}

static void map_range(void *context, int64_t begin, int64_t end) {
    const map_job *job = context;
    _Alignas(64) block buffers[CBI_MAP_INPUTS + 1];
    for (cbi_cursor at = cbi_cursor_start(&job->loops, begin); at.item < end;
         cbi_cursor_next(&job->loops, &at))
        map_piece(job, &at, buffers);
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

/* The first operand is the target itself; the second may be one value for the row. */
#define ADD_INTO(name, type)                                                                       \
    CBI_MULTIVERSION static void name(const cbi_rows *rows, const double *parameters) {            \
        type *y = rows->out;                                                                       \
        const type *a = rows->in[0], *b = rows->in[1];                                             \
        const type one = *b;                                                                       \
        int64_t n = rows->n;                                                                       \
        (void)parameters;                                                                          \
        if ((rows->single & 2) != 0)                                                               \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = a[i] + one;                 \
        else                                                                                       \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];                \
    }
ADD_INTO(add_into_f32, float)
ADD_INTO(add_into_f64, double)

void cbi_add_into(const cb_tensor *target, const cb_tensor *source) {
    cb_tensor in[2] = {*target, *source};
    cbi_map(target->dtype == CB_F32 ? add_into_f32 : add_into_f64, target, 2, in, NULL);
}
