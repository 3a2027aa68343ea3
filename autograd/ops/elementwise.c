/* The elementwise ops, from their table. A row becomes, for each dtype it is for, a loop over
   contiguous blocks that the compiler vectorises for several instruction sets; a forward and a vjp;
   a sample; and the op itself, with its public function. */
#include <cerebra/ops.h>

#include "autograd/compiler/lower.h"
#include "autograd/ops/elementwise.h"
#include "autograd/tape_internal.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"

#include <math.h>

/* ---- What gradients in the table use -------------------------------------------------------- */

/* d silu = s (1 + x (1 - s)), s = sigma(x) */
static cb_tensor *cbi_silu_slope(cb_tensor *x) {
    cb_tensor *s = cb_sigmoid(x);
    return cb_mul(s, cb_shift(cb_mul(x, cb_affine(s, -1, 1)), 1));
}

/* d gelu = Phi(x) + x phi(x), Phi and phi the normal distribution and density */
static cb_tensor *cbi_gelu_slope(cb_tensor *x) {
    cb_tensor *distribution = cb_affine(cb_erf(cb_scale(x, 0.70710678118654752)), 0.5, 0.5);
    cb_tensor *density = cb_scale(cb_exp(cb_scale(cb_square(x), -0.5)), 0.39894228040143268);
    return cb_add(distribution, cb_mul(x, density));
}

/* d x^p = p x^(p-1), and nothing for p = 0, where x^(p-1) may be infinite */
static cb_tensor *cbi_power_slope(cb_tensor *x, double exponent) {
    return exponent == 0 ? cb_full_like(x, 0) : cb_scale(cb_power(x, exponent - 1), exponent);
}

/* d a^b = b a^(b-1) da, and nothing for b = 0 */
static cb_tensor *cbi_pow_slope_a(cb_tensor *a, cb_tensor *b) {
    return cb_where(b, cb_mul(b, cb_pow(a, cb_shift(b, -1))), cb_full_like(b, 0));
}

/* d a^b = a^b log(a) db, y = a^b, and nothing for a = 0 */
static cb_tensor *cbi_pow_slope_b(cb_tensor *a, cb_tensor *y) {
    return cb_where(a, cb_mul(y, cb_log(a)), cb_full_like(a, 0));
}

/* 1 where a > b, 1/2 where they are equal, else 0 */
static cb_tensor *cbi_prefer(cb_tensor *a, cb_tensor *b) {
    return cb_scale(cb_add(cb_greater(a, b), cb_greater_equal(a, b)), 0.5);
}

/* ---- Kernels: one function a row and dtype --------------------------------------------------- */

/* The functions of tensor/math.h by the type of their argument. */
#define BY_TYPE(name, x) _Generic((x), float : cbi_##name##_f32, double : cbi_##name##_f64)(x)
#define EXP(x)           BY_TYPE(exp, x)
#define LOG(x)           BY_TYPE(log, x)
#define LOG1P(x)         BY_TYPE(log1p, x)
#define EXPM1(x)         BY_TYPE(expm1, x)
#define SIN(x)           BY_TYPE(sin, x)
#define COS(x)           BY_TYPE(cos, x)
#define TANH(x)          BY_TYPE(tanh, x)
#define SIGMOID(x)       BY_TYPE(sigmoid, x)
#define ERF(x)           BY_TYPE(erf, x)
#define SQRT(x)          _Generic((x), float : sqrtf, double : sqrt)(x)
#define ABS(x)           _Generic((x), float : fabsf, double : fabs)(x)
#define POW(x, y)        _Generic((x), float : powf, double : pow)(x, y)

/* Parameters as local constants of the element type. */
#define P0()
#define P1(p, sample_p)                                                                            \
    const real p = (real)parameters[0];                                                            \
    (void)p;
#define P2(p, sample_p, q, sample_q)                                                               \
    const real p = (real)parameters[0];                                                            \
    const real q = (real)parameters[1];                                                            \
    (void)p;                                                                                       \
    (void)q;

