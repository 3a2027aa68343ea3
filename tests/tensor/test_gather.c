/* Gathers and scatters of any shapes and strides, along any axis, against one element at a time;
   other shapes with each run. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static bool same_bytes(const cb_tensor *a, const cb_tensor *b) {
    return cb_tensor_bytes(a) == 0 || memcmp(a->data, b->data, cb_tensor_bytes(a)) == 0;
}

static cb_random fresh_random(void) {
    uint64_t seed = (uint64_t)time(NULL);
    cr_log_info("seed %llu", (unsigned long long)seed);
    return cb_random_seed(seed);
}

static cb_tensor *random_indices(cb_random *random, int rank, const int64_t *shape,
                                 int64_t extent) {
    cb_tensor *indices = cb_tensor_new(CB_I64, rank, shape);
    for (int64_t i = 0; i < cb_tensor_count(indices); i++)
        ((int64_t *)indices->data)[i] = below(random, extent);
    return indices;
}

/* A shape of rank 1..5 with something along an axis, and no larger ones, but for the axis. */
static int64_t *random_shapes(cb_random *random, int round, int *rank, int64_t *shape, int *axis) {
    static int64_t narrow[CB_MAX_RANK];
    do
        *rank = random_shape(random, 5, round % 8 == 0 ? 40000 : 200, shape);
    while (*rank == 0);
    *axis = (int)below(random, *rank);
    shape[*axis] += shape[*axis] == 0;
    bool equal = below(random, 2) == 0;
    for (int i = 0; i < *rank; i++)
        narrow[i] = i == *axis ? below(random, round % 8 == 0 ? 200 : 20)
                    : equal    ? shape[i]
                               : below(random, shape[i] + 1);
    return narrow;
}

static void gather_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0}, from[CB_MAX_RANK];
    int rank, axis;
    const int64_t *narrow = random_shapes(random, round, &rank, shape, &axis);
    cb_tensor *memory;
    cb_tensor x = random_strides(random, (cb_dtype)below(random, 4), rank, shape, true, &memory);
    cb_tensor *indices = random_indices(random, rank, narrow, shape[axis]);
    cb_tensor *out = cb_tensor_new(x.dtype, rank, narrow);
    cb_set_threads(1 + round % 3);
    cbi_gather(out, &x, axis, indices->data);
    for (int64_t i = 0; i < cb_tensor_count(out); i++, next_index(out, index)) {
        memcpy(from, index, sizeof(from));
        from[axis] = ((int64_t *)indices->data)[i];
        cr_assert_eq(cb_tensor_get(out, index), cb_tensor_get(&x, from), "round %d", round);
    }
    cb_tensor_free(memory), cb_tensor_free(indices), cb_tensor_free(out);
}

Test(gather, any_axis_and_strides) {
    cb_random random = fresh_random();
    for (int round = 0; round < 400; round++)
        gather_round(&random, round);
}

/* Numbers whose sums depend on their order. */
static cb_tensor *random_reals(cb_random *random, cb_dtype dtype, int rank, const int64_t *shape) {
    cb_tensor *exact = cb_tensor_new(CB_F64, rank, shape);
    cb_random_normal_f64(random, cb_tensor_count(exact), exact->data, 0, 1);
    cb_tensor *t = cb_tensor_copy(exact, dtype);
    cb_tensor_free(exact);
    return t;
}

static void add(cb_tensor *t, const int64_t *at, double value) {
    double sum = cb_tensor_get(t, at) + value;
    cb_tensor_set(t, at,
                  t->dtype == CB_F32 ? (double)((float)cb_tensor_get(t, at) + (float)value) : sum);
}

