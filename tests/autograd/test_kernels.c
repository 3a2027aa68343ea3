/* Elementwise kernels over rows, with any distance between rows and operands of one element a row,
   against the same kernel one element at a time. */
#include "autograd/ops/elementwise.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 5, COLUMNS = 37, GAP = 3, ROOM = ROWS * (COLUMNS + GAP) };

typedef struct operand {
    double memory[ROOM]; /* of any dtype: none is larger */
    int64_t stride;      /* between rows, in elements */
    bool single;
} operand;

static size_t size_of(cb_dtype dtype) {
    return cb_dtype_size(dtype);
}

static void fill(operand *o, cb_dtype dtype, cb_random *random) {
    for (int i = 0; i < ROOM; i++)
        cbi_store(dtype, (char *)o->memory + (size_t)i * size_of(dtype),
                  cb_dtype_is_float(dtype)
                      ? 0.1 + 1e-9 * (double)cb_random_below(random, 2000000000)
                      : (double)cb_random_below(random, 9) - 4);
}

/* One of: rows end to end, rows with gaps, the same row each time. */
static void choose_layout(operand *o, int64_t n, cb_random *random) {
    o->single = cb_random_below(random, 2) == 0;
    int64_t width = o->single ? 1 : n;
    o->stride = (const int64_t[]){width, width + GAP, 0}[cb_random_below(random, 3)];
}

static const void *element(const operand *o, cb_dtype dtype, int64_t row, int64_t column) {
    return (const char *)o->memory +
           (size_t)(row * o->stride + (o->single ? 0 : column)) * size_of(dtype);
}

static void check(const cbi_elementwise *op, cb_dtype dtype, cb_random *random) {
    const double parameters[2] = {1, 2};
    operand in[CBI_MAP_INPUTS], out = {.single = false};
    int64_t count = (int64_t)cb_random_below(random, ROWS + 1);
    int64_t n = (int64_t)cb_random_below(random, COLUMNS + 1);
    out.stride = n + (cb_random_below(random, 2) == 0 ? GAP : 0);
    fill(&out, dtype, random);
    cbi_rows rows = {.count = count,
                     .n = n,
                     .out = out.memory,
                     .out_stride = out.stride * (int64_t)size_of(dtype)};
    for (int k = 0; k < op->op.max_inputs; k++) {
        choose_layout(&in[k], n, random);
        fill(&in[k], dtype, random);
        rows.in[k] = in[k].memory;
        rows.in_stride[k] = in[k].stride * (int64_t)size_of(dtype);
        rows.single |= in[k].single ? 1u << k : 0;
    }
    operand before = out;
    op->kernels[dtype](&rows, parameters);
    for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < n; i++) {
            const void *of[CBI_MAP_INPUTS] = {NULL};
            double expected = 0;
            for (int k = 0; k < op->op.max_inputs; k++)
                of[k] = element(&in[k], dtype, r, i);
            cbi_run_kernel(op->kernels[dtype], 1, &expected, op->op.max_inputs, of, parameters);
            cr_assert_float_eq(cbi_load(dtype, element(&out, dtype, r, i)),
                               cbi_load(dtype, &expected),
                               1e-6 * (1 + fabs(cbi_load(dtype, &expected))), "%s", op->op.name);
            memcpy((void *)(uintptr_t)element(&before, dtype, r, i), element(&out, dtype, r, i),
                   size_of(dtype));
        }
    cr_assert_arr_eq(before.memory, out.memory, sizeof(out.memory), "%s writes elsewhere",
                     op->op.name);
}

Test(kernels, are_the_same_on_rows_as_on_elements) {
    cb_random random = cb_random_seed(4);
    for (const cb_op *const *op = cb_ops(); *op != NULL; op++)
        for (cb_dtype dtype = CB_F32; cbi_is_elementwise(*op) && dtype <= CB_I64; dtype++)
            for (int round = 0; round < 40; round++)
                if (cbi_elementwise_of(*op)->kernels[dtype] != NULL)
                    check(cbi_elementwise_of(*op), dtype, &random);
}
