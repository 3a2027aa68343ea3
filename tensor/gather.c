/* Elements and rows at places that indices name, and sums into such places. Scatters add in the
   order of the indices and are split over what shares no output, so that the result does not depend
   on the number of threads. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Whether indices are in range ------------------------------------------------------------ */

CBI_MULTIVERSION static bool are_within(int64_t n, const int64_t *indices, uint64_t extent) {
    uint64_t outside = 0;
    for (int64_t i = 0; i < n; i++)
        outside |= (uint64_t)indices[i] >= extent; /* a negative one is large */
    return outside == 0;
}

typedef struct range_job {
    const int64_t *indices;
    int64_t extent;
    _Atomic bool fault;
} range_job;

static void check_range(void *context, int64_t begin, int64_t end) {
    range_job *job = context;
    if (!are_within(end - begin, job->indices + begin, (uint64_t)job->extent))
        atomic_store(&job->fault, true);
}

int64_t cbi_first_outside(int64_t count, const int64_t *indices, int64_t extent) {
    range_job job = {indices, extent, false};
    cbi_parallel_for(count, CBI_GRAIN, check_range, &job);
    int64_t i = atomic_load(&job.fault) ? 0 : count;
    while (i < count && indices[i] >= 0 && indices[i] < extent)
        i++;
    return i;
}

/* ---- Elements along an axis ------------------------------------------------------------------ */

/* n elements of which the i-th lies step * i + stride * indices[i] from `from`. */
#define GATHER(name, type)                                                                         \
    CBI_MULTIVERSION static void name(int64_t n, type *restrict to, const type *restrict from,     \
                                      int64_t step, const int64_t *restrict indices,               \
                                      int64_t stride) {                                            \
        if (step == 0 && stride == 1)                                                              \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i] = from[indices[i]];                                                          \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i] = from[i * step + indices[i] * stride];                                      \
    }
GATHER(gather_elements_4, uint32_t)
GATHER(gather_elements_8, uint64_t)

static void gather_elements(size_t size, int64_t n, char *to, const char *from, int64_t step,
                            const int64_t *indices, int64_t stride) {
    if (size == 4)
        gather_elements_4(n, (uint32_t *)(void *)to, (const uint32_t *)(const void *)from, step,
                          indices, stride);
    else
        gather_elements_8(n, (uint64_t *)(void *)to, (const uint64_t *)(const void *)from, step,
                          indices, stride);
}

typedef struct gather_job {
    const cb_tensor *out, *x;
    const int64_t *indices;
    int64_t stride; /* of x along the axis */
    cbi_loops loops;
} gather_job;

static void gather_range(void *context, int64_t begin, int64_t end) {
    const gather_job *job = context;
    size_t size = cb_dtype_size(job->out->dtype);
    for (cbi_cursor at = cbi_cursor_start(&job->loops, begin); at.item < end;
         cbi_cursor_next(&job->loops, &at))
        gather_elements(size, at.length, (char *)job->out->data + at.offset[0] * (int64_t)size,
                        (const char *)job->x->data + at.offset[1] * (int64_t)size,
                        job->loops.step[1], job->indices + at.offset[0], job->stride);
}

void cbi_gather(const cb_tensor *out, const cb_tensor *x, int axis, const int64_t *indices) {
    gather_job job = {.out = out, .x = x, .indices = indices, .stride = x->stride[axis]};
    cb_tensor places = *x; /* of index 0 */
    memcpy(places.shape, out->shape, sizeof(places.shape));
    places.stride[axis] = 0;
    cbi_loops_plan(&job.loops, 2, (const cb_tensor *[]){out, &places}, 4 * CBI_BLOCK);
    cbi_parallel_for(job.loops.items, CBI_GRAIN / 4 / job.loops.typical + 1, gather_range, &job);
}

/* out's elements step * i + stride * indices[i * apart] += source[i * apart], one after the other.
 */
