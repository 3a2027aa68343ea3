/* Option tables in print: --help, the manual page, and words for the completion of shells. */
#include "options.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_WIDTH = 80, HELP_COLUMN = 30, LONGEST_HELP = 2048 };

/* Adds to a text in a buffer of LONGEST_HELP bytes. */
static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *text, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, LONGEST_HELP - length, format, arguments);
    va_end(arguments);
}

static void add_default(const option_row *row, char *text) {
    if (row->string != NULL && *row->string != NULL && **row->string != '\0')
        add(text, " (%s)", *row->string);
    else if (row->seed != NULL)
        add(text, " (%" PRIu64 ")", *row->seed);
    else if (row->whole != NULL && (double)*row->whole >= row->low &&
             (double)*row->whole <= row->high)
        add(text, " (%" PRId64 ")", *row->whole);
    else if (row->number != NULL && !isnan(*row->number))
        add(text, " (%g)", *row->number);
}

/* What an option does, its values, and its default. */
static void describe(const option_row *row, char text[LONGEST_HELP]) {
    text[0] = '\0';
    add(text, "%s", row->help);
    for (int i = 0; row->names != NULL && row->names[i] != NULL; i++) {
        const char *before = i == 0 ? ": " : row->names[i + 1] == NULL ? " or " : ", ";
        add(text, "%s%s", before, row->names[i]);
    }
    add_default(row, text);
}

/* ---- For people ------------------------------------------------------------------------------ */

/* Prints words from a column on, and goes on at `indent` in the next lines. */
static void fill_line(const char *text, size_t length, int column, int indent) {
    bool first = true;
    for (size_t at = 0; at < length;) {
        size_t word = strcspn(text + at, " \n");
        if (!first && column + 1 + (int)word > PAGE_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += printf("%s%.*s", first ? "" : " ", (int)word, text + at);
        first = false;
        at += word + 1;
    }
    putchar('\n');
}

/* Fills each paragraph; lines that begin with a space stay. */
static void fill_paragraphs(const char *text) {
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (*text == ' ')
            printf("%.*s\n", (int)length, text);
        else
            fill_line(text, length, 0, 0);
        text += length + (text[length] == '\n');
    }
}

static void print_option(const option_row *row) {
    char text[LONGEST_HELP], left[128] = "      ";
    if (row->letter != 0)
        snprintf(left, sizeof left, "  -%c, ", row->letter);
    size_t length = strlen(left);
    snprintf(left + length, sizeof left - length, "--%s%s%s", row->name,
             row->flag == NULL ? " " : "", row->flag == NULL ? row->value : "");
    int column = printf("%s", left);
    if (column >= HELP_COLUMN) { /* the text begins in a line of its own */
        putchar('\n');
        column = 0;
    }
    describe(row, text);
    printf("%*s", HELP_COLUMN - column, "");
    fill_line(text, strlen(text), HELP_COLUMN, HELP_COLUMN);
}

/* --help as a row of the table. */
static const option_row help_row = {"help", 'h', .flag = &(bool){false},
                                    .help =
                                        "this text; --help=man: as a section of the manual page"};

static void print_text(const option_table *table) {
    printf("Usage: cerebra %s %s\n", table->command, table->synopsis);
    fill_paragraphs(table->about);
    putchar('\n');
    for (const option_row *row = table->rows; row->name != NULL; row++)
        print_option(row);
    print_option(&help_row);
    if (table->notes != NULL) {
        putchar('\n');
        fill_paragraphs(table->notes);
    }
}

/* ---- The manual page ------------------------------------------------------------------------- */

/* A line of roff: no character at its beginning, and no hyphen, means anything to troff. */
static void print_roff(const char *text, size_t length) {
    if (length > 0 && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
    putchar('\n');
}

static void print_roff_paragraphs(const char *text) {
    bool as_it_is = false;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (as_it_is != (*text == ' ')) {
            as_it_is = !as_it_is;
            puts(as_it_is ? ".nf" : ".fi");
        }
        if (length > 0 && !as_it_is)
            puts(".PP");
        if (length > 0)
            print_roff(text, length);
        text += length + (text[length] == '\n');
    }
    if (as_it_is)
        puts(".fi");
}

static void print_manual(const option_table *table) {
    printf(".SS %s\n.B cerebra %s\n", table->command, table->command);
    print_roff(table->synopsis, strlen(table->synopsis));
    print_roff_paragraphs(table->about);
    for (const option_row *row = table->rows; row->name != NULL; row++) {
        char text[LONGEST_HELP] = "";
        fputs(".TP\n.B ", stdout);
        if (row->letter != 0)
            add(text, "-%c, ", row->letter);
        add(text, "--%s%s%s", row->name, row->flag == NULL ? " " : "",
            row->flag == NULL ? row->value : "");
        print_roff(text, strlen(text));
        describe(row, text);
        print_roff(text, strlen(text));
    }
    if (table->notes != NULL)
        print_roff_paragraphs(table->notes);
}

/* ---- For shells ------------------------------------------------------------------------------ */

static void print_words(const option_table *table) {
    for (const option_row *row = table->rows; row->name != NULL; row++) {
        printf("--%s\t%s\t", row->name, row->flag == NULL ? row->value : "");
        for (int i = 0; row->names != NULL && row->names[i] != NULL; i++)
            printf("%s%s", i == 0 ? "" : " ", row->names[i]);
        putchar('\n');
    }
    puts("--help\t\t");
    if (table->operand != NULL)
        printf("operand\t%s\t\n", table->operand);
}

bool options_print(const option_table *table, const char *form) {
    static const struct {
        const char *form;
        void (*print)(const option_table *);
    } forms[] = {{"text", print_text}, {"man", print_manual}, {"words", print_words}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(form, forms[i].form) == 0) {
            forms[i].print(table);
            return true;
        }
    }
    return false;
}
