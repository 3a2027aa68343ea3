/* An op of one's own: the running sum along an axis. The gradient checker tries its samples.

     y_i = x_0 + ... + x_i           reverse: y_i = x_i + ... + x_(n-1)
     dx  = the running sum of g in the other direction

       cc 06_own_op.c -o 06_own_op $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

typedef struct running_sum_options {
    int axis;
    bool reverse;
} running_sum_options;

static const cb_option running_sum_option_list[] = {
    CB_OPTION(running_sum_options, axis, CB_OPTION_INT),
    CB_OPTION(running_sum_options, reverse, CB_OPTION_INT),
};

extern const cb_op running_sum_op;
static cb_tensor *running_sum(cb_tensor *x, int axis, bool reverse) {
    if (axis < 0 && x != NULL)
        axis += x->rank;
    return cb_apply(&running_sum_op, 1, &x, &(running_sum_options){axis, reverse});
}

static cb_status running_sum_shape(const cb_call *call) {
    const running_sum_options *options = call->options;
    const cb_tensor *x = call->in[0];
    if (!cb_dtype_is_float(x->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s; it takes f32 and f64",
                            cb_dtype_name(x->dtype));
    if (options->axis < 0 || options->axis >= x->rank)
        return cb_call_fail(call, CB_ERROR_SHAPE, "there is no axis %d", options->axis);
    return cb_shape_same(call);
}

/* cb_tensor_get and cb_tensor_set see to dtypes and strides; a kernel that is to be fast walks the
   memory itself. A neighbour in y is there before it is needed. */
static cb_status running_sum_forward(const cb_call *call) {
    const running_sum_options *options = call->options;
    cb_tensor *x = call->in[0], *y = call->out;
    int64_t count = cb_tensor_count(y), back = options->reverse ? 1 : -1;
    for (int64_t k = 0; k < count; k++) {
        int64_t index[CB_MAX_RANK], rest = options->reverse ? count - 1 - k : k;
        for (int i = y->rank - 1; i >= 0; rest /= y->shape[i--])
            index[i] = rest % y->shape[i];
        double sum = cb_tensor_get(x, index);
        int64_t *place = &index[options->axis];
        *place += back;
        if (*place >= 0 && *place < y->shape[options->axis])
            sum += cb_tensor_get(y, index);
        *place -= back;
        cb_tensor_set(y, index, sum);
    }
    return CB_OK;
}

static void running_sum_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const running_sum_options *options = call->options;
    gradients[0] = running_sum(g, options->axis, !options->reverse);
}

/* Sums along any axis but the first are those of each row by itself. */
static bool running_sum_by_rows(const cb_call *call, int input) {
    (void)input;
    return ((const running_sum_options *)call->options)->axis != 0;
}

static cb_tensor *forward_sample(cb_tensor *const *in) {
    return running_sum(in[0], 1, false);
}

static cb_tensor *squared_sample(cb_tensor *const *in) {
    return running_sum(cb_square(in[0]), -1, true);
}

#define RANGE .low = -2, .high = 2, .kink = CB_NO_KINK

static const cb_sample running_sum_samples[] = {
    {"plain", 1, {{.rank = 2, .shape = {3, 4}, RANGE}}, forward_sample},
    {"strided", 1, {{.rank = 3, .shape = {2, 3, 4}, RANGE, .transposed = true}}, forward_sample},
    {"reverse", 1, {{.rank = 2, .shape = {2, 5}, RANGE}}, squared_sample},
    {"empty", 1, {{.rank = 2, .shape = {3, 0}, RANGE}}, forward_sample},
};

const cb_op running_sum_op = {
    .name = "running_sum",
    .formula = "y_i = sum of x_j, j <= i;  dx_i = sum of g_j, j >= i",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(running_sum_options),
    .shape = running_sum_shape,
    .forward = running_sum_forward,
    .vjp = running_sum_vjp,
    .samples = running_sum_samples,
    .sample_count = sizeof(running_sum_samples) / sizeof(running_sum_samples[0]),
    .option_list = running_sum_option_list,
    .option_count = 2,
    .row_by_row = running_sum_by_rows,
};

int main(void) {
    for (int i = 0; i < running_sum_op.sample_count; i++) {
        const cb_sample *sample = &running_sum_op.samples[i];
        cb_check_report report;
        bool passed = cb_check_sample(sample, &(cb_check_options){.second_order = true}, &report);
        printf("%s: %s\n", sample->name, passed ? "right" : report.message);
    }
    float values[] = {1, 2, 3, 10, 20, 30};
    cb_tensor matrix = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), values);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &matrix), *y = running_sum(x, -1, false);
    cb_tensor_print(y, stdout);
    cb_backward(cb_sum(y, CB_ALL_AXES, false));
    cb_tensor_print(cb_gradient(x), stdout);
    running_sum(x, 2, false);
    printf("%s\n", cb_tape_error(tape));
    cb_tape_free(tape);
}

/* $ ./06_own_op
   plain: right
   strided: right
   reverse: right
   empty: right
   [[ 1  3  6]
    [10 30 60]]
   [[3 2 1]
    [3 2 1]]
   running_sum: [2,3]: there is no axis 2 (op 6) */
