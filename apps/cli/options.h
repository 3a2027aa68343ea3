/* Command lines: one table says what the options of a subcommand are called, where their values go,
   which values are allowed and what they are for. --help, the manual page and the completion of
   shells are made from it. */
#ifndef CEREBRA_APPS_CLI_OPTIONS_H
#define CEREBRA_APPS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a run that goes on makes of an option that it was started with (settings.h). */
typedef enum option_keep {
    OPTION_FORGOTTEN, /* nothing */
    OPTION_KEPT,      /* its value, unless another is given */
    OPTION_FIXED,     /* its value, and no other is accepted */
} option_keep;

/* The values of an option that may be given again; owned by the caller, who frees the array. */
typedef struct option_list {
    const char **values; /* they point into argv */
    size_t count, room;
} option_list;

/* One option. Exactly one of the six targets is set and says of which kind it is; the value it
   points at before parsing is the default, which --help prints. */
typedef struct option_row {
    const char *name;    /* without the dashes */
    char letter;         /* of the short form; 0: none */
    bool *flag;          /* takes no value; set to true */
    const char **string; /* points into argv */
    option_list *list;   /* a string each time the option is given */
    int64_t *whole;      /* a whole number from low to high */
    uint64_t *seed;      /* a whole number from 0 to 2^64 - 1 */
    double *number;      /* a finite number from low to high; NaN as default: none is printed */
    /* What --help calls the value. FILE, FILE.so, DIR and CELL, with ",..." when several may be
       given, tell a shell what to complete. */
    const char *value;
    const char *help;         /* one paragraph, without an end of line */
    const char *const *names; /* the values that a string may have, ended by NULL; NULL: any */
    double low, high;
    bool above_low, below_high; /* the end itself is not allowed */
    bool *given;                /* set to true when the option is there; NULL: not wanted */
    option_keep keep;
    bool joined; /* a string that may be given again: the values are joined by "," */
    bool commas; /* a string that may hold several of names, with commas between them */
} option_row;

/* A subcommand's command line. Texts are paragraphs, ended by '\n', which are filled to the width
   of a page; a line that begins with a space stays as it is. */
typedef struct option_table {
    const char *command;  /* the subcommand's name */
    const char *synopsis; /* what follows it, such as "[OPTION ...] FILE ..." */
    const char *about;    /* what it does */
    const char *notes;    /* what --help prints below the options; NULL: nothing */
    option_row *rows;     /* ended by a row without a name; --help is added to them */
    const char *operand;  /* what arguments are that are no options: FILE or CELL; NULL: refused */
    option_list *operands;
} option_table;

enum { OPTIONS_MOST = 96 };

typedef enum options_outcome {
    OPTIONS_RUN,  /* go on */
    OPTIONS_HELP, /* --help was asked for and has been printed to standard output */
    OPTIONS_BAD,  /* error says what is wrong, in one line that names the option */
} options_outcome;

/* Parses a whole command line. An option with one value that is given twice is refused, for one of
   the two would be passed over. error has room for FAILURE_SIZE bytes. */
options_outcome options_parse(const option_table *table, int argc, char **argv, char *error);

/* Prints a table in one of these forms, by name, to standard output; false: there is no such form.
   "text": for people. "man": a section of the manual page. "words": for the completion of shells, a
   line for each option, "--NAME", a tab, its value ("" for a flag), a tab, and the values there
   are; and one that begins with "operand" instead. */
bool options_print(const option_table *table, const char *form);

/* The whole text as a number: no space, no sign but '-', no hexadecimal, no infinity, no overflow.
 */
bool options_parse_whole(const char *text, int64_t *value);
bool options_parse_seed(const char *text, uint64_t *value);
bool options_parse_number(const char *text, double *value);

/* Whether name is in a list ended by NULL; if not, error says that OPTION has no such value, and
   names the nearest. */
bool options_check_name(const char *option, const char *name, const char *const *names,
                        char *error);

/* Adds rows, of so many bytes, to a table of *count rows that has room for OPTIONS_MOST. */
void options_append(option_row *rows, int *count, const option_row *more, size_t bytes);

/* Adds a value; false without memory. */
bool option_list_add(option_list *list, const char *value);

#endif
