/* Elementwise functions.

   Operands broadcast as in NumPy; their dtypes must be equal (CB_ERROR_DTYPE otherwise). The result
   is a new tensor of the broadcast shape, in the operands' dtype. "REAL": of f32 and f64 only; the
   others take integers as well, which wrap, and whole parameters then (CB_ERROR_VALUE). g is the
   gradient of the result y; "flat": no gradient flows through it. */
#ifndef CEREBRA_ELEMENTWISE_H
#define CEREBRA_ELEMENTWISE_H

#include <cerebra/tape.h>

CB_BEGIN_DECLS

/* ---- Of one operand ------------------------------------------------------------------------ */

/* -x. Gradient -g. */
CB_API cb_tensor *cb_neg(cb_tensor *x);
/* |x|. Gradient g sign(x). */
CB_API cb_tensor *cb_abs(cb_tensor *x);
/* x^2. Gradient 2 x g. */
CB_API cb_tensor *cb_square(cb_tensor *x);
/* e^x. Gradient g y. REAL. */
CB_API cb_tensor *cb_exp(cb_tensor *x);
/* The natural logarithm. Gradient g / x. REAL. */
CB_API cb_tensor *cb_log(cb_tensor *x);
/* log(1 + x), exact for small x. Gradient g / (1 + x). REAL. */
CB_API cb_tensor *cb_log1p(cb_tensor *x);
/* e^x - 1, exact for small x. Gradient g (y + 1). REAL. */
CB_API cb_tensor *cb_expm1(cb_tensor *x);
/* The square root. Gradient g / (2 y). REAL. */
CB_API cb_tensor *cb_sqrt(cb_tensor *x);
/* 1 / sqrt(x). Gradient -g y^3 / 2. REAL. */
CB_API cb_tensor *cb_rsqrt(cb_tensor *x);
/* 1 / x. Gradient -g y^2. REAL. */
CB_API cb_tensor *cb_reciprocal(cb_tensor *x);
/* Sine and cosine, of radians. Gradients g cos(x) and -g sin(x). REAL. */
CB_API cb_tensor *cb_sin(cb_tensor *x);
CB_API cb_tensor *cb_cos(cb_tensor *x);
/* The hyperbolic tangent. Gradient g (1 - y^2). REAL. */
CB_API cb_tensor *cb_tanh(cb_tensor *x);
/* The logistic function sigma(x) = 1 / (1 + e^-x). Gradient g y (1 - y). REAL. */
CB_API cb_tensor *cb_sigmoid(cb_tensor *x);
/* The error function. Gradient g 2 / sqrt(pi) e^(-x^2). REAL. */
CB_API cb_tensor *cb_erf(cb_tensor *x);
/* max(x, 0); NaN of NaN. Gradient g where x > 0. REAL. */
CB_API cb_tensor *cb_relu(cb_tensor *x);
/* x sigma(x) (Elfwing et al. 2018; Ramachandran et al. 2017, "swish"). REAL. */
CB_API cb_tensor *cb_silu(cb_tensor *x);
/* x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, the exact form). REAL.
 */
CB_API cb_tensor *cb_gelu(cb_tensor *x);
/* log(1 + e^x), without overflow. Gradient g sigma(x). REAL. */
CB_API cb_tensor *cb_softplus(cb_tensor *x);
/* scale x + shift. Gradient g scale. */
CB_API cb_tensor *cb_affine(cb_tensor *x, double scale, double shift);
/* factor x. Gradient g factor. */
CB_API cb_tensor *cb_scale(cb_tensor *x, double factor);
/* x + offset. Gradient g. */
CB_API cb_tensor *cb_shift(cb_tensor *x, double offset);
/* x where x > 0, else slope x (Maas et al. 2013). REAL. */
CB_API cb_tensor *cb_leaky_relu(cb_tensor *x, double slope);
/* x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015). REAL. */
CB_API cb_tensor *cb_elu(cb_tensor *x, double alpha);
/* The nearest point of [low, high], low <= high. Gradient g where low <= x <= high, else 0. */
CB_API cb_tensor *cb_clamp(cb_tensor *x, double low, double high);
/* x^exponent for a fixed exponent; 0^0 = 1. Gradient g exponent x^(exponent - 1). REAL. */
CB_API cb_tensor *cb_power(cb_tensor *x, double exponent);
/* Huber's loss of a residual x: x^2 / 2 inside [-delta, delta], delta (|x| - delta / 2) outside.
   Gradient g clamp(x, -delta, delta). REAL. */
CB_API cb_tensor *cb_huber_residual(cb_tensor *x, double delta);

/* -1, 0 or 1. Flat. */
CB_API cb_tensor *cb_sign(cb_tensor *x);
/* 1 where x > 0, else 0. Flat. */
CB_API cb_tensor *cb_positive(cb_tensor *x);
/* The largest whole number that is not above x. Flat. REAL. */
CB_API cb_tensor *cb_floor(cb_tensor *x);
/* value everywhere, whatever x holds: a constant of x's shape and dtype. */
CB_API cb_tensor *cb_full_like(cb_tensor *x, double value);

/* ---- Of two operands ----------------------------------------------------------------------- */

/* a + b. Gradients g and g. */
CB_API cb_tensor *cb_add(cb_tensor *a, cb_tensor *b);
/* a - b. Gradients g and -g. */
CB_API cb_tensor *cb_sub(cb_tensor *a, cb_tensor *b);
/* a b. Gradients g b and g a. */
CB_API cb_tensor *cb_mul(cb_tensor *a, cb_tensor *b);
/* a / b. Gradients g / b and -g y / b. REAL. */
CB_API cb_tensor *cb_div(cb_tensor *a, cb_tensor *b);
/* a^b, both variable. Gradients g b a^(b - 1) and g y log(a), 0 where a is 0; a >= 0 for a gradient
   of b. REAL. */
CB_API cb_tensor *cb_pow(cb_tensor *a, cb_tensor *b);
/* The larger and the smaller; NaN where one is. The gradient goes to the one that was taken; at a
   tie each gets half of it. */
CB_API cb_tensor *cb_maximum(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_minimum(cb_tensor *a, cb_tensor *b);

/* Comparisons: 1 where true, 0 where not. Flat. */
CB_API cb_tensor *cb_equal(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_not_equal(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_less(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_less_equal(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_greater(cb_tensor *a, cb_tensor *b);
CB_API cb_tensor *cb_greater_equal(cb_tensor *a, cb_tensor *b);

/* ---- Of three operands --------------------------------------------------------------------- */

/* a where c is not 0, else b. Gradients: g where c is not 0 and where it is; c gets none. */
CB_API cb_tensor *cb_where(cb_tensor *c, cb_tensor *a, cb_tensor *b);

CB_END_DECLS

#endif