#define SCATTER(name, type)                                                                        \
    static void name(int64_t n, type *out, int64_t step, int64_t stride, const int64_t *indices,   \
                     const type *source, int64_t apart) {                                          \
        if (step == 0 && stride == 1 && apart == 1)                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                out[indices[i]] += source[i];                                                      \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                out[i * step + indices[i * apart] * stride] += source[i * apart];                  \
    }
SCATTER(scatter_elements_f32, float)
SCATTER(scatter_elements_f64, double)

static void scatter_elements(cb_dtype dtype, int64_t n, char *out, int64_t step, int64_t stride,
                             const int64_t *indices, const char *source, int64_t apart) {
    if (dtype == CB_F32)
        scatter_elements_f32(n, (float *)(void *)out, step, stride, indices,
                             (const float *)(const void *)source, apart);
    else
        scatter_elements_f64(n, (double *)(void *)out, step, stride, indices,
                             (const double *)(const void *)source, apart);
}

typedef struct scatter_job {
    const cb_tensor *out, *source;
    const int64_t *indices;
    int axis;
    int64_t count;   /* along the axis */
    bool along_axis; /* the axis is the inner loop */
    cbi_loops loops; /* over the other axes: source, out */
} scatter_job;

/* One run of positions on the other axes. An element of out gets what is added to it in the order
   of the axis either way. */
static void scatter_run(const scatter_job *job, const cbi_cursor *at) {
    int64_t size = (int64_t)cb_dtype_size(job->out->dtype), apart = job->source->stride[job->axis];
    int64_t stride = job->out->stride[job->axis], step = job->loops.step[1];
    int64_t first = at->offset[0], between = job->loops.step[0];
    char *out = (char *)job->out->data + at->offset[1] * size;
    const char *source = (const char *)job->source->data + first * size;
    const int64_t *indices = job->indices + first;
    if (job->along_axis)
        for (int64_t i = 0; i < at->length; i++)
            scatter_elements(job->out->dtype, job->count, out + i * step * size, 0, stride,
                             indices + i * between, source + i * between * size, apart);
    else
        for (int64_t i = 0; i < job->count; i++)
            scatter_elements(job->out->dtype, at->length, out, step, stride, indices + i * apart,
                             source + i * apart * size, between);
}

static void scatter_range(void *context, int64_t begin, int64_t end) {
    const scatter_job *job = context;
    for (cbi_cursor at = cbi_cursor_start(&job->loops, begin); at.item < end;
         cbi_cursor_next(&job->loops, &at))
        scatter_run(job, &at);
}

void cbi_scatter_add(const cb_tensor *out, int axis, const int64_t *indices,
                     const cb_tensor *source) {
    enum { LEAST = 64, MOST = 1024 }; /* positions that stay together */
    scatter_job job = {out, source, indices, .axis = axis, .count = source->shape[axis]};
    cb_tensor from = *source, to = *out;
    memcpy(to.shape, source->shape, sizeof(to.shape));
    from.shape[axis] = to.shape[axis] = 1;
    const cb_tensor *operands[] = {&from, &to};
    cbi_loops_plan(&job.loops, 2, operands, LEAST);
    int64_t block = job.loops.run / 8;
    cbi_loops_plan(&job.loops, 2, operands, block < LEAST ? LEAST : block > MOST ? MOST : block);
    job.along_axis = job.loops.run == 1 || job.loops.step[0] > source->stride[axis];
    cbi_parallel_for(job.loops.items, CBI_GRAIN / 4 / (job.loops.typical * (job.count + 1)) + 1,
                     scatter_range, &job);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct rows_job {
    cb_dtype dtype;
    const cb_tensor *table, *rows; /* the table, and what is gathered or scattered */
    const int64_t *indices;
    int64_t count, width; /* rows, and elements of one */
} rows_job;

/* Rows lie anywhere: the beginning of those that come next is fetched in time. */
enum { AHEAD = 3, AHEAD_BYTES = 256 };

static void fetch(const char *row, int64_t bytes) {
    for (int64_t i = 0; i < bytes && i < AHEAD_BYTES; i += 64)
        __builtin_prefetch(row + i);
}

static void copy_rows_range(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->dtype), bytes = job->width * size;
    int64_t stride = job->table->stride[0] * size;
    const char *table = job->table->data;
    char *to = (char *)job->rows->data + begin * bytes;
    for (int64_t i = begin; i < end; i++, to += bytes) {
        fetch(table + job->indices[i + AHEAD < end ? i + AHEAD : i] * stride, bytes);
        memcpy(to, table + job->indices[i] * stride, (size_t)bytes);
    }
}