/* A loop for each combination of operands that vary along a row (EACH) and that do not (ONE). */
#define LOOP(loads, value)                                                                         \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                          \
        loads to[i] = (real)(value);                                                               \
    }
#define LOOPS_X(value)                                                                             \
    if (rows->single == 0)                                                                         \
        LOOP(EACH(x), value)                                                                       \
    else                                                                                           \
        LOOP(ONE(x), value)
#define LOOPS_AB(value)                                                                            \
    switch (rows->single) {                                                                        \
    case 0:                                                                                        \
        LOOP(EACH(a) EACH(b), value) break;                                                        \
    case 1:                                                                                        \
        LOOP(ONE(a) EACH(b), value) break;                                                         \
    case 2:                                                                                        \
        LOOP(EACH(a) ONE(b), value) break;                                                         \
    default:                                                                                       \
        LOOP(ONE(a) ONE(b), value)                                                                 \
    }
#define LOOPS_CAB(value)                                                                           \
    switch (rows->single) {                                                                        \
    case 0:                                                                                        \
        LOOP(EACH(c) EACH(a) EACH(b), value) break;                                                \
    case 1:                                                                                        \
        LOOP(ONE(c) EACH(a) EACH(b), value) break;                                                 \
    case 2:                                                                                        \
        LOOP(EACH(c) ONE(a) EACH(b), value) break;                                                 \
    case 3:                                                                                        \
        LOOP(ONE(c) ONE(a) EACH(b), value) break;                                                  \
    case 4:                                                                                        \
        LOOP(EACH(c) EACH(a) ONE(b), value) break;                                                 \
    case 5:                                                                                        \
        LOOP(ONE(c) EACH(a) ONE(b), value) break;                                                  \
    case 6:                                                                                        \
        LOOP(EACH(c) ONE(a) ONE(b), value) break;                                                  \
    default:                                                                                       \
        LOOP(ONE(c) ONE(a) ONE(b), value)                                                          \
    }
#define EACH(name)                                                                                 \
    const real name = from_##name[i];                                                              \
    (void)name;
#define ONE(name)                                                                                  \
    const real name = one_##name;                                                                  \
    (void)name;
/* one_x is read only where there is an element. */
#define DECLARE(name, index)                                                                       \
    const real *from_##name =                                                                      \
        (const real *)((const char *)rows->in[index] + r * rows->in_stride[index]);                \
    const real one_##name = *from_##name;                                                          \
    (void)one_##name;

