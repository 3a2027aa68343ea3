/* Ops of the fuzzer's own. */
#include "own_ops.h"

#include <math.h>
#include <string.h>

static cb_status real_like_input(const cb_call *call) {
    if (!cb_dtype_is_float(call->in[0]->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "it takes f32 and f64");
    return cb_shape_same(call);
}

/* Moves to the next multi-index in row-major order. */
static void advance(const cb_tensor *t, int64_t *index) {
    for (int k = t->rank - 1; k >= 0 && ++index[k] == t->shape[k]; k--)
        index[k] = 0;
}

/* ---- Floor ----------------------------------------------------------------------------------- */

static cb_status floor_forward(const cb_call *call) {
    int64_t index[CB_MAX_RANK] = {0};
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        cb_tensor_set(call->out, index, floor(cb_tensor_get(call->in[0], index)));
        advance(call->out, index);
    }
    return CB_OK;
}

static const cb_op floor_op = {.name = "own_floor",
                               .formula = "y = floor(x)",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .shape = real_like_input,
                               .forward = floor_forward};

cb_tensor *own_floor(cb_tensor *x) {
    return cb_apply(&floor_op, 1, &x, NULL);
}

/* ---- Running sum ----------------------------------------------------------------------------- */

typedef struct running_sum_options {
    int axis, reverse;
} running_sum_options;

static cb_status running_sum_shape(const cb_call *call) {
    const running_sum_options *options = call->options;
    if (options->axis < 0 || options->axis >= call->in[0]->rank)
        return cb_call_fail(call, CB_ERROR_SHAPE, "there is no axis %d", options->axis);
    return real_like_input(call);
}

/* One line along the axis, from the element at index. */
static void sum_line(const cb_call *call, int64_t *index) {
    const running_sum_options *options = call->options;
    int64_t extent = call->out->shape[options->axis];
    double sum = 0;
    for (int64_t i = 0; i < extent; i++) {
        index[options->axis] = options->reverse ? extent - 1 - i : i;
        sum += cb_tensor_get(call->in[0], index);
        cb_tensor_set(call->out, index, sum);
    }
    index[options->axis] = 0;
}

static cb_status running_sum_forward(const cb_call *call) {
    const running_sum_options *options = call->options;
    int64_t index[CB_MAX_RANK] = {0};
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        if (index[options->axis] == 0)
            sum_line(call, index);
        advance(call->out, index);
    }
    return CB_OK;
}

static void running_sum_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const running_sum_options *options = call->options;
    gradients[0] = own_running_sum(g, options->axis, !options->reverse);
}

static const cb_option running_sum_option_list[] = {
    CB_OPTION(running_sum_options, axis, CB_OPTION_INT),
    CB_OPTION(running_sum_options, reverse, CB_OPTION_INT)};

static bool running_sum_by_rows(const cb_call *call, int input) {
    (void)input;
    return ((const running_sum_options *)call->options)->axis != 0;
}

static const cb_op running_sum_op = {.name = "own_running_sum",
                                     .formula =
                                         "y_i = sum of x_j, j <= i; dx_i = sum of g_j, j >= i",
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .options_size = sizeof(running_sum_options),
                                     .shape = running_sum_shape,
                                     .forward = running_sum_forward,
                                     .vjp = running_sum_vjp,
                                     .option_list = running_sum_option_list,
                                     .option_count = 2,
                                     .row_by_row = running_sum_by_rows};

cb_tensor *own_running_sum(cb_tensor *x, int axis, bool reverse) {
    return cb_apply(&running_sum_op, 1, &x, &(running_sum_options){axis, reverse});
}

/* ---- Sine and cosine ------------------------------------------------------------------------- */

static cb_status circle_shape(const cb_call *call) {
    cb_status status = real_like_input(call);
    cb_tensor *cosine = call->outs[1];
    cosine->dtype = call->out->dtype;
    cosine->rank = call->out->rank;
    memcpy(cosine->shape, call->out->shape, sizeof(cosine->shape));
    return status;
}

static cb_status circle_forward(const cb_call *call) {
    int64_t index[CB_MAX_RANK] = {0};
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        double x = cb_tensor_get(call->in[0], index);
        if (!(fabs(x) < 100)) /* what nobody has computed may be anything */
            return cb_call_fail(call, CB_ERROR_VALUE, "an angle of %g", x);
        cb_tensor_set(call->outs[0], index, sin(x));
        cb_tensor_set(call->outs[1], index, cos(x));
        advance(call->out, index);
    }
    return CB_OK;
}

static void circle_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *h = call->gradients[1];
    cb_tensor *of_sine = g != NULL ? cb_mul(g, call->outs[1]) : NULL;
    cb_tensor *of_cosine = h != NULL ? cb_neg(cb_mul(h, call->outs[0])) : NULL;
    gradients[0] = of_sine == NULL     ? of_cosine
                   : of_cosine == NULL ? of_sine
                                       : cb_add(of_sine, of_cosine);
}

static const cb_op circle_op = {.name = "own_circle",
                                .formula = "sin x, cos x",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .shape = circle_shape,
                                .forward = circle_forward,
                                .vjp = circle_vjp,
                                .row_by_row = cb_row_by_row};

cb_tensor *own_circle(cb_tensor *x, bool product) {
    cb_tensor *outputs[2];
    cb_apply_outputs(&circle_op, 1, &x, NULL, 2, outputs);
    return product ? cb_mul(outputs[0], outputs[1]) : outputs[1];
}

/* ---- A function to compute again ------------------------------------------------------------- */

cb_tensor *own_squashed_product(const void *context, cb_tensor *const *inputs) {
    (void)context;
    return cb_tanh(cb_add(cb_mul(inputs[0], inputs[1]), inputs[0]));
}

/* ---- Noise ----------------------------------------------------------------------------------- */

typedef struct noise_options {
    double size;
    uint64_t seed;
} noise_options;

/* In [-1, 1], from the bits of a number (splitmix64's finish, Steele et al. 2014): Philox would
   take most of the time of a run. */
static double scrambled(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)(int64_t)(z ^ z >> 31) * 0x1p-63;
}

static cb_status noise_forward(const cb_call *call) {
    const noise_options *options = call->options;
    int64_t index[CB_MAX_RANK] = {0}, count = cb_tensor_count(call->out);
    uint64_t seed = options->seed * 0x2545f4914f6cdd1du;
    for (int64_t i = 0; i < count; i++) {
        double u = scrambled(seed + (uint64_t)i);
        double x = cb_tensor_get(call->in[0], index);
        cb_tensor_set(call->out, index, x * (1 + options->size * u));
        advance(call->out, index);
    }
    return CB_OK;
}

static void noise_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const noise_options *options = call->options;
    gradients[0] = own_noise(g, options->size, options->seed + 1);
}

static const cb_op noise_op = {.name = "own_noise",
                               .formula = "y = x (1 + size u); dx = g (1 + size v)",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .options_size = sizeof(noise_options),
                               .shape = real_like_input,
                               .forward = noise_forward,
                               .vjp = noise_vjp};

cb_tensor *own_noise(cb_tensor *x, double size, uint64_t seed) {
    return cb_apply(&noise_op, 1, &x, &(noise_options){size, seed});
}
