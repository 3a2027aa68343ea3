/* The elementwise ops: one row each. From it come the eager kernels (f32, f64; for rows marked ANY
   also i32, i64), the gradient, the gradient checker's case, the function that users call, whose
   prototype is in <cerebra/elementwise.h>, and the entries in the lists of ops and of the functions
   of equations. Without a guard: each file that includes it defines the macros that it needs.

   Columns
     function, name     the C function and the name that errors print
     kind               ANY: all dtypes (integers wrap, and take whole parameters only:
                        CB_ERROR_VALUE); REAL: f32 and f64
     parameters         P0(): none; P1(a, 0.1): one double, and the gradient checker's value for it;
                        P2(a, -1, b, 1): two
     value              y from x (or from a, b, or c, a, b), in C. `real` is the element type;
                        EXP and its like are the functions of tensor/math.h for that type
     gradient           in ops, from x (a, b), y, the output's gradient g, and the parameters
     low, high          the range the gradient checker draws operands from
     kink               the derivative jumps at +-kink, so that samples keep away; NOKINK: nowhere
 */

/*          function        name         kind parameters    value
            gradient                                         low high kink */
#ifdef CB_UNARY
CB_UNARY(cb_neg, "neg", ANY, P0(), -x, cb_neg(g), -2, 2, NOKINK)
CB_UNARY(cb_abs, "abs", ANY, P0(), x < 0 ? -x : x + 0, cb_mul(g, cb_sign(x)), -2, 2, 0)
CB_UNARY(cb_square, "square", ANY, P0(), x *x, cb_mul(g, cb_scale(x, 2)), -2, 2, NOKINK)
CB_UNARY(cb_exp, "exp", REAL, P0(), EXP(x), cb_mul(g, y), -2, 2, NOKINK)
CB_UNARY(cb_log, "log", REAL, P0(), LOG(x), cb_div(g, x), 0.2, 3, NOKINK)
CB_UNARY(cb_log1p, "log1p", REAL, P0(), LOG1P(x), cb_div(g, cb_shift(x, 1)), -0.7, 3, NOKINK)
CB_UNARY(cb_expm1, "expm1", REAL, P0(), EXPM1(x), cb_mul(g, cb_shift(y, 1)), -2, 2, NOKINK)
CB_UNARY(cb_sqrt, "sqrt", REAL, P0(), SQRT(x), cb_div(g, cb_scale(y, 2)), 0.2, 3, NOKINK)
/* d x^(-1/2) = -1/2 y^3 */
CB_UNARY(cb_rsqrt, "rsqrt", REAL, P0(), 1 / SQRT(x),
         cb_mul(g, cb_scale(cb_mul(y, cb_square(y)), -0.5)), 0.2, 3, NOKINK)
CB_UNARY(cb_reciprocal, "reciprocal", REAL, P0(), 1 / x, cb_neg(cb_mul(g, cb_square(y))), 0.3, 3,
         NOKINK)
CB_UNARY(cb_sin, "sin", REAL, P0(), SIN(x), cb_mul(g, cb_cos(x)), -4, 4, NOKINK)
CB_UNARY(cb_cos, "cos", REAL, P0(), COS(x), cb_neg(cb_mul(g, cb_sin(x))), -4, 4, NOKINK)
CB_UNARY(cb_tanh, "tanh", REAL, P0(), TANH(x), cb_mul(g, cb_affine(cb_square(y), -1, 1)), -3, 3,
         NOKINK)
CB_UNARY(cb_sigmoid, "sigmoid", REAL, P0(), SIGMOID(x), cb_mul(g, cb_mul(y, cb_affine(y, -1, 1))),
         -4, 4, NOKINK)
/* d erf = 2 / sqrt(pi) exp(-x^2) */
CB_UNARY(cb_erf, "erf", REAL, P0(), ERF(x),
         cb_mul(g, cb_scale(cb_exp(cb_neg(cb_square(x))), 1.1283791670955126)), -2, 2, NOKINK)
CB_UNARY(cb_relu, "relu", REAL, P0(), x < 0 ? 0 : x, cb_mul(g, cb_positive(y)), -2, 2, 0)
/* x sigma(x) (Elfwing et al. 2018; Ramachandran et al. 2017, "swish") */
CB_UNARY(cb_silu, "silu", REAL, P0(), x *SIGMOID(x), cb_mul(g, cbi_silu_slope(x)), -4, 4, NOKINK)
/* x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, the exact form) */
CB_UNARY(cb_gelu, "gelu", REAL, P0(), (real)0.5 * x * (1 + ERF(x * (real)0.70710678118654752)),
         cb_mul(g, cbi_gelu_slope(x)), -3, 3, NOKINK)
/* log(1 + e^x), without overflow */
CB_UNARY(cb_softplus, "softplus", REAL, P0(), (x > 0 ? x : 0) + LOG1P(EXP(x > 0 ? -x : x)),
         cb_mul(g, cb_sigmoid(x)), -4, 4, NOKINK)
/* scale x + shift */
CB_UNARY(cb_affine, "affine", ANY, P2(scale, -1.5, shift, 0.5), scale *x + shift,
         cb_scale(g, scale), -2, 2, NOKINK)
