/* The first record that is not blank or a comment says which of the two forms a log has. Every row
   is checked in full, with its line number, because a log that is cut short or mixed with other
   output must not become a plausible curve. */
#include "csv.h"

#include "apps/cli/failure.h"
#include "apps/cli/grow.h"
#include "csv_number.h"
#include "csv_record.h"
#include "tensor/nearest.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One curve under construction. */
typedef struct target {
    csv_series *series;
    const char *wanted; /* the column's name; NULL: the usual one */
    size_t index;       /* of the column */
    size_t room[3];     /* of x, y and seed */
    bool restarted;     /* a run has begun since the last point */
} target;

typedef struct table {
    csv_reader in;
    const char *x_column;
    target *targets;
    size_t target_count;
    bool every_row; /* a value for each row, and nothing else */
    char mark;      /* the decimal mark; 0: none seen yet */
    size_t row;
    size_t x_index, seed_index, column_count; /* SIZE_MAX: the row's number, no seed */
} table;

static bool out_of_memory(const table *t) {
    return failure(t->in.error, t->in.error_size, "%s: out of memory", t->in.path);
}

/* Room for one number more in an array that has `count` of them. */
static bool make_room(double **values, size_t *room, size_t count) {
    double *grown = grow(*values, room, count + 1, sizeof *grown);
    *values = grown == NULL ? *values : grown;
    return grown != NULL;
}

static bool append_row(table *t, target *to, double x, double y, double seed) {
    csv_series *series = to->series;
    if (!make_room(&series->x, &to->room[0], series->count) ||
        !make_room(&series->y, &to->room[1], series->count) ||
        (t->seed_index != SIZE_MAX && !make_room(&series->seed, &to->room[2], series->count)))
        return out_of_memory(t);
    series->x[series->count] = x;
    series->y[series->count] = y;
    if (t->seed_index != SIZE_MAX)
        series->seed[series->count] = seed;
    series->count++;
    return true;
}

static bool append_point(table *t, target *to, double x, double y, double seed) {
    const csv_series *series = to->series;
    bool back = to->restarted && series->count > 0 && x <= series->x[series->count - 1];
    to->restarted = false;
    if (back && !t->every_row && !append_row(t, to, NAN, NAN, seed))
        return false;
    return append_row(t, to, x, y, seed);
}

static bool name_columns(table *t, target *to, const char *x_name, const char *y_name) {
    csv_series *series = to->series;
    if (series->x_name != NULL)
        return true; /* by an earlier header */
    series->x_name = strdup(x_name);
    series->y_name = strdup(y_name);
    return (series->x_name != NULL && series->y_name != NULL) || out_of_memory(t);
}

/* ---- Tables --------------------------------------------------------------------------------- */

static csv_content parse(table *t, const char *field, double *value) {
    return csv_parse_number(field, t->in.separator != ',', &t->mark, value);
}

static bool is_number(const char *field) {
    char mark = '\0';
    double value;
    return csv_parse_number(field, true, &mark, &value) == CSV_NUMBER;
}

static size_t find_column(const csv_reader *in, const char *name) {
    for (size_t i = 0; i < in->field_count; i++)
        if (strcasecmp(in->fields[i], name) == 0)
            return i;
    return SIZE_MAX;
}

static bool no_column(table *t, char *const *fields, size_t count, const char *name) {
    enum { MOST_LISTED = 64 };
    const csv_reader *in = &t->in;
    const char *candidates[MOST_LISTED + 1] = {NULL};
    char list[256] = "";
    size_t numbers = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i == 0 ? "" : ", ", fields[i]);
        numbers += is_number(fields[i]);
        if (i < MOST_LISTED)
            candidates[i] = fields[i];
    }
    if (numbers == count) {
        return csv_record_failure(in,
                                  "expected a header row with the names of the columns, found only "
                                  "numbers",
                                  "");
    }
    const char *nearest = cbi_nearest_name(name, candidates);
    return failure(in->error, in->error_size,
                   "%s:%zu: no column named \"%s\"%s%s%s; the columns are: %s", in->path, in->line,
                   name, nearest == NULL ? "" : " (did you mean \"", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "\"?)", list);
}

