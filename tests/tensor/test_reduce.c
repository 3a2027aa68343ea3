/* Reductions over any set of axes and any strides, against one element at a time. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <math.h>
#include <time.h>

/* out's element for an element of in: index 0 where the axis is reduced. */
static void narrow_index(const cb_tensor *out, const int64_t *index, int64_t *narrow) {
    for (int i = 0; i < out->rank; i++)
        narrow[i] = out->shape[i] == 1 ? 0 : index[i];
}

static double combine(cbi_reduction kind, double a, double b) {
    return kind == CBI_SUM ? a + b : kind == CBI_MAX ? fmax(a, b) : fmin(a, b);
}

/* The reference, in doubles, which hold sums of small whole numbers exactly. */
static cb_tensor *naive(cbi_reduction kind, const cb_tensor *out, const cb_tensor *in) {
    cb_tensor *expected = cb_tensor_new(CB_F64, out->rank, out->shape);
    int64_t index[CB_MAX_RANK] = {0}, narrow[CB_MAX_RANK], count = cb_tensor_count(in);
    cb_tensor_fill(expected, kind == CBI_SUM ? 0 : kind == CBI_MAX ? -INFINITY : INFINITY);
    for (int64_t i = 0; i < count; i++, next_index(in, index)) {
        narrow_index(out, index, narrow);
        cb_tensor_set(expected, narrow,
                      combine(kind, cb_tensor_get(expected, narrow), cb_tensor_get(in, index)));
    }
    return expected;
}

static void one_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], reduced[CB_MAX_RANK], index[CB_MAX_RANK] = {0};
    int rank = random_shape(random, 5, round % 8 == 0 ? 30000 : 100, shape);
    cbi_reduction kind = (cbi_reduction)below(random, 3);
    cb_dtype dtype = (cb_dtype)below(random, 4);
    for (int i = 0; i < rank; i++)
        reduced[i] = below(random, 2) == 0 && (kind == CBI_SUM || shape[i] > 0) ? 1 : shape[i];
    cb_tensor *memory[2];
    cb_tensor in = random_strides(random, dtype, rank, shape, true, &memory[0]);
    cb_tensor out = random_strides(random, dtype, rank, reduced, false, &memory[1]);
    cb_set_threads(1 + round % 3);
    cb_tensor *expected = naive(kind, &out, &in);
    cbi_reduce(kind, &out, &in);
    for (int64_t i = 0; i < cb_tensor_count(expected); i++, next_index(&out, index))
        cr_assert_eq(cb_tensor_get(&out, index), cb_tensor_get(expected, index), "round %d", round);
    if (kind == CBI_SUM && cb_dtype_is_float(dtype)) {
        cbi_sum_into(&out, &in);
        for (int64_t i = 0; i < cb_tensor_count(expected); i++, next_index(&out, index))
            cr_assert_eq(cb_tensor_get(&out, index), 2 * cb_tensor_get(expected, index));
    }
    cb_tensor_free(expected);
    cb_tensor_free(memory[0]);
    cb_tensor_free(memory[1]);
}

Test(reduce, any_axes_and_strides) {
    cb_random random = cb_random_seed(5);
    for (int round = 0; round < 400; round++)
        one_round(&random, round);
}

/* Long rows, whose sums are formed in lanes and in parts, with a NaN now and then. */
static void long_round(cb_random *random, int round) {
    static const int64_t lengths[] = {3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 300, 1000};
    int64_t rows = 1 + below(random, 5), n = lengths[below(random, 13)];
    n = round % 6 == 0 ? 130000 + below(random, 9000) : n + below(random, 2) * 4096;
    cbi_reduction kind = (cbi_reduction)below(random, 3);
    cb_dtype dtype = (cb_dtype)below(random, 4);
    int axis = (int)below(random, 2);
    int64_t shape[] = {axis == 1 ? rows : n, axis == 1 ? n : rows};
    cb_tensor *in = cb_tensor_new(dtype, 2, shape), *out;
    for (int64_t i = 0, index[2] = {0}; i < rows * n; i++, next_index(in, index))
        cb_tensor_set(in, index, (double)below(random, 2001) - 1000);
    shape[axis] = 1;
    out = cb_tensor_new(dtype, 2, shape);
    cb_tensor *expected = naive(kind, out, in);
    int64_t bad[] = {below(random, in->shape[0]), below(random, in->shape[1])}, nan_at = -1;
    if (cb_dtype_is_float(dtype) && below(random, 3) == 0) {
        cb_tensor_set(in, bad, NAN);
        nan_at = bad[1 - axis];
    }
    cb_set_threads(1 + round % 3);
    cbi_reduce(kind, out, in);
    for (int64_t i = 0; i < rows; i++) {
        int64_t at[] = {axis == 1 ? i : 0, axis == 1 ? 0 : i};
        double y = cb_tensor_get(out, at);
        cr_assert(i == nan_at ? isnan(y) : y == cb_tensor_get(expected, at), "round %d", round);
    }
    cb_tensor_free(in), cb_tensor_free(out), cb_tensor_free(expected);
}

