/* Option tables on top of getopt_long, which splits the command line; the values are judged here,
   because strtol and strtod accept more than a user means (spaces, trailing letters, "nan"). */
#include "options.h"

#include "failure.h"
#include "grow.h"
#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getopt_long's codes for rows: beyond every character. */
enum { FIRST_CODE = 256, HELP_CODE = 'h' };

bool options_parse_whole(const char *text, int64_t *value) {
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (!isdigit((unsigned char)digits[0]))
        return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    *value = parsed;
    return *end == '\0' && errno == 0;
}

bool options_parse_seed(const char *text, uint64_t *value) {
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    *value = parsed;
    return *end == '\0' && errno == 0;
}

bool options_parse_number(const char *text, double *value) {
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0' || text[0] == '+')
        return false;
    char *end;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

bool options_check_name(const char *option, const char *name, const char *const *names,
                        char *error) {
    char what[128];
    snprintf(what, sizeof what, "--%s", option);
    return suggest_name(what, name, names, error);
}

static bool within(const option_row *row, double value) {
    bool above = row->above_low ? value > row->low : value >= row->low;
    bool below = row->below_high ? value < row->high : value <= row->high;
    return above && below;
}

static bool range_failure(const option_row *row, const char *text, char *error) {
    char high[64] = "";
    if (isinf(row->low) && isinf(row->high))
        return failure(error, FAILURE_SIZE, "--%s must be a number, not \"%s\"", row->name, text);
    if (isfinite(row->high)) {
        snprintf(high, sizeof high, " and %s %.10g", row->below_high ? "less than" : "at most",
                 row->high);
    }
    return failure(error, FAILURE_SIZE, "--%s must be a number %s %.10g%s, not \"%s\"", row->name,
                   row->above_low ? "greater than" : "of at least", row->low, high, text);
}

/* "first,second"; kept as long as the process, as argv is. */
static const char *joined(const char *first, const char *second) {
    typedef struct text {
        struct text *next;
        char both[];
    } text;
    static text *kept;
    size_t length = strlen(first) + strlen(second) + 2;
    text *new = malloc(sizeof *new + length);
    if (new == NULL)
        return NULL;
    snprintf(new->both, length, "%s,%s", first, second);
    new->next = kept;
    kept = new;
    return new->both;
}

void options_append(option_row *rows, int *count, const option_row *more, size_t bytes) {
    memcpy(rows + *count, more, bytes);
    *count += (int)(bytes / sizeof(option_row));
}

bool option_list_add(option_list *list, const char *value) {
    const char **values = grow(list->values, &list->room, list->count + 1, sizeof *values);
    if (values == NULL)
        return false;
    list->values = values;
    list->values[list->count++] = value;
    return true;
}

/* Whether a string, or each of its parts between commas, is one of those that there are. */
static bool check_names(const option_row *row, const char *text, char *error) {
    for (const char *at = text; row->names != NULL && at != NULL;) {
        char name[64];
        size_t length = row->commas ? strcspn(at, ",") : strlen(at);
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), at);
        if (!options_check_name(row->name, name, row->names, error))
            return false;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}

static bool take_string(option_row *row, const char *text, char *error) {
    if (!check_names(row, text, error))
        return false;
    bool taken = true;
    if (row->list != NULL)
        taken = option_list_add(row->list, text);
    else if (row->joined && *row->string != NULL)
        taken = (*row->string = joined(*row->string, text)) != NULL;
    else
        *row->string = text;
    return taken || failure(error, FAILURE_SIZE, "out of memory");
}