/* Rows whose elements do not lie end to end. */
static void gather_rows_range(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->dtype);
    cb_tensor source = *job->table, target;
    source.rank--;
    memmove(source.shape, source.shape + 1, sizeof(source.shape) - sizeof(source.shape[0]));
    memmove(source.stride, source.stride + 1, sizeof(source.stride) - sizeof(source.stride[0]));
    target = source;
    cbi_strides_row_major(&target);
    for (int64_t i = begin; i < end; i++) {
        int64_t row = job->indices[i] * job->table->stride[0];
        source.data = (char *)job->table->data + row * size;
        target.data = (char *)job->rows->data + i * job->width * size;
        cbi_copy(&target, &source);
    }
}

void cbi_gather_rows(const cb_tensor *out, const cb_tensor *table, int64_t count,
                     const int64_t *indices) {
    rows_job job = {table->dtype, table, out, indices, .count = count};
    cb_tensor row = *table; /* the first */
    row.shape[0] = 1;
    job.width = cb_tensor_count(&row);
    int64_t grain = CBI_GRAIN / (job.width + 1) + 1;
    if (job.width == 1) {
        cb_tensor elements = cb_tensor_wrap(out->dtype, CB_SHAPE(count), out->data);
        cb_tensor all = cb_tensor_wrap(out->dtype, CB_SHAPE(table->shape[0]), table->data);
        all.stride[0] = table->stride[0];
        cbi_gather(&elements, &all, 0, indices);
    } else {
        cbi_parallel_for(count, grain,
                         cb_tensor_is_contiguous(&row) ? copy_rows_range : gather_rows_range, &job);
    }
}

#define ADD_ROW(name, type)                                                                        \
    CBI_MULTIVERSION static void name(int64_t n, type *restrict to, const type *restrict from) {   \
        for (int64_t i = 0; i < n; i++)                                                            \
            to[i] += from[i];                                                                      \
    }
ADD_ROW(add_row_f32, float)
ADD_ROW(add_row_f64, double)

/* Columns begin..end-1 of every row, set to 0 and then added to. */
static void scatter_rows_range(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->dtype), bytes = job->width * size;
    char *table = (char *)job->table->data + begin * size;
    const char *from = (const char *)job->rows->data + begin * size;
    for (int64_t i = 0; i < job->table->shape[0]; i++)
        memset(table + i * bytes, 0, (size_t)((end - begin) * size));
    for (int64_t i = 0; i < job->count; i++, from += bytes) {
        char *to = table + job->indices[i] * bytes;
        fetch(table + job->indices[i + AHEAD < job->count ? i + AHEAD : i] * bytes,
              (end - begin) * size);
        if (job->dtype == CB_F32)
            add_row_f32(end - begin, (float *)(void *)to, (const float *)(const void *)from);
        else
            add_row_f64(end - begin, (double *)(void *)to, (const double *)(const void *)from);
    }
}

void cbi_scatter_rows(const cb_tensor *table, const cb_tensor *source, int64_t count,
                      const int64_t *indices) {
    rows_job job = {table->dtype, table, source, indices, .count = count};
    if (cb_tensor_count(table) == 0)
        return;
    job.width = cb_tensor_count(table) / table->shape[0];
    cbi_parallel_for(job.width, CBI_GRAIN / (count + table->shape[0]) + 16, scatter_rows_range,
                     &job);
}
