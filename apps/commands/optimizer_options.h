/* The options of train that are an optimizer's parameters. */
#ifndef CEREBRA_APPS_COMMANDS_OPTIMIZER_OPTIONS_H
#define CEREBRA_APPS_COMMANDS_OPTIMIZER_OPTIONS_H

#include "apps/cli/options.h"

#include <cerebra/optim.h>

enum { OPTIMIZER_PARAMETERS_MOST = 16 };

/* What is asked for, parameter by parameter of the table; NaN: not given. Not to be copied between
   optimizer_options_rows and the parsing: the rows point into it. */
typedef struct optimizer_options {
    const char *name;
    double numbers[OPTIMIZER_PARAMETERS_MOST];
    bool flags[OPTIMIZER_PARAMETERS_MOST];
    char named[512]; /* for cb_optimizer_options */
} optimizer_options;

/* Nothing is given. */
optimizer_options optimizer_options_default(void);

/* Rows of the option table, for --optimizer and each parameter; returns how many. */
int optimizer_options_rows(optimizer_options *asked, option_row *rows);

/* Checks them and fills in what the library takes, which borrows `asked`. Fails, with one line in
   error, on an optimizer that there is not and on a parameter that it does not read. */
bool optimizer_options_take(optimizer_options *asked, cb_optimizer_options *options, char *error);

#endif
