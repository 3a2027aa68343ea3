/* Gradients of elementwise functions in one pass, where built from plain ops they take two to nine.
   Not for gradients that are recorded or traced: those are the ops of <cerebra/elementwise.h>.

   Columns: function, name, what b is (X: the function's operand; Y: its result), and the gradient
   of the operand from a, the gradient of the result, and b. For f32 and f64, functions without
   parameters. */
GRADIENT(cb_abs, "abs_gradient", X, a *(real)((b > 0) - (b < 0)))
GRADIENT(cb_square, "square_gradient", X, 2 * a * b)
GRADIENT(cb_log1p, "log1p_gradient", X, a / (b + 1))
GRADIENT(cb_expm1, "expm1_gradient", Y, a *(b + 1))
GRADIENT(cb_sqrt, "sqrt_gradient", Y, a / (2 * b))
GRADIENT(cb_rsqrt, "rsqrt_gradient", Y, a *(real)-0.5 * (b * b * b))
GRADIENT(cb_reciprocal, "reciprocal_gradient", Y, -a *b *b)
GRADIENT(cb_sin, "sin_gradient", X, a *COS(b))
GRADIENT(cb_cos, "cos_gradient", X, -a *SIN(b))
GRADIENT(cb_tanh, "tanh_gradient", Y, a *(1 - b * b))
GRADIENT(cb_sigmoid, "sigmoid_gradient", Y, a *(b *(1 - b)))
GRADIENT(cb_erf, "erf_gradient", X, a *EXP(-b *b) * (real)1.1283791670955126)
GRADIENT(cb_relu, "relu_gradient", Y, b > 0 ? a : a * 0)
GRADIENT(cb_silu, "silu_gradient", X, a *SIGMOID(b) * (1 + b * (1 - SIGMOID(b))))
GRADIENT(cb_gelu, "gelu_gradient", X,
         a *((real)0.5 * (1 + ERF(b * (real)0.70710678118654752)) +
             b * (real)0.39894228040143268 * EXP((real)-0.5 * b * b)))
GRADIENT(cb_softplus, "softplus_gradient", X, a *SIGMOID(b))
