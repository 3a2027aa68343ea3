/* The table of the optimizers' parameters. A new one is a row: the option, the library's field, the
   optimizers that read it, and its range. */
#include "optimizer_options.h"

#include "apps/cli/failure.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct parameter {
    const char *option, *help;
    const char *field; /* the member's name, and where it is */
    size_t offset;
    bool flag;
    const char *readers; /* the optimizers that read it; NULL: all */
    double low, high;    /* of numbers, as in option_row */
    bool above_low, below_high;
    double adagrad; /* the paper's value for Adagrad, where it is not the library's; 0: it is */
} parameter;

#define FIELD(name) .field = #name, .offset = offsetof(cb_optimizer_options, name)

static const parameter table[] = {
    {"lr", "learning rate (adagrad: 0.05; sgd, adam, adamw: 0.001; rmsprop: 0.01)", FIELD(lr),
     .high = INFINITY, .above_low = true, .adagrad = 0.05},
    {"initial-accumulator", "where adagrad's sums of squares start (0.1)",
     FIELD(initial_accumulator), .readers = "adagrad", .high = INFINITY, .adagrad = 0.1},
    {"lr-decay", "adagrad's lr / (1 + (t - 1) X) in step t (0)", FIELD(lr_decay),
     .readers = "adagrad", .high = INFINITY},
    {"beta1", "decay of the mean of gradients of adam and adamw (0.9)", FIELD(beta1),
     .readers = "adam adamw", .high = 1, .below_high = true},
    {"beta2", "decay of the mean of their squares of adam and adamw (0.999)", FIELD(beta2),
     .readers = "adam adamw", .high = 1, .below_high = true},
    {"alpha", "decay of the mean of squares of rmsprop (0.99)", FIELD(alpha), .readers = "rmsprop",
     .high = 1, .below_high = true},
    {"epsilon", "what is added to the root (adagrad: 1e-10, others: 1e-8)", FIELD(epsilon),
     .readers = "adagrad adam adamw rmsprop", .high = INFINITY},
    {"momentum", "momentum of sgd and rmsprop (0)", FIELD(momentum), .readers = "sgd rmsprop",
     .high = 1, .below_high = true},
    {"dampening", "part of the gradient that sgd's momentum leaves out (0)", FIELD(dampening),
     .readers = "sgd", .high = 1},
    {"nesterov", "Nesterov's momentum, of sgd", FIELD(nesterov), .flag = true, .readers = "sgd"},
    {"amsgrad", "adam and adamw: never forget the largest mean of squares", FIELD(amsgrad),
     .flag = true, .readers = "adam adamw"},
    {"centered", "rmsprop: subtract the square of the mean of gradients", FIELD(centered),
     .flag = true, .readers = "rmsprop"},
    {"weight-decay", "weight decay (adamw: 0.01, others: 0)", FIELD(weight_decay),
     .high = INFINITY},
    {"lazy-rows", "leave characters that a step has not seen as they are", FIELD(lazy_rows),
     .flag = true},
    {"clip-norm", "largest norm of all gradients together; 0: no clipping (0)", FIELD(clip_norm),
     .high = INFINITY},
};
enum { PARAMETERS = sizeof table / sizeof table[0] };
_Static_assert((int)PARAMETERS <= (int)OPTIMIZER_PARAMETERS_MOST, "room for all parameters");

optimizer_options optimizer_options_default(void) {
    optimizer_options asked = {.name = "adagrad"};
    for (int i = 0; i < PARAMETERS; i++)
        asked.numbers[i] = NAN;
    return asked;
}

int optimizer_options_rows(optimizer_options *asked, option_row *rows) {
    rows[0] = (option_row){"optimizer",
                           .string = &asked->name,
                           .value = "NAME",
                           .help = "how weights are updated",
                           .names = cb_optimizer_names(),
                           .keep = OPTION_FIXED};
    for (int i = 0; i < PARAMETERS; i++) {
        const parameter *p = &table[i];
        rows[1 + i] = (option_row){.name = p->option,
                                   .flag = p->flag ? &asked->flags[i] : NULL,
                                   .number = p->flag ? NULL : &asked->numbers[i],
                                   .value = "X",
                                   .help = p->help,
                                   .low = p->low,
                                   .high = p->high,
                                   .above_low = p->above_low,
                                   .below_high = p->below_high,
                                   .keep = OPTION_FIXED};
    }
    return 1 + PARAMETERS;
}

/* Whether the word is one of a list with spaces between them. */
static bool is_among(const char *word, const char *list) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

bool optimizer_options_take(optimizer_options *asked, cb_optimizer_options *options, char *error) {
    size_t length = 0;
    if (!options_check_name("optimizer", asked->name, cb_optimizer_names(), error))
        return false;
    *options = (cb_optimizer_options){.named = asked->named};
    asked->named[0] = '\0';
    for (int i = 0; i < PARAMETERS; i++) {
        const parameter *p = &table[i];
        bool given = p->flag ? asked->flags[i] : !isnan(asked->numbers[i]);
        double value = given ? asked->numbers[i] : p->adagrad;
        bool papers = !given && p->adagrad > 0 && strcmp(asked->name, "adagrad") == 0;
        char *field = (char *)options + p->offset;
        if (given && p->readers != NULL && !is_among(asked->name, p->readers)) {
            return failure(error, FAILURE_SIZE, "--%s means nothing to the optimizer %s", p->option,
                           asked->name);
        }
        if (p->flag)
            *(bool *)field = given;
        else if (given || papers)
            *(double *)(void *)field = value;
        if (given) {
            length += (size_t)snprintf(asked->named + length, sizeof asked->named - length, "%s.%s",
                                       length == 0 ? "" : ", ", p->field);
        }
    }
    return (!options->nesterov || (options->momentum > 0 && options->dampening == 0)) ||
           failure(error, FAILURE_SIZE, "--nesterov needs --momentum and no --dampening");
}