#define KERNEL(function, suffix, element, operands, locals, value)                                 \
    CBI_MULTIVERSION static void function##_##suffix(const cbi_rows *rows,                         \
                                                     const double *parameters) {                   \
        typedef element real;                                                                      \
        bool one = is_one_row(rows, ARITY_##operands, (int64_t)sizeof(real));                      \
        const int64_t n = one ? rows->count * rows->n : rows->n;                                   \
        const int64_t count = n == 0 ? 0 : one ? 1 : rows->count;                                  \
        (void)parameters;                                                                          \
        locals for (int64_t r = 0; r < count; r++) {                                               \
            real *to = (real *)((char *)rows->out + r * rows->out_stride);                         \
            DECLARE_##operands LOOPS_##operands(value)                                             \
        }                                                                                          \
    }
#define ARITY_X     1
#define ARITY_AB    2
#define ARITY_CAB   3
#define DECLARE_X   DECLARE(x, 0)
#define DECLARE_AB  DECLARE(a, 0) DECLARE(b, 1)
#define DECLARE_CAB DECLARE(c, 0) DECLARE(a, 1) DECLARE(b, 2)

/* Whether rows lie end to end in all operands, so that they are one long row. */
static inline __attribute__((always_inline)) bool is_one_row(const cbi_rows *rows, int arity,
                                                             int64_t size) {
    bool one = rows->out_stride == rows->n * size;
    for (int k = 0; k < arity; k++)
        one = one && rows->in_stride[k] == ((rows->single >> k & 1) != 0 ? 0 : rows->n * size);
    return one;
}

#define KERNELS_REAL(function, operands, locals, value)                                            \
    KERNEL(function, f32, float, operands, locals, value)                                          \
    KERNEL(function, f64, double, operands, locals, value)
#define KERNELS_ANY(function, operands, locals, value)                                             \
    KERNELS_REAL(function, operands, locals, value)                                                \
    KERNEL(function, i32, int32_t, operands, locals, value)                                        \
    KERNEL(function, i64, int64_t, operands, locals, value)

#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    KERNELS_##kind(function, X, parameters, value)
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    KERNELS_##kind(function, X, parameters, value)
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    KERNELS_##kind(function, AB, , value)
#define CB_FLAT_BINARY(function, name, kind, value) KERNELS_##kind(function, AB, , value)
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    KERNELS_##kind(function, CAB, , value)
#include "elementwise_table.h"
#undef P0
#undef P1
#undef P2
#define GRADIENT(function, name, of, value) KERNELS_REAL(function##_gradient, AB, , value)
#include "autograd/ops/elementwise_gradients.h"
#undef GRADIENT

/* ---- Shape and forward, the same for all ----------------------------------------------------- */

static cb_status elementwise_shape(const cb_call *call) {
    if (cbi_elementwise_of(call->op)->kernels[call->in[0]->dtype] == NULL)
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                            cb_dtype_name(call->in[0]->dtype));
    /* An integer kernel would quietly use 0 for a parameter of 1/2. */
    int parameters = (int)(call->op->options_size / sizeof(double));
    for (int i = 0; i < parameters && !cb_dtype_is_float(call->in[0]->dtype); i++) {
        double p = ((const double *)call->options)[i];
        if (!(p == trunc(p)))
            return cb_call_fail(call, CB_ERROR_VALUE,
                                "%g is not a whole number; cast to f32 or f64", p);
    }
    return cb_shape_broadcast(call);
}

/* p within the range of an integer dtype, so that it can be converted; p itself for a float. */
static double saturated(cb_dtype dtype, double p) {
    double low = dtype == CB_I32 ? (double)INT32_MIN : -0x1p63;
    double high = dtype == CB_I32 ? (double)INT32_MAX : 0x1p63 - 1024;
    return cb_dtype_is_float(dtype) ? p : p < low ? low : p > high ? high : p;
}

bool cbi_is_elementwise(const cb_op *op) {
    return op->shape == elementwise_shape;
}

static cb_status elementwise_forward(const cb_call *call) {
    cb_tensor in[CBI_MAP_INPUTS];
    for (int i = 0; i < call->count; i++)
        in[i] = cbi_broadcast_to(call->in[i], call->out->rank, call->out->shape);
    double parameters[2] = {0};
    for (size_t i = 0; i < call->op->options_size / sizeof(double); i++)
        parameters[i] = saturated(call->out->dtype, ((const double *)call->options)[i]);
    cbi_map(cbi_elementwise_of(call->op)->kernels[call->out->dtype], call->out, call->count, in,
            parameters);
    return CB_OK;
}

/* ---- For the compiler of steps --------------------------------------------------------------- */

static bool elementwise_lower(cbi_lowerer *l, const cb_call *call) {
    double parameters[2] = {0};
    for (size_t i = 0; i < call->op->options_size / sizeof(double); i++)
        parameters[i] = saturated(call->out->dtype, ((const double *)call->options)[i]);
    return cbi_lower_elementwise(l, cbi_elementwise_of(call->op), parameters);
}

static bool is_sum(const cb_op *op) {
    return cbi_algebra_of(cbi_elementwise_of(op))->sum;
}

static bool is_cheap(const cb_call *call) {
    (void)call;
    return true;
}

static const cbi_lowering elementwise_lowering = {
    .lower = elementwise_lower, .is_cheap = is_cheap, .is_sum = is_sum};

static const cb_option parameter_list[] = {
    {"parameter", CB_OPTION_REAL, 0, sizeof(double), 1},
    {"second parameter", CB_OPTION_REAL, sizeof(double), sizeof(double), 1},
};

