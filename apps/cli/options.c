/* Option tables on top of getopt_long, which splits the command line; the values are judged here,
   because strtol and strtod accept more than a user means (spaces, trailing letters, "nan"). */
#include "options.h"

#include "failure.h"
#include "suggest.h"
#include "tensor/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getopt_long's codes for rows: beyond every character. */
enum { FIRST_CODE = 256, HELP_CODE = 'h', HELP_COLUMN = 29 };

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
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    const char *nearest = cbi_nearest_name(name, names);
    if (nearest != NULL) {
        return failure(error, FAILURE_SIZE, "--%s: there is no \"%s\" (did you mean %s?)", option,
                       name, nearest);
    }
    char list[512] = "";
    size_t length = 0;
    for (size_t i = 0; names[i] != NULL && length < sizeof list; i++) {
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i == 0 ? "" : ", ",
                                   names[i]);
    }
    return failure(error, FAILURE_SIZE, "--%s: there is no \"%s\"; there are %s", option, name,
                   list);
}

static bool within(const option_row *row, double value) {
    bool above = row->above_low ? value > row->low : value >= row->low;
    bool below = row->below_high ? value < row->high : value <= row->high;
    return above && below;
}

static bool range_failure(const option_row *row, const char *text, char *error) {
    char high[64] = "";
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

static bool take_value(option_row *row, const char *text, char *error) {
    if (row->given != NULL)
        *row->given = true;
    if (row->flag != NULL) {
        *row->flag = true;
        return true;
    }
    if (row->string != NULL) {
        *row->string = row->joined && *row->string != NULL ? joined(*row->string, text) : text;
        return *row->string != NULL || failure(error, FAILURE_SIZE, "out of memory");
    }
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

static void print_default(const option_row *row) {
    if (row->string != NULL && *row->string != NULL && **row->string != '\0')
        printf(" (%s)", *row->string);
    else if (row->seed != NULL)
        printf(" (%" PRIu64 ")", *row->seed);
    else if (row->whole != NULL && within(row, (double)*row->whole))
        printf(" (%" PRId64 ")", *row->whole);
    else if (row->number != NULL && !isnan(*row->number))
        printf(" (%g)", *row->number);
}

static void print_help(const option_table *table) {
    fputs(table->usage, stdout);
    fputs("\n", stdout);
    for (const option_row *row = table->rows; row->name != NULL; row++) {
        char left[80] = "      ";
        if (row->letter != 0)
            snprintf(left, sizeof left, "  -%c, ", row->letter);
        size_t length = strlen(left);
        snprintf(left + length, sizeof left - length, "--%s%s%s", row->name,
                 row->flag == NULL ? " " : "", row->flag == NULL ? row->value : "");
        printf("%-*s ", HELP_COLUMN, left);
        for (const char *c = row->help; *c != '\0'; c++) {
            putchar(*c);
            if (*c == '\n')
                printf("%*s", HELP_COLUMN + 1, "");
        }
        print_default(row);
        fputs("\n", stdout);
    }
    printf("%-*s %s\n", HELP_COLUMN, "  -h, --help", "this text");
    if (table->notes != NULL)
        printf("\n%s", table->notes);
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

options_outcome options_parse(const option_table *table, int argc, char **argv, char *error) {
    struct option options[OPTIONS_MOST + 2];
    char letters[2 * OPTIONS_MOST + 3];
    int count = fill_getopt(table, options, letters);
    /* --help shows the defaults, so it is looked for before they are overwritten. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(table);
            return OPTIONS_HELP;
        }
    }
    opterr = 0;
    optind = 0; /* glibc: start afresh, whatever has been parsed before */
    int code;
    while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (code == '?' || code == ':') {
            suggest_option_message(code, argv[optind - 1], options, error, FAILURE_SIZE);
            return OPTIONS_BAD;
        }
        option_row *row = row_of_code(table, count, code);
        if (row == NULL) { /* an abbreviation of --help */
            print_help(table);
            return OPTIONS_HELP;
        }
        if (!take_value(row, optarg, error))
            return OPTIONS_BAD;
    }
    for (;
         optind < argc && table->most_operands > 0 && *table->operand_count < table->most_operands;
         optind++)
        table->operands[(*table->operand_count)++] = argv[optind];
    if (optind < argc) {
        failure(error, FAILURE_SIZE, "unexpected argument \"%s\"", argv[optind]);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}
