#include "equation_check.h"
#include "equation_draw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keeps the first one. */
static void complain(fault *found, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(fault *found, const char *format, ...) {
    va_list arguments;
    if (found->what[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(found->what, sizeof(found->what), format, arguments);
    va_end(arguments);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static bool begins_character(char c) {
    return ((unsigned char)c & 0xC0) != 0x80;
}

/* Whether a text is UTF-8 without control characters other than ends of lines. */
static bool is_plain(const char *message) {
    for (const unsigned char *c = (const unsigned char *)message; *c != '\0';) {
        int count = *c < 0x80 ? 1 : *c < 0xE0 ? 2 : *c < 0xF0 ? 3 : 4;
        if ((*c < ' ' && *c != '\n') || (*c >= 0x7F && *c < 0xC2) || *c > 0xF4)
            return false;
        for (int i = 1; i < count; i++)
            if ((c[i] & 0xC0) != 0x80)
                return false;
        c += count;
    }
    return true;
}

/* Whether there is such a place: a column may be one behind the last. */
static bool is_place(const text *t, long line, long column) {
    const char *at = t->bytes;
    for (; line > 1 && at != NULL; line--) {
        at = strchr(at, '\n');
        at += at != NULL ? 1 : 0;
    }
    long characters = 1;
    for (; at != NULL && *at != '\0' && *at != '\n'; at++)
        characters += begins_character(*at) || (unsigned char)at[0] >= 0x80;
    return line == 1 && at != NULL && column >= 1 && column <= characters;
}

static void check_message(const text *t, const cb_error *error, fault *found) {
    const char *message = error->message, *second = strchr(message, '\n');
    const char *third = second != NULL ? strchr(second + 1, '\n') : NULL;
    if (error->status != CB_ERROR_FORMAT) {
        complain(found, "status %d: %s", (int)error->status, message);
        return;
    }
    if (t->length > 1 << 20)
        return;
    char *end;
    long line = strncmp(message, "fuzz:", 5) == 0 ? strtol(message + 5, &end, 10) : 0;
    long column = line > 0 && *end == ':' ? strtol(end + 1, &end, 10) : 0;
    if (column < 1 || strncmp(end, ": ", 2) != 0 || !is_place(t, line, column))
        complain(found, "no place of the text: %s", message);
    if (third == NULL || strchr(third + 1, '\n') != NULL)
        complain(found, "no three lines: %s", message);
    else if (third[1 + strspn(third + 1, " ")] != '^' || third[strlen(third) - 1] != '^' ||
             strncmp(second, "\n    ", 5) != 0 || strncmp(third, "\n    ", 5) != 0)
        complain(found, "no caret: %s", message);
    if (!is_plain(message))
        complain(found, "no plain text: %s", message);
}

/* ---- The printed form ------------------------------------------------------------------------ */

static bool same_extent(const cb_cell *a, const cb_cell_extent *of_a, const cb_cell *b,
                        const cb_cell_extent *of_b) {
    static const int64_t sizes[][2] = {{DRAWN_INPUT, DRAWN_HIDDEN}, {96, 48}, {5040, 720720}};
    for (int i = 0; i < 3; i++)
        if (cb_cell_extent_of(a, of_a, sizes[i][0], sizes[i][1], NULL) !=
            cb_cell_extent_of(b, of_b, sizes[i][0], sizes[i][1], NULL))
            return false;
    return true;
}

static bool same_number(double a, double b) {
    return memcmp(&a, &b, sizeof(a)) == 0 || a == b || (a != a && b != b);
}

static bool same_param(const cb_cell *a, int i, const cb_cell *b, int k) {
    const cb_cell_param *p = &a->params[i], *q = &b->params[k];
    cb_init x = a->param_init(a, i, 96, 48, NULL), y = b->param_init(b, k, 96, 48, NULL);
    return same_extent(a, &p->rows, b, &q->rows) && same_extent(a, &p->columns, b, &q->columns) &&
           p->role == q->role && p->blocks == q->blocks && x.kind == y.kind &&
           same_number(x.a, y.a) && same_number(x.b, y.b) && same_number(x.gain, y.gain);
}

static void compare_params(const cb_cell *a, const cb_cell *b, fault *found) {
    for (int i = 0; i < a->param_count; i++) {
        int k = 0;
        while (k < b->param_count && strcmp(a->params[i].name, b->params[k].name) != 0)
            k++;
        if (k == b->param_count || !same_param(a, i, b, k))
            complain(found, "parameter %s is not the same", a->params[i].name);
    }
}

static void compare_states(const cb_cell *a, const cb_cell *b, fault *found) {
    for (int i = 0; i < a->state_count; i++) {
        int k = 0;
        while (k < b->state_count && strcmp(a->state_names[i], b->state_names[k]) != 0)
            k++;
        if (k == b->state_count || (i == 0 && k != 0) ||
            !same_extent(a, &a->state_sizes[i], b, &b->state_sizes[k]) ||
            !same_number(a->state_value(a, i, 96, 48, NULL), b->state_value(b, k, 96, 48, NULL)))
            complain(found, "state %s is not the same", a->state_names[i]);
    }
}

static void compare_vectors(const cb_cell *a, int count, const cb_cell_vector *of_a,
                            const cb_cell *b, const cb_cell_vector *of_b, fault *found) {
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < count && strcmp(of_a[i].name, of_b[k].name) != 0)
            k++;
        if (k == count || !same_extent(a, &of_a[i].size, b, &of_b[k].size))
            complain(found, "%s is not the same", of_a[i].name);
    }
}

static void compare_settings(const cb_cell *a, const cb_cell *b, fault *found) {
    for (int i = 0; i < a->setting_count; i++) {
        int k = 0;
        while (k < b->setting_count && strcmp(a->settings[i].name, b->settings[k].name) != 0)
            k++;
        if (k == b->setting_count || !same_number(a->settings[i].value, b->settings[k].value))
            complain(found, "hyperparameter %s is not the same", a->settings[i].name);
    }
}

static void compare(const cb_cell *a, const cb_cell *b, fault *found) {
    if (a->param_count != b->param_count || a->state_count != b->state_count ||
        a->input_count != b->input_count || a->observed_count != b->observed_count ||
        a->setting_count != b->setting_count) {
        complain(found, "tables are not as long");
        return;
    }
    compare_params(a, b, found);
    compare_states(a, b, found);
    compare_vectors(a, a->input_count, a->inputs, b, b->inputs, found);
    compare_vectors(a, a->observed_count, a->observed, b, b->observed, found);
    compare_settings(a, b, found);
}

/* malloc'd. */
static char *printed(const cb_cell *cell, fault *found) {
    size_t length = cb_cell_equations(cell, NULL, 0);
    char *form = malloc(length + 1);
    if (form == NULL)
        exit(3);
    if (cb_cell_equations(cell, form, length + 1) != length || strlen(form) != length)
        complain(found, "the printed form is not as long as it says");
    return form;
}

/* The printed form with its lines in reverse order. */
static void check_reversed(const cb_cell *cell, const char *form, fault *found) {
    cb_error error;
    text reversed = {NULL, 0, 0};
    for (const char *line = form; *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        text_replace(&reversed, 0, 0, line, length);
        line += length;
    }
    cb_cell *again = cb_cell_parse(reversed.bytes, NULL, &error);
    if (again == NULL)
        complain(found, "lines in reverse order are no cell: %s", error.message);
    else
        compare(cell, again, found);
    cb_cell_free(again);
    text_free(&reversed);
}

static void check_printed(const cb_cell *cell, fault *found) {
    cb_error error;
    char *form = printed(cell, found), *again = NULL, *last = NULL;
    cb_cell *second = cb_cell_parse(form, NULL, &error), *third = NULL;
    if (second == NULL) {
        complain(found, "the printed form is none: %s", error.message);
    } else {
        compare(cell, second, found);
        again = printed(second, found);
        third = cb_cell_parse(again, NULL, &error);
    }
    if (third != NULL) {
        last = printed(third, found);
        if (strcmp(last, again) != 0)
            complain(found, "the printed form is printed as another");
    }
    check_reversed(cell, form, found);
    cb_cell_free(second);
    cb_cell_free(third);
    free(form);
    free(again);
    free(last);
}

/* Each hyperparameter can be set, and nothing else. */
static void check_settings(const text *t, const cb_cell *cell, fault *found) {
    cb_error error;
    for (int i = 0; i <= cell->setting_count; i++) {
        bool declared = i < cell->setting_count;
        const cb_setting set[] = {{declared ? cell->settings[i].name : "nothing", 0.75}, {NULL, 0}};
        const cb_cell_text_options options = {.settings = set};
        cb_cell *other = cb_cell_parse(t->bytes, &options, &error);
        if (declared && other != NULL && other->settings[i].value != 0.75)
            complain(found, "%s is set and does not change", set[0].name);
        if (!declared && (other != NULL || strstr(error.message, "\"nothing\" to set") == NULL))
            complain(found, "what is not declared is set");
        cb_cell_free(other);
    }
}

cb_cell *check_text(const text *t, bool right, fault *found) {
    cb_error error;
    const cb_cell_text_options options = {.file = "fuzz"};
    found->what[0] = '\0';
    cb_cell *cell = cb_cell_parse(t->bytes, &options, &error);
    if (cell == NULL && right)
        complain(found, "a cell that is right is refused: %s", error.message);
    else if (cell == NULL)
        check_message(t, &error, found);
    else
        check_printed(cell, found);
    if (cell != NULL)
        check_settings(t, cell, found);
    return cell;
}

/* ---- The run --------------------------------------------------------------------------------- */

/* Whether a difference says nothing: what is not computed op by op may be 0 times NaN compiled. */
static bool is_of_no_numbers(const char *message) {
    return strstr(message, "nan") != NULL || strstr(message, "inf") != NULL ||
           strstr(message, "the step fails") != NULL;
}

void check_run(const cb_cell *cell, const cb_rnn_options *options, bool right, uint64_t seed,
               fault *found, char reason[160]) {
    cb_error error;
    cb_scan_check_report report;
    const cb_scan_check_options check = {.seed = seed};
    cb_scan *scan = cb_cell_scan_new(cell, CB_F64, DRAWN_INPUT, options, &error);
    reason[0] = '\0';
    if (scan == NULL) {
        if (right)
            complain(found, "no recurrence: %s", error.message);
        return;
    }
    bool passed = cb_scan_check(scan, &check, &report);
    if (!passed && (right || !is_of_no_numbers(report.message)))
        complain(found, "compiled and op by op differ: %s", report.message);
    if (!report.compiled)
        snprintf(reason, 160, "%s", cb_scan_reason(scan) != NULL ? cb_scan_reason(scan) : "?");
    cb_scan_free(scan);
}