static cb_random fresh_random(void) {
    uint64_t seed = (uint64_t)time(NULL);
    cr_log_info("seed %llu", (unsigned long long)seed);
    return cb_random_seed(seed);
}

Test(reduce, long_rows) {
    cb_random random = fresh_random();
    for (int round = 0; round < 300; round++)
        long_round(&random, round);
}

static int64_t naive_argmax(const cb_tensor *x, int axis, int64_t *index) {
    int64_t best = 0;
    double largest = -INFINITY;
    for (index[axis] = 0; index[axis] < x->shape[axis]; index[axis]++) {
        double y = cb_tensor_get(x, index);
        if (isnan(largest) || (index[axis] > 0 && !(y > largest) && !isnan(y)))
            continue;
        largest = y;
        best = index[axis];
    }
    return best;
}

static void argmax_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0}, from[CB_MAX_RANK];
    int rank = 0;
    while (rank == 0)
        rank = random_shape(random, 4, round % 8 == 0 ? 40000 : 300, shape);
    int axis = (int)below(random, rank);
    shape[axis] += shape[axis] == 0;
    cb_tensor *memory;
    cb_dtype dtype = (cb_dtype)below(random, 4);
    cb_tensor x = random_strides(random, dtype, rank, shape, true, &memory);
    for (int64_t bad = below(random, 4), i; cb_dtype_is_float(dtype) && bad > 0; bad--) {
        i = below(random, cb_tensor_count(memory));
        cb_tensor_set(memory, &i, NAN);
    }
    shape[axis] = 1;
    cb_tensor *out = cb_tensor_new(CB_I64, rank, shape);
    cb_set_threads(1 + round % 3);
    cbi_argmax(out, &x, axis);
    for (int64_t i = 0; i < cb_tensor_count(out); i++, next_index(out, index)) {
        for (int k = 0; k < rank; k++)
            from[k] = index[k];
        cr_assert_eq(((int64_t *)out->data)[i], naive_argmax(&x, axis, from), "round %d", round);
    }
    cb_tensor_free(memory), cb_tensor_free(out);
}

Test(reduce, where_the_largest_is) {
    cb_random random = fresh_random();
    for (int round = 0; round < 500; round++)
        argmax_round(&random, round);
}

Test(reduce, a_nan_wins_wherever_it_is) {
    enum { ROWS = 7, COLUMNS = 300 };
    cb_tensor *in = cb_tensor_new(CB_F32, CB_SHAPE(ROWS, COLUMNS));
    float row[COLUMNS], column[ROWS];
    for (int at = 0; at < ROWS * COLUMNS; at += 13)
        for (int kind = CBI_MAX; kind <= CBI_MIN; kind++) {
            cb_tensor_fill(in, 2);
            ((float *)in->data)[at] = NAN;
            cb_tensor down = cb_tensor_wrap(CB_F32, CB_SHAPE(1, COLUMNS), row);
            cb_tensor along = cb_tensor_wrap(CB_F32, CB_SHAPE(ROWS, 1), column);
            cbi_reduce((cbi_reduction)kind, &down, in);
            cbi_reduce((cbi_reduction)kind, &along, in);
            for (int i = 0; i < COLUMNS; i++)
                cr_assert_eq(isnan(row[i]) != 0, i == at % COLUMNS);
            for (int i = 0; i < ROWS; i++)
                cr_assert_eq(isnan(column[i]) != 0, i == at / COLUMNS);
        }
    cb_tensor_free(in);
}

