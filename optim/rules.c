/* The update rules and the table of them. The loops are in rules_template.h, compiled here for f32
   and for f64.

   An optimizer of one's own is a loop there, a function here that says which buffers it keeps, and
   a row of the table. */
#include "optim/optimizer_internal.h"

#include "tensor/multiversion.h"

#include <math.h>
#include <string.h>

#ifdef __GNUC__
#define CBI_INLINE inline __attribute__((always_inline))
#else
#define CBI_INLINE inline
#endif

#define REAL       float
#define SQRT       sqrtf
#define RULE(name) optimizer_##name##_f32
#include "optim/rules_template.h"
#undef REAL
#undef SQRT
#undef RULE

#define REAL       double
#define SQRT       sqrt
#define RULE(name) optimizer_##name##_f64
#include "optim/rules_template.h"
#undef REAL
#undef SQRT
#undef RULE

static bool sgd_needs(const cb_optimizer_options *options, int i) {
    return i == 0 && options->momentum != 0;
}

static bool adagrad_needs(const cb_optimizer_options *options, int i) {
    (void)options;
    return i == 0;
}

static bool adam_needs(const cb_optimizer_options *options, int i) {
    return i < 2 || options->amsgrad;
}

static bool rmsprop_needs(const cb_optimizer_options *options, int i) {
    return i == 0 || (i == 1 && options->centered) || (i == 2 && options->momentum != 0);
}

/* One row per rule: its name (loops, function and public name), then its members that are not zero.
 */
#define ADAM_DEFAULTS .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8
#define ADAM_STATES   .state_names = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
#define RULE_TABLE(X)                                                                              \
    X(sgd, .defaults = {.lr = 1e-3}, .needs_state = sgd_needs, .reads_nesterov = true,             \
      .state_names = {"momentum_buffer"})                                                          \
    X(adagrad, .defaults = {.lr = 1e-2, .epsilon = 1e-10}, .needs_state = adagrad_needs,           \
      .accumulates = true, .state_names = {"sum"})                                                 \
    X(adam, .defaults = {ADAM_DEFAULTS}, .needs_state = adam_needs, ADAM_STATES)                   \
    X(adamw, .defaults = {ADAM_DEFAULTS, .weight_decay = 1e-2}, .needs_state = adam_needs,         \
      ADAM_STATES)                                                                                 \
    X(rmsprop, .defaults = {.lr = 1e-2, .alpha = 0.99, .epsilon = 1e-8},                           \
      .needs_state = rmsprop_needs, .state_names = {"square_avg", "grad_avg", "momentum_buffer"})

#define RULE_ROW(rule, ...)                                                                        \
    {.name = #rule,                                                                                \
     .update_f32 = optimizer_##rule##_f32,                                                         \
     .update_f64 = optimizer_##rule##_f64,                                                         \
     __VA_ARGS__},
static const cbi_rule rules[] = {RULE_TABLE(RULE_ROW)};

#define RULE_NAME(rule, ...) #rule,
static const char *const rule_names[] = {RULE_TABLE(RULE_NAME) NULL};

const char *const *cb_optimizer_names(void) {
    return rule_names;
}

const cbi_rule *cbi_rule_find(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].name, name) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}