CB_UNARY(cb_scale, "scale", ANY, P1(factor, -1.5), factor *x, cb_scale(g, factor), -2, 2, NOKINK)
CB_UNARY(cb_shift, "shift", ANY, P1(offset, 0.5), x + offset, g, -2, 2, NOKINK)
/* x > 0 ? x : slope x (Maas et al. 2013) */
CB_UNARY(cb_leaky_relu, "leaky_relu", REAL, P1(slope, 0.1), x > 0 ? x : slope * x,
         cb_mul(g, cb_where(cb_positive(x), cb_full_like(x, 1), cb_full_like(x, slope))), -2, 2, 0)
/* x > 0 ? x : alpha (e^x - 1) (Clevert et al. 2015) */
CB_UNARY(cb_elu, "elu", REAL, P1(alpha, 0.7), x > 0 ? x : alpha * EXPM1(x),
         cb_mul(g, cb_where(cb_positive(x), cb_full_like(x, 1), cb_shift(y, alpha))), -2, 2, 0)
/* the nearest point of [low, high], low <= high; the gradient passes where x
 * is inside */
CB_UNARY(cb_clamp, "clamp", ANY, P2(low, -1, high, 1), x < low ? low : (x > high ? high : x),
         cb_mul(g, cb_equal(x, y)), -2, 2, 1)
/* x^exponent for a fixed exponent; 0^0 = 1 */
CB_UNARY(cb_power, "power", REAL, P1(exponent, 2.5), POW(x, exponent),
         cb_mul(g, cbi_power_slope(x, exponent)), 0.3, 2, NOKINK)
/* Huber's loss of a residual: x^2 / 2 inside [-delta, delta], delta (|x| - delta / 2) outside */
CB_UNARY(cb_huber_residual, "huber_residual", REAL, P1(delta, 1),
         ABS(x) <= delta ? (real)0.5 * x * x : delta * (ABS(x) - (real)0.5 * delta),
         cb_mul(g, cb_clamp(x, -delta, delta)), -2, 2, 1)
#endif

/* Functions that are flat where they are smooth: no gradient flows through them.
   Columns: function, name, kind, parameters (unary), value */
#ifdef CB_FLAT_UNARY
CB_FLAT_UNARY(cb_sign, "sign", ANY, P0(), (real)((x > 0) - (x < 0)))
/* 1 where x > 0, else 0 */
CB_FLAT_UNARY(cb_positive, "positive", ANY, P0(), (real)(x > 0))
/* the largest whole number that is not above x */
CB_FLAT_UNARY(cb_floor, "floor", REAL, P0(), floor((double)x))
/* value everywhere, whatever x holds: a constant of x's shape and dtype */
CB_FLAT_UNARY(cb_full_like, "full_like", ANY, P1(value, 3), value)
#endif
#ifdef CB_FLAT_BINARY
/* comparisons: 1 where true, 0 where not */
CB_FLAT_BINARY(cb_equal, "equal", ANY, (real)(a == b))
CB_FLAT_BINARY(cb_not_equal, "not_equal", ANY, (real)(a != b))
CB_FLAT_BINARY(cb_less, "less", ANY, (real)(a < b))
CB_FLAT_BINARY(cb_less_equal, "less_equal", ANY, (real)(a <= b))
CB_FLAT_BINARY(cb_greater, "greater", ANY, (real)(a > b))
CB_FLAT_BINARY(cb_greater_equal, "greater_equal", ANY, (real)(a >= b))
#endif

/*           function     name     kind  value  gradient of a, gradient of b      low high */
#ifdef CB_BINARY
CB_BINARY(cb_add, "add", ANY, a + b, g, g, -2, 2)
CB_BINARY(cb_sub, "sub", ANY, a - b, g, cb_neg(g), -2, 2)
CB_BINARY(cb_mul, "mul", ANY, a *b, cb_mul(g, b), cb_mul(g, a), -2, 2)
CB_BINARY(cb_div, "div", REAL, a / b, cb_div(g, b), cb_neg(cb_mul(g, cb_div(y, b))), 0.4, 2)
/* a^b with both operands variable; a >= 0 for a gradient of b, which is 0 where a is */
CB_BINARY(cb_pow, "pow", REAL, POW(a, b), cb_mul(g, cbi_pow_slope_a(a, b)),
          cb_mul(g, cbi_pow_slope_b(a, y)), 0.4, 2)
/* the larger and the smaller; a NaN wins; at a tie each operand gets half of the gradient */
CB_BINARY(cb_maximum, "maximum", ANY, a > b || a != a ? a : b, cb_mul(g, cbi_prefer(a, b)),
          cb_mul(g, cbi_prefer(b, a)), -2, 2)
CB_BINARY(cb_minimum, "minimum", ANY, a < b || a != a ? a : b, cb_mul(g, cbi_prefer(b, a)),
          cb_mul(g, cbi_prefer(a, b)), -2, 2)
#endif

/*  function, name, kind, value, gradients of a and b (c selects and gets none), low, high */
#ifdef CB_TERNARY
/* a where c is not 0, else b */
CB_TERNARY(cb_where, "where", ANY, c != 0 ? a : b, cb_where(c, g, cb_full_like(g, 0)),
           cb_where(c, cb_full_like(g, 0), g), -2, 2)
#endif

#undef CB_UNARY
#undef CB_FLAT_UNARY
#undef CB_FLAT_BINARY
#undef CB_BINARY
#undef CB_TERNARY