static void scatter_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0}, to[CB_MAX_RANK];
    int rank, axis;
    const int64_t *narrow = random_shapes(random, round, &rank, shape, &axis);
    cb_dtype dtype = below(random, 2) == 0 ? CB_F32 : CB_F64;
    cb_tensor *indices = random_indices(random, rank, narrow, shape[axis]);
    cb_tensor *source = random_reals(random, dtype, rank, narrow);
    cb_tensor *out = random_reals(random, dtype, rank, shape);
    cb_tensor *expected = cb_tensor_copy(out, dtype);
    for (int64_t i = 0; i < cb_tensor_count(source); i++, next_index(source, index)) {
        memcpy(to, index, sizeof(to));
        to[axis] = ((int64_t *)indices->data)[i];
        add(expected, to, cb_tensor_get(source, index));
    }
    cb_set_threads(1 + round % 3);
    cbi_scatter_add(out, axis, indices->data, source);
    cr_assert(same_bytes(out, expected), "round %d", round);
    cb_tensor_free(indices), cb_tensor_free(source), cb_tensor_free(out), cb_tensor_free(expected);
}

Test(gather, scatter_add_in_the_order_of_the_axis) {
    cb_random random = fresh_random();
    for (int round = 0; round < 400; round++)
        scatter_round(&random, round);
}

/* Rows of a table of any strides, and the sums of rows of the gathered shape. */
static void rows_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0}, from[CB_MAX_RANK];
    int rank = 1 + random_shape(random, 3, round % 8 == 0 ? 300 : 20, shape + 1);
    int64_t count = below(random, round % 8 == 0 ? 2000 : 30);
    shape[0] = 1 + below(random, round % 4 == 0 ? 3 : 90);
    cb_dtype dtype = below(random, 2) == 0 ? CB_F32 : CB_F64;
    cb_tensor *memory;
    cb_tensor table = random_strides(random, dtype, rank, shape, true, &memory);
    cb_tensor *indices = random_indices(random, 1, &count, shape[0]);
    cb_tensor *sums = cb_tensor_new(dtype, rank, shape), *expected = cb_tensor_copy(sums, dtype);
    shape[0] = count;
    cb_tensor *rows = cb_tensor_new(dtype, rank, shape);
    cb_tensor *source = random_reals(random, dtype, rank, shape);
    cb_set_threads(1 + round % 3);
    if (cb_tensor_count(rows) > 0)
        cbi_gather_rows(rows, &table, count, indices->data);
    cb_tensor_fill(sums, 7);
    cbi_scatter_rows(sums, source, count, indices->data);
    for (int64_t i = 0; i < cb_tensor_count(rows); i++, next_index(rows, index)) {
        memcpy(from, index, sizeof(from));
        from[0] = ((int64_t *)indices->data)[index[0]];
        cr_assert_eq(cb_tensor_get(rows, index), cb_tensor_get(&table, from), "round %d", round);
        add(expected, from, cb_tensor_get(source, index));
    }
    cr_assert(same_bytes(sums, expected), "round %d", round);
    cb_tensor *all[] = {memory, indices, sums, expected, rows, source};
    for (int i = 0; i < 6; i++)
        cb_tensor_free(all[i]);
}

Test(gather, rows_and_their_sums) {
    cb_random random = fresh_random();
    for (int round = 0; round < 300; round++)
        rows_round(&random, round);
}

Test(gather, the_first_index_outside) {
    cb_random random = fresh_random();
    for (int round = 0; round < 200; round++) {
        int64_t count = below(&random, round % 8 == 0 ? 100000 : 50), expected = count;
        int64_t extent = below(&random, 50);
        cb_tensor *indices = random_indices(&random, 1, &count, extent > 0 ? extent : 1);
        int64_t *values = indices->data;
        for (int64_t bad = below(&random, 3); bad > 0 && count > 0; bad--)
            values[below(&random, count)] = below(&random, 2) == 0 ? extent : -1 - extent;
        for (int64_t i = count - 1; i >= 0; i--)
            expected = values[i] < 0 || values[i] >= extent ? i : expected;
        cb_set_threads(1 + round % 3);
        cr_assert_eq(cbi_first_outside(count, values, extent), expected);
        cb_tensor_free(indices);
    }
}
