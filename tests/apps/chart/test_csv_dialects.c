/* Random tables in random dialects: what is read must be what was meant. The reference is the table
   of values itself, from which the text was written; new ones each run. CEREBRA_TEST_SEED repeats a
   run. */
#include "apps/chart/csv.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TABLES = 3000, MOST_ROWS = 12, MOST_COLUMNS = 6, TEXT_SIZE = 1 << 16 };

/* What a cell of the table means, and with which words. */
typedef enum meaning { NUMBER, GAP, BLANK } meaning;

typedef struct cell {
    meaning meaning;
    double value;
} cell;

typedef struct document {
    size_t rows, columns, x, y; /* column x has the epochs, column y the losses */
    cell cells[MOST_ROWS][MOST_COLUMNS];
    char separator;
    bool comma; /* the decimal mark */
    const char *end;
    char text[TEXT_SIZE];
    size_t length;
} document;

static cb_random generator;
static unsigned long long run_seed;
static char path[64];
static char error[512];

static double uniform(void) {
    double value;
    cb_random_uniform_f64(&generator, 1, &value, 0, 1);
    return value;
}

static size_t below(size_t count) {
    return (size_t)(uniform() * (double)count) % count;
}

static bool chance(double probability) {
    return uniform() < probability;
}

static void put(document *d, const char *text) {
    size_t length = strlen(text);
    cr_assert_lt(d->length + length, sizeof d->text);
    memcpy(d->text + d->length, text, length + 1);
    d->length += length;
}

static void put_field(document *d, const char *text, bool must_quote) {
    bool quoted = must_quote || chance(0.15);
    put(d, chance(0.1) ? "  " : "");
    put(d, quoted ? "\"" : "");
    put(d, text);
    put(d, quoted ? "\"" : "");
    put(d, chance(0.1) ? " " : "");
}

static void put_number(document *d, double value) {
    static const char *const formats[] = {"%.6g", "%.17g", "%g", "%.3e", "%+.5f"};
    char text[64];
    snprintf(text, sizeof text, formats[below(5)], value);
    char *point = strchr(text, '.');
    if (point != NULL && d->comma)
        *point = ',';
    put_field(d, text, false);
}

/* The value that put_number's text means is only close to the value; this one is exact. */
static double draw_value(void) {
    static const double scales[] = {1, 0.25, 4096, 0.5};
    return (double)((long)below(201) - 100) * scales[below(4)];
}

static void draw_cells(document *d) {
    for (size_t row = 0; row < d->rows; row++) {
        for (size_t column = 0; column < d->columns; column++) {
            cell *at = &d->cells[row][column];
            double which = uniform();
            at->meaning = column == d->x || which < 0.6 ? NUMBER : which < 0.75 ? GAP : BLANK;
            at->value = column == d->x ? (double)row : draw_value();
        }
    }
}

static void put_separator(document *d) {
    char text[] = {d->separator, '\0'};
    put(d, text);
}

static void put_noise(document *d) {
    static const char *const noise[] = {"", "# a comment, \"unclosed", "   ", "  # of two; kinds"};
    while (chance(0.15)) {
        put(d, noise[below(4)]);
        put(d, d->end);
    }
}

static void put_header(document *d) {
    /* Names that hold what separates, and an end of line. */
    static const char *const others[] = {"rate",       "a, b",      "x;y",     "tab\there",
                                         "two\nlines", "\"\"q\"\"", "seconds", "größe"};
    for (size_t column = 0; column < d->columns; column++) {
        if (column > 0)
            put_separator(d);
        const char *other = others[column % 8];
        bool plain = strcspn(other, ",;\t\n\"") == strlen(other);
        if (column == d->x)
            put_field(d, chance(0.5) ? "epoch" : "Epoch", false);
        else if (column == d->y)
            put_field(d, "loss", false);
        else
            put_field(d, other, !plain);
    }
    put(d, d->end);
}

static void put_row(document *d, size_t row) {
    static const char *const words[] = {"nan", "NaN", "NA", "N/A", "None", "null", "-"};
    for (size_t column = 0; column < d->columns; column++) {
        const cell *at = &d->cells[row][column];
        if (column > 0)
            put_separator(d);
        if (at->meaning == NUMBER)
            put_number(d, at->value);
        else if (at->meaning == GAP)
            put_field(d, words[below(7)], false);
        else
            put(d, d->separator != '\t' && chance(0.2) ? "  " : "");
    }
    if (chance(0.1))
        put_separator(d);
}

