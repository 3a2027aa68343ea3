/* A text as a cell: read, checked, and made into the tables that a cb_cell has. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Tables ---------------------------------------------------------------------------------- */

/* A form as an extent; what is no multiple of the hidden or the input's size becomes a size of the
   cell's own. There is room for all. */
static cb_cell_extent extent_of(cbi_equations *e, const cbi_form *f) {
    if (f->over == 1 && f->constant == 0 && f->input == 0)
        return (cb_cell_extent){(int)f->hidden, CB_HIDDEN};
    if (f->over == 1 && f->constant == 0 && f->hidden == 0)
        return (cb_cell_extent){(int)f->input, CB_INPUT};
    const cb_cell_own_size size = {.hidden = (int)f->hidden,
                                   .input = (int)f->input,
                                   .constant = f->constant,
                                   .over = (int)f->over};
    int i = 0;
    while (i < e->cell.size_count && memcmp(&e->own_sizes[i], &size, sizeof(size)) != 0)
        i++;
    if (i == e->cell.size_count)
        memcpy(&e->own_sizes[e->cell.size_count++], &size, sizeof(size));
    return (cb_cell_extent){1, (cb_cell_size)(CB_OWN_SIZE + i)};
}

/* The first values that a name has; of sizes that are not known, NaN. */
static cb_init init_of(const cbi_equations *e, const cbi_name *name, const double *settings,
                       int64_t input, int64_t hidden) {
    cb_init init = {.kind = name->init_at >= 0 ? name->init : CB_INIT_DEFAULT};
    double numbers[2] = {0};
    for (int i = 0; i < name->init_count && name->init_at >= 0; i++)
        numbers[i] = cbi_number_of(e, name->init_nodes[i], settings, input, hidden);
    if (init.kind == CB_INIT_CONSTANT || init.kind == CB_INIT_UNIFORM ||
        init.kind == CB_INIT_NORMAL)
        init.a = numbers[0], init.b = numbers[1];
    else
        init.gain = numbers[0];
    return init;
}

static cb_init param_init(const cb_cell *cell, int param, int64_t input, int64_t hidden,
                          const double *settings) {
    const cbi_equations *e = cbi_equations_of(cell);
    for (int i = 0; e != NULL && i < e->name_count; i++) /* NULL: of a copy of the cell */
        if (e->names[i].text == cell->params[param].name)
            return init_of(e, &e->names[i], settings, input, hidden);
    return cell->params[param].init;
}

static double state_value(const cb_cell *cell, int state, int64_t input, int64_t hidden,
                          const double *settings) {
    const cbi_equations *e = cbi_equations_of(cell);
    return e == NULL ? cell->state_initial[state]
                     : init_of(e, &e->names[e->states[state]], settings, input, hidden).a;
}

/* Checks what only the values of first values show, where no size is needed for them. */
static bool check_init(cbi_equations *e, const cbi_name *name, const cb_init *init) {
    for (int i = 0; i < name->init_count && name->init_at >= 0; i++)
        if (cbi_depends_on_sizes(e, name->init_nodes[i]))
            return true;
    const char *fault =
        !isfinite(init->a) || !isfinite(init->b) || !isfinite(init->gain) ? "they are not finite"
        : init->kind == CB_INIT_UNIFORM && init->a > init->b ? "the low end is above the high one"
        : init->kind == CB_INIT_NORMAL && init->b < 0        ? "the deviation is below 0"
        : init->gain < 0                                     ? "the gain is below 0"
                                                             : NULL;
    return fault == NULL ||
           cbi_equations_fail(e, name->init_at, "the first values of \"%s\" cannot be: %s",
                              name->text, fault);
}

/* The columns of each of a matrix's blocks. What depends on the network's sizes is checked when
   these are known. */
static bool cut_into_heads(cbi_equations *e, const cbi_name *name, const cbi_form *rows,
                           cbi_form *columns) {
    bool whole = rows->hidden != 0 || rows->input != 0 || rows->constant % name->heads == 0;
    columns->over *= name->heads;
    if (!cbi_form_reduce(columns))
        return cbi_equations_fail(e, name->at, "the blocks of \"%s\" are too small", name->text);
    whole = whole && (columns->hidden != 0 || columns->input != 0 || columns->over == 1);
    return whole || cbi_equations_fail(e, name->at,
                                       "the rows and columns of \"%s\" cannot be cut into %d equal "
                                       "blocks",
                                       name->text, name->heads);
}

