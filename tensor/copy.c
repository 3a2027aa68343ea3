/* Copies between strides and dtypes, and single elements. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/parallel.h"

#include <string.h>

/* Conversions saturate: C leaves a float outside an integer's range undefined. */
static int32_t to_i32(double x) {
    return x != x                   ? 0
           : x <= (double)INT32_MIN ? INT32_MIN
           : x >= 2147483647.0      ? INT32_MAX
                                    : (int32_t)x;
}

static int64_t to_i64(double x) {
    return x != x                        ? 0
           : x <= -9223372036854775808.0 ? INT64_MIN
           : x >= 9223372036854775808.0  ? INT64_MAX
                                         : (int64_t)x;
}

double cbi_load(cb_dtype dtype, const void *element) {
    switch (dtype) {
    case CB_F32:
        return *(const float *)element;
    case CB_F64:
        return *(const double *)element;
    case CB_I32:
        return *(const int32_t *)element;
    case CB_I64:
        return (double)*(const int64_t *)element;
    }
    return 0;
}

void cbi_store(cb_dtype dtype, void *element, double value) {
    switch (dtype) {
    case CB_F32:
        *(float *)element = (float)value;
        return;
    case CB_F64:
        *(double *)element = value;
        return;
    case CB_I32:
        *(int32_t *)element = to_i32(value);
        return;
    case CB_I64:
        *(int64_t *)element = to_i64(value);
        return;
    }
}

int64_t cbi_load_index(cb_dtype dtype, const void *element) {
    return dtype == CB_I32 ? *(const int32_t *)element : *(const int64_t *)element;
}

/* One run of n elements with fixed strides. Integers keep all of their bits. */
static void cast_run(cb_dtype to, char *target, int64_t target_step, cb_dtype from,
                     const char *source, int64_t source_step, int64_t n) {
    int64_t size = (int64_t)cb_dtype_size(to), from_size = (int64_t)cb_dtype_size(from);
    for (int64_t i = 0; i < n; i++) {
        char *element = target + size * i * target_step;
        const char *given = source + from_size * i * source_step;
        /* A double does not hold every i64. */
        if (from == CB_I64 && to == CB_I32)
            *(int32_t *)(void *)element = (int32_t) * (const int64_t *)(const void *)given;
        else if (from == CB_I64 && to == CB_F32)
            *(float *)(void *)element = (float)*(const int64_t *)(const void *)given;
        else
            cbi_store(to, element, cbi_load(from, given));
    }
}

typedef struct cast_job {
    const cb_tensor *target, *source;
    cbi_loops loops;
} cast_job;

static void cast_range(void *context, int64_t begin, int64_t end) {
    const cast_job *job = context;
    int64_t target_size = (int64_t)cb_dtype_size(job->target->dtype);
    int64_t source_size = (int64_t)cb_dtype_size(job->source->dtype);
    for (cbi_cursor at = cbi_cursor_start(&job->loops, begin); at.item < end;
         cbi_cursor_next(&job->loops, &at))
        cast_run(job->target->dtype, (char *)job->target->data + at.offset[0] * target_size,
                 job->loops.step[0], job->source->dtype,
                 (const char *)job->source->data + at.offset[1] * source_size, job->loops.step[1],
                 at.length);
}

void cbi_copy(const cb_tensor *target, const cb_tensor *source) {
    cast_job job = {target, source, {0}};
    if (target->dtype == source->dtype) {
        cbi_copy_layout(target, source);
        return;
    }
    cbi_loops_plan(&job.loops, 2, (const cb_tensor *[]){target, source}, 4 * CBI_BLOCK);
    cbi_parallel_for(job.loops.items, CBI_GRAIN / job.loops.typical + 1, cast_range, &job);
}

typedef struct fill_job {
    const cb_tensor *t;
    char element[8];
} fill_job;

/* Elements [begin, end) of a contiguous tensor. */
static void fill_range(void *context, int64_t begin, int64_t end) {
    const fill_job *job = context;
    if (cb_dtype_size(job->t->dtype) == 4) {
        uint32_t bits, *data = job->t->data;
        memcpy(&bits, job->element, sizeof(bits));
        for (int64_t i = begin; i < end; i++)
            data[i] = bits;
    } else {
        uint64_t bits, *data = job->t->data;
        memcpy(&bits, job->element, sizeof(bits));
        for (int64_t i = begin; i < end; i++)
            data[i] = bits;
    }
}

void cb_tensor_fill(cb_tensor *t, double value) {
    fill_job job = {.t = t};
    if (t->data == NULL)
        return;
    cbi_store(t->dtype, job.element, value);
    if (cb_tensor_is_contiguous(t)) {
        cbi_parallel_for(cb_tensor_count(t), CBI_GRAIN, fill_range, &job);
        return;
    }
    cb_tensor source = cb_tensor_wrap(t->dtype, 0, NULL, job.element);
    source = cbi_broadcast_to(&source, t->rank, t->shape);
    cbi_copy(t, &source);
}

cb_tensor cbi_broadcast_to(const cb_tensor *t, int rank, const int64_t *shape) {
    cb_tensor wide = *t;
    wide.rank = rank;
    for (int i = rank - 1, j = t->rank - 1; i >= 0; i--, j--) {
        wide.stride[i] = j >= 0 && t->shape[j] == shape[i] ? t->stride[j] : 0;
        wide.shape[i] = shape[i];
    }
    return wide;
}
