/* An op of one's own, in a program of one's own: the running sum along an axis. The gradient
   checker tries its samples.

       cc custom_op.c -o custom_op $(pkg-config --cflags --libs cerebra)

     y_i = x_0 + ... + x_i           reverse: y_i = x_i + ... + x_(n-1)
     dx  = the running sum of g in the other direction */
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

/* ---- The op ---------------------------------------------------------------------------------- */

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

/* y is row-major and x is not: element number `at` of y is that of x at the same multi-index. The
   walk is such that a neighbour in y is there before it is needed. */
static cb_status running_sum_forward(const cb_call *call) {
    const running_sum_options *options = call->options;
    const cb_tensor *x = call->in[0], *y = call->out;
    int64_t count = cb_tensor_count(y), first = options->reverse ? y->shape[options->axis] - 1 : 0;
    for (int64_t k = 0; k < count; k++) {
        int64_t at = options->reverse ? count - 1 - k : k, rest = at, from = 0, place = 0;
        for (int i = y->rank - 1; i >= 0; i--) {
            int64_t index = rest % y->shape[i];
            rest /= y->shape[i];
            from += index * x->stride[i];
            if (i == options->axis)
                place = index;
        }
        int64_t before = at + (options->reverse ? 1 : -1) * y->stride[options->axis];
        if (y->dtype == CB_F32)
            ((float *)y->data)[at] = ((const float *)x->data)[from] +
                                     (place == first ? 0 : ((const float *)y->data)[before]);
        else
            ((double *)y->data)[at] = ((const double *)x->data)[from] +
                                      (place == first ? 0 : ((const double *)y->data)[before]);
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

/* ---- Its cases for the gradient checker ------------------------------------------------------ */

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

/* ---- The program ----------------------------------------------------------------------------- */

int main(void) {
    bool passed = true;
    for (int i = 0; i < running_sum_op.sample_count; i++) {
        const cb_sample *sample = &running_sum_op.samples[i];
        cb_check_report report;
        bool good = cb_check_sample(sample, &(cb_check_options){.second_order = true}, &report);
        passed = passed && good;
        printf("%-8s %lld elements, worst error %.1e %s\n", sample->name,
               (long long)report.compared, report.worst, good ? "" : report.message);
    }

    float values[] = {1, 2, 3, 10, 20, 30};
    cb_tensor matrix = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), values);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &matrix);
    cb_tensor *y = running_sum(x, -1, false);
    cb_tensor_print(y, stdout);
    cb_backward(cb_sum(y, CB_ALL_AXES, false));
    cb_tensor_print(cb_gradient(x), stdout);
    running_sum(x, 2, false);
    printf("%s\n", cb_tape_error(tape));
    cb_tape_free(tape);
    return passed ? 0 : 1;
}