static bool make_param(cbi_equations *e, cbi_name *name) {
    cbi_form rows = cbi_size_form(e, name->size), columns = cbi_size_form(e, name->columns);
    bool matrix = name->kind == CBI_NAME_MATRIX;
    cb_cell_param *p = &e->params[e->cell.param_count];
    if (e->cell.param_count == CB_CELL_MAX_PARAMS)
        return cbi_equations_fail(e, name->at, "there are more than %d parameters",
                                  CB_CELL_MAX_PARAMS);
    if (matrix && !cut_into_heads(e, name, &rows, &columns))
        return false;
    *p = (cb_cell_param){.name = name->text,
                         .rows = extent_of(e, &rows),
                         .columns = matrix ? extent_of(e, &columns) : (cb_cell_extent){0},
                         .blocks = cbi_size_blocks(e, name->size) * name->heads,
                         .role = name->role,
                         .init = init_of(e, name, NULL, 0, 0)};
    name->index = e->cell.param_count++;
    return check_init(e, name, &p->init);
}

/* Parameters in the order of their appearance. */
static bool make_params(cbi_equations *e) {
    e->params = cbi_allocate(sizeof(*e->params) * CB_CELL_MAX_PARAMS);
    if (e->params == NULL)
        return cbi_equations_no_memory(e);
    for (;;) {
        cbi_name *first = NULL;
        for (int i = 0; i < e->name_count; i++) {
            cbi_name *name = &e->names[i];
            bool parameter = name->kind == CBI_NAME_VECTOR || name->kind == CBI_NAME_MATRIX;
            if (parameter && name->index < 0 && (first == NULL || name->at < first->at))
                first = name;
        }
        if (first == NULL)
            return true;
        if (!make_param(e, first))
            return false;
    }
}

static bool make_states(cbi_equations *e) {
    size_t count = (size_t)e->state_count;
    e->state_names = cbi_allocate(sizeof(*e->state_names) * count);
    e->state_sizes = cbi_allocate(sizeof(*e->state_sizes) * count);
    e->state_initial = cbi_allocate(sizeof(*e->state_initial) * count);
    if (e->state_names == NULL || e->state_sizes == NULL || e->state_initial == NULL)
        return cbi_equations_no_memory(e);
    for (int i = 0; i < e->state_count; i++) {
        const cbi_name *name = &e->names[e->states[i]];
        cbi_form form = cbi_size_form(e, name->size);
        cb_init init = init_of(e, name, NULL, 0, 0);
        if (!check_init(e, name, &init))
            return false;
        e->state_names[i] = name->text;
        e->state_sizes[i] = extent_of(e, &form);
        e->state_initial[i] = name->init_at >= 0 ? init.a : 0;
        if (name->kind == CBI_NAME_STATE && name->multiplied)
            e->cell.recurrent_states |= (uint64_t)1 << i;
    }
    if (e->cell.recurrent_states == 0)
        e->cell.recurrent_states = CB_CELL_NO_RECURRENT_STATES;
    return true;
}

static bool make_vectors(cbi_equations *e) {
    e->inputs = cbi_allocate(sizeof(cb_cell_vector) * (CB_CELL_MAX_VECTORS + 1));
    e->observed_vectors = cbi_allocate(sizeof(cb_cell_vector) * (CB_CELL_MAX_VECTORS + 1));
    if (e->inputs == NULL || e->observed_vectors == NULL)
        return cbi_equations_no_memory(e);
    for (int i = 0; i < e->name_count; i++) {
        cbi_name *name = &e->names[i];
        if (name->kind != CBI_NAME_INPUT)
            continue;
        if (e->cell.input_count == CB_CELL_MAX_VECTORS)
            return cbi_equations_fail(e, name->at, "there are more than %d further inputs",
                                      CB_CELL_MAX_VECTORS);
        name->index = e->cell.input_count;
        e->inputs[e->cell.input_count++] = (cb_cell_vector){name->text, extent_of(e, &name->form)};
    }
    for (int i = 0; i < e->observed_count; i++) {
        const cbi_name *name = &e->names[e->observed[i]];
        cbi_form form = cbi_size_form(e, name->size);
        if (i == CB_CELL_MAX_VECTORS)
            return cbi_equations_fail(e, name->observed_at, "more than %d values are observed",
                                      CB_CELL_MAX_VECTORS);
        e->observed_vectors[i] = (cb_cell_vector){name->text, extent_of(e, &form)};
    }
    e->cell.observed_count = e->observed_count;
    return true;
}

