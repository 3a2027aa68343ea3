/* Values of every public op against NumPy and PyTorch (tests/reference/op_cases.py), each from
   row-major operands and from operands that lie in memory in reverse, with gaps. */
#include "tests/support.h"

#include <cerebra/ops.h>

#include <math.h>
#include <string.h>

#define MOST_INPUTS 3

typedef struct op_case {
    const char *name;
    cb_tensor *(*apply)(cb_tensor *const *in);
    double tolerance; /* relative, and absolute below 1 */
} op_case;

static cb_tensor *stack_alternating(cb_tensor *const *in) {
    cb_tensor *all[100];
    for (int i = 0; i < 100; i++)
        all[i] = in[i % 2];
    return cb_stack(100, all, 1);
}

static cb_tensor *first_indices(cb_tensor *x, bool largest) {
    cb_tensor *indices = NULL;
    cb_topk(x, 1, x->shape[1] < 7 ? x->shape[1] : 7, largest, &indices);
    return indices;
}

/* Sums, means and the like over the axes that the case's name ends in. */
#define OVER_AXES(X, f)                                                                            \
    X(f##_0, cb_##f(in[0], CB_AXES(0), false), 1e-6)                                               \
    X(f##_1, cb_##f(in[0], CB_AXES(-2), true), 1e-6)                                               \
    X(f##_2, cb_##f(in[0], CB_AXES(2), false), 1e-6)                                               \
    X(f##_01, cb_##f(in[0], CB_AXES(1, 0), false), 1e-6)                                           \
    X(f##_02, cb_##f(in[0], CB_AXES(0, -1), true), 1e-6)                                           \
    X(f##_12, cb_##f(in[0], CB_AXES(1, 2), false), 1e-6)                                           \
    X(f##_012, cb_##f(in[0], CB_ALL_AXES, false), 1e-6)
#define SIMPLE_UNARY(X, f, tolerance)  X(f, cb_##f(in[0]), tolerance)
#define SIMPLE_BINARY(X, f, tolerance) X(f, cb_##f(in[0], in[1]), tolerance)
#define INTEGER_BINARY(X, f)                                                                       \
    X(f##_i32, cb_##f(in[0], in[1]), 0)                                                            \
    X(f##_i64, cb_##f(in[0], in[1]), 0)
#define INTEGER_UNARY(X, f, ...)                                                                   \
    X(f##_i32, cb_##f(__VA_ARGS__), 0)                                                             \
    X(f##_i64, cb_##f(__VA_ARGS__), 0)

#define ELEMENTWISE(X)                                                                             \
    SIMPLE_UNARY(X, abs, 0)                                                                        \
    SIMPLE_UNARY(X, square, 1e-6)                                                                  \
    SIMPLE_UNARY(X, neg, 0)                                                                        \
    SIMPLE_UNARY(X, exp, 5e-7)                                                                     \
    SIMPLE_UNARY(X, log, 5e-7)                                                                     \
    SIMPLE_UNARY(X, log1p, 5e-7)                                                                   \
    SIMPLE_UNARY(X, expm1, 5e-7)                                                                   \
    SIMPLE_UNARY(X, sqrt, 5e-7)                                                                    \
    SIMPLE_UNARY(X, rsqrt, 5e-7)                                                                   \
    SIMPLE_UNARY(X, reciprocal, 5e-7)                                                              \
    SIMPLE_UNARY(X, sin, 5e-7)                                                                     \
    SIMPLE_UNARY(X, cos, 5e-7)                                                                     \
    SIMPLE_UNARY(X, tanh, 5e-7)                                                                    \
    SIMPLE_UNARY(X, sigmoid, 5e-7)                                                                 \
    SIMPLE_UNARY(X, erf, 5e-7)                                                                     \
    SIMPLE_UNARY(X, relu, 0)                                                                       \
    SIMPLE_UNARY(X, silu, 5e-7)                                                                    \
    SIMPLE_UNARY(X, gelu, 5e-7)                                                                    \
    SIMPLE_UNARY(X, softplus, 5e-7)                                                                \
    SIMPLE_UNARY(X, sign, 0)                                                                       \
    SIMPLE_UNARY(X, positive, 0)                                                                   \
    SIMPLE_UNARY(X, floor, 0)                                                                      \
    X(affine, cb_affine(in[0], -1.5, 0.5), 5e-7)                                                   \
    X(scale, cb_scale(in[0], -1.5), 5e-7)                                                          \
    X(shift, cb_shift(in[0], 0.5), 5e-7)                                                           \
    X(leaky_relu, cb_leaky_relu(in[0], 0.25), 5e-7)                                                \
    X(elu, cb_elu(in[0], 0.75), 5e-7)                                                              \
    X(clamp, cb_clamp(in[0], -1, 2), 0)                                                            \
    X(power, cb_power(in[0], 2.5), 5e-7)                                                           \
    X(power_0, cb_power(in[0], 0), 0)                                                              \
    X(power_3, cb_power(in[0], 3), 5e-7)                                                           \
    X(huber_residual, cb_huber_residual(in[0], 2), 5e-7)                                           \
    X(full_like, cb_full_like(in[0], 3), 0)                                                        \
    SIMPLE_BINARY(X, add, 5e-7)                                                                    \
    SIMPLE_BINARY(X, sub, 5e-7)                                                                    \
    SIMPLE_BINARY(X, mul, 5e-7)                                                                    \
    SIMPLE_BINARY(X, div, 5e-7)                                                                    \
    SIMPLE_BINARY(X, maximum, 0)                                                                   \
    SIMPLE_BINARY(X, minimum, 0)                                                                   \
    SIMPLE_BINARY(X, pow, 5e-7)                                                                    \
    SIMPLE_BINARY(X, equal, 0)                                                                     \
    SIMPLE_BINARY(X, not_equal, 0)                                                                 \
    SIMPLE_BINARY(X, less, 0)                                                                      \
    SIMPLE_BINARY(X, less_equal, 0)                                                                \
    SIMPLE_BINARY(X, greater, 0)                                                                   \
    SIMPLE_BINARY(X, greater_equal, 0)                                                             \
    X(where, cb_where(in[0], in[1], in[2]), 0)

#define INTEGERS(X)                                                                                \
    INTEGER_BINARY(X, add)                                                                         \
    INTEGER_BINARY(X, sub)                                                                         \
    INTEGER_BINARY(X, mul)                                                                         \
    INTEGER_BINARY(X, maximum)                                                                     \
    INTEGER_BINARY(X, minimum)                                                                     \
    INTEGER_BINARY(X, equal)                                                                       \
    INTEGER_BINARY(X, not_equal)                                                                   \
    INTEGER_BINARY(X, less)                                                                        \
    INTEGER_BINARY(X, less_equal)                                                                  \
    INTEGER_BINARY(X, greater)                                                                     \
    INTEGER_BINARY(X, greater_equal)                                                               \
    INTEGER_UNARY(X, neg, in[0])                                                                   \
    INTEGER_UNARY(X, abs, in[0])                                                                   \
    INTEGER_UNARY(X, square, in[0])                                                                \
    INTEGER_UNARY(X, sign, in[0])                                                                  \
    INTEGER_UNARY(X, scale, in[0], -3)                                                             \
    INTEGER_UNARY(X, affine, in[0], 3, -5)                                                         \
    INTEGER_UNARY(X, shift, in[0], -5)                                                             \
    INTEGER_UNARY(X, clamp, in[0], -3, 5)                                                          \
    INTEGER_UNARY(X, sum, in[0], CB_ALL_AXES, false)                                               \
    INTEGER_UNARY(X, max, in[0], CB_ALL_AXES, false)                                               \
    INTEGER_UNARY(X, min, in[0], CB_ALL_AXES, false)                                               \
    INTEGER_UNARY(X, argmax, in[0], 0, false)

#define REDUCTIONS(X)                                                                              \
    OVER_AXES(X, sum)                                                                              \
    OVER_AXES(X, mean)                                                                             \
    OVER_AXES(X, max)                                                                              \
    OVER_AXES(X, min)                                                                              \
    OVER_AXES(X, logsumexp)                                                                        \
    X(max_special, cb_max(in[0], CB_AXES(1), false), 0)                                            \
    X(min_special, cb_min(in[0], CB_AXES(-1), false), 0)                                           \
    X(logsumexp_special, cb_logsumexp(in[0], CB_AXES(1), false), 5e-7)                             \
    X(softmax_special, cb_softmax(in[0], 1), 5e-7)                                                 \
    X(log_softmax_special, cb_log_softmax(in[0], -1), 5e-7)                                        \
    X(argmax_special, cb_argmax(in[0], 1, false), 0)                                               \
    X(argmax_0, cb_argmax(in[0], -2, true), 0)                                                     \
    X(log_softmax_offset, cb_log_softmax(in[0], 1), 2e-6)                                          \
    X(log_softmax_0, cb_log_softmax(in[0], 0), 1e-6)                                               \
    X(softmax_1, cb_softmax(in[0], 1), 5e-7)                                                       \
    X(var_population, cb_var(in[0], CB_AXES(0, 2), 0, false), 1e-5)                                \
    X(var_sample, cb_var(in[0], CB_AXES(1), 1, true), 1e-6)                                        \
    X(var_of_one, cb_var(in[0], CB_AXES(1), 1, false), 0)                                          \
    X(sum_empty, cb_sum(in[0], CB_AXES(1), false), 0)                                              \
    X(mean_empty, cb_mean(in[0], CB_AXES(1), false), 0)                                            \
    X(logsumexp_empty, cb_logsumexp(in[0], CB_AXES(1), false), 0)                                  \
    X(softmax_empty, cb_softmax(in[0], 1), 0)

#define PRODUCTS(X)                                                                                \
    X(matmul_plain, cb_matmul(in[0], in[1]), 1e-6)                                                 \
    X(matmul_right, cb_matmul(in[0], in[1]), 1e-6)                                                 \
    X(matmul_left, cb_matmul(in[0], in[1]), 1e-6)                                                  \
    X(matmul_both, cb_matmul(in[0], in[1]), 1e-6)                                                  \
    X(matmul_none, cb_matmul(in[0], in[1]), 0)                                                     \
    X(matmul_large, cb_matmul(in[0], in[1]), 1e-5)                                                 \
    X(matmul_row, cb_matmul(in[0], in[1]), 1e-6)                                                   \
    X(matmul_batch, cb_matmul(in[0], in[1]), 1e-6)                                                 \
    X(matmul_no_batch, cb_matmul(in[0], in[1]), 0)                                                 \
    X(linear, cb_linear(in[0], in[1], in[2]), 1e-6)                                                \
    X(linear_no_bias, cb_linear(in[0], in[1], NULL), 1e-6)

#define SHAPES(X)                                                                                  \
    X(reshape, cb_reshape(in[0], CB_SHAPE(4, 6)), 0)                                               \
    X(reshape_unknown, cb_reshape(in[0], CB_SHAPE(3, -1, 2)), 0)                                   \
    X(permute, cb_permute(in[0], CB_AXES(2, 0, -2)), 0)                                            \
    X(transpose, cb_transpose(in[0], 0, -1), 0)                                                    \
    X(slice, cb_slice(in[0], 1, -2, CB_END, 1), 0)                                                 \
    X(slice_step, cb_slice(in[0], -1, 1, 99, 2), 0)                                                \
    X(select, cb_select(in[0], 1, -1), 0)                                                          \
    X(chunk, cb_chunk(in[0], 2, 2, 1), 0)                                                          \
    X(expand, cb_expand(in[0], CB_SHAPE(3, 2, 3, 4)), 0)                                           \
    X(squeeze, cb_squeeze(in[0], -2), 0)                                                           \
    X(unsqueeze, cb_unsqueeze(in[0], -1), 0)                                                       \
    X(flip, cb_flip(in[0], CB_AXES(0, -1)), 0)                                                     \
    X(pad, cb_pad(in[0], (const int64_t[]){0, 2, 1}, (const int64_t[]){1, 0, 3}, -1.5), 0)         \
    X(concat, cb_concat(3, (cb_tensor *[]){in[0], in[1], in[0]}, -2), 0)                           \
    X(stack, cb_stack(2, in, -1), 0)                                                               \
    X(stack_many, stack_alternating(in), 0)                                                        \
    X(contiguous, cb_contiguous(in[0]), 0)                                                         \
    X(sum_to, cb_sum_to(in[0], CB_SHAPE(3, 1)), 1e-6)                                              \
    X(cast_i32, cb_cast(in[0], CB_I32), 0)                                                         \
    X(cast_i64, cb_cast(in[0], CB_I64), 0)                                                         \
    X(cast_i64_to_f32, cb_cast(in[0], CB_F32), 0)                                                  \
    X(cast_i64_to_i32, cb_cast(in[0], CB_I32), 0)                                                  \
    X(cast_i32_to_i64, cb_cast(in[0], CB_I64), 0)                                                  \
    X(gather_rows, cb_gather_rows(in[0], in[1]), 0)                                                \
    X(gather_rows_i32, cb_gather_rows(in[0], in[1]), 0)                                            \
    X(gather_rows_scalar, cb_gather_rows(in[0], in[1]), 0)                                         \
    X(scatter_rows, cb_scatter_rows(in[0], in[1], 5), 1e-6)                                        \
    X(gather, cb_gather(in[0], -2, in[1]), 0)                                                      \
    X(scatter_add, cb_scatter_add(in[0], 1, in[1], in[2]), 1e-6)                                   \
    X(one_hot, cb_one_hot(in[0], 5, CB_F32), 0)                                                    \
    X(one_hot_i64, cb_one_hot(in[0], 6, CB_I64), 0)

#define EACH_DTYPE(X, f, ...)                                                                      \
    X(f##_f32, __VA_ARGS__, 0)                                                                     \
    X(f##_f64, __VA_ARGS__, 0)                                                                     \
    X(f##_i32, __VA_ARGS__, 0)                                                                     \
    X(f##_i64, __VA_ARGS__, 0)

#define MASKS(X)                                                                                   \
    X(tril_minus_9, cb_tril(in[0], INT64_MIN), 0)                                                  \
    X(tril_minus_1, cb_tril(in[0], -1), 0)                                                         \
    X(tril_0, cb_tril(in[0], 0), 0)                                                                \
    X(tril_2, cb_tril(in[0], 2), 0)                                                                \
    X(tril_9, cb_tril(in[0], INT64_MAX), 0)                                                        \
    X(triu_minus_9, cb_triu(in[0], -9), 0)                                                         \
    X(triu_minus_1, cb_triu(in[0], -1), 0)                                                         \
    X(triu_0, cb_triu(in[0], 0), 0)                                                                \
    X(triu_2, cb_triu(in[0], 2), 0)                                                                \
    X(triu_9, cb_triu(in[0], 9), 0)                                                                \
    X(tril_i64, cb_tril(in[0], -1), 0)                                                             \
    EACH_DTYPE(X, where_mask, cb_where(in[0], in[1], in[2]))                                       \
    EACH_DTYPE(X, masked_fill, cb_masked_fill(in[0], in[1], -1.5))                                 \
    X(where_small, cb_where(in[0], in[1], in[2]), 0)                                               \
    X(masked_fill_integers, cb_masked_fill(in[0], in[1], -7), 0)

#define SORTED(X, name, descending)                                                                \
    X(sort_##name, cb_sort(in[0], 1, descending, NULL), 0)                                         \
    X(argsort_##name, cb_argsort(in[0], -2, descending), 0)                                        \
    X(topk_##name, cb_topk(in[0], 1, in[0]->shape[1] < 7 ? in[0]->shape[1] : 7, descending, NULL), \
      0)                                                                                           \
    X(topk_indices_##name, first_indices(in[0], descending), 0)
#define SORTED_BOTH(X, name)                                                                       \
    SORTED(X, name##_up, false)                                                                    \
    SORTED(X, name##_down, true)

#define ORDER(X)                                                                                   \
    X(cumsum_0, cb_cumsum(in[0], 0), 1e-6)                                                         \
    X(cumsum_1, cb_cumsum(in[0], -2), 1e-6)                                                        \
    X(cumsum_2, cb_cumsum(in[0], 2), 1e-6)                                                         \
    X(cumsum_long, cb_cumsum(in[0], 1), 1e-6)                                                      \
    X(cumsum_special, cb_cumsum(in[0], 1), 1e-6)                                                   \
    X(cumsum_empty, cb_cumsum(in[0], 1), 0)                                                        \
    X(cumsum_i32, cb_cumsum(in[0], 0), 0)                                                          \
    X(cumsum_i64, cb_cumsum(in[0], 0), 0)                                                          \
    SORTED_BOTH(X, ties)                                                                           \
    SORTED_BOTH(X, plain)                                                                          \
    SORTED_BOTH(X, short)                                                                          \
    SORTED_BOTH(X, integers)                                                                       \
    SORTED_BOTH(X, extremes_i32)                                                                   \
    SORTED_BOTH(X, extremes_i64)                                                                   \
    X(sort_empty, cb_sort(in[0], 1, false, NULL), 0)                                               \
    X(argsort_0, cb_argsort(in[0], 0, false), 0)                                                   \
    X(argsort_2, cb_argsort(in[0], 2, false), 0)                                                   \
    X(topk_0, cb_topk(in[0], 0, 2, false, NULL), 0)                                                \
    X(topk_none, cb_topk(in[0], 1, 0, true, NULL), 0)

#define FUNCTION(name, expression, tolerance)                                                      \
    static cb_tensor *apply_##name(cb_tensor *const *in) {                                         \
        return expression;                                                                         \
    }
#define ROW(name, expression, tolerance) {#name, apply_##name, tolerance},

#define GROUP(group, CASES)                                                                        \
    CASES(FUNCTION)                                                                                \
    static const op_case group##_cases[] = {CASES(ROW)};                                           \
    Test(ops, group) {                                                                             \
        check_cases(group##_cases, sizeof(group##_cases) / sizeof(group##_cases[0]));              \
    }

/* Moves to the next multi-index in row-major order. */
static void next_index(const cb_tensor *t, int64_t *index) {
    for (int k = t->rank - 1; k >= 0 && ++index[k] == t->shape[k]; k--)
        index[k] = 0;
}

static bool same_value(double a, double b, double tolerance) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return fabs(a - b) <= tolerance * fmax(1, fabs(b));
}

static void expect_equal(const char *name, const cb_tensor *y, const cb_tensor *expected,
                         double tolerance) {
    char shape[160];
    int64_t index[CB_MAX_RANK] = {0};
    cr_assert(y->dtype == expected->dtype && cb_tensor_same_shape(y, expected), "%s: %s%s", name,
              cb_dtype_name(y->dtype), cb_shape_format(y, shape, sizeof(shape)));
    for (int64_t i = 0; i < cb_tensor_count(y); i++, next_index(y, index)) {
        double a = cb_tensor_get(y, index), b = cb_tensor_get(expected, index);
        cr_expect(same_value(a, b, tolerance), "%s, element %lld: %.9g instead of %.9g", name,
                  (long long)i, a, b);
    }
}

/* The same elements with the axes in reverse in memory, each backwards and with gaps. */
static cb_tensor reversed(const cb_tensor *t, cb_tensor **memory) {
    int64_t shape[CB_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        shape[i] = 2 * t->shape[t->rank - 1 - i];
    *memory = cb_tensor_new(t->dtype, t->rank, shape);
    cr_assert_not_null(*memory);
    cb_tensor view = *t;
    char *data = (*memory)->data;
    for (int i = 0; i < t->rank && data != NULL; i++) {
        int64_t stride = 2 * (*memory)->stride[t->rank - 1 - i];
        data += (t->shape[i] - 1) * stride * (int64_t)cb_dtype_size(t->dtype);
        view.stride[i] = -stride;
    }
    view.data = data;
    cr_assert_eq(cb_tensor_assign(&view, t), CB_OK);
    return view;
}

static void check_case(const cb_safetensors *file, const op_case *row, bool strided) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *in[MOST_INPUTS] = {NULL}, *memory[MOST_INPUTS] = {NULL};
    char name[80];
    for (int i = 0; i < MOST_INPUTS; i++) {
        snprintf(name, sizeof(name), "%s.%d", row->name, i);
        const cb_tensor *stored = cb_safetensors_find(file, name);
        if (stored == NULL)
            break;
        cb_tensor view = *stored;
        if (strided)
            view = reversed(stored, &memory[i]);
        in[i] = cb_input(tape, &view);
    }
    cb_tensor *y = row->apply(in);
    snprintf(name, sizeof(name), "%s.out", row->name);
    cr_expect_eq(cb_tape_status(tape), CB_OK, "%s: %s", row->name, cb_tape_error(tape));
    if (cb_tape_status(tape) == CB_OK)
        expect_equal(row->name, y, cbt_find(file, name), row->tolerance);
    cb_tape_free(tape);
    for (int i = 0; i < MOST_INPUTS; i++)
        cb_tensor_free(memory[i]);
}

static void check_cases(const op_case *cases, size_t count) {
    cb_safetensors *file = cbt_reference("op_cases");
    for (size_t i = 0; i < count; i++) {
        check_case(file, &cases[i], false);
        check_case(file, &cases[i], true);
    }
    cb_safetensors_free(file);
}

GROUP(elementwise, ELEMENTWISE)
GROUP(integers, INTEGERS)
GROUP(reductions, REDUCTIONS)
GROUP(products, PRODUCTS)
GROUP(shapes, SHAPES)
GROUP(masks, MASKS)
GROUP(order, ORDER)

Test(ops, every_stored_case_is_applied) {
    cb_safetensors *file = cbt_reference("op_cases");
    static const struct {
        const op_case *cases;
        size_t count;
    } groups[] = {
#define LIST(group) {group##_cases, sizeof(group##_cases) / sizeof(group##_cases[0])}
        LIST(elementwise), LIST(integers), LIST(reductions), LIST(products),
        LIST(shapes),      LIST(masks),    LIST(order)};
    for (int i = 0; i < cb_safetensors_count(file); i++) {
        char name[80];
        snprintf(name, sizeof(name), "%s", cb_safetensors_at(file, i).name);
        char *end = strstr(name, ".out");
        if (end == NULL)
            continue;
        *end = '\0';
        bool found = false;
        for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
            for (size_t k = 0; k < groups[g].count; k++)
                found = found || strcmp(groups[g].cases[k].name, name) == 0;
        cr_expect(found, "nothing applies %s", name);
    }
    cb_safetensors_free(file);
}

Test(ops, slices_are_those_of_python) {
    cb_safetensors *file = cbt_reference("op_cases");
    const cb_tensor *table = cbt_find(file, "slices");
    const int64_t *row = table->data;
    cb_tape *tape = cb_tape_new();
    for (int64_t i = 0; i < table->shape[0]; i++, row += 6) {
        cb_tape_reset(tape);
        cb_tensor *y = cb_slice(cb_arange(tape, CB_I64, 0, 1, row[0]), 0, row[1], row[2], row[3]);
        cr_assert_eq(y->shape[0], row[4], "%lld[%lld:%lld:%lld]", (long long)row[0],
                     (long long)row[1], (long long)row[2], (long long)row[3]);
        if (row[4] > 0)
            cr_assert_eq(cb_tensor_get(y, (const int64_t[]){0}), (double)row[5]);
        if (row[4] > 1)
            cr_assert_eq(cb_tensor_get(y, (const int64_t[]){1}), (double)(row[5] + row[3]));
    }
    cb_tape_free(tape);
    cb_safetensors_free(file);
}

Test(ops, the_largest_step_of_a_slice_takes_one_element) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_reshape(cb_arange(tape, CB_F64, 0, 1, 6), CB_SHAPE(2, 3));
    cb_tensor *y = cb_slice(x, 0, 1, CB_END, INT64_MAX);
    cr_assert_eq(cb_tape_status(tape), CB_OK);
    cr_assert(y->shape[0] == 1 && cb_tensor_get(y, (const int64_t[]){0, 2}) == 5);
    cb_tape_free(tape);
}

Test(ops, integers_take_whole_parameters_only) {
    cb_tape *tape = cb_tape_new();
    for (int i = 0; i < 4; i++) {
        cb_tensor *x = cb_arange(tape, i % 2 == 0 ? CB_I32 : CB_I64, -2, 1, 5);
        cb_tensor *y = i < 2 ? cb_scale(x, 0.5) : cb_shift(x, NAN);
        cr_expect(cb_tape_status(tape) == CB_ERROR_VALUE && y->data == NULL);
        cb_tape_reset(tape);
    }
    cb_tensor *bounded = cb_clamp(cb_arange(tape, CB_I32, -2, 1, 5), -INFINITY, 1);
    cr_expect_eq(cb_item(cb_sum(bounded, CB_ALL_AXES, false)), -1);
    cb_tape_free(tape);
}

Test(ops, results_too_large_are_refused) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *wide = cb_expand(cb_full(tape, CB_F32, CB_SCALAR, 1), CB_SHAPE((int64_t)1 << 59));
    cb_tensor *many[40];
    for (int i = 0; i < 40; i++)
        many[i] = wide;
    cb_concat(40, many, 0);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE, "%s", cb_tape_error(tape));
    cb_tape_reset(tape);
    cb_one_hot(cb_arange(tape, CB_I64, 0, 1, 9), INT64_MAX / 8, CB_F64);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE, "%s", cb_tape_error(tape));
    cb_tape_free(tape);
}

/* A power of 0 has a slope: the logarithm and the negative power in the formula must not show. */
Test(ops, gradients_of_a_power_of_zero) {
    cb_tape *tape = cb_tape_new();
    double zero = 0, two = 2;
    cb_tensor base = cb_tensor_wrap(CB_F64, CB_SCALAR, &zero);
    cb_tensor exponent = cb_tensor_wrap(CB_F64, CB_SCALAR, &two);
    cb_tensor *a = cb_variable(tape, &base), *b = cb_variable(tape, &exponent);
    cr_expect_eq(cb_backward(cb_pow(a, b)), CB_OK);
    cr_expect(cb_item(cb_gradient(a)) == 0 && cb_item(cb_gradient(b)) == 0);
    cb_tensor *c = cb_variable(tape, &base);
    cr_expect_eq(cb_backward(cb_pow(c, cb_full(tape, CB_F64, CB_SCALAR, 0))), CB_OK);
    cr_expect_eq(cb_item(cb_gradient(c)), 0);
    cb_tape_free(tape);
}

/* ---- Dropout --------------------------------------------------------------------------------- */

Test(ops, dropout_keeps_the_rate_and_the_mean_and_repeats_itself) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(200, 500), 2);
    cb_random random = cb_random_seed(5), again = random;
    cb_tensor *y = cb_dropout(x, 0.25, &random), *other = cb_dropout(x, 0.25, &random);
    cb_tensor *same = cb_dropout(x, 0.25, &again);
    double kept = cb_item(cb_mean(cb_not_equal(y, cb_full_like(y, 0)), CB_ALL_AXES, false));
    /* The deviation of a mean of 100000 draws is 0.0014. */
    cr_expect_float_eq(kept, 0.75, 0.007);
    cr_expect_float_eq(cb_item(cb_max(y, CB_ALL_AXES, false)), 2 / 0.75, 1e-6);
    cr_expect_eq(cb_item(cb_sum(cb_not_equal(y, same), CB_ALL_AXES, false)), 0);
    double differing = cb_item(cb_mean(cb_not_equal(y, other), CB_ALL_AXES, false));
    cr_expect_float_eq(differing, 2 * 0.25 * 0.75, 0.01);
    cr_expect_neq(random.counter, 0);
    cr_expect_eq(cb_dropout(x, 0, &random), x);
    cb_tape_free(tape);
}

Test(ops, dropout_masks_the_same_elements_whatever_their_layout) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F64, CB_SHAPE(7, 9), 1);
    cb_random random = cb_random_seed(6), again = random;
    cb_tensor *y = cb_dropout(x, 0.5, &random);
    cb_tensor *turned = cb_transpose(cb_contiguous(cb_transpose(x, 0, 1)), 0, 1);
    cb_tensor *same = cb_dropout(turned, 0.5, &again);
    cr_expect_eq(cb_item(cb_sum(cb_not_equal(y, same), CB_ALL_AXES, false)), 0);
    cr_expect_eq(cb_tape_status(tape), CB_OK);
    cb_tape_free(tape);
}
