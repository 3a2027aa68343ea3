/* Recurrent weights are known by the ends of their names, the other parts by their shapes: the
   output layer has a row for each character, and so has an embedding. Where shapes leave a choice,
   the output layer is the one with a bias. */
#include "foreign.h"

#include "apps/cli/failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = 64, NAME_SIZE = 512 };

/* ---- Recurrent weights ----------------------------------------------------------------------- */

/* An entry's name, taken apart: "lstm." "weight_ih" "_l0". */
typedef struct recurrent_name {
    size_t prefix; /* bytes */
    int param;     /* row of the cell's table */
    int layer;
    bool numbered;
} recurrent_name;

static bool take_apart(const char *name, const cb_cell *cell, recurrent_name *parts) {
    const char *dot = strrchr(name, '.'), *tail = dot == NULL ? name : dot + 1;
    for (int i = 0; i < cell->param_count; i++) {
        size_t length = strlen(cell->params[i].name);
        int layer = 0, used = 0;
        if (cell->params[i].role == CB_CONSTANT || strncmp(tail, cell->params[i].name, length) != 0)
            continue;
        const char *rest = tail + length;
        bool numbered = sscanf(rest, "_l%2d%n", &layer, &used) == 1 && rest[used] == '\0';
        if (!numbered && rest[0] != '\0')
            continue;
        *parts = (recurrent_name){.prefix = (size_t)(tail - name),
                                  .param = i,
                                  .layer = numbered ? layer : 0,
                                  .numbered = numbered};
        return true;
    }
    return false;
}

bool foreign_rnn_name(const foreign_model *m, const char *param, int64_t layer, char *name,
                      size_t size) {
    char ending[16] = "";
    if (m->numbered)
        snprintf(ending, sizeof ending, "_l%d", (int)layer);
    int length = snprintf(name, size, "%.*s%s%s", (int)m->prefix, m->first, param, ending);
    return length > 0 && (size_t)length < size;
}

/* Whether a prefix "lstm." is that of the module "lstm". */
static bool is_module(const char *name, size_t prefix, const char *module) {
    size_t length = strlen(module);
    return (prefix == length + 1 || (prefix == 0 && length == 0)) &&
           strncmp(name, module, length) == 0;
}

/* The library's cell with so many gates in one matrix. */
static const chosen_cell *cell_of_gates(const cb_safetensors *file, const char *module,
                                        char *error) {
    static const char *const cells[] = {NULL, "rnn", NULL, "gru", "lstm"};
    for (int i = 0; i < cb_safetensors_stored_count(file); i++) {
        cb_stored_tensor entry = cb_safetensors_stored(file, i);
        recurrent_name parts;
        if (!take_apart(entry.name, &cb_lstm, &parts) || entry.rank != 2 ||
            strcmp(cb_lstm.params[parts.param].name, "weight_hh") != 0 ||
            (module != NULL && !is_module(entry.name, parts.prefix, module)))
            continue;
        int64_t gates = entry.shape[1] > 0 ? entry.shape[0] / entry.shape[1] : 0;
        if (gates < 1 || gates > 4 || gates * entry.shape[1] != entry.shape[0] ||
            cells[gates] == NULL) {
            failure(error, FAILURE_SIZE,
                    "%s has [%" PRId64 ",%" PRId64
                    "], which is of no LSTM, GRU or RNN; --cell says what it is",
                    entry.name, entry.shape[0], entry.shape[1]);
            return NULL;
        }
        return cell_choose(cells[gates], NULL, error);
    }
    failure(error, FAILURE_SIZE, "there are no recurrent weights in it, such as rnn.weight_hh_l0");
    return NULL;
}

/* Takes one more entry of the recurrent weights into account. */
static bool add_recurrent(const cb_stored_tensor *entry, const recurrent_name *parts,
                          foreign_model *m, char *error) {
    const cb_cell_param *row = &m->cell->cell->params[parts->param];
    if (m->first == NULL) {
        m->first = entry->name;
        m->prefix = parts->prefix;
        m->numbered = parts->numbered;
    } else if (m->prefix != parts->prefix || m->numbered != parts->numbered ||
               strncmp(m->first, entry->name, m->prefix) != 0) {
        return failure(
            error, FAILURE_SIZE,
            "%s and %s are weights of two recurrent modules: --rnn MODULE says which one "
            "it is",
            m->first, entry->name);
    }
    if (parts->layer >= m->layers)
        m->layers = parts->layer + 1;
    if (row->role == CB_BIAS)
        m->no_bias = false;
    if (row->rows.size == CB_HIDDEN && entry->rank >= 1 && parts->layer == 0)
        m->hidden = entry->shape[0] / row->rows.times;
    if (row->columns.times == 1 && row->columns.size == CB_INPUT && entry->rank == 2 &&
        parts->layer == 0)
        m->input = entry->shape[1];
    return true;
}

/* Features of a layer's output. */
static int64_t output_of(const foreign_model *m) {
    const cb_cell *cell = m->cell->cell;
    return cell->state_sizes == NULL ? m->hidden
                                     : cb_cell_extent_of(cell, &cell->state_sizes[0], m->input,
                                                         m->hidden, m->cell->settings);
}