/* ---- Gradients ------------------------------------------------------------------------------- */

#define GRADIENT(function, name, of, value) static const cbi_elementwise function##_gradient_op;
#include "autograd/ops/elementwise_gradients.h"
#undef GRADIENT

/* The gradient in one pass; false where there is none, and where it is recorded or traced. */
static bool one_pass_gradient(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    enum { X, Y };
    static const struct {
        const cbi_elementwise *op, *gradient;
        int of;
    } list[] = {
#define GRADIENT(function, name, of, value) {&function##_op, &function##_gradient_op, of},
#include "autograd/ops/elementwise_gradients.h"
#undef GRADIENT
    };
    const cb_tape *tape = call->out->node->tape;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (&list[i].op->op == call->op && !tape->recording && cbi_in_one_pass(tape)) {
            cb_tensor *in[2] = {g, list[i].of == X ? call->in[0] : call->out};
            gradients[0] = cb_apply(&list[i].gradient->op, 2, in, NULL);
            return true;
        }
    return false;
}

#define P0()
#define P1(p, sample_p)                                                                            \
    const double p = ((const double *)call->options)[0];                                           \
    (void)p;
#define P2(p, sample_p, q, sample_q)                                                               \
    const double p = ((const double *)call->options)[0];                                           \
    const double q = ((const double *)call->options)[1];                                           \
    (void)p;                                                                                       \
    (void)q;
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    static void function##_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {         \
        cb_tensor *x = call->in[0], *y = call->out;                                                \
        parameters(void) x, (void)y;                                                               \
        if (!one_pass_gradient(call, g, gradients))                                                \
            gradients[0] = gradient;                                                               \
    }
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    static void function##_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {         \
        cb_tensor *a = call->in[0], *b = call->in[1], *y = call->out;                              \
        (void)a, (void)b, (void)y, (void)g;                                                        \
        if (cb_call_needs(call, 0))                                                                \
            gradients[0] = gradient_a;                                                             \
        if (cb_call_needs(call, 1))                                                                \
            gradients[1] = gradient_b;                                                             \
    }
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    static void function##_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {         \
        cb_tensor *c = call->in[0];                                                                \
        if (cb_call_needs(call, 1))                                                                \
            gradients[1] = gradient_a;                                                             \
        if (cb_call_needs(call, 2))                                                                \
            gradients[2] = gradient_b;                                                             \
    }
#include "elementwise_table.h"
#undef P0
#undef P1
#undef P2

/* ---- Samples --------------------------------------------------------------------------------- */