static bool take_value(option_row *row, const char *text, char *error) {
    if (row->given != NULL)
        *row->given = true;
    if (row->flag != NULL) {
        *row->flag = true;
        return true;
    }
    if (row->string != NULL || row->list != NULL)
        return take_string(row, text, error);
    if (row->seed != NULL) {
        return options_parse_seed(text, row->seed) ||
               failure(error, FAILURE_SIZE,
                       "--%s must be a whole number from 0 to %" PRIu64 ", not \"%s\"", row->name,
                       UINT64_MAX, text);
    }
    if (row->whole != NULL) {
        int64_t value;
        if (!options_parse_whole(text, &value) || !within(row, (double)value)) {
            return failure(error, FAILURE_SIZE,
                           "--%s must be a whole number from %.0f to %.0f, not \"%s\"", row->name,
                           row->low, row->high, text);
        }
        *row->whole = value;
        return true;
    }
    double value;
    if (!options_parse_number(text, &value) || !within(row, value))
        return range_failure(row, text, error);
    *row->number = value;
    return true;
}

/* Whether a second value would take the place of the first. */
static bool is_single(const option_row *row) {
    return row->flag == NULL && row->list == NULL && !row->joined;
}

/* Fills getopt_long's own tables; returns the number of rows. */
static int fill_getopt(const option_table *table, struct option *options, char *letters) {
    int count = 0;
    *letters++ = ':';
    for (; table->rows[count].name != NULL && count < OPTIONS_MOST; count++) {
        const option_row *row = &table->rows[count];
        int argument = row->flag == NULL ? required_argument : no_argument;
        options[count] = (struct option){row->name, argument, NULL, FIRST_CODE + count};
        if (row->letter != 0) {
            *letters++ = row->letter;
            if (argument == required_argument)
                *letters++ = ':';
        }
    }
    options[count] = (struct option){"help", no_argument, NULL, HELP_CODE};
    options[count + 1] = (struct option){NULL, 0, NULL, 0};
    *letters++ = HELP_CODE;
    *letters = '\0';
    return count;
}

static option_row *row_of_code(const option_table *table, int count, int code) {
    for (int i = 0; i < count; i++)
        if (code == FIRST_CODE + i || (code < FIRST_CODE && code == table->rows[i].letter))
            return &table->rows[i];
    return NULL;
}

/* Looks for --help, whose defaults are lost once values are taken. It may name another form. */
static bool find_help(const option_table *table, int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *form = strncmp(argv[i], "--help=", 7) == 0 ? argv[i] + 7 : NULL;
        bool plain = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if ((plain || form != NULL) && options_print(table, plain ? "text" : form))
            return true;
    }
    return false;
}

/* Takes the arguments that are no options. */
static bool take_operands(const option_table *table, int argc, char **argv, char *error) {
    for (int i = optind; i < argc; i++) {
        if (table->operand == NULL)
            return failure(error, FAILURE_SIZE, "unexpected argument \"%s\"", argv[i]);
        if (!option_list_add(table->operands, argv[i]))
            return failure(error, FAILURE_SIZE, "out of memory");
    }
    return true;
}

options_outcome options_parse(const option_table *table, int argc, char **argv, char *error) {
    struct option options[OPTIONS_MOST + 2];
    char letters[2 * OPTIONS_MOST + 3];
    bool seen[OPTIONS_MOST] = {false};
    int count = fill_getopt(table, options, letters);
    if (find_help(table, argc, argv))
        return OPTIONS_HELP;
    opterr = 0;
    optind = 0; /* glibc: start afresh, whatever has been parsed before */
    int code;
    while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (code == '?' || code == ':') {
            suggest_option_message(code, argv[optind - 1], options, error, FAILURE_SIZE);
            return OPTIONS_BAD;
        }
        option_row *row = row_of_code(table, count, code);
        if (row == NULL) /* an abbreviation of --help */
            return options_print(table, "text") ? OPTIONS_HELP : OPTIONS_BAD;
        if (seen[row - table->rows] && is_single(row)) {
            failure(error, FAILURE_SIZE, "--%s is given twice", row->name);
            return OPTIONS_BAD;
        }
        seen[row - table->rows] = true;
        if (!take_value(row, optarg, error))
            return OPTIONS_BAD;
    }
    return take_operands(table, argc, argv, error) ? OPTIONS_RUN : OPTIONS_BAD;
}
