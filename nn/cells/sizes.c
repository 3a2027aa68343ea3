/* A cell's tables: extents for given sizes, hyperparameters, and what may be wrong. */
#include "nn/rnn_internal.h"

#include "tensor/format.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Extents --------------------------------------------------------------------------------- */

bool cbi_extent_is_given(const cb_cell_extent *e) {
    return e->times != 0;
}

static int setting_index(const cb_cell *cell, const char *name) {
    for (int i = 0; i < cell->setting_count; i++)
        if (strcmp(cell->settings[i].name, name) == 0)
            return i;
    return -1;
}

/* A whole number of at least 1, or 0; what is too large for any memory is INT64_MAX. */
static int64_t whole(double value) {
    if (value >= 0x1p53)
        return INT64_MAX;
    return value >= 1 && value == floor(value) ? (int64_t)value : 0;
}

static double own_size(const cb_cell *cell, const cb_cell_own_size *s, int64_t input,
                       int64_t hidden, const double *values) {
    if (s->of != NULL)
        return (double)s->of(input, hidden);
    double sum =
        (double)s->hidden * (double)hidden + (double)s->input * (double)input + (double)s->constant;
    int setting = s->setting != NULL ? setting_index(cell, s->setting) : -1;
    if (s->setting != NULL)
        sum += setting >= 0 ? values[setting] : NAN;
    return s->over > 1 ? sum / s->over : sum;
}

int64_t cbi_cell_extent(const cb_cell *cell, const cb_cell_extent *e, int64_t input, int64_t hidden,
                        const double *values) {
    if (e->size > CB_HIDDEN && (int)e->size - CB_OWN_SIZE >= cell->size_count)
        return 0;
    double size = e->size == CB_INPUT ? (double)input
                  : e->size == CB_HIDDEN
                      ? (double)hidden
                      : own_size(cell, &cell->sizes[e->size - CB_OWN_SIZE], input, hidden, values);
    return whole(e->times * size);
}

int64_t cb_cell_extent_of(const cb_cell *cell, const cb_cell_extent *extent, int64_t input,
                          int64_t hidden, const cb_setting *settings) {
    double values[CB_CELL_MAX_SETTINGS];
    char why[256];
    if (cell == NULL || extent == NULL || cell->setting_count > CB_CELL_MAX_SETTINGS ||
        !cbi_cell_settings(cell, settings, values, why, sizeof(why)))
        return 0;
    return cbi_cell_extent(cell, extent, input, hidden, values);
}

/* a * b for numbers that are not negative; what overflows is INT64_MAX. */
static int64_t multiply(int64_t a, int64_t b) {
    return b != 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}

int64_t cb_cell_parameters(const cb_cell *cell, int64_t input, int64_t hidden, bool no_bias,
                           const cb_setting *settings) {
    int64_t count = 0;
    for (int i = 0; cell != NULL && i < cell->param_count; i++) {
        const cb_cell_param *p = &cell->params[i];
        if ((no_bias && p->role == CB_BIAS) || p->role == CB_CONSTANT)
            continue;
        int64_t columns = cbi_extent_is_given(&p->columns)
                              ? cb_cell_extent_of(cell, &p->columns, input, hidden, settings)
                              : 1;
        int64_t weights =
            multiply(cb_cell_extent_of(cell, &p->rows, input, hidden, settings), columns);
        count = weights > INT64_MAX - count ? INT64_MAX : count + weights;
    }
    return count;
}

/* ---- Hyperparameters ------------------------------------------------------------------------- */

/* Sizes are made of numbers up to this. */
static const double largest = 1 << 24;

/* Whether a hyperparameter that sizes are made of can be one. */
static bool check_size_setting(const cb_cell *cell, const cb_setting *s, char *why, size_t size) {
    for (int i = 0; i < cell->size_count; i++) {
        const char *of = cell->sizes[i].setting;
        if (of == NULL || strcmp(of, s->name) != 0 || !(s->value > largest))
            continue;
        cbi_format(why, size,
                   "cell \"%s\": the hyperparameter \"%s\", of which sizes are made, is set to %g, "
                   "which is too large; the largest is %.0f",
                   cell->name, s->name, s->value, largest);
        return false;
    }
    return true;
}

