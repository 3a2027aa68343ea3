/* A log is read line by line; the first line that is not blank or a comment says which of the two
   forms it has. Every row is checked in full, with its line number, because a log that is cut short
   or mixed with other output must not become a plausible curve. */
#include "csv.h"

#include "apps/cli/failure.h"
#include "tensor/nearest.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

enum { MOST_COLUMNS = 256 };

typedef struct reader {
    const char *path; /* for messages */
    FILE *stream;
    char *line; /* from getline; the current line without its end */
    size_t line_capacity;
    size_t line_number;
    char *error;
    size_t error_size;
    csv_series *series;
    size_t capacity;
    size_t x_index, y_index, column_count; /* of a CSV file; x_index SIZE_MAX: the row's number */
} reader;

static bool row_failure(const reader *in, const char *what, const char *detail) {
    return failure(in->error, in->error_size, "%s:%zu: %s%s", in->path, in->line_number, what,
                   detail);
}

/* Text has none but tabs; bytes of UTF-8 sequences are all above them. */
static bool has_control_characters(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' && *text != '\t')
            return true;
    return false;
}

/* The next line that is not blank or a comment. Returns 1, 0 at the end, -1 on an error. */
static int next_line(reader *in) {
    for (;;) {
        errno = 0;
        ssize_t length = getline(&in->line, &in->line_capacity, in->stream);
        if (length < 0) {
            if (ferror(in->stream) || !feof(in->stream)) {
                failure(in->error, in->error_size, "cannot read %s: %s", in->path, strerror(errno));
                return -1;
            }
            return 0;
        }
        in->line_number++;
        bool is_text = strlen(in->line) == (size_t)length;
        while (is_text && length > 0 && strchr("\r\n", in->line[length - 1]) != NULL)
            in->line[--length] = '\0';
        if (!is_text || has_control_characters(in->line)) {
            row_failure(in, "this is not a text file", "");
            return -1;
        }
        if (in->line_number == 1 && strncmp(in->line, "\xef\xbb\xbf", 3) == 0)
            memmove(in->line, in->line + 3, (size_t)length - 2);
        const char *start = in->line + strspn(in->line, " \t");
        if (*start != '\0' && *start != '#')
            return 1;
    }
}

static bool append_point(reader *in, double x, double y) {
    csv_series *series = in->series;
    if (series->count == in->capacity) {
        size_t capacity = in->capacity == 0 ? 256 : in->capacity * 2;
        bool fits = capacity <= SIZE_MAX / sizeof(double);
        double *xs = fits ? realloc(series->x, capacity * sizeof *xs) : NULL;
        series->x = xs != NULL ? xs : series->x;
        double *ys = xs != NULL ? realloc(series->y, capacity * sizeof *ys) : NULL;
        series->y = ys != NULL ? ys : series->y;
        if (ys == NULL)
            return failure(in->error, in->error_size, "%s: out of memory", in->path);
        in->capacity = capacity;
    }
    series->x[series->count] = x;
    series->y[series->count] = y;
    series->count++;
    return true;
}

static bool name_columns(reader *in, const char *x_name, const char *y_name) {
    in->series->x_name = strdup(x_name);
    in->series->y_name = strdup(y_name);
    return (in->series->x_name != NULL && in->series->y_name != NULL) ||
           failure(in->error, in->error_size, "%s: out of memory", in->path);
}

static char *trim(char *text) {
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

/* Takes one field off *rest, in place, with quotes removed ("" inside quotes is a quote). *rest
   becomes NULL after the last field. Returns NULL when quotes are not closed or not at the ends. */
static char *take_field(char **rest) {
    char *start = *rest + strspn(*rest, " \t");
    if (*start != '"') {
        char *comma = strchr(start, ',');
        *rest = comma == NULL ? NULL : comma + 1;
        if (comma != NULL)
            *comma = '\0';
        return trim(start);
    }
    char *from = start + 1;
    char *to = start;
    while (*from != '\0' && (*from != '"' || from[1] == '"')) {
        from += *from == '"';
        *to++ = *from++;
    }
    if (*from != '"')
        return NULL;
    from++;
    from += strspn(from, " \t");
    if (*from != ',' && *from != '\0')
        return NULL;
    *rest = *from == ',' ? from + 1 : NULL;
    *to = '\0';
    return start;
}

/* Splits the current line. Returns the number of fields, 0 after an error. */
static size_t split(reader *in, char **fields) {
    size_t count = 0;
    for (char *rest = in->line; rest != NULL; count++) {
        if (count == MOST_COLUMNS) {
            row_failure(in, "more than 256 columns", "");
            return 0;
        }
        fields[count] = take_field(&rest);
        if (fields[count] == NULL) {
            row_failure(in, "a quotation mark is out of place", "");
            return 0;
        }
    }
    return count;
}

/* A whole field as a number; an empty one is NaN, a gap in the curve. */
static bool parse_number(const char *text, double *value) {
    if (*text == '\0') {
        *value = NAN;
        return true;
    }
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0';
}

static size_t find_column(char **fields, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(fields[i], name) == 0)
            return i;
    return SIZE_MAX;
}

