/* Times ops for bench/compare_ops.py.

     ops --list        the cases as JSON, one a line: name, op, and for each input its shape and,
                       of indices, what they are below
     ops [THREADS]     reads "NUMBER MILLISECONDS" from standard input, runs that case for about so
                       long forward, and for as long forward and backward, and prints the medians in
                       milliseconds of a run; until the end of the input

   Inputs are f32, normally distributed, or i64. Backward is the gradient, with a seed of the
   output's shape, of all inputs that have one. */
#include "bench/timing.h"

#include <cerebra/cerebra.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 3 };

typedef struct input {
    int rank;
    int64_t shape[4];
    int64_t below; /* of indices, i64; 0: f32 */
} input;

typedef struct op_case {
    const char *op;
    cb_tensor *(*function)(cb_tensor *const *in);
    input inputs[MOST_INPUTS]; /* up to one of rank 0 */
} op_case;

/* ---- The ops --------------------------------------------------------------------------------- */

#define OP(name, expression)                                                                       \
    static cb_tensor *name(cb_tensor *const *in) {                                                 \
        return expression;                                                                         \
    }
OP(add, cb_add(in[0], in[1]))
OP(mul, cb_mul(in[0], in[1]))
OP(exponential, cb_exp(in[0]))
OP(hyperbolic_tangent, cb_tanh(in[0]))
OP(sigmoid, cb_sigmoid(in[0]))
OP(relu, cb_relu(in[0]))
OP(gelu, cb_gelu(in[0]))
OP(matmul, cb_matmul(in[0], in[1]))
OP(linear, cb_linear(in[0], in[1], in[2]))
OP(softmax, cb_softmax(in[0], -1))
OP(log_softmax, cb_log_softmax(in[0], -1))
OP(logsumexp, cb_logsumexp(in[0], CB_AXES(-1), false))
OP(layer_norm, cb_layer_norm(in[0], in[1], in[2], 1e-5))
OP(largest, cb_max(in[0], CB_AXES(-1), false))
OP(argmax, cb_argmax(in[0], -1, false))
OP(sum_all, cb_sum(in[0], CB_ALL_AXES, false))
OP(sum_last, cb_sum(in[0], CB_AXES(-1), false))
OP(sum_first, cb_sum(in[0], CB_AXES(0), false))
OP(variance, cb_var(in[0], CB_AXES(-1), 1, false))
OP(transposed_copy, cb_contiguous(cb_transpose(in[0], 0, 1)))
OP(heads_copy, cb_contiguous(cb_transpose(in[0], 1, 2)))
OP(concat, cb_concat(2, (cb_tensor *[]){in[0], in[1]}, -1))
OP(slice, cb_contiguous(cb_slice(in[0], -1, 0, in[0]->shape[in[0]->rank - 1] / 2, 1)))
OP(gather, cb_gather(in[0], 1, in[1]))
OP(scatter_add, cb_scatter_add(in[0], 1, in[1], in[2]))
OP(embedding, cb_gather_rows(in[0], in[1]))
OP(cross_entropy, cb_cross_entropy(in[0], in[1]))
OP(attention, cb_attention(in[0], in[1], in[2]))
OP(causal_attention, cb_attention(in[0], in[1], in[2], .causal = true))

/* ---- The cases ------------------------------------------------------------------------------- */

#define T1(a)                                                                                      \
    { 1, {a}, 0 }
#define T2(a, b)                                                                                   \
    { 2, {a, b}, 0 }
#define T3(a, b, c)                                                                                \
    { 3, {a, b, c}, 0 }
#define T4(a, b, c, d)                                                                             \
    { 4, {a, b, c, d}, 0 }