/* A column that was asked for by its name. */
static bool find_named(table *t, const char *name, size_t *index) {
    const csv_reader *in = &t->in;
    *index = find_column(in, name);
    if (*index == SIZE_MAX)
        return no_column(t, in->fields, in->field_count, name);
    for (size_t i = *index + 1; i < in->field_count; i++)
        if (strcasecmp(in->fields[i], name) == 0)
            return csv_record_failure(in, "there are two columns named ", in->fields[i]);
    return true;
}

/* The first of the usual names that is there and is not column `other`. */
static size_t find_usual(const csv_reader *in, const char *const *names, size_t other) {
    for (; *names != NULL; names++) {
        size_t index = find_column(in, *names);
        if (index != SIZE_MAX && index != other)
            return index;
    }
    return SIZE_MAX;
}

/* y where it was not named; x is its column if that was named, else SIZE_MAX. */
static bool find_default_y(table *t, size_t x, size_t *index) {
    static const char *const usual[] = {"loss", "train_loss", NULL};
    const csv_reader *in = &t->in;
    *index = find_usual(in, usual, x);
    if (*index != SIZE_MAX)
        return true;
    /* What is left when the seed and x are taken away, if that is one. */
    size_t found = 0, columns = 0, first = SIZE_MAX;
    for (size_t i = 0; i < in->field_count; i++) {
        if (i == t->seed_index || i == x)
            continue;
        first = columns++ == 0 ? i : first;
        found = i;
    }
    size_t without_x = columns - (x == SIZE_MAX && columns > 1);
    if (without_x != 1 || is_number(in->fields[found]))
        return no_column(t, in->fields, in->field_count, "loss");
    *index = columns == 1 ? first : found;
    return true;
}

static bool read_header(table *t) {
    static const char *const usual[] = {"epoch", "step", "global_step", "iteration", NULL};
    const csv_reader *in = &t->in;
    size_t x = SIZE_MAX;
    if (t->x_column != NULL && !find_named(t, t->x_column, &x))
        return false;
    t->seed_index = find_column(in, "seed");
    t->seed_index = t->seed_index == x ? SIZE_MAX : t->seed_index;
    for (size_t i = 0; i < t->target_count; i++) {
        target *to = &t->targets[i];
        if (to->wanted == NULL ? !find_default_y(t, x, &to->index)
                               : !find_named(t, to->wanted, &to->index))
            return false;
        t->seed_index = t->seed_index == to->index ? SIZE_MAX : t->seed_index;
    }
    size_t y = t->targets[0].index;
    if (x == SIZE_MAX)
        x = find_usual(in, usual, y);
    for (size_t i = 0; x == SIZE_MAX && i < in->field_count; i++)
        x = i == y || i == t->seed_index ? SIZE_MAX : i;
    t->x_index = x;
    t->column_count = in->field_count;
    for (size_t i = 0; i < t->target_count; i++)
        if (!name_columns(t, &t->targets[i], x == SIZE_MAX ? "row" : in->fields[x],
                          in->fields[t->targets[i].index]))
            return false;
    return true;
}

/* Whether the record repeats the header, perhaps with more or other columns: it has those that are
   read, and no numbers. */
static bool is_header(const table *t) {
    const csv_reader *in = &t->in;
    const csv_series *first = t->targets[0].series;
    if (t->x_index != SIZE_MAX && find_column(in, first->x_name) == SIZE_MAX)
        return false;
    for (size_t i = 0; i < t->target_count; i++)
        if (find_column(in, t->targets[i].series->y_name) == SIZE_MAX)
            return false;
    for (size_t i = 0; i < in->field_count; i++)
        if (is_number(in->fields[i]))
            return false;
    return true;
}