bool cbi_cell_settings(const cb_cell *cell, const cb_setting *settings, double *values, char *why,
                       size_t size) {
    for (int i = 0; i < cell->setting_count; i++)
        values[i] = cell->settings[i].value;
    for (const cb_setting *s = settings; s != NULL && s->name != NULL; s++) {
        int i = setting_index(cell, s->name);
        if (i < 0 || !isfinite(s->value)) {
            snprintf(why, size,
                     i < 0 ? "cell \"%s\" has no hyperparameter \"%s\""
                           : "cell \"%s\": the hyperparameter \"%s\" is not finite",
                     cell->name, s->name);
            return false;
        }
        for (const cb_setting *before = settings; before < s; before++)
            if (strcmp(before->name, s->name) == 0) {
                snprintf(why, size, "cell \"%s\": the hyperparameter \"%s\" is set twice",
                         cell->name, s->name);
                return false;
            }
        values[i] = s->value;
        if (!check_size_setting(cell, s, why, size))
            return false;
    }
    return true;
}

/* ---- Sizes of a run ----------------------------------------------------------------------------
 */

/* The sizes of vectors of the cell; the name of one that has none, or NULL. */
static const char *vector_sizes(const cbi_rnn_run *run, int count, const cb_cell_vector *vectors,
                                int64_t *sizes) {
    for (int i = 0; i < count; i++) {
        sizes[i] =
            cbi_cell_extent(run->cell, &vectors[i].size, run->input, run->hidden, run->settings);
        if (sizes[i] == 0 || sizes[i] == INT64_MAX)
            return vectors[i].name;
    }
    return NULL;
}

const char *cbi_rnn_set_sizes(cbi_rnn_run *run) {
    uint64_t masked = run->cell->recurrent_states;
    run->masked_count = 0;
    for (int i = 0; i < run->cell->state_count && masked != CB_CELL_NO_RECURRENT_STATES; i++)
        if ((masked != 0 ? masked : 1) >> i & 1)
            run->masked[run->masked_count++] = i;
    const cb_cell *cell = run->cell;
    for (int i = 0; i < cell->state_count; i++) {
        int64_t size = cell->state_sizes == NULL
                           ? run->hidden
                           : cbi_cell_extent(cell, &cell->state_sizes[i], run->input, run->hidden,
                                             run->settings);
        run->state_size[i] = size;
        if (size == 0 || size == INT64_MAX)
            return cell->state_names != NULL ? cell->state_names[i] : "a state";
    }
    const char *name = vector_sizes(run, cell->input_count, cell->inputs, run->input_size);
    return name != NULL
               ? name
               : vector_sizes(run, cell->observed_count, cell->observed, run->observed_size);
}