static const op_case cases[] = {
    {"add", add, {T2(32, 32), T2(32, 32)}},
    {"add", add, {T2(256, 256), T2(256, 256)}},
    {"add", add, {T2(2048, 2048), T2(2048, 2048)}},
    {"add", add, {T2(4096, 256), T2(4096, 1)}},
    {"add", add, {T2(4096, 256), T1(256)}},
    {"mul", mul, {T2(256, 256), T2(256, 256)}},
    {"exp", exponential, {T2(256, 256)}},
    {"tanh", hyperbolic_tangent, {T2(256, 256)}},
    {"tanh", hyperbolic_tangent, {T2(2048, 2048)}},
    {"sigmoid", sigmoid, {T2(2048, 2048)}},
    {"relu", relu, {T2(256, 256)}},
    {"relu", relu, {T2(2048, 2048)}},
    {"gelu", gelu, {T2(256, 256)}},
    {"gelu", gelu, {T2(2048, 2048)}},
    {"matmul", matmul, {T2(64, 64), T2(64, 64)}},
    {"matmul", matmul, {T2(512, 512), T2(512, 512)}},
    {"matmul", matmul, {T2(128, 512), T2(512, 2048)}},
    {"matmul", matmul, {T3(1024, 16, 16), T3(1024, 16, 16)}},
    {"matmul", matmul, {T3(64, 64, 32), T3(64, 32, 64)}},
    {"matmul", matmul, {T3(64, 1, 256), T3(64, 256, 256)}},
    {"linear", linear, {T2(128, 512), T2(512, 512), T1(512)}},
    {"linear", linear, {T2(16, 64), T2(64, 64), T1(64)}},
    {"attention", attention, {T4(16, 4, 64, 32), T4(16, 4, 64, 32), T4(16, 4, 64, 32)}},
    {"attention", attention, {T4(4, 4, 256, 64), T4(4, 4, 256, 64), T4(4, 4, 256, 64)}},
    {"causal_attention",
     causal_attention,
     {T4(4, 4, 256, 64), T4(4, 4, 256, 64), T4(4, 4, 256, 64)}},
    {"causal_attention",
     causal_attention,
     {T4(1, 4, 1024, 64), T4(1, 4, 1024, 64), T4(1, 4, 1024, 64)}},
    {"softmax", softmax, {T2(64, 64)}},
    {"softmax", softmax, {T2(4096, 256)}},
    {"softmax", softmax, {T4(64, 4, 64, 64)}},
    {"log_softmax", log_softmax, {T2(4096, 256)}},
    {"logsumexp", logsumexp, {T2(4096, 256)}},
    {"layer_norm", layer_norm, {T2(128, 256), T1(256), T1(256)}},
    {"layer_norm", layer_norm, {T2(4096, 256), T1(256), T1(256)}},
    {"max", largest, {T2(4096, 256)}},
    {"argmax", argmax, {T2(4096, 256)}},
    {"sum_all", sum_all, {T2(2048, 2048)}},
    {"sum_last", sum_last, {T2(4096, 256)}},
    {"sum_last", sum_last, {T2(2048, 2048)}},
    {"sum_first", sum_first, {T2(2048, 2048)}},
    {"var", variance, {T2(4096, 256)}},
    {"transposed_copy", transposed_copy, {T2(256, 256)}},
    {"transposed_copy", transposed_copy, {T2(2048, 2048)}},
    {"heads_copy", heads_copy, {T4(16, 64, 4, 32)}},
    {"concat", concat, {T2(4096, 128), T2(4096, 128)}},
    {"slice", slice, {T2(4096, 256)}},
    {"gather", gather, {T2(4096, 256), {2, {4096, 64}, 256}}},
    {"scatter_add", scatter_add, {T2(4096, 256), {2, {4096, 64}, 256}, T2(4096, 64)}},
    {"embedding", embedding, {T2(10000, 256), {1, {8192}, 10000}}},
    {"cross_entropy", cross_entropy, {T2(2560, 89), {1, {2560}, 89}}},
    {"cross_entropy", cross_entropy, {T2(512, 10000), {1, {512}, 10000}}},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static int input_count(const op_case *c) {
    int count = 0;
    while (count < MOST_INPUTS && c->inputs[count].rank > 0)
        count++;
    return count;
}

static void list(void) {
    for (int i = 0; i < CASES; i++) {
        printf("{\"op\": \"%s\", \"inputs\": [", cases[i].op);
        for (int k = 0; k < input_count(&cases[i]); k++) {
            const input *in = &cases[i].inputs[k];
            printf("%s{\"below\": %lld, \"shape\": [", k > 0 ? ", " : "", (long long)in->below);
            for (int j = 0; j < in->rank; j++)
                printf("%s%lld", j > 0 ? ", " : "", (long long)in->shape[j]);
            printf("]}");
        }
        printf("]}\n");
    }
}

/* ---- Timing ---------------------------------------------------------------------------------- */

static cb_tensor *make(const input *in, cb_random *random) {
    cb_tensor *t = need(cb_tensor_new(in->below > 0 ? CB_I64 : CB_F32, in->rank, in->shape));
    int64_t count = cb_tensor_count(t);
    if (in->below == 0)
        cb_random_normal_f32(random, count, t->data, 0, 1);
    for (int64_t i = 0; in->below > 0 && i < count; i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(random, (uint64_t)in->below);
    return t;
}

/* A case with its inputs. seed: NULL forward. */
typedef struct timed_case {
    const op_case *c;
    cb_tape *tape;
    cb_tensor *const *given;
    const cb_tensor *seed;
} timed_case;

/* One run: forward, and the gradient of all inputs that have one where there is a seed. */
static void run(void *context) {
    const timed_case *t = context;
    cb_tensor *in[MOST_INPUTS], *variables[MOST_INPUTS], *gradients[MOST_INPUTS];
    int variable_count = 0;
    cb_tape_reset(t->tape);
    for (int i = 0; i < input_count(t->c); i++) {
        bool real = t->c->inputs[i].below == 0;
        in[i] = real && t->seed != NULL ? cb_variable(t->tape, t->given[i])
                                        : cb_input(t->tape, t->given[i]);
        if (real)
            variables[variable_count++] = in[i];
    }
    cb_tensor *y = t->c->function(in);
    if (t->seed != NULL)
        cb_grad(y, cb_input(t->tape, t->seed), false, variable_count, variables, gradients);
    if (cb_tape_status(t->tape) != CB_OK) {
        fprintf(stderr, "ops: %s\n", cb_tape_error(t->tape));
        exit(EXIT_FAILURE);
    }
}

static void time_case(const op_case *c, double budget) {
    cb_random random = cb_random_seed(1);
    cb_tensor *given[MOST_INPUTS], *seed;
    cb_tape *forward = need(cb_tape_new_no_grad()), *both = need(cb_tape_new());
    for (int i = 0; i < input_count(c); i++)
        given[i] = make(&c->inputs[i], &random);
    timed_case t = {.c = c, .tape = forward, .given = given};
    run(&t);
    cb_tensor *in[MOST_INPUTS];
    for (int i = 0; i < input_count(c); i++)
        in[i] = cb_input(forward, given[i]);
    cb_tensor *y = c->function(in);
    bool differentiable = cb_dtype_is_float(y->dtype);
    seed = need(cb_tensor_new(CB_F32, y->rank, y->shape));
    cb_tensor_fill(seed, 0.5);
    double ms = time_runs(run, &t, budget);
    t = (timed_case){c, both, given, seed};
    printf("%.6f %.6f\n", ms, differentiable ? time_runs(run, &t, budget) : 0);
    fflush(stdout);
    for (int i = 0; i < input_count(c); i++)
        cb_tensor_free(given[i]);
    cb_tensor_free(seed);
    cb_tape_free(forward);
    cb_tape_free(both);
}

int main(int argc, char **argv) {
    int number;
    double budget;
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        list();
        return EXIT_SUCCESS;
    }
    cb_set_threads(argc > 1 ? atoi(argv[1]) : 2);
    while (scanf("%d %lf", &number, &budget) == 2)
        if (number >= 0 && number < CASES)
            time_case(&cases[number], budget);
    return EXIT_SUCCESS;
}