/* Rows in which infinities cancel, beside one with a NaN. */
Test(reduce, opposite_infinities_are_no_nan) {
    enum { ROWS = 5, COLUMNS = 200 };
    cb_tensor *in = cb_tensor_new(CB_F32, CB_SHAPE(ROWS, COLUMNS));
    float *x = in->data, y[ROWS];
    cb_tensor out = cb_tensor_wrap(CB_F32, CB_SHAPE(ROWS, 1), y);
    for (int r = 0; r < ROWS; r++) {
        x[r * COLUMNS + 1] = INFINITY;
        x[r * COLUMNS + 65] = x[r * COLUMNS + 66] = -INFINITY;
    }
    x[2 * COLUMNS + 130] = NAN;
    for (int kind = CBI_MAX; kind <= CBI_MIN; kind++) {
        cbi_reduce((cbi_reduction)kind, &out, in);
        for (int r = 0; r < ROWS; r++)
            cr_assert(r == 2 ? isnan(y[r]) : y[r] == (kind == CBI_MAX ? INFINITY : -INFINITY));
    }
    cb_tensor_free(in);
}

Test(reduce, infinities) {
    double values[] = {-INFINITY, -INFINITY}, y;
    cb_tensor in = cb_tensor_wrap(CB_F64, CB_SHAPE(2), values);
    cb_tensor out = cb_tensor_wrap(CB_F64, CB_SHAPE(1), &y);
    cbi_reduce(CBI_MAX, &out, &in);
    cr_expect_eq(y, -INFINITY);
    values[1] = INFINITY;
    cbi_reduce(CBI_SUM, &out, &in);
    cr_expect(isnan(y));
}

Test(reduce, integers_wrap) {
    int32_t narrow[] = {INT32_MAX, 1, INT32_MAX}, n;
    int64_t wide[] = {INT64_MAX, 1, INT64_MAX}, w;
    cb_tensor in = cb_tensor_wrap(CB_I32, CB_SHAPE(3), narrow);
    cb_tensor out = cb_tensor_wrap(CB_I32, CB_SHAPE(1), &n);
    cbi_reduce(CBI_SUM, &out, &in);
    cr_expect_eq(n, -1);
    in = cb_tensor_wrap(CB_I64, CB_SHAPE(3), wide);
    out = cb_tensor_wrap(CB_I64, CB_SHAPE(1), &w);
    cbi_reduce(CBI_SUM, &out, &in);
    cr_expect_eq(w, -1);
}

Test(reduce, large_f32_sums_are_accurate) {
    enum { N = 5000000 };
    cb_tensor *in = cb_tensor_new(CB_F32, CB_SHAPE(N, 2));
    float y[2];
    cb_tensor out = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 2), y);
    cb_tensor_fill(in, 0.1);
    cbi_reduce(CBI_SUM, &out, in);
    cr_expect_float_eq(y[0], 0.1f * (double)N, 0.05);
    cr_expect_float_eq(y[1], 0.1f * (double)N, 0.05);
    out = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 1), y);
    cbi_reduce(CBI_SUM, &out, in);
    cr_expect_float_eq(y[0], 0.2f * (double)N, 0.1);
    cb_tensor_free(in);
}

Test(reduce, threads_change_no_bit) {
    cb_random random = cb_random_seed(6);
    enum { ROWS = 300, COLUMNS = 700 };
    cb_tensor *in = cb_tensor_new(CB_F64, CB_SHAPE(ROWS, COLUMNS));
    static double once[ROWS + COLUMNS], again[ROWS + COLUMNS];
    cb_random_normal_f64(&random, ROWS * COLUMNS, in->data, 0, 1);
    for (int threads = 1; threads <= 4; threads++) {
        double *y = threads == 1 ? once : again;
        cb_tensor down = cb_tensor_wrap(CB_F64, CB_SHAPE(1, COLUMNS), y);
        cb_tensor along = cb_tensor_wrap(CB_F64, CB_SHAPE(ROWS, 1), y + COLUMNS);
        cb_set_threads(threads);
        cbi_reduce(CBI_SUM, &down, in);
        cbi_reduce(CBI_SUM, &along, in);
        if (threads > 1)
            cr_expect_arr_eq(once, again, sizeof(once));
    }
    cb_tensor_free(in);
}