static void write_document(document *d) {
    static const char separators[] = ",;\t";
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    d->rows = below(MOST_ROWS) + 1;
    d->columns = below(MOST_COLUMNS - 1) + 2;
    d->x = below(d->columns);
    d->y = (d->x + 1 + below(d->columns - 1)) % d->columns;
    d->separator = separators[below(3)];
    d->comma = d->separator != ',' && chance(0.5);
    d->end = ends[below(3)];
    d->length = 0;
    draw_cells(d);
    put(d, chance(0.2) ? "\xef\xbb\xbf" : "");
    put_noise(d);
    put_header(d);
    for (size_t row = 0; row < d->rows; row++) {
        put_noise(d);
        if (chance(0.05))
            put_header(d);
        put_row(d, row);
        if (row + 1 < d->rows || chance(0.7))
            put(d, d->end);
    }
    FILE *file = fopen(path, "wb");
    cr_assert_eq(fwrite(d->text, 1, d->length, file), d->length);
    fclose(file);
}

/* Whether a blank loss means that the row is another quantity's. */
static bool is_others(const document *d, size_t row) {
    for (size_t column = 0; column < d->columns; column++)
        if (column != d->x && column != d->y && d->cells[row][column].meaning == NUMBER)
            return true;
    return false;
}

static void check(const document *d, const csv_series *series, bool curves) {
    size_t at = 0;
    for (size_t row = 0; row < d->rows; row++) {
        const cell *loss = &d->cells[row][d->y];
        if (curves && loss->meaning == BLANK && is_others(d, row))
            continue;
        cr_assert_lt(at, series->count, "seed %llu, too few rows:\n%s", run_seed, d->text);
        bool same = loss->meaning == NUMBER
                        ? fabs(series->y[at] - loss->value) <= 1e-3 * fabs(loss->value)
                        : isnan(series->y[at]);
        cr_assert(same && series->x[at] == (double)row, "seed %llu, row %zu is (%g, %g):\n%s",
                  run_seed, row, series->x[at], series->y[at], d->text);
        at++;
    }
    cr_assert_eq(at, series->count, "seed %llu, too many rows:\n%s", run_seed, d->text);
}

static void start(void) {
    const char *again = getenv("CEREBRA_TEST_SEED");
    run_seed = again != NULL ? strtoull(again, NULL, 10)
                             : (unsigned long long)time(NULL) * 1000003U + (unsigned)getpid();
    generator = cb_random_seed(run_seed);
    printf("csv dialects: CEREBRA_TEST_SEED=%llu\n", run_seed);
    snprintf(path, sizeof path, "/tmp/cerebra-test-dialects-%ld.csv", (long)getpid());
}

Test(csv_dialects, what_is_read_is_what_was_meant) {
    static document d;
    start();
    for (size_t i = 0; i < TABLES; i++) {
        csv_series series;
        const char *y = chance(0.5) ? "loss" : NULL;
        write_document(&d);
        cr_assert(csv_read_series(path, "epoch", y, &series, error, sizeof error),
                  "seed %llu: %s\n%s", run_seed, error, d.text);
        check(&d, &series, false);
        csv_free_series(&series);
        cr_assert(csv_read_curves(path, NULL, &y, 1, &series, error, sizeof error),
                  "seed %llu: %s\n%s", run_seed, error, d.text);
        check(&d, &series, true);
        csv_free_series(&series);
    }
    unlink(path);
}

/* Any bytes: an error or a series, and nothing that AddressSanitizer would see. */
Test(csv_dialects, damaged_tables_are_read_or_refused) {
    static const char letters[] = ",;\t\"\n\r#-+.eE0123456789[]: anlos\xc3\xff";
    static document d;
    start();
    for (size_t i = 0; i < TABLES; i++) {
        csv_series series[2];
        const char *names[] = {"loss", NULL};
        write_document(&d);
        for (size_t edits = below(6) + 1; edits > 0; edits--)
            d.text[below(d.length)] = letters[below(sizeof letters)];
        FILE *file = fopen(path, "wb");
        cr_assert_eq(fwrite(d.text, 1, d.length, file), d.length);
        fclose(file);
        error[0] = '\0';
        bool ok = csv_read_curves(path, NULL, names, 2, series, error, sizeof error);
        cr_assert_eq(ok, error[0] == '\0', "seed %llu", run_seed);
        for (size_t j = 0; j < 2; j++) {
            cr_assert(ok || series[j].x == NULL, "seed %llu", run_seed);
            cr_assert(csv_group_seeds(&series[j]));
            csv_free_series(&series[j]);
        }
    }
    unlink(path);
}
