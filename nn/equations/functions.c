/* The functions that equations may call: all of the elementwise table,
   made from its rows, so that a row added there is a word added here; and a few over the units of a
   vector. */
#include "nn/equations/equations.h"

#include "tensor/nearest.h"

#include <math.h>
#include <string.h>

/* ---- The elementwise table: applied to tensors ----------------------------------------------- */

#define P0()
#define P1(p, sample_p)              , n[0]
#define P2(p, sample_p, q, sample_q) , n[0], n[1]
#define APPLY(function, call)                                                                      \
    static cb_tensor *apply_##function(cb_tensor *const *x, const double *n) {                     \
        (void)n;                                                                                   \
        return call;                                                                               \
    }
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    APPLY(function, function(x[0] parameters))
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    APPLY(function, function(x[0] parameters))
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    APPLY(function, function(x[0], x[1]))
#define CB_FLAT_BINARY(function, name, kind, value) APPLY(function, function(x[0], x[1]))
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    APPLY(function, function(x[0], x[1], x[2]))
#include "autograd/ops/elementwise_table.h"
#undef P0
#undef P1
#undef P2

/* ---- The same of numbers --------------------------------------------------------------------- */

#define EXP        exp
#define LOG        log
#define LOG1P      log1p
#define EXPM1      expm1
#define SIN        sin
#define COS        cos
#define TANH       tanh
#define SIGMOID(x) (1 / (1 + exp(-(x))))
#define ERF        erf
#define SQRT       sqrt
#define ABS        fabs
#define POW        pow
#define LOCAL(name, number)                                                                        \
    const double name = number;                                                                    \
    (void)name;
#define P0()
#define P1(p, sample_p)              LOCAL(p, n[0])
#define P2(p, sample_p, q, sample_q) LOCAL(p, n[0]) LOCAL(q, n[1])
#define X                            LOCAL(x, v[0])
#define AB                           LOCAL(a, v[0]) LOCAL(b, v[1])
#define CAB                          LOCAL(c, v[0]) LOCAL(a, v[1]) LOCAL(b, v[2])
#define OF_NUMBERS(function, locals, value)                                                        \
    static double number_##function(const double *v, const double *n) {                            \
        typedef double real;                                                                       \
        (void)n;                                                                                   \
        locals return (real)(value);                                                               \
    }
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    OF_NUMBERS(function, X parameters, value)
#define CB_FLAT_UNARY(function, name, kind, parameters, value)                                     \
    OF_NUMBERS(function, X parameters, value)
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    OF_NUMBERS(function, AB, value)
#define CB_FLAT_BINARY(function, name, kind, value) OF_NUMBERS(function, AB, value)
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    OF_NUMBERS(function, CAB, value)
#include "autograd/ops/elementwise_table.h"
#undef P0
#undef P1
#undef P2

/* ---- Over the units of a vector -------------------------------------------------------------- */

static cb_tensor *apply_softmax(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_softmax(x[0], -1);
}
static cb_tensor *apply_log_softmax(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_log_softmax(x[0], -1);
}
static cb_tensor *apply_layernorm(cb_tensor *const *x, const double *n) {
    return cb_layer_norm(x[0], NULL, NULL, n[0]);
}
static cb_tensor *apply_sum(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_sum(x[0], CB_AXES(-1), true);
}
static cb_tensor *apply_mean(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_mean(x[0], CB_AXES(-1), true);
}
static cb_tensor *apply_max(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_max(x[0], CB_AXES(-1), true);
}
static cb_tensor *apply_min(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_min(x[0], CB_AXES(-1), true);
}
static cb_tensor *apply_logsumexp(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_logsumexp(x[0], CB_AXES(-1), true);
}
static cb_tensor *apply_stop_gradient(cb_tensor *const *x, const double *n) {
    (void)n;
    return cb_stop_gradient(x[0]);
}

/* ---- The list -------------------------------------------------------------------------------- */

#define P0()                         0
#define P1(p, sample_p)              1
#define P2(p, sample_p, q, sample_q) 2
#define ROW(function, word, operand_count, number_count)                                           \
    {.name = word,                                                                                 \
     .operands = operand_count,                                                                    \
     .numbers = number_count,                                                                      \
     .apply = apply_##function,                                                                    \
     .of_numbers = number_##function},
#define CB_UNARY(function, name, kind, parameters, value, gradient, low, high, kink)               \
    ROW(function, name, 1, parameters)
#define CB_FLAT_UNARY(function, name, kind, parameters, value) ROW(function, name, 1, parameters)
#define CB_BINARY(function, name, kind, value, gradient_a, gradient_b, low, high)                  \
    ROW(function, name, 2, 0)
#define CB_FLAT_BINARY(function, name, kind, value) ROW(function, name, 2, 0)
#define CB_TERNARY(function, name, kind, value, gradient_a, gradient_b, low, high)                 \
    ROW(function, name, 3, 0)

static const cbi_function functions[] = {
#include "autograd/ops/elementwise_table.h"
    {.name = "softmax", .operands = 1, .over_units = true, .apply = apply_softmax},
    {.name = "log_softmax", .operands = 1, .over_units = true, .apply = apply_log_softmax},
    {.name = "layernorm",
     .operands = 1,
     .numbers = 1,
     .optional = 1,
     .otherwise = 1e-5,
     .over_units = true,
     .apply = apply_layernorm},
    {.name = "sum", .operands = 1, .over_units = true, .to_one = true, .apply = apply_sum},
    {.name = "mean", .operands = 1, .over_units = true, .to_one = true, .apply = apply_mean},
    {.name = "max", .operands = 1, .over_units = true, .to_one = true, .apply = apply_max},
    {.name = "min", .operands = 1, .over_units = true, .to_one = true, .apply = apply_min},
    {.name = "logsumexp",
     .operands = 1,
     .over_units = true,
     .to_one = true,
     .apply = apply_logsumexp},
    {.name = "stop_gradient", .operands = 1, .apply = apply_stop_gradient},
};

enum { COUNT = sizeof(functions) / sizeof(functions[0]) };

const cbi_function *cbi_function_find(const char *name) {
    if (strcmp(name, "\xCF\x83") == 0) /* sigma, the letter */
        name = "sigmoid";
    for (int i = 0; i < COUNT; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

const char *cbi_function_elsewhere(const char *name) {
    static const char *const others[][2] = {
        {"sigm", "sigmoid"},         {"sigma", "sigmoid"},
        {"logistic", "sigmoid"},     {"swish", "silu"},
        {"ln", "layernorm"},         {"layer_norm", "layernorm"},
        {"norm", "layernorm"},       {"phi", "tanh"},
        {"sqr", "square"},           {"ln1p", "log1p"},
        {"average", "mean"},         {"logsoftmax", "log_softmax"},
        {"leakyrelu", "leaky_relu"}, {"hardtanh", "clamp"},
        {"linear", "W x"},           {"dense", "W x"},
        {"affine_map", "W x"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i][0]) == 0)
            return others[i][1];
    return NULL;
}

const char *cbi_function_nearest(const char *name) {
    char small[32] = "";
    for (size_t i = 0; i + 1 < sizeof(small) && name[i] != '\0'; i++)
        small[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    const char *other = cbi_function_elsewhere(small);
    if (other != NULL)
        return other;
    if (cbi_function_find(small) != NULL)
        return cbi_function_find(small)->name;

    const char *names[COUNT + 1];
    for (int i = 0; i < COUNT; i++)
        names[i] = functions[i].name;
    names[COUNT] = NULL;
    return cbi_nearest_name(name, names);
}