void cbi_cell_shape(const cbi_rnn_run *run, const cb_cell_param *p, int *rank, int64_t shape[2]) {
    *rank = cbi_extent_is_given(&p->columns) ? 2 : 1;
    shape[0] = cbi_cell_extent(run->cell, &p->rows, run->input, run->hidden, run->settings);
    shape[1] = *rank == 1 ? 1
                          : cbi_cell_extent(run->cell, &p->columns, run->input, run->hidden,
                                            run->settings);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static bool say(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool say(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(text, size, format, arguments);
    va_end(arguments);
    return true;
}

/* Why an extent cannot be used; NULL when it can. */
static const char *fault_of_extent(const cb_cell *cell, const cb_cell_extent *e) {
    int own = (int)e->size - CB_OWN_SIZE;
    return e->times < 0 ? "an extent is below 0 x a size"
           : (int)e->size < 0 || own >= cell->size_count
               ? "its extents are of no size: CB_INPUT, CB_HIDDEN, or one of the cell's own"
               : NULL;
}

/* Why a size of the cell's own cannot be used; NULL when it can. */
static const char *fault_of_size(const cb_cell *cell, const cb_cell_own_size *s) {
    return s->setting != NULL && setting_index(cell, s->setting) < 0
               ? "it names a hyperparameter that the cell does not have"
           : s->over < 0 ? "it is divided by a number below 0"
                         : NULL;
}

/* Why a row of a cell's table of parameters cannot be used; NULL when it can. */
static const char *fault_of_param(const cb_cell *cell, const cb_cell_param *p) {
    const char *fault = fault_of_extent(cell, &p->rows);
    if (fault == NULL)
        fault = fault_of_extent(cell, &p->columns);
    return fault != NULL                               ? fault
           : p->name == NULL                           ? "it has no name"
           : !cbi_extent_is_given(&p->rows)            ? "its rows are below 1 x a size"
           : (unsigned)p->role > CB_CONSTANT           ? "there is no such role"
           : p->role == CB_CONSTANT && p->fill == NULL ? "it is a constant that nothing fills"
           : p->blocks < 0                             ? "its blocks are below 0"
           : p->halves < 0 || p->halves > 2            ? "its halves are outside 0..2"
           : p->halves == 2 && p->rows.times % 2 != 0  ? "its rows have no two halves"
                                                       : NULL;
}

static bool fault_of_counts(const cb_cell *cell, char *text, size_t size) {
    const struct {
        const char *what;
        int count, low, high;
        const void *table;
    } tables[] = {
        {"states", cell->state_count, 1, CB_CELL_MAX_STATES, cell},
        {"parameters", cell->param_count, 0, CB_CELL_MAX_PARAMS, cell->params},
        {"sizes of its own", cell->size_count, 0, CB_CELL_MAX_SIZES, cell->sizes},
        {"hyperparameters", cell->setting_count, 0, CB_CELL_MAX_SETTINGS, cell->settings},
        {"further inputs", cell->input_count, 0, CB_CELL_MAX_VECTORS, cell->inputs},
        {"observed values", cell->observed_count, 0, CB_CELL_MAX_VECTORS, cell->observed},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (tables[i].count < tables[i].low || tables[i].count > tables[i].high)
            return say(text, size, "cell \"%s\": %d %s are outside %d..%d", cell->name,
                       tables[i].count, tables[i].what, tables[i].low, tables[i].high);
        if (tables[i].count > 0 && tables[i].table == NULL)
            return say(text, size, "cell \"%s\": the table of %s is NULL", cell->name,
                       tables[i].what);
    }
    if (cell->recurrent_states != CB_CELL_NO_RECURRENT_STATES && cell->state_count < 64 &&
        cell->recurrent_states >> cell->state_count != 0)
        return say(text, size,
                   "cell \"%s\": recurrent_states names one of %d states that is not there",
                   cell->name, cell->state_count);
    return false;
}

static bool fault_of_vectors(const cb_cell *cell, const char *what, int count,
                             const cb_cell_vector *vectors, char *text, size_t size) {
    for (int i = 0; i < count; i++) {
        const char *fault = vectors[i].name == NULL ? "it has no name"
                            : !cbi_extent_is_given(&vectors[i].size)
                                ? "it has no size"
                                : fault_of_extent(cell, &vectors[i].size);
        if (fault != NULL)
            return say(text, size, "cell \"%s\", %s %d: %s", cell->name, what, i, fault);
    }
    return false;
}

bool cbi_cell_fault(const cb_cell *cell, char *text, size_t size) {
    if (cell == NULL || cell->name == NULL || (cell->step == NULL && cell->full_step == NULL))
        return say(text, size, "the cell %s", cell == NULL ? "is NULL" : "has no name, or no step");
    if (cell->step != NULL && cell->full_step != NULL)
        return say(text, size, "cell \"%s\": it has two steps", cell->name);
    if (cell->step != NULL && (cell->setting_count | cell->input_count | cell->observed_count) != 0)
        return say(text, size,
                   "cell \"%s\": hyperparameters, further inputs and observed values are for a "
                   "full_step",
                   cell->name);
    if (fault_of_counts(cell, text, size))
        return true;
    for (int i = 0; i < cell->setting_count; i++)
        if (cell->settings[i].name == NULL)
            return say(text, size, "cell \"%s\", hyperparameter %d: it has no name", cell->name, i);
    for (int i = 0; i < cell->size_count; i++) {
        const char *fault = fault_of_size(cell, &cell->sizes[i]);
        if (fault != NULL)
            return say(text, size, "cell \"%s\", size %d: %s", cell->name, i, fault);
    }
    for (int i = 0; i < cell->param_count; i++) {
        const char *fault = fault_of_param(cell, &cell->params[i]);
        if (fault != NULL)
            return say(text, size, "cell \"%s\", parameter %d (%s): %s", cell->name, i,
                       cell->params[i].name != NULL ? cell->params[i].name : "no name", fault);
    }
    for (int i = 0; i < cell->state_count && cell->state_sizes != NULL; i++) {
        const char *fault = cbi_extent_is_given(&cell->state_sizes[i])
                                ? fault_of_extent(cell, &cell->state_sizes[i])
                                : "it has no size";
        if (fault != NULL)
            return say(text, size, "cell \"%s\", state %d: %s", cell->name, i, fault);
    }
    return fault_of_vectors(cell, "further input", cell->input_count, cell->inputs, text, size) ||
           fault_of_vectors(cell, "observed value", cell->observed_count, cell->observed, text,
                            size);
}
