/* Functions that are built from ops: their gradients and the gradients of those, in f64. */
#include <cerebra/check.h>
#include <cerebra/ops.h>

#include <criterion/criterion.h>

#define SHAPED(rank, ...)                                                                          \
    { rank, {__VA_ARGS__}, -2, 2, CB_NO_KINK, false, false }
#define STRIDED(rank, ...)                                                                         \
    { rank, {__VA_ARGS__}, -2, 2, CB_NO_KINK, false, true }
#define UNIT(rank, ...)                                                                            \
    { rank, {__VA_ARGS__}, 0.05, 0.95, CB_NO_KINK, false, false }
#define CLASSES(below, rank, ...)                                                                  \
    { rank, {__VA_ARGS__}, 0, below, CB_NO_KINK, true, false }

/* Cross entropy of the class 1 counted as ignored, in all reductions. */
static cb_tensor *cross_entropies(cb_tensor *const *in, bool ignore, double smoothing) {
    cb_tensor *total = NULL;
    for (int i = CB_REDUCE_MEAN; i <= CB_REDUCE_NONE; i++) {
        cb_tensor *y =
            cb_cross_entropy(in[0], in[1], .reduction = (cb_reduction)i, .ignore = ignore,
                             .ignore_index = 1, .label_smoothing = smoothing);
        total = total == NULL ? y : cb_add(total, cb_scale(y, i + 0.5));
    }
    return total;
}

