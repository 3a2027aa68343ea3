/* The order of elements along an axis. An element becomes a whole number whose order is the
   element's, with its index: one sort serves all dtypes, and two entries are never equal, so that
   the order is stable however it is found. */
#include "tensor/kernels.h"
#include "tensor/parallel.h"

#include <cerebra/threads.h>
#include <string.h>

typedef struct entry {
    uint64_t key;
    int64_t index;
} entry;

static inline bool comes_before(const entry *a, const entry *b) {
    return a->key < b->key || (a->key == b->key && a->index < b->index);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* The bits of a float, without those of the sign, grow with its size: a negative one's are turned
   around. Zeros have one key, and all NaN have the largest. */
static uint64_t key_of(cb_dtype dtype, const char *element) {
    const uint64_t sign = (uint64_t)1 << 63;
    if (!cb_dtype_is_float(dtype))
        return (uint64_t)cbi_load_index(dtype, element) ^ sign;
    double value = cbi_load(dtype, element) + 0.0; /* -0 becomes 0; an f32 is exact */
    uint64_t bits;
    if (value != value)
        return UINT64_MAX;
    memcpy(&bits, &value, sizeof(bits));
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

/* ---- Sorting --------------------------------------------------------------------------------- */

enum { SHORT = 16 };

static void insertion_sort(int64_t n, entry *e) {
    for (int64_t i = 1; i < n; i++) {
        entry moved = e[i];
        int64_t k = i;
        for (; k > 0 && comes_before(&moved, &e[k - 1]); k--)
            e[k] = e[k - 1];
        e[k] = moved;
    }
}

static void merge(const entry *from, entry *to, int64_t begin, int64_t middle, int64_t end) {
    int64_t left = begin, right = middle;
    for (int64_t i = begin; i < end; i++) {
        bool take_left = left < middle && (right == end || comes_before(&from[left], &from[right]));
        to[i] = from[take_left ? left++ : right++];
    }
}

/* Sorts e; spare has room for as many. Returns where the sorted ones are: e or spare. */
static entry *merge_sort(int64_t n, entry *e, entry *spare) {
    for (int64_t begin = 0; begin < n; begin += SHORT)
        insertion_sort(n - begin < SHORT ? n - begin : SHORT, e + begin);
    for (int64_t length = SHORT; length < n; length *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * length) {
            int64_t middle = begin + length < n ? begin + length : n;
            merge(e, spare, begin, middle, middle + length < n ? middle + length : n);
        }
        entry *sorted = spare;
        spare = e;
        e = sorted;
    }
    return e;
}

/* Puts e[i] where it belongs in a heap of k, whose root is the last in order. */
static void sift_down(int64_t k, entry *heap, int64_t i) {
    for (int64_t child; (child = 2 * i + 1) < k; i = child) {
        if (child + 1 < k && comes_before(&heap[child], &heap[child + 1]))
            child++;
        if (!comes_before(&heap[i], &heap[child]))
            return;
        entry moved = heap[i];
        heap[i] = heap[child];
        heap[child] = moved;
    }
}

/* Leaves the first k in order of n in e[0..k), in any order. */
static void select_first(int64_t n, int64_t k, entry *e) {
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift_down(k, e, i);
    for (int64_t i = k; i < n; i++)
        if (comes_before(&e[i], &e[0])) {
            e[0] = e[i];
            sift_down(k, e, 0);
        }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

typedef struct order_job {
    const cb_tensor *out, *x;
    int axis;
    int64_t n, k, inner; /* along the axis of x and of out; elements of out after it */
    int64_t lines, parts;
    bool descending;
    entry *memory; /* 2 n entries a part */
} order_job;

/* Where a line of x begins, in elements. */
static int64_t line_start(const order_job *job, int64_t line) {
    int64_t at = 0;
    for (int i = job->x->rank - 1; i >= 0; i--)
        if (i != job->axis) {
            at += line % job->x->shape[i] * job->x->stride[i];
            line /= job->x->shape[i];
        }
    return at;
}

static void order_line(const order_job *job, int64_t line, entry *e) {
    const int64_t n = job->n, k = job->k;
    int64_t size = (int64_t)cb_dtype_size(job->x->dtype);
    const char *x = (const char *)job->x->data + line_start(job, line) * size;
    for (int64_t i = 0; i < n; i++) {
        uint64_t key = key_of(job->x->dtype, x + i * job->x->stride[job->axis] * size);
        e[i] = (entry){job->descending ? ~key : key, i};
    }
    if (k < n)
        select_first(n, k, e);
    const entry *sorted = merge_sort(k, e, e + n);
    int64_t *out = (int64_t *)job->out->data + line / job->inner * k * job->inner;
    for (int64_t i = 0; i < k; i++)
        out[i * job->inner + line % job->inner] = sorted[i].index;
}

static void order_parts(void *context, int64_t begin, int64_t end) {
    const order_job *job = context;
    for (int64_t part = begin; part < end; part++)
        for (int64_t line = part; line < job->lines; line += job->parts)
            order_line(job, line, job->memory + 2 * job->n * part);
}

static int64_t count_lines(const cb_tensor *x, int axis) {
    int64_t lines = 1;
    for (int i = 0; i < x->rank; i++)
        lines *= i == axis ? 1 : x->shape[i];
    return lines;
}

int64_t cbi_order_parts(const cb_tensor *x, int axis, size_t *bytes) {
    int64_t lines = count_lines(x, axis), most = 2 * (int64_t)cb_threads();
    int64_t parts = lines < most ? lines : most;
    *bytes = 2 * sizeof(entry) * (size_t)(x->shape[axis] * parts);
    return parts;
}

void cbi_order(const cb_tensor *out, const cb_tensor *x, int axis, bool descending, int64_t parts,
               void *memory) {
    order_job job = {.out = out,
                     .x = x,
                     .axis = axis,
                     .n = x->shape[axis],
                     .k = out->shape[axis],
                     .inner = 1,
                     .lines = count_lines(x, axis),
                     .parts = parts,
                     .descending = descending,
                     .memory = memory};
    if (cb_tensor_count(out) == 0)
        return;
    for (int i = axis + 1; i < out->rank; i++)
        job.inner *= out->shape[i];
    int64_t work = job.n * 16 * (job.lines / job.parts + 1); /* of a part, as in a cheap loop */
    cbi_parallel_for(job.parts, CBI_GRAIN / work + 1, order_parts, &job);
}