/* Whether an entry has the shape that the sizes give it. */
static bool check_shape(const cb_stored_tensor *entry, const recurrent_name *parts,
                        const foreign_model *m, char *error) {
    const cb_cell_param *row = &m->cell->cell->params[parts->param];
    const cb_cell_extent *axes[] = {&row->rows, &row->columns};
    int64_t wanted[2], input = parts->layer == 0 ? m->input : output_of(m);
    int rank = row->columns.times == 0 ? 1 : 2;
    bool same = entry->rank == rank;
    for (int i = 0; i < rank; i++) {
        wanted[i] = cb_cell_extent_of(m->cell->cell, axes[i], input, m->hidden, m->cell->settings);
        same = same && entry->shape[i] == wanted[i];
    }
    char shape[64];
    if (rank == 1)
        snprintf(shape, sizeof shape, "[%" PRId64 "]", wanted[0]);
    else
        snprintf(shape, sizeof shape, "[%" PRId64 ",%" PRId64 "]", wanted[0], wanted[1]);
    return same || failure(error, FAILURE_SIZE,
                           "%s has not the shape %s that it has in a layer of %s with %" PRId64
                           " inputs and %" PRId64 " hidden units",
                           entry->name, shape, m->cell->name, input, m->hidden);
}

static bool check_shapes(const cb_safetensors *file, const bool *used, const foreign_model *m,
                         char *error) {
    for (int i = 0; i < cb_safetensors_stored_count(file); i++) {
        cb_stored_tensor entry = cb_safetensors_stored(file, i);
        recurrent_name parts;
        if (used[i] && take_apart(entry.name, m->cell->cell, &parts) &&
            !check_shape(&entry, &parts, m, error))
            return false;
    }
    return true;
}

static bool find_recurrent(const cb_safetensors *file, const foreign_hints *hints, foreign_model *m,
                           bool *used, char *error) {
    m->cell = hints->cell == NULL ? cell_of_gates(file, hints->rnn, error) : hints->cell;
    m->no_bias = true;
    if (m->cell == NULL)
        return false;
    for (int i = 0; i < cb_safetensors_stored_count(file); i++) {
        cb_stored_tensor entry = cb_safetensors_stored(file, i);
        recurrent_name parts;
        if (strstr(entry.name, "_reverse") != NULL)
            return failure(error, FAILURE_SIZE,
                           "%s: a network that reads text in both directions cannot predict it",
                           entry.name);
        if (!take_apart(entry.name, m->cell->cell, &parts) ||
            (hints->rnn != NULL && !is_module(entry.name, parts.prefix, hints->rnn)))
            continue;
        if (!add_recurrent(&entry, &parts, m, error))
            return false;
        used[i] = true;
    }
    if (m->first == NULL)
        return failure(error, FAILURE_SIZE,
                       "there are no weights of the cell %s in it, such as %s_l0", m->cell->name,
                       m->cell->cell->params[0].name);
    if (m->hidden < 1 || m->input < 1 || m->layers > MOST_LAYERS)
        return failure(error, FAILURE_SIZE, "the weights of %.*s have shapes of no %s",
                       (int)m->prefix, m->first, m->cell->name);
    return check_shapes(file, used, m, error);
}

/* ---- Embedding and output -------------------------------------------------------------------- */

/* What is looked for. */
typedef struct search {
    const cb_safetensors *file;
    bool *used;
    int64_t rows, columns; /* the shape */
    const char *module;    /* the name that was given, or NULL */
    const char *option;    /* by which it is given */
    const char *what;      /* for messages */
} search;

/* Whether entry i is "MODULE.weight". */
static bool is_weight(const search *s, int i) {
    const char *name = cb_safetensors_stored(s->file, i).name, *dot = strrchr(name, '.');
    const char *tail = dot == NULL ? name : dot + 1;
    return !s->used[i] && strcmp(tail, "weight") == 0 &&
           (s->module == NULL || is_module(name, (size_t)(tail - name), s->module));
}

/* The entry "MODULE.bias" beside "MODULE.weight", -1: none. */
static int bias_of(const search *s, int weight) {
    char name[NAME_SIZE];
    const char *of = cb_safetensors_stored(s->file, weight).name;
    snprintf(name, sizeof name, "%.*sbias", (int)(strlen(of) - strlen("weight")), of);
    return cb_safetensors_stored_find(s->file, name);
}

/* The weight of that shape, one with a bias if there is (when `biased`). -1: none, -2: with what is
   wrong in error. */
