/* Copies within rows: slices, transposes and broadcasts, laid out densely or put in place. */
#include "tensor/multiversion.h"
#include "tensor/row_kernels.h"

#include <string.h>

/* n elements, strides in elements. A broadcast element is spread, a run copied. */
#define COPY_RUN(name, type)                                                                       \
    CBI_MULTIVERSION static void name(int64_t n, type *to, int64_t to_step, const type *from,      \
                                      int64_t from_step) {                                         \
        const type first = n > 0 ? *from : 0;                                                      \
        if (to_step == 1 && from_step == 1)                                                        \
            memcpy(to, from, sizeof(type) * (size_t)(n > 0 ? n : 0));                              \
        else if (to_step == 1 && from_step == 0)                                                   \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i] = first;                                                                     \
        else if (to_step == 1)                                                                     \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i] = from[i * from_step];                                                       \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i * to_step] = from[i * from_step];                                             \
    }
COPY_RUN(copy_run_4, uint32_t)
COPY_RUN(copy_run_8, uint64_t)

/* Two loops of which the inner is short: each of the outer's elements repeated, or the inner's run
   over and over. Of a known length the compiler makes vectors. */
#define REPEAT(name, type, length)                                                                 \
    CBI_MULTIVERSION static void name(int64_t count, type *to, const type *from, int64_t outer,    \
                                      int64_t inner) {                                             \
        if (inner == 0)                                                                            \
            for (int64_t i = 0; i < count; i++)                                                    \
                for (int64_t k = 0; k < (length); k++)                                             \
                    to[i * (length) + k] = from[i * outer];                                        \
        else                                                                                       \
            for (int64_t i = 0; i < count; i++)                                                    \
                for (int64_t k = 0; k < (length); k++)                                             \
                    to[i * (length) + k] = from[i * outer + k];                                    \
    }
REPEAT(repeat_4_4, uint32_t, 4)
REPEAT(repeat_4_8, uint32_t, 8)
REPEAT(repeat_4_16, uint32_t, 16)
REPEAT(repeat_8_4, uint64_t, 4)
REPEAT(repeat_8_8, uint64_t, 8)
REPEAT(repeat_8_16, uint64_t, 16)

typedef void repeat_4(int64_t count, uint32_t *to, const uint32_t *from, int64_t outer,
                      int64_t inner);
typedef void repeat_8(int64_t count, uint64_t *to, const uint64_t *from, int64_t outer,
                      int64_t inner);

/* The two innermost loops, for which there is a function (has_pairs). */
static void copy_pairs(size_t size, const cbi_copy_loops *l, void *to, const void *from) {
    int last = l->rank - 1;
    int64_t n = l->extent[last], bytes = (int64_t)size, count = l->extent[last - 1];
    int64_t outer = l->in[last - 1] / bytes, inner = l->in[last] / bytes;
    repeat_4 *words = n == 4 ? repeat_4_4 : n == 8 ? repeat_4_8 : repeat_4_16;
    repeat_8 *doubles = n == 4 ? repeat_8_4 : n == 8 ? repeat_8_8 : repeat_8_16;
    if (size == 4)
        words(count, to, from, outer, inner);
    else
        doubles(count, to, from, outer, inner);
}

/* The innermost loop, or the two innermost. */
static void copy_inner(size_t size, const cbi_copy_loops *l, bool pairs, char *to,
                       const char *from) {
    int last = l->rank - 1;
    int64_t bytes = (int64_t)size;
    if (pairs)
        copy_pairs(size, l, to, from);
    else if (size == 4)
        copy_run_4(l->extent[last], (uint32_t *)(void *)to, l->out[last] / bytes,
                   (const uint32_t *)(const void *)from, l->in[last] / bytes);
    else
        copy_run_8(l->extent[last], (uint64_t *)(void *)to, l->out[last] / bytes,
                   (const uint64_t *)(const void *)from, l->in[last] / bytes);
}

/* Whether the two innermost loops have a function. */
static bool has_pairs(size_t size, const cbi_copy_loops *l) {
    int last = l->rank - 1;
    int64_t n = l->extent[last], bytes = (int64_t)size;
    return l->rank > 1 && l->out[last] == bytes && l->out[last - 1] == n * bytes &&
           (l->in[last] == 0 || l->in[last] == bytes) && (n == 4 || n == 8 || n == 16);
}

static void copy_row(size_t size, const cbi_copy_loops *l, char *to, const char *from) {
    int64_t index[CB_MAX_RANK] = {0};
    bool pairs = has_pairs(size, l);
    for (;;) {
        copy_inner(size, l, pairs, to, from);
        int i = l->rank - (pairs ? 3 : 2);
        for (; i >= 0; i--) {
            to += l->out[i];
            from += l->in[i];
            if (++index[i] < l->extent[i])
                break;
            to -= l->extent[i] * l->out[i];
            from -= l->extent[i] * l->in[i];
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

void cbi_copy_rows(size_t size, int64_t rows, const cbi_copy_loops *loops, cbi_row_operand out,
                   cbi_row_operand in) {
    for (int i = 0; i < loops->rank; i++)
        if (loops->extent[i] == 0)
            return;
    for (int64_t r = 0; r < rows; r++)
        copy_row(size, loops, (char *)out.data + r * out.row, (const char *)in.data + r * in.row);
}