/* clang-format off */
#define P0()
#define P1(p, sample_p)              , sample_p
#define P2(p, sample_p, q, sample_q) , sample_p, sample_q
#define NOKINK                       CB_NO_KINK
#define INPUT(low, high, kink, transposed, rank, ...)                                              \
    {rank, {__VA_ARGS__}, low, high, kink, false, transposed}
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    static cb_tensor *function##_sample(cb_tensor *const *in) {                                    \
        return function(in[0] parameters);                                                         \
    }                                                                                              \
    static const cb_sample function##_samples[] = {                                                \
        {"plain", 1, {INPUT(low, high, kink, false, 2, 3, 5)}, function##_sample},                 \
        {"strided", 1, {INPUT(low, high, kink, true, 3, 2, 3, 4)}, function##_sample},             \
        {"scalar", 1, {INPUT(low, high, kink, false, 0, 0)}, function##_sample},                   \
        {"empty", 1, {INPUT(low, high, kink, false, 2, 0, 3)}, function##_sample},                 \
    };
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    static cb_tensor *function##_sample(cb_tensor *const *in) {                                    \
        return function(in[0], in[1]);                                                             \
    }                                                                                              \
    static const cb_sample function##_samples[] = {                                                \
        {"plain", 2, {INPUT(low, high, NOKINK, false, 2, 3, 4),                                    \
                      INPUT(low, high, NOKINK, false, 2, 3, 4)}, function##_sample},               \
        {"broadcast", 2, {INPUT(low, high, NOKINK, false, 3, 2, 3, 1),                             \
                          INPUT(low, high, NOKINK, true, 2, 1, 4)}, function##_sample},            \
        {"broadcast scalar", 2, {INPUT(low, high, NOKINK, false, 0, 0),                            \
                                 INPUT(low, high, NOKINK, true, 2, 5, 4)}, function##_sample},     \
        {"empty", 2, {INPUT(low, high, NOKINK, false, 2, 0, 4),                                    \
                      INPUT(low, high, NOKINK, false, 1, 4)}, function##_sample},                  \
    };
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    static cb_tensor *function##_sample(cb_tensor *const *in) {                                    \
        return function(in[0], in[1], in[2]);                                                      \
    }                                                                                              \
    static const cb_sample function##_samples[] = {                                                \
        {"plain", 3, {INPUT(low, high, 0, false, 2, 3, 4),                                         \
                      INPUT(low, high, NOKINK, false, 2, 3, 4),                                    \
                      INPUT(low, high, NOKINK, false, 2, 3, 4)}, function##_sample},               \
        {"broadcast", 3, {INPUT(low, high, 0, false, 2, 3, 1),                                     \
                          INPUT(low, high, NOKINK, true, 3, 2, 3, 4),                              \
                          INPUT(low, high, NOKINK, false, 1, 4)}, function##_sample},              \
        {"empty", 3, {INPUT(low, high, 0, false, 2, 0, 1),                                         \
                      INPUT(low, high, NOKINK, false, 2, 0, 4),                                    \
                      INPUT(low, high, NOKINK, false, 1, 4)}, function##_sample},                  \
    };
/* clang-format on */
#include "elementwise_table.h"
#undef P0
#undef P1
#undef P2

/* ---- The ops and their functions ------------------------------------------------------------- */

/* clang-format off */
#define TABLE_REAL(function) {[CB_F32] = function##_f32, [CB_F64] = function##_f64}
#define TABLE_ANY(function)                                                                        \
    {[CB_F32] = function##_f32,                                                                    \
     [CB_F64] = function##_f64,                                                                    \
     [CB_I32] = function##_i32,                                                                    \
     [CB_I64] = function##_i64}
#define OP(function, op_name, op_formula, kind, arity, bytes, op_vjp, op_samples, count)           \
    const cbi_elementwise function##_op = {{.name = op_name,                                       \
                                            .formula = op_formula,                                 \
                                            .min_inputs = arity,                                   \
                                            .max_inputs = arity,                                   \
                                            .options_size = bytes,                                 \
                                            .shape = elementwise_shape,                            \
                                            .forward = elementwise_forward,                        \
                                            .vjp = op_vjp,                                         \
                                            .samples = op_samples,                                 \
                                            .sample_count = count,                                 \
                                            .option_list = parameter_list,                         \
                                            .option_count = (int)((bytes) / sizeof(double)),       \
                                            .row_by_row = cb_row_by_row,                           \
                                            .lowering = &elementwise_lowering},                    \
                                           TABLE_##kind(function)};
#define SMOOTH(function, name, formula, kind, arity, bytes)                                        \
    OP(function, name, formula, kind, arity, bytes, function##_vjp, function##_samples,            \
       (int)(sizeof(function##_samples) / sizeof(function##_samples[0])))
#define P0()                         0
#define P1(p, sample_p)              sizeof(double)
#define P2(p, sample_p, q, sample_q) 2 * sizeof(double)
/* clang-format on */
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    SMOOTH(function, name, "y = " #value ";  dx = " #gradient, kind, 1, parameters)
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    OP(function, name, "y = " #value, kind, 1, parameters, NULL, NULL, 0)
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    SMOOTH(function, name, "y = " #value ";  da = " #gradient_a ";  db = " #gradient_b, kind, 2, 0)
#define CB_FLAT_BINARY(function, name, kind, value)                                                \
    OP(function, name, "y = " #value, kind, 2, 0, NULL, NULL, 0)
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    SMOOTH(function, name, "y = " #value ";  da = " #gradient_a ";  db = " #gradient_b, kind, 3, 0)
#include "elementwise_table.h"
#undef P0
#undef P1
#undef P2
#define GRADIENT(function, name, of, value)                                                        \
    static OP(function##_gradient, name, "y = " #value, REAL, 2, 0, NULL, NULL, 0)
#include "autograd/ops/elementwise_gradients.h"
#undef GRADIENT

/* A condition in the dtype of what it chooses from, so that a kernel has one element type. Casting
   it as it is would make 1/2 an integer 0, and a small f64 an f32 0. */
static cb_tensor *cbi_condition(cb_tensor *c, cb_tensor *a) {
    if (c == NULL || a == NULL || cbi_is_poisoned(c) || cbi_is_poisoned(a) || c->dtype == a->dtype)
        return c;
    return cb_cast(cb_not_equal(c, cb_full_like(c, 0)), a->dtype);
}

/* The parameters end the signature and begin the body. */
#define P0()                                                                                       \
    ) {                                                                                            \
        const double *options = NULL;
#define P1(p, sample_p)                                                                            \
    , double p) {                                                                                  \
        const double options[] = {p};
#define P2(p, sample_p, q, sample_q)                                                               \
    , double p, double q) {                                                                        \
        const double options[] = {p, q};
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    cb_tensor *function(cb_tensor *x parameters                                                    \
        return cb_apply(&function##_op.op, 1, &x, options);                                        \
    }
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    cb_tensor *function(cb_tensor *x parameters                                                    \
        return cb_apply(&function##_op.op, 1, &x, options);                                        \
    }
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    cb_tensor *function(cb_tensor *a, cb_tensor *b) {                                              \
        return cb_apply(&function##_op.op, 2, (cb_tensor *[]){a, b}, NULL);                        \
    }
#define CB_FLAT_BINARY(function, name, kind, value)                                                \
    cb_tensor *function(cb_tensor *a, cb_tensor *b) {                                              \
        return cb_apply(&function##_op.op, 2, (cb_tensor *[]){a, b}, NULL);                        \
    }
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    cb_tensor *function(cb_tensor *c, cb_tensor *a, cb_tensor *b) {                                \
        return cb_apply(&function##_op.op, 3, (cb_tensor *[]){cbi_condition(c, a), a, b}, NULL);   \
    }
#include "elementwise_table.h"

/* ---- What the compiler may rely on ----------------------------------------------------------- */

static const struct {
    const cbi_elementwise *op;
    cbi_algebra algebra;
} algebras[] = {
    {&cb_add_op, {.sum = true, .has_neutral = {true, true}}},
    {&cb_sub_op, {.has_neutral = {false, true}}},
    {&cb_mul_op,
     {.product = true, .absorbs = true, .has_neutral = {true, true}, .neutral = {1, 1}}},
    {&cb_div_op, {.has_neutral = {false, true}, .neutral = {0, 1}}},
    {&cb_scale_op, {.copies = true, .copying = {1}}},
    {&cb_shift_op, {.copies = true}},
    {&cb_affine_op, {.copies = true, .copying = {1, 0}}},
    {&cb_full_like_op, {.fills = true}},
    {&cb_sin_op, {.slow = true}},
    {&cb_cos_op, {.slow = true}},
    {&cb_erf_op, {.slow = true}},
    {&cb_gelu_op, {.slow = true}},
    {&cb_softplus_op, {.slow = true}},
    {&cb_power_op, {.slow = true}},
    {&cb_pow_op, {.slow = true}},
};

const cbi_algebra *cbi_algebra_of(const cbi_elementwise *op) {
    static const cbi_algebra none;
    for (size_t i = 0; i < sizeof(algebras) / sizeof(algebras[0]); i++)
        if (algebras[i].op == op)
            return &algebras[i].algebra;
    return &none;
}