/* Finds the columns of a header that is not the first by the names of the first. */
static bool read_header_again(table *t) {
    const csv_reader *in = &t->in;
    if (t->x_index != SIZE_MAX)
        t->x_index = find_column(in, t->targets[0].series->x_name);
    bool had_seed = t->seed_index != SIZE_MAX;
    for (size_t i = 0; i < t->target_count; i++) {
        t->targets[i].index = find_column(in, t->targets[i].series->y_name);
        t->targets[i].restarted = true;
    }
    t->seed_index = had_seed ? find_column(in, "seed") : SIZE_MAX;
    t->column_count = in->field_count;
    return !had_seed || t->seed_index != SIZE_MAX ||
           csv_record_failure(in, "this header has no column \"seed\", as the first one has", "");
}

static bool parse_field(table *t, size_t index, double *value, csv_content *content) {
    const char *field = t->in.fields[index];
    *content = parse(t, field, value);
    if (*content == CSV_OTHER_MARK) {
        return csv_record_failure(&t->in,
                                  "a number with another decimal mark than those above: ", field);
    }
    return *content != CSV_TEXT || csv_record_failure(&t->in, "not a number: ", field);
}

/* Whether the row has something to say that is not where it is. */
static bool has_other_number(const table *t) {
    for (size_t i = 0; i < t->in.field_count; i++)
        if (i != t->x_index && i != t->seed_index && is_number(t->in.fields[i]))
            return true;
    return false;
}

static bool check_field_count(table *t) {
    csv_reader *in = &t->in;
    /* Some programs end each row with a separator. */
    if (in->field_count == t->column_count + 1 && *in->fields[t->column_count] == '\0' &&
        !in->last_quoted)
        in->field_count--;
    return in->field_count == t->column_count ||
           failure(in->error, in->error_size,
                   "%s:%zu: expected %zu fields as in the header, found %zu", in->path, in->line,
                   t->column_count, in->field_count);
}

static bool is_empty(const csv_reader *in) {
    for (size_t i = 0; i < in->field_count; i++)
        if (*in->fields[i] != '\0')
            return false;
    return in->field_count > 1;
}

static bool read_row(table *t) {
    csv_reader *in = &t->in;
    csv_content content;
    if (!csv_split(in))
        return false;
    if (is_header(t))
        return read_header_again(t);
    if (is_empty(in))
        return true; /* as spreadsheets write blank lines */
    if (!check_field_count(t))
        return false;
    double x = (double)t->row++;
    double seed = NAN;
    if ((t->x_index != SIZE_MAX && !parse_field(t, t->x_index, &x, &content)) ||
        (t->seed_index != SIZE_MAX && !parse_field(t, t->seed_index, &seed, &content)))
        return false;
    for (size_t i = 0; i < t->target_count; i++) {
        target *to = &t->targets[i];
        double y;
        if (!parse_field(t, to->index, &y, &content))
            return false;
        bool left_out = content == CSV_BLANK && !t->every_row && has_other_number(t);
        if (!left_out && !append_point(t, to, x, y, seed))
            return false;
    }
    return true;
}

/* ---- The author's logs ---------------------------------------------------------------------- */

static bool author_failure(const table *t) {
    return csv_record_failure(&t->in,
                              "expected a line like \"[12] loss : 3.56\", found: ", t->in.record);
}

/* Cuts `[12] loss : 3.56` into its parts, in place. */
static bool take_author_row(table *t, double *epoch, char **name, double *value) {
    static const char blanks[] = " \t";
    char *at = t->in.record + strspn(t->in.record, blanks) + 1;
    size_t digits = strspn(at, "0123456789");
    char *bracket = at + digits;
    if (digits == 0 || digits > 15 || *bracket != ']')
        return false;
    *epoch = strtod(at, NULL);
    *name = bracket + 1 + strspn(bracket + 1, blanks);
    char *name_end = *name + strcspn(*name, ": \t");
    char *colon = name_end + strspn(name_end, blanks);
    if (name_end == *name || *colon != ':')
        return false;
    char *number = colon + 1 + strspn(colon + 1, blanks);
    char *number_end = number + strcspn(number, blanks);
    if (number_end[strspn(number_end, blanks)] != '\0')
        return false;
    char ended = *number_end;
    *number_end = '\0';
    csv_content content = csv_parse_number(number, false, &t->mark, value);
    *number_end = ended;
    if (content != CSV_NUMBER && content != CSV_MISSING)
        return false;
    *name_end = '\0';
    return true;
}

