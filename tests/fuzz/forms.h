/* Forms: what an instruction of a step program may be. A form is an op of the library, or one of
   the fuzzer's own, with a rule for the type of its result, a function that applies it, and its
   text in C. Everything about an op stands in its form. The interpreter, the printer and the
   reducer go by forms alone; the generator names those that it makes. */
#ifndef CEREBRA_TESTS_FUZZ_FORMS_H
#define CEREBRA_TESTS_FUZZ_FORMS_H

#include "program.h"

/* What an instruction may use besides its inputs. */
typedef struct surroundings {
    cb_tape *tape;
    int64_t batch;
    const cb_tensor *constant; /* of the program: the elements of form_constant, form_indices */
    cb_random *random;         /* of forms that draw */
} surroundings;

typedef struct form {
    const char *name; /* of the function */
    /* The call in C. $0, $1, ...: an input; $*: all of them; $#: how many; $p, $q: parameters; $a:
       axes; $A: a permutation; $x, $y: the first and the second axis; $s: the shape; $i, $j, $k:
       numbers; $b, $e: numbers before and after each axis; $d: the dtype; $f: the flag; $t: the
       tape; $v: the number of the value. */
    const char *text;
    int optional; /* inputs from this one on may be NO_VALUE; 0: none */
    /* Sets v->type from v's arguments and the types of its inputs. False when they do not fit. */
    bool (*infer)(const program *p, value *v);
    cb_tensor *(*apply)(const value *v, cb_tensor *const *in, const surroundings *s);
    bool exact;     /* the result is not rounded: two ways of computing it agree to the bit */
    bool amplifies; /* subtracts within, as a mean is: rounding of its inputs may become large */
    bool draws;     /* random numbers, so that the order of evaluation matters */

    /* The rest is for elementwise forms, those of an arity above 0. */
    int arity, parameters; /* operands, and numbers behind them */
    union {
        cb_tensor *(*unary)(cb_tensor *x);
        cb_tensor *(*unary_1)(cb_tensor *x, double p);
        cb_tensor *(*unary_2)(cb_tensor *x, double p, double q);
        cb_tensor *(*binary)(cb_tensor *a, cb_tensor *b);
        cb_tensor *(*ternary)(cb_tensor *c, cb_tensor *a, cb_tensor *b);
    } function;
    bool any;         /* takes integers too */
    bool kink;        /* has a corner or a step */
    double low, high; /* the range of an operand; 0, 0: any */
    double parameter_low[2], parameter_high[2];
    /* The result at given operands, or at x and the first parameter: it is least and largest at the
       ends of operands' intervals, or at x = turn. NULL: it is in [result_low, result_high]. */
    double (*at)(double a, double b);
    double turn, result_low, result_high;
} form;

/* clang-format off */
#define ELEMENTWISE_FORMS(X) \
    X(neg) X(abs) X(square) X(exp) X(log) X(log1p) X(expm1) X(sqrt) X(rsqrt) X(reciprocal) X(sin) \
    X(cos) X(tanh) X(sigmoid) X(erf) X(relu) X(silu) X(gelu) X(softplus) X(sign) X(positive) \
    X(affine) X(scale) X(shift) X(leaky_relu) X(elu) X(clamp) X(power) X(huber_residual) \
    X(full_like) X(add) X(sub) X(mul) X(div) X(pow) X(maximum) X(minimum) X(equal) X(not_equal) \
    X(less) X(less_equal) X(greater) X(greater_equal) X(where)

#define FORMS(X) \
    X(x) X(state) X(weight) ELEMENTWISE_FORMS(X) X(full) X(arange) X(constant) X(indices) X(sum) \
    X(mean) X(max) X(min) X(var) X(logsumexp) X(argmax) X(softmax) X(log_softmax) X(sum_to) \
    X(matmul) X(linear) X(layer_norm) X(mse) X(huber) X(binary_cross_entropy) X(cross_entropy) \
    X(reshape) X(permute) X(transpose) X(slice) X(select) X(chunk) X(expand) X(squeeze) \
    X(unsqueeze) X(flip) X(pad) X(concat) X(stack) X(contiguous) X(cast) X(stop_gradient) \
    X(gather_rows) X(scatter_rows) X(gather) X(scatter_add) X(one_hot) X(dropout) X(normal_like) \
    X(checkpoint) X(cumsum) X(argsort) X(masked_fill) X(tril) X(floor) X(circle) X(running_sum)
/* clang-format on */

#define FORM_DECLARATION(name) extern const form form_##name;
FORMS(FORM_DECLARATION)
#undef FORM_DECLARATION

/* All of them, ended by NULL. */
extern const form *const all_forms[];

/* Whether the form is a leaf: what a step is given. */
bool form_is_leaf(const form *f);
/* The type of input i of v. */
const type *input_type(const program *p, const value *v, int i);

#endif