/* The first line of comment is the summary. */
static const char *make_summary(const cbi_equations *e, char *room) {
    const char *at = e->text + strspn(e->text, " \t\r\n\xEF\xBB\xBF");
    if (*at != '#')
        return "a cell from its equations";
    at += 1 + strspn(at + 1, "# \t");
    size_t name = strlen(e->name);
    if (strncmp(at, e->name, name) == 0 && at[name] == ':') /* "lstm: ..." */
        at += name + 1 + strspn(at + name + 1, " \t");
    size_t length = strcspn(at, "\r\n");
    memcpy(room, at, length);
    room[length] = '\0';
    return length > 0 ? room : "a cell from its equations";
}

static bool make_cell(cbi_equations *e) {
    for (int i = 0; i < e->name_count; i++)
        if (e->names[i].kind != CBI_NAME_STATE)
            e->names[i].index = -1;
    for (int i = 0; i < e->state_count; i++)
        e->names[e->states[i]].index = i;
    /* Two for each parameter, one for any state, input and observed value. */
    enum { MOST_SIZES = 2 * CB_CELL_MAX_PARAMS + CB_CELL_MAX_STATES + 2 * CB_CELL_MAX_VECTORS };
    e->own_sizes = cbi_allocate(sizeof(*e->own_sizes) * MOST_SIZES);
    if (e->own_sizes == NULL)
        return cbi_equations_no_memory(e);
    if (!make_params(e) || !make_states(e) || !make_vectors(e))
        return false;
    char *summary = e->text + strlen(e->text) + 1; /* there is room for it behind the text */
    e->cell.name = e->name;
    e->cell.summary = make_summary(e, summary);
    e->cell.equations = e->text;
    e->cell.state_count = e->state_count;
    e->cell.state_names = (const char *const *)e->state_names;
    e->cell.params = e->params;
    e->cell.output_anew = e->names[e->states[0]].kind == CBI_NAME_RESULT;
    e->cell.full_step = cbi_equations_step;
    e->cell.state_sizes = e->state_sizes;
    e->cell.sizes = e->own_sizes;
    e->cell.state_initial = e->state_initial;
    e->cell.settings = e->cell_settings;
    e->cell.inputs = e->inputs;
    e->cell.observed = e->observed_vectors;
    e->cell.param_init = param_init;
    e->cell.state_value = state_value;
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static char *copied(const char *text, size_t length, size_t room) {
    char *copy = cbi_allocate(length + room + 1);
    return copy != NULL ? memcpy(copy, text, length) : NULL;
}

/* What is of use while reading only. */
static void end_reading(cbi_equations *e) {
    cbi_free(e->tokens);
    e->tokens = NULL;
    e->settings = NULL;
    e->error = NULL;
}

/* A byte that is 0 ends a string, but no file. */
static bool check_bytes(cbi_equations *e, size_t length) {
    size_t end = strlen(e->text);
    if (length > CBI_LONGEST_TEXT)
        return cbi_equations_fail(e, -1, "the text is longer than 1 MiB");
    return end == length || cbi_equations_fail(e, (int)end,
                                               "this is no cell: it has a byte that is 0; if it is "
                                               "UTF-16, save it as UTF-8");
}

static cb_cell *parse(const char *text, size_t length, const char *name, size_t name_length,
                      const char *file, const cb_setting *settings, cb_error *error) {
    cbi_equations *e = cbi_allocate(sizeof(*e));
    if (e == NULL) {
        *error = (cb_error){.status = CB_ERROR_MEMORY, .message = "out of memory"};
        return NULL;
    }
    e->error = error;
    e->output = -1;
    e->settings = settings;
    e->text = copied(text, length, length + 2);
    e->name = copied(name, name_length, 0);
    e->file = copied(file, strlen(file), 0);
    if (e->file == NULL || e->text == NULL || e->name == NULL) {
        *error = (cb_error){.status = CB_ERROR_MEMORY, .message = "out of memory"};
        cb_cell_free(&e->cell);
        return NULL;
    }
    bool good = check_bytes(e, length) && cbi_read_tokens(e) && cbi_read_statements(e) &&
                cbi_resolve_names(e) && cbi_find_sizes(e) && make_cell(e);
    end_reading(e);
    if (!good)
        cb_cell_free(&e->cell);
    return good ? &e->cell : NULL;
}

cb_cell *cb_cell_parse(const char *text, const cb_cell_text_options *options, cb_error *error) {
    const cb_cell_text_options none = {0};
    cb_error own;
    error = error != NULL ? error : &own;
    options = options != NULL ? options : &none;
    *error = (cb_error){.status = CB_OK};
    if (text == NULL) {
        *error = (cb_error){.status = CB_ERROR_VALUE, .message = "cell: the text is NULL"};
        return NULL;
    }
    const char *name = options->name != NULL ? options->name : "cell";
    return parse(text, strlen(text), name, strlen(name),
                 options->file != NULL ? options->file : "cell", options->settings, error);
}

/* All of a file, which has to be small; NULL, with what is wrong. */
static char *read_file(const char *path, size_t *length, cb_error *error) {
    FILE *file = fopen(path, "rb");
    char *text = file != NULL ? cbi_allocate(CBI_LONGEST_TEXT + 2) : NULL;
    *length = text != NULL ? fread(text, 1, CBI_LONGEST_TEXT + 1, file) : 0;
    int reason = errno;
    bool failed = file == NULL || ferror(file) != 0;
    if (file != NULL)
        fclose(file);
    bool large = *length > CBI_LONGEST_TEXT;
    if (!failed && text != NULL && !large)
        return text;
    error->status = failed || large ? CB_ERROR_FILE : CB_ERROR_MEMORY;
    snprintf(error->message, sizeof(error->message), "%.200s: %s", path,
             failed  ? strerror(reason)
             : large ? "this is no cell: it is longer than 1 MiB"
                     : "out of memory");
    cbi_free(text);
    return NULL;
}

cb_cell *cb_cell_load(const char *path, const cb_cell_text_options *options, cb_error *error) {
    const cb_cell_text_options none = {0};
    cb_error own;
    error = error != NULL ? error : &own;
    options = options != NULL ? options : &none;
    *error = (cb_error){.status = CB_OK};
    if (path == NULL) {
        *error = (cb_error){.status = CB_ERROR_FILE, .message = "cell: the path is NULL"};
        return NULL;
    }
    size_t text_length;
    char *text = read_file(path, &text_length, error);
    if (text == NULL)
        return NULL;
    const char *base = strrchr(path, '/'), *name = base != NULL ? base + 1 : path;
    const char *end = strrchr(name, '.');
    size_t length = end != NULL && strcmp(end, ".cell") == 0 && end > name ? (size_t)(end - name)
                                                                           : strlen(name);
    if (options->name != NULL)
        name = options->name, length = strlen(name);
    cb_cell *cell = parse(text, text_length, name, length,
                          options->file != NULL ? options->file : path, options->settings, error);
    cbi_free(text);
    return cell;
}

/* ---- The cell -------------------------------------------------------------------------------- */

const cbi_equations *cbi_equations_of(const cb_cell *cell) {
    return cell != NULL && cell->full_step == cbi_equations_step
               ? (const cbi_equations *)(const void *)cell
               : NULL;
}

void cb_cell_free(cb_cell *cell) {
    cbi_equations *e = (cbi_equations *)(void *)cell;
    if (e == NULL)
        return;
    for (int i = 0; i < e->name_count; i++)
        cbi_free(e->names[i].text);
    void *parts[] = {e->text,
                     e->name,
                     e->file,
                     e->tokens,
                     e->nodes,
                     e->names,
                     e->equations,
                     e->targets,
                     e->sizes,
                     e->order,
                     e->observed,
                     e->states,
                     e->state_names,
                     e->state_sizes,
                     e->state_initial,
                     e->params,
                     e->cell_settings,
                     e->inputs,
                     e->observed_vectors,
                     e->own_sizes,
                     e};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        cbi_free(parts[i]);
}