static bool read_author_row(table *t) {
    double epoch, value;
    char *name;
    if (t->in.record[strspn(t->in.record, " \t")] != '[' ||
        !take_author_row(t, &epoch, &name, &value))
        return author_failure(t);
    for (size_t i = 0; i < t->target_count; i++) {
        target *to = &t->targets[i];
        to->restarted = true; /* these logs have no headers: a run begins where epochs go back */
        if (to->series->y_name == NULL) {
            char *fields[] = {"epoch", name};
            if (to->wanted != NULL && strcasecmp(to->wanted, name) != 0)
                return no_column(t, fields, 2, to->wanted);
            if (!name_columns(t, to, "epoch", name))
                return false;
        }
        if (strcmp(name, to->series->y_name) != 0)
            return csv_record_failure(&t->in, "the quantity changes to ", name);
        if (!append_point(t, to, epoch, value, NAN))
            return false;
    }
    return true;
}

/* --------------------------------------------------------------------------------------------- */

static bool read_first(table *t, bool author) {
    csv_reader *in = &t->in;
    if (author) {
        char *fields[] = {"epoch"};
        bool is_epoch = t->x_column == NULL || strcasecmp(t->x_column, "epoch") == 0;
        return is_epoch ? read_author_row(t) : no_column(t, fields, 1, t->x_column);
    }
    in->separator = csv_find_separator(in->record);
    return csv_split(in) && read_header(t);
}

static bool read_all(table *t) {
    csv_reader *in = &t->in;
    t->seed_index = SIZE_MAX;
    int status = csv_next_record(in);
    if (status == 0)
        return failure(in->error, in->error_size, "%s: the file is empty", in->path);
    bool author = status == 1 && in->record[strspn(in->record, " \t")] == '[';
    if (status == 1 && !read_first(t, author))
        return false;
    while (status == 1 && (status = csv_next_record(in)) == 1)
        if (author ? !read_author_row(t) : !read_row(t))
            return false;
    return status == 0;
}

static bool read_file(table *t, const char *path) {
    csv_reader *in = &t->in;
    bool is_stdin = strcmp(path, "-") == 0;
    in->path = is_stdin ? "standard input" : path;
    in->stream = is_stdin ? stdin : fopen(path, "r");
    if (in->stream == NULL)
        return failure(in->error, in->error_size, "cannot read %s: %s", path, strerror(errno));
    bool ok = read_all(t);
    csv_reader_free(in);
    if (!is_stdin)
        fclose(in->stream);
    for (size_t i = 0; i < t->target_count && !ok; i++)
        csv_free_series(t->targets[i].series);
    return ok;
}

bool csv_read_series(const char *path, const char *x_column, const char *y_column,
                     csv_series *series, char *error, size_t error_size) {
    *series = (csv_series){0};
    target only = {.series = series, .wanted = y_column};
    table t = {.in = {.error = error, .error_size = error_size},
               .x_column = x_column,
               .targets = &only,
               .target_count = 1,
               .every_row = true};
    return read_file(&t, path);
}

bool csv_read_curves(const char *path, const char *x_column, const char *const *y_columns,
                     size_t count, csv_series *series, char *error, size_t error_size) {
    target *targets = calloc(count, sizeof *targets);
    if (targets == NULL)
        return failure(error, error_size, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++) {
        series[i] = (csv_series){0};
        targets[i] = (target){.series = &series[i], .wanted = y_columns[i]};
    }
    table t = {.in = {.error = error, .error_size = error_size},
               .x_column = x_column,
               .targets = targets,
               .target_count = count};
    bool ok = read_file(&t, path);
    free(targets);
    return ok;
}

void csv_free_series(csv_series *series) {
    free(series->x);
    free(series->y);
    free(series->x_name);
    free(series->y_name);
    free(series->seed);
    free(series->low);
    free(series->high);
    *series = (csv_series){0};
}
