/* Elementwise forms: a row each. Operands' ranges keep functions where they are smooth and their
   results small; comparisons and kinks are left to chance (see verdict.h). */
#include "forms.h"

#include <math.h>

/* ---- What functions are at the ends of an interval ------------------------------------------- */

#define AT(name, expression)                                                                       \
    static double name##_at(double a, double b) {                                                  \
        (void)b;                                                                                   \
        return expression;                                                                         \
    }
AT(neg, -a)
AT(abs, fabs(a))
AT(square, a *a)
AT(exp, exp(a))
AT(log, log(a))
AT(log1p, log1p(a))
AT(expm1, expm1(a))
AT(sqrt, sqrt(a))
AT(rsqrt, 1 / sqrt(a))
AT(reciprocal, 1 / a)
AT(tanh, tanh(a))
AT(sigmoid, 1 / (1 + exp(-a)))
AT(erf, erf(a))
AT(relu, a > 0 ? a : 0)
AT(silu, a / (1 + exp(-a)))
AT(gelu, a / 2 * (1 + erf(a * 0.70710678118654752)))
AT(softplus, log1p(exp(a)))
AT(scale, a *b)
AT(shift, a + b)
AT(leaky_relu, a > 0 ? a : a * b)
AT(elu, a > 0 ? a : b * expm1(a))
AT(power, pow(a, b))
AT(huber_residual, fabs(a) <= b ? a * a / 2 : b * (fabs(a) - b / 2))
AT(add, a + b)
AT(sub, a - b)
AT(mul, a *b)
AT(div, a / b)
AT(pow, pow(a, b))
AT(maximum, fmax(a, b))
AT(minimum, fmin(a, b))

static void include(type *t, double y) {
    t->low = fmin(t->low, y);
    t->high = fmax(t->high, y);
}

/* ---- One operand ----------------------------------------------------------------------------- */

static bool in_range(const form *f, const type *t) {
    return (f->low == 0 && f->high == 0) || (t->low >= f->low && t->high <= f->high);
}

static bool takes(const form *f, cb_dtype dtype) {
    return cb_dtype_is_float(dtype) || f->any;
}

static bool whole_parameters(const value *v) {
    for (int i = 0; i < v->form->parameters; i++)
        if (v->parameter[i] != floor(v->parameter[i]))
            return false;
    return true;
}

static bool infer_unary(const program *p, value *v) {
    const form *f = v->form;
    const type *x = input_type(p, v, 0);
    if (!takes(f, x->dtype) || !in_range(f, x) ||
        (!cb_dtype_is_float(x->dtype) && !whole_parameters(v)))
        return false;
    v->type = (type){x->dtype, x->shape, f->result_low, f->result_high};
    if (f->at != NULL) {
        v->type.low = v->type.high = f->at(x->low, v->parameter[0]);
        include(&v->type, f->at(x->high, v->parameter[0]));
        if (x->low < f->turn && x->high > f->turn)
            include(&v->type, f->at(f->turn, v->parameter[0]));
    }
    return true;
}

static bool infer_affine(const program *p, value *v) {
    bool good = infer_unary(p, v);
    v->type.low += v->parameter[1];
    v->type.high += v->parameter[1];
    return good;
}

static bool infer_clamp(const program *p, value *v) {
    bool good = infer_unary(p, v) && v->parameter[0] <= v->parameter[1];
    v->type.low = v->parameter[0];
    v->type.high = v->parameter[1];
    return good;
}

static bool infer_full_like(const program *p, value *v) {
    bool good = infer_unary(p, v);
    v->type.low = v->type.high = v->parameter[0];
    return good;
}

/* ---- Two and three --------------------------------------------------------------------------- */

/* The range is the divisor's, and the base's of a power. */
static bool infer_binary(const program *p, value *v) {
    const form *f = v->form;
    const type *a = input_type(p, v, 0), *b = input_type(p, v, 1);
    if (a->dtype != b->dtype || !takes(f, a->dtype) || !in_range(f, f == &form_pow ? a : b) ||
        (f == &form_pow && (b->low < -3 || b->high > 3)))
        return false;
    v->type = (type){.dtype = a->dtype, .low = 0, .high = 1};
    if (f->at != NULL) {
        v->type.low = v->type.high = f->at(a->low, b->low);
        include(&v->type, f->at(a->low, b->high));
        include(&v->type, f->at(a->high, b->low));
        include(&v->type, f->at(a->high, b->high));
    }
    return broadcast(&a->shape, &b->shape, &v->type.shape);
}

static bool infer_where(const program *p, value *v) {
    const type *c = input_type(p, v, 0), *a = input_type(p, v, 1), *b = input_type(p, v, 2);
    extents shape;
    v->type = *a;
    include(&v->type, b->low);
    include(&v->type, b->high);
    return a->dtype == b->dtype && broadcast(&a->shape, &b->shape, &shape) &&
           broadcast(&shape, &c->shape, &v->type.shape);
}

static cb_tensor *apply(const value *v, cb_tensor *const *in, const surroundings *s) {
    const form *f = v->form;
    (void)s;
    if (f->arity == 3)
        return f->function.ternary(in[0], in[1], in[2]);
    if (f->arity == 2)
        return f->function.binary(in[0], in[1]);
    if (f->parameters == 2)
        return f->function.unary_2(in[0], v->parameter[0], v->parameter[1]);
    if (f->parameters == 1)
        return f->function.unary_1(in[0], v->parameter[0]);
    return f->function.unary(in[0]);
}