/* Name, inputs, what is built from them. */
#define COMPOSITES(X)                                                                              \
    X(logsumexp, 1, {SHAPED(2, 3, 4)}, cb_logsumexp(in[0], CB_AXES(1), false))                     \
    X(logsumexp_two, 1, {STRIDED(3, 2, 3, 4)}, cb_logsumexp(in[0], CB_AXES(0, 2), true))           \
    X(softmax, 1, {STRIDED(2, 3, 4)}, cb_softmax(in[0], 0))                                        \
    X(log_softmax, 1, {SHAPED(3, 2, 3, 4)}, cb_log_softmax(in[0], 1))                              \
    X(mean, 1, {STRIDED(3, 2, 3, 4)}, cb_mean(in[0], CB_AXES(0, -1), false))                       \
    X(var, 1, {SHAPED(2, 3, 4)}, cb_var(in[0], CB_AXES(1), 1, false))                              \
    X(var_all, 1, {STRIDED(2, 3, 4)}, cb_var(in[0], CB_ALL_AXES, 0, true))                         \
    X(layer_norm, 3, {SHAPED(2, 3, 4) COMMA SHAPED(1, 4) COMMA SHAPED(1, 4)},                      \
      cb_layer_norm(in[0], in[1], in[2], 0.1))                                                     \
    X(layer_norm_two, 2, {STRIDED(3, 2, 2, 3) COMMA SHAPED(2, 2, 3)},                              \
      cb_layer_norm(in[0], NULL, in[1], 0.1))                                                      \
    X(cross_entropy, 2, {SHAPED(2, 5, 4) COMMA CLASSES(4, 1, 5)}, cross_entropies(in, false, 0))   \
    X(cross_entropy_smooth, 2, {STRIDED(2, 5, 4) COMMA CLASSES(4, 1, 5)},                          \
      cross_entropies(in, false, 0.2))                                                             \
    X(cross_entropy_ignore, 2, {SHAPED(3, 2, 3, 4) COMMA CLASSES(4, 2, 2, 3)},                     \
      cross_entropies(in, true, 0.1))                                                              \
    X(bce, 2, {SHAPED(2, 3, 4) COMMA UNIT(1, 4)},                                                  \
      cb_binary_cross_entropy(in[0], in[1], CB_REDUCE_MEAN))                                       \
    X(mse, 2, {SHAPED(2, 3, 4) COMMA SHAPED(2, 3, 1)}, cb_mse(in[0], in[1], CB_REDUCE_NONE))       \
    X(huber, 2, {UNIT(2, 3, 4) COMMA UNIT(2, 3, 4)},                                               \
      cb_huber(cb_scale(in[0], 9), in[1], 100, CB_REDUCE_SUM))                                     \
    X(huber_outside, 2, {UNIT(2, 3, 4) COMMA UNIT(1, 4)},                                          \
      cb_mul(cb_huber(cb_shift(in[0], 2), in[1], 0.5, CB_REDUCE_NONE), in[0]))                     \
    X(linear, 3, {SHAPED(3, 2, 3, 4) COMMA STRIDED(2, 5, 4) COMMA SHAPED(1, 5)},                   \
      cb_tanh(cb_linear(in[0], in[1], in[2])))                                                     \
    X(stack, 2, {SHAPED(2, 2, 3) COMMA STRIDED(2, 2, 3)},                                          \
      cb_square(cb_stack(3, (cb_tensor *[]){in[0] COMMA in[1] COMMA in[0]}, 1)))                   \
    X(select, 1, {SHAPED(3, 2, 3, 4)}, cb_mul(cb_select(in[0], 1, 0), cb_select(in[0], 1, -1)))    \
    X(chunk, 1, {STRIDED(2, 3, 4)},                                                                \
      cb_mul(cb_sigmoid(cb_chunk(in[0], 1, 2, 0)), cb_tanh(cb_chunk(in[0], 1, 2, 1))))             \
    X(sum_to, 1, {SHAPED(3, 2, 3, 4)}, cb_square(cb_sum_to(in[0], CB_SHAPE(3, 1))))                \
    X(expand, 1, {STRIDED(2, 3, 1)}, cb_square(cb_expand(in[0], CB_SHAPE(2, 3, 4))))               \
    X(gelu, 1, {SHAPED(1, 7)}, cb_gelu(cb_scale(in[0], 1.5)))                                      \
    X(gram, 1, {STRIDED(2, 3, 4)}, cb_matmul(in[0], cb_transpose(in[0], 0, 1)))                    \
    X(conv1d, 3, {SHAPED(3, 2, 4, 6) COMMA SHAPED(3, 2, 2, 3) COMMA SHAPED(1, 2)},                 \
      cb_conv1d(in[0], in[1], in[2], .padding = {1}, .groups = 2))                                 \
    X(conv2d, 3, {STRIDED(4, 2, 2, 4, 5) COMMA STRIDED(4, 3, 2, 2, 2) COMMA SHAPED(1, 3)},         \
      cb_conv2d(in[0], in[1], in[2], .stride = {2 COMMA 1}, .dilation = {1 COMMA 2},               \
                .padding = {0 COMMA 1}))                                                           \
    X(max_pool, 1, {SHAPED(3, 2, 4, 5)},                                                           \
      cb_square(cb_max_pool2d(in[0], .size = {2 COMMA 3}, .stride = {1 COMMA 2},                   \
                              .padding = {0 COMMA 1})))                                            \
    X(avg_pool, 1, {STRIDED(2, 3, 6)},                                                             \
      cb_square(cb_avg_pool1d(in[0], .size = {3}, .stride = {2}, .padding = {1},                   \
                              .exclude_padding = true)))                                           \
    X(batch_norm, 3, {SHAPED(3, 3, 2, 4) COMMA SHAPED(1, 2) COMMA SHAPED(1, 2)},                   \
      cb_batch_norm(in[0], NULL, NULL, in[1], in[2], 0.1))                                         \
    X(batch_norm_given, 3, {STRIDED(2, 3, 2) COMMA SHAPED(1, 2) COMMA UNIT(1, 2)},                 \
      cb_batch_norm(in[0], in[1], in[2], NULL, NULL, 0.1))                                         \
    X(dot_attention, 3, {SHAPED(3, 2, 3, 4) COMMA SHAPED(3, 2, 5, 4) COMMA SHAPED(2, 5, 2)},       \
      cb_matmul(cb_softmax(cb_matmul(in[0], cb_transpose(in[1], -1, -2)), -1), in[2]))

#define COMMA ,
#define BUILD(name, count, inputs, expression)                                                     \
    static cb_tensor *build_##name(cb_tensor *const *in) {                                         \
        return expression;                                                                         \
    }
#define SAMPLE(name, count, inputs, expression) {#name, count, inputs, build_##name},

COMPOSITES(BUILD)
static const cb_sample samples[] = {COMPOSITES(SAMPLE)};

Test(composites, gradients_of_both_orders) {
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        cb_check_report report;
        cb_check_options options = {.second_order = true, .seed = 11};
        cr_expect(cb_check_sample(&samples[i], &options, &report), "%s: %s (worst %.3g)",
                  samples[i].name, report.message, report.worst);
        cr_expect_gt(report.compared, 0);
    }
}