static int find_weight(const search *s, bool biased, char *error) {
    int found = -1, with_bias = 0, without = 0;
    for (int i = 0; i < cb_safetensors_stored_count(s->file); i++) {
        cb_stored_tensor entry = cb_safetensors_stored(s->file, i);
        if (!is_weight(s, i))
            continue;
        bool fits = entry.rank == 2 && entry.shape[0] == s->rows && entry.shape[1] == s->columns;
        if (!fits && s->module != NULL) {
            failure(error, FAILURE_SIZE, "%s is not [%" PRId64 ",%" PRId64 "], as the %s is",
                    entry.name, s->rows, s->columns, s->what);
            return -2;
        }
        bool bias = bias_of(s, i) >= 0;
        if (!fits || (bias && !biased))
            continue;
        if (bias ? with_bias++ == 0 : without++ == 0 && with_bias == 0)
            found = i;
    }
    if (with_bias > 1 || (with_bias == 0 && without > 1)) {
        failure(error, FAILURE_SIZE,
                "several weights of shape [%" PRId64 ",%" PRId64
                "] could be the %s: --%s MODULE says which one it is",
                s->rows, s->columns, s->what, s->option);
        return -2;
    }
    if (found < 0 && s->module != NULL) {
        failure(error, FAILURE_SIZE, "there is no %s.weight in it", s->module);
        return -2;
    }
    return found;
}

/* A bias of the output that stands alone, because its weight is the embedding's. */
static int find_lone_bias(const search *s) {
    int found = -1;
    for (int i = 0; i < cb_safetensors_stored_count(s->file); i++) {
        cb_stored_tensor entry = cb_safetensors_stored(s->file, i);
        const char *dot = strrchr(entry.name, '.');
        if (!s->used[i] && entry.rank == 1 && entry.shape[0] == s->rows &&
            strcmp(dot == NULL ? entry.name : dot + 1, "bias") == 0)
            found = found == -1 ? i : -2;
    }
    return found < 0 ? -1 : found;
}

static bool find_head(const foreign_hints *hints, search *s, int64_t output, foreign_model *m,
                      char *error) {
    s->columns = output;
    s->module = hints->head;
    s->option = "head";
    s->what = "output layer";
    int weight = find_weight(s, true, error);
    if (weight == -1)
        return failure(error, FAILURE_SIZE,
                       "there is no output layer in it: a linear layer with a weight [%" PRId64
                       ",%" PRId64 "], characters of the vocabulary by features of %.*s",
                       s->rows, output, (int)m->prefix, m->first);
    if (weight < 0)
        return false;
    s->used[weight] = true;
    int bias = bias_of(s, weight) >= 0 ? bias_of(s, weight) : find_lone_bias(s);
    m->head = cb_safetensors_stored(s->file, weight).name;
    if (bias >= 0) {
        m->head_bias = cb_safetensors_stored(s->file, bias).name;
        s->used[bias] = true;
    }
    return true;
}

static bool find_embedding(const foreign_hints *hints, search *s, int64_t output, foreign_model *m,
                           char *error) {
    s->columns = m->input;
    s->module = hints->embedding;
    s->option = "embedding";
    s->what = "embedding";
    int weight = find_weight(s, false, error);
    if (weight == -2)
        return false;
    if (weight >= 0) {
        m->embedding = cb_safetensors_stored(s->file, weight).name;
        s->used[weight] = true;
    } else if (m->input == output && m->input != s->rows) {
        m->embedding = m->head; /* one matrix for both */
    } else if (m->input != s->rows) {
        return failure(error, FAILURE_SIZE,
                       "there is no embedding in it: a weight [%" PRId64 ",%" PRId64
                       "], characters of the vocabulary by inputs of %.*s",
                       s->rows, m->input, (int)m->prefix, m->first);
    }
    return true;
}

/* ---- The rest -------------------------------------------------------------------------------- */

/* Counts what has no place in the model; names it, unless that is allowed. */
static bool check_rest(const cb_safetensors *file, const foreign_hints *hints, const bool *used,
                       foreign_model *m, char *error) {
    char names[FAILURE_SIZE / 2] = "";
    for (int i = 0; i < cb_safetensors_stored_count(file); i++) {
        const char *name = cb_safetensors_stored(file, i).name;
        size_t length = strlen(names);
        if (used[i])
            continue;
        if (length + strlen(name) + 8 < sizeof names)
            snprintf(names + length, sizeof names - length, "%s%s", m->extra > 0 ? ", " : "", name);
        else if (length + 6 < sizeof names && names[length - 1] != '.')
            snprintf(names + length, sizeof names - length, ", ...");
        m->extra++;
    }
    return m->extra == 0 || hints->extra ||
           failure(error, FAILURE_SIZE,
                   "entries that have no place in a character model: %s (--extra leaves them out)",
                   names);
}

bool foreign_find(const cb_safetensors *file, const foreign_hints *hints, foreign_model *found,
                  char *error) {
    bool *used = calloc((size_t)cb_safetensors_stored_count(file) + 1, sizeof *used);
    *found = (foreign_model){.cell = NULL};
    if (used == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    search s = {.file = file, .used = used, .rows = hints->vocabulary};
    bool ok = find_recurrent(file, hints, found, used, error);
    if (ok) {
        int64_t output = output_of(found);
        ok = find_head(hints, &s, output, found, error) &&
             find_embedding(hints, &s, output, found, error) &&
             check_rest(file, hints, used, found, error);
    }
    free(used);
    return ok;
}