/* ---- The table ------------------------------------------------------------------------------- */

#define ROW(name_of, call, infer_of, arity_of)                                                     \
    .name = "cb_" #name_of, .text = "cb_" #name_of call, .infer = infer_of, .apply = apply,        \
    .arity = arity_of

#define UNARY(name, ...)                                                                           \
    const form form_##name = {ROW(name, "($0)", infer_unary, 1), .function.unary = cb_##name,      \
                              __VA_ARGS__};
#define UNARY_1(name, infer_of, from, to, ...)                                                     \
    const form form_##name = {ROW(name, "($0, $p)", infer_of, 1),                                  \
                              .function.unary_1 = cb_##name,                                       \
                              .parameters = 1,                                                     \
                              .parameter_low = {from},                                             \
                              .parameter_high = {to},                                              \
                              __VA_ARGS__};
#define UNARY_2(name, infer_of, from, to, from_2, to_2, ...)                                       \
    const form form_##name = {                                                                     \
        ROW(name, "($0, $p, $q)", infer_of, 1), .function.unary_2 = cb_##name, .parameters = 2,    \
        .parameter_low = {from, from_2},        .parameter_high = {to, to_2},  __VA_ARGS__};
#define BINARY(name, ...)                                                                          \
    const form form_##name = {ROW(name, "($0, $1)", infer_binary, 2),                              \
                              .function.binary = cb_##name, __VA_ARGS__};

#define DOMAIN(from, to) .low = from, .high = to
#define RESULT(from, to) .result_low = from, .result_high = to
#define ANY              .any = true
#define EXACT            .exact = true
#define KINK             .kink = true

UNARY(neg, ANY, EXACT, .at = neg_at)
UNARY(abs, KINK, ANY, EXACT, .at = abs_at)
UNARY(square, ANY, DOMAIN(-6, 6), .at = square_at)
UNARY(exp, DOMAIN(-4, 3), .at = exp_at)
UNARY(log, DOMAIN(0.08, 20), .at = log_at)
UNARY(log1p, DOMAIN(-0.9, 20), .at = log1p_at)
UNARY(expm1, DOMAIN(-4, 3), .at = expm1_at)
UNARY(sqrt, DOMAIN(0.05, 30), .at = sqrt_at)
UNARY(rsqrt, DOMAIN(0.05, 30), .at = rsqrt_at)
UNARY(reciprocal, DOMAIN(0.2, 30), .at = reciprocal_at)
UNARY(sin, RESULT(-1, 1))
UNARY(cos, RESULT(-1, 1))
UNARY(tanh, .at = tanh_at)
UNARY(sigmoid, .at = sigmoid_at)
UNARY(erf, .at = erf_at)
UNARY(relu, KINK, EXACT, .at = relu_at)
UNARY(silu, .at = silu_at, .turn = -1.2784645427610738)
UNARY(gelu, .at = gelu_at, .turn = -0.7517915241605517)
UNARY(softplus, .at = softplus_at)
UNARY(sign, KINK, ANY, EXACT, RESULT(-1, 1))
UNARY(positive, KINK, ANY, EXACT, RESULT(0, 1))
UNARY_2(affine, infer_affine, -2, 2, -1, 1, ANY, .at = scale_at)
UNARY_1(scale, infer_unary, -2, 2, ANY, .at = scale_at)
UNARY_1(shift, infer_unary, -1, 1, ANY, .at = shift_at)
UNARY_1(leaky_relu, infer_unary, 0.01, 0.5, KINK, .at = leaky_relu_at)
UNARY_1(elu, infer_unary, 0.3, 1.5, KINK, .at = elu_at)
UNARY_2(clamp, infer_clamp, -2, 0, 0, 2, KINK, ANY, EXACT)
UNARY_1(power, infer_unary, -2, 3, DOMAIN(0.2, 3), .at = power_at)
UNARY_1(huber_residual, infer_unary, 0.3, 2, .at = huber_residual_at)
UNARY_1(full_like, infer_full_like, -1, 1, ANY, EXACT)

BINARY(add, ANY, .at = add_at)
BINARY(sub, ANY, .at = sub_at)
BINARY(mul, ANY, .at = mul_at)
BINARY(div, DOMAIN(0.3, 30), .at = div_at)
BINARY(pow, DOMAIN(0.3, 3), .at = pow_at)
BINARY(maximum, KINK, ANY, EXACT, .at = maximum_at)
BINARY(minimum, KINK, ANY, EXACT, .at = minimum_at)
BINARY(equal, KINK, ANY, EXACT)
BINARY(not_equal, KINK, ANY, EXACT)
BINARY(less, KINK, ANY, EXACT)
BINARY(less_equal, KINK, ANY, EXACT)
BINARY(greater, KINK, ANY, EXACT)
BINARY(greater_equal, KINK, ANY, EXACT)

const form form_where = {ROW(where, "($0, $1, $2)", infer_where, 3), .function.ternary = cb_where,
                         ANY, EXACT};
