/* Command lines: one table says what the options of a subcommand are called, where their values go,
   which values are allowed and what --help says of them. */
#ifndef CEREBRA_APPS_CLI_OPTIONS_H
#define CEREBRA_APPS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* What a run that goes on makes of an option that it was started with (settings.h). */
typedef enum option_keep {
    OPTION_FORGOTTEN, /* nothing */
    OPTION_KEPT,      /* its value, unless another is given */
    OPTION_FIXED,     /* its value, and no other is accepted */
} option_keep;

/* One option. Exactly one of the five targets is set and says of which kind it is; the value it
   points at before parsing is the default, which --help prints. */
typedef struct option_row {
    const char *name;    /* without the dashes */
    char letter;         /* of the short form; 0: none */
    bool *flag;          /* takes no value; set to true */
    const char **string; /* points into argv */
    int64_t *whole;      /* a whole number from low to high */
    uint64_t *seed;      /* a whole number from 0 to 2^64 - 1 */
    double *number;      /* a finite number from low to high; NaN as default: none is printed */
    const char *value;   /* what --help calls the value, such as "FILE" */
    const char *help;
    double low, high;
    bool above_low, below_high; /* the end itself is not allowed */
    bool *given;                /* set to true when the option is there; NULL: not wanted */
    option_keep keep;
    bool joined; /* a string that may be given again: the values are joined by "," */
} option_row;

/* A subcommand's command line. */
typedef struct option_table {
    const char *command; /* the subcommand's name */
    const char *usage;   /* what --help prints above the options */
    const char *notes;   /* and below them; NULL: nothing */
    option_row *rows;    /* ended by a row without a name; --help is added to them */
    int most_operands;   /* arguments that are no options; 0: refused */
    const char **operands;
    int *operand_count;
} option_table;

enum { OPTIONS_MOST = 96 };

typedef enum options_outcome {
    OPTIONS_RUN,  /* go on */
    OPTIONS_HELP, /* --help was asked for and has been printed to standard output */
    OPTIONS_BAD,  /* error says what is wrong, in one line that names the option */
} options_outcome;

/* Parses a whole command line. Arguments that are no options are refused, unless the table has room
   for them. error has room for
   FAILURE_SIZE bytes. */
options_outcome options_parse(const option_table *table, int argc, char **argv, char *error);

/* The whole text as a number: no space, no sign but '-', no hexadecimal, no infinity, no overflow.
 */
bool options_parse_whole(const char *text, int64_t *value);
bool options_parse_seed(const char *text, uint64_t *value);
bool options_parse_number(const char *text, double *value);

/* Whether name is in a list ended by NULL; if not, error says that OPTION has no such value, and
   names the nearest. */
bool options_check_name(const char *option, const char *name, const char *const *names,
                        char *error);

#endif