static bool no_column(reader *in, char **fields, size_t count, const char *name) {
    const char *candidates[MOST_COLUMNS + 1] = {NULL};
    char list[256] = "";
    double number;
    size_t numbers = 0;
    for (size_t i = 0; i < count; i++) {
        candidates[i] = fields[i];
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i == 0 ? "" : ", ", fields[i]);
        numbers += *fields[i] != '\0' && parse_number(fields[i], &number);
    }
    if (numbers == count) {
        return row_failure(in,
                           "expected a header row with the names of the columns, found only "
                           "numbers",
                           "");
    }
    const char *nearest = cbi_nearest_name(name, candidates);
    return failure(in->error, in->error_size,
                   "%s:%zu: no column named \"%s\"%s%s%s; the columns are: %s", in->path,
                   in->line_number, name, nearest == NULL ? "" : " (did you mean \"",
                   nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?)", list);
}

/* The first of the usual names that is there, else the first column other than `other`. */
static size_t default_x(char **fields, size_t count, size_t other) {
    static const char *const usual[] = {"epoch", "step", "iteration"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t index = find_column(fields, count, usual[i]);
        if (index != SIZE_MAX && index != other)
            return index;
    }
    return count == 1 ? SIZE_MAX : other == 0 ? 1 : 0;
}

/* Finds the two columns in the header row. */
static bool read_header(reader *in, const char *x_column, const char *y_column) {
    char *fields[MOST_COLUMNS];
    size_t count = split(in, fields);
    if (count == 0)
        return false;
    size_t x = x_column == NULL ? SIZE_MAX : find_column(fields, count, x_column);
    if (x_column != NULL && x == SIZE_MAX)
        return no_column(in, fields, count, x_column);
    size_t y = find_column(fields, count, y_column == NULL ? "loss" : y_column);
    double number;
    if (y == SIZE_MAX && y_column == NULL && count <= 2 && !parse_number(fields[0], &number))
        y = count == 1 ? 0 : x == SIZE_MAX ? 1 : 1 - x;
    if (y == SIZE_MAX)
        return no_column(in, fields, count, y_column == NULL ? "loss" : y_column);
    if (x_column == NULL)
        x = default_x(fields, count, y);
    in->x_index = x;
    in->y_index = y;
    in->column_count = count;
    return name_columns(in, x == SIZE_MAX ? "row" : fields[x], fields[y]);
}

static bool read_row(reader *in) {
    char *fields[MOST_COLUMNS];
    size_t count = split(in, fields);
    if (count == 0)
        return false;
    if (count != in->column_count) {
        return failure(in->error, in->error_size,
                       "%s:%zu: expected %zu fields as in the header, "
                       "found %zu",
                       in->path, in->line_number, in->column_count, count);
    }
    double x = (double)in->series->count;
    double y;
    if (in->x_index != SIZE_MAX && !parse_number(fields[in->x_index], &x))
        return row_failure(in, "not a number: ", fields[in->x_index]);
    if (!parse_number(fields[in->y_index], &y))
        return row_failure(in, "not a number: ", fields[in->y_index]);
    return append_point(in, x, y);
}

/* A line `[12] loss : 3.56` of the author's logs, in the current line. */
static bool read_author_row(reader *in, const char *y_column) {
    char name[64];
    char value[64];
    int end = 0;
    unsigned long epoch = 0;
    double y;
    int found = sscanf(in->line, " [%9lu] %63[^: \t] : %63s %n", &epoch, name, value, &end);
    if (found != 3 || in->line[end] != '\0' || end == 0 || !parse_number(value, &y))
        return row_failure(in, "expected a line like \"[12] loss : 3.56\", found: ", in->line);
    if (in->series->y_name == NULL) {
        if (y_column != NULL && strcasecmp(y_column, name) != 0) {
            char *fields[] = {"epoch", name};
            return no_column(in, fields, 2, y_column);
        }
        if (!name_columns(in, "epoch", name))
            return false;
    }
    if (strcmp(name, in->series->y_name) != 0)
        return row_failure(in, "the quantity changes to ", name);
    return append_point(in, (double)epoch, y);
}

static bool read_all(reader *in, const char *x_column, const char *y_column) {
    int status = next_line(in);
    if (status == 0)
        return failure(in->error, in->error_size, "%s: the file is empty", in->path);
    bool author = status == 1 && in->line[strspn(in->line, " \t")] == '[';
    if (author && x_column != NULL && strcasecmp(x_column, "epoch") != 0) {
        char *fields[] = {"epoch"};
        return no_column(in, fields, 1, x_column);
    }
    bool ok = status == 1 && (author || read_header(in, x_column, y_column));
    status = !ok ? -1 : author ? 1 : next_line(in);
    while (status == 1) {
        ok = author ? read_author_row(in, y_column) : read_row(in);
        status = ok ? next_line(in) : -1;
    }
    return status == 0;
}

bool csv_read_series(const char *path, const char *x_column, const char *y_column,
                     csv_series *series, char *error, size_t error_size) {
    *series = (csv_series){0};
    bool is_stdin = strcmp(path, "-") == 0;
    reader in = {.path = is_stdin ? "standard input" : path,
                 .error = error,
                 .error_size = error_size,
                 .series = series};
    in.stream = is_stdin ? stdin : fopen(path, "r");
    if (in.stream == NULL)
        return failure(error, error_size, "cannot read %s: %s", path, strerror(errno));
    bool ok = read_all(&in, x_column, y_column);
    free(in.line);
    if (!is_stdin)
        fclose(in.stream);
    if (!ok)
        csv_free_series(series);
    return ok;
}

void csv_free_series(csv_series *series) {
    free(series->x);
    free(series->y);
    free(series->x_name);
    free(series->y_name);
    *series = (csv_series){0};
}
