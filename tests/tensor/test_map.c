/* Elementwise loops over any shapes and strides, against one element at a time. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <time.h>

/* Where an element of an operand is: a broadcast one has one a row. */
static int64_t place(const cbi_rows *rows, int operand, int64_t i) {
    return (rows->single >> operand & 1) != 0 ? 0 : i;
}

/* out = p a + b c, with each operand in its place. */
static void combine(const cbi_rows *rows, const double *parameters) {
    double *y = rows->out;
    const double *a = rows->in[0], *b = rows->in[1], *c = rows->in[2];
    for (int64_t i = 0; i < rows->n; i++)
        y[i] = parameters[0] * a[place(rows, 0, i)] + b[place(rows, 1, i)] * c[place(rows, 2, i)];
}

static void combine_f32(const cbi_rows *rows, const double *parameters) {
    float *y = rows->out;
    const float *a = rows->in[0], *b = rows->in[1], *c = rows->in[2];
    for (int64_t i = 0; i < rows->n; i++)
        y[i] = (float)parameters[0] * a[place(rows, 0, i)] +
               b[place(rows, 1, i)] * c[place(rows, 2, i)];
}

Test(map, any_strides) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    const double parameter = 3;
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int round = 0; round < 300; round++) {
        int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0};
        int rank = random_shape(&random, 6, round % 8 == 0 ? 40000 : 80, shape);
        cb_dtype dtype = round % 2 == 0 ? CB_F64 : CB_F32;
        cb_tensor *memory[4], in[3];
        cb_tensor out = random_strides(&random, dtype, rank, shape, false, &memory[3]);
        for (int k = 0; k < 3; k++)
            in[k] = random_strides(&random, dtype, rank, shape, true, &memory[k]);
        cb_set_threads(1 + round % 3);
        cbi_map(dtype == CB_F64 ? combine : combine_f32, &out, 3, in, &parameter);
        int64_t count = cb_tensor_count(&out);
        for (int64_t i = 0; i < count; i++, next_index(&out, index)) {
            double expected = 3 * cb_tensor_get(&in[0], index) +
                              cb_tensor_get(&in[1], index) * cb_tensor_get(&in[2], index);
            cr_assert_eq(cb_tensor_get(&out, index), expected, "round %d, element %lld", round,
                         (long long)i);
        }
        for (int k = 0; k < 4; k++)
            cb_tensor_free(memory[k]);
    }
}

/* A broadcast value stands for a run of several blocks: each row must see its own. */
Test(map, rows_longer_than_a_block_with_a_broadcast_operand) {
    enum { ROWS = 5, COLUMNS = 3 * CBI_BLOCK + 17 };
    const double parameter = 1;
    cb_tensor *y = cb_tensor_new(CB_F64, CB_SHAPE(ROWS, COLUMNS));
    double a[ROWS] = {1, 2, 3, 4, 5}, b = 10, *c = y->data;
    for (int threads = 1; threads <= 4; threads++) {
        cb_tensor in[3] = {*y, *y, *y};
        in[0].data = a, in[0].stride[0] = 1, in[0].stride[1] = 0;
        in[1].data = &b, in[1].stride[0] = 0, in[1].stride[1] = 0;
        for (int i = 0; i < ROWS * COLUMNS; i++)
            c[i] = i;
        cb_set_threads(threads);
        cbi_map(combine, y, 3, in, &parameter);
        for (int i = 0; i < ROWS * COLUMNS; i++)
            cr_assert_eq(c[i], a[i / COLUMNS] + 10 * i, "element %d", i);
    }
    cb_tensor_free(y);
}

Test(map, addition_in_place) {
    cb_random random = cb_random_seed(3);
    for (int round = 0; round < 300; round++) {
        int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0};
        int rank = random_shape(&random, 5, round % 8 == 0 ? 20000 : 60, shape);
        cb_dtype dtype = round % 2 == 0 ? CB_F64 : CB_F32;
        cb_tensor *memory[2];
        cb_tensor target = random_strides(&random, dtype, rank, shape, false, &memory[0]);
        cb_tensor source = random_strides(&random, dtype, rank, shape, true, &memory[1]);
        cb_tensor *before = cb_tensor_copy(&target, dtype);
        cbi_add_into(&target, &source);
        for (int64_t i = 0; i < cb_tensor_count(before); i++, next_index(&target, index))
            cr_assert_eq(cb_tensor_get(&target, index),
                         cb_tensor_get(before, index) + cb_tensor_get(&source, index));
        cb_tensor_free(before);
        cb_tensor_free(memory[0]);
        cb_tensor_free(memory[1]);
    }
}
