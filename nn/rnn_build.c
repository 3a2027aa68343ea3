/* Building a recurrent network: its weights, from the cells' tables of parameters. */
#include "nn/params_internal.h"
#include "nn/rnn_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 1024 };

/* a * b for numbers that are not negative; what overflows is too large for any memory, and so is
   INT64_MAX. */
static int64_t multiply(int64_t a, int64_t b) {
    return b != 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}

static int64_t extent_of(cb_cell_extent extent, int64_t input, int64_t hidden) {
    return multiply(extent.times, extent.size == CB_INPUT ? input : hidden);
}

int64_t cb_cell_parameters(const cb_cell *cell, int64_t input, int64_t hidden, bool no_bias) {
    int64_t count = 0;
    for (int i = 0; cell != NULL && i < cell->param_count; i++) {
        const cb_cell_param *p = &cell->params[i];
        if (no_bias && p->role == CB_BIAS)
            continue;
        int64_t columns = p->columns.times > 0 ? extent_of(p->columns, input, hidden) : 1;
        int64_t weights = multiply(extent_of(p->rows, input, hidden), columns);
        count = weights > INT64_MAX - count ? INT64_MAX : count + weights;
    }
    return count;
}

/* Whether every draw from an initialiser is the same number. */
static bool is_constant(const cb_init *init) {
    return init->kind == CB_INIT_ZEROS || init->kind == CB_INIT_CONSTANT ||
           (init->kind == CB_INIT_NORMAL && init->b == 0) ||
           (init->kind == CB_INIT_UNIFORM && init->a == init->b);
}

static cb_init init_for(const cb_cell_param *p, const cb_rnn_options *options, int64_t hidden) {
    const cb_init *by_role[] = {
        [CB_INPUT_WEIGHT] = &options->input_init,
        [CB_RECURRENT_WEIGHT] = &options->recurrent_init,
        [CB_BIAS] = &options->bias_init,
        [CB_UNIT_WEIGHT] = &options->unit_init,
    };
    if (by_role[p->role]->kind != CB_INIT_DEFAULT)
        return *by_role[p->role];
    if (p->init.kind != CB_INIT_DEFAULT)
        return p->init;
    double bound = 1 / sqrt((double)hidden); /* as PyTorch */
    return (cb_init){.kind = CB_INIT_UNIFORM, .a = -bound, .b = bound};
}

/* The lower half of a parameter becomes a copy of the upper one. */
static void equalise_halves(cb_tensor *value) {
    size_t half = cb_tensor_bytes(value) / 2;
    memcpy((char *)value->data + half, value->data, half);
}

static cb_status add_weight(cb_params *params, const char *prefix, const char *suffix,
                            cbi_rnn_run *run, int i, const cb_rnn_options *options) {
    const cb_cell_param *p = &run->cell->params[i];
    char name[256];
    cb_init init = init_for(p, options, run->hidden);
    int64_t shape[2] = {extent_of(p->rows, run->input, run->hidden),
                        extent_of(p->columns, run->input, run->hidden)};
    int length = snprintf(name, sizeof(name), "%s.%s_%s", prefix, p->name, suffix);
    if (length < 0 || (size_t)length >= sizeof(name)) {
        cbi_params_fail(params, CB_ERROR_VALUE, "rnn: the name \"%s\" is too long", prefix);
        return CB_ERROR_VALUE;
    }
    if (shape[0] == INT64_MAX || shape[1] == INT64_MAX) {
        cbi_params_fail(params, CB_ERROR_MEMORY, "parameter %s: no memory", name);
        return CB_ERROR_MEMORY;
    }
    run->weights[i] =
        cb_params_add(params, name, p->columns.times > 0 ? 2 : 1, shape, p->blocks, &init);
    if (run->weights[i] == NULL)
        return cb_params_status(params);
    if (p->halves == 2 && options->equal_halves)
        equalise_halves(run->weights[i]->value);
    return CB_OK;
}

static bool has_size(cb_cell_extent e) {
    return e.size == CB_INPUT || e.size == CB_HIDDEN;
}

/* Why a row of a cell's table of parameters cannot be used; NULL when it can. */
static const char *fault_of_row(const cb_cell_param *p) {
    return p->name == NULL        ? "it has no name"
           : p->rows.times < 1    ? "its rows are below 1 x a size"
           : p->columns.times < 0 ? "its columns are below 0 x a size"
           : !has_size(p->rows) || !has_size(p->columns)
               ? "its extents are of no size: CB_INPUT or CB_HIDDEN"
           : (unsigned)p->role > CB_UNIT_WEIGHT       ? "there is no such role"
           : p->blocks < 0                            ? "its blocks are below 0"
           : p->halves < 0 || p->halves > 2           ? "its halves are outside 0..2"
           : p->halves == 2 && p->rows.times % 2 != 0 ? "its rows have no two halves"
                                                      : NULL;
}

/* Whether the cell has halves and these initialisers give both the same products. */
static bool halves_start_equal(const cb_cell *cell, const cb_rnn_options *options) {
    bool has_halves = false;
    for (int i = 0; i < cell->param_count; i++) {
        const cb_cell_param *p = &cell->params[i];
        if (p->halves != 2 || (p->role != CB_INPUT_WEIGHT && p->role != CB_RECURRENT_WEIGHT))
            continue;
        cb_init init = init_for(p, options, 1);
        if (!is_constant(&init))
            return false;
        has_halves = true;
    }
    return has_halves;
}

/* Why a cell, or the options with it, cannot be used, in text; false when it can. */
static bool is_unusable(const cb_cell *cell, const cb_rnn_options *options, char *text,
                        size_t size) {
    const char *why = NULL;
    if (cell == NULL || cell->name == NULL || cell->step == NULL)
        why = cell == NULL ? "the cell is NULL" : "the cell has no name, or no step";
    else if (cell->state_count < 1 || cell->state_count > CB_CELL_MAX_STATES)
        return snprintf(text, size, "cell \"%s\": %d states are outside 1..%d", cell->name,
                        cell->state_count, CB_CELL_MAX_STATES) > 0;
    else if (cell->param_count < 0 || cell->param_count > CB_CELL_MAX_PARAMS)
        return snprintf(text, size, "cell \"%s\": %d parameters are outside 0..%d", cell->name,
                        cell->param_count, CB_CELL_MAX_PARAMS) > 0;
    else if (cell->param_count > 0 && cell->params == NULL)
        why = "the cell's table of parameters is NULL";
    for (int i = 0; why == NULL && i < cell->param_count; i++) {
        const char *fault = fault_of_row(&cell->params[i]);
        if (fault != NULL)
            return snprintf(text, size, "cell \"%s\", parameter %d (%s): %s", cell->name, i,
                            cell->params[i].name != NULL ? cell->params[i].name : "no name",
                            fault) > 0;
    }
    if (why == NULL && !options->equal_halves && halves_start_equal(cell, options))
        why = "these initialisers make the halves equal; ask for equal_halves if that is meant";
    snprintf(text, size, "%s", why != NULL ? why : "");
    return why != NULL;
}

static cb_tensor *module_forward(const cb_module *module, cb_tensor *x) {
    return cb_rnn_forward((const cb_rnn *)(const void *)module, x, NULL);
}

/* What is wrong with the options, whatever the cells; NULL when nothing is. */
static const char *options_fault(const char *name, const cb_stack_layer *layers,
                                 const cb_rnn_options *options) {
    if (name == NULL)
        return "the name is NULL";
    if (layers == NULL)
        return "the array of layers is NULL";
    if (!(options->dropout >= 0 && options->dropout < 1))
        return "dropout is outside [0, 1)";
    if (options->recompute < 0)
        return "recompute is below 0";
    if (options->reverse && options->bidirectional)
        return "reverse and bidirectional exclude each other";
    return NULL;
}

static void end_scan(void *scan) {
    cb_scan_free(scan);
}

/* The recurrence of a run whose weights are there; the set's. */
static cb_status add_scan(cb_rnn *rnn, cbi_rnn_run *run, const cb_rnn_options *options) {
    int64_t sizes[CB_CELL_MAX_STATES];
    cb_tensor *weights[CB_CELL_MAX_PARAMS];
    for (int i = 0; i < run->cell->state_count; i++)
        sizes[i] = run->hidden;
    for (int i = 0; i < run->cell->param_count; i++)
        weights[i] = run->weights[i] != NULL ? run->weights[i]->value : NULL;
    cb_scan_options scan = {.name = run->cell->name,
                            .dtype = cb_params_dtype(rnn->params),
                            .input = run->input,
                            .state_count = run->cell->state_count,
                            .state_size = sizes,
                            .weight_count = run->cell->param_count,
                            .weights = weights,
                            .eager = options->eager};
    run->scan = cb_scan_new(run->cell->step, &scan);
    if (cbi_params_own(rnn->params, run->scan, end_scan))
        return CB_OK;
    cb_scan_free(run->scan);
    cbi_params_fail(rnn->params, CB_ERROR_MEMORY, "rnn \"%s\": no memory", rnn->module.name);
    return CB_ERROR_MEMORY;
}

/* Fills in run number k of a network and makes its weights. */
static cb_status start_run(cb_rnn *rnn, int k, int64_t input, const cb_stack_layer *layer,
                           const cb_rnn_options *options) {
    const char *name = rnn->module.name;
    char why[256];
    int number = k / rnn->directions;
    bool backward = options->reverse || k % rnn->directions == 1;
    char suffix[32];
    if (input < 1 || layer->hidden < 1) {
        cbi_params_fail(rnn->params, CB_ERROR_SHAPE,
                        "rnn \"%s\", layer %d: sizes %lld and %lld; "
                        "both must be at least 1",
                        name, number, (long long)input, (long long)layer->hidden);
        return CB_ERROR_SHAPE;
    }
    if (is_unusable(layer->cell, options, why, sizeof(why))) {
        cbi_params_fail(rnn->params, CB_ERROR_VALUE, "rnn \"%s\", layer %d: %s", name, number, why);
        return CB_ERROR_VALUE;
    }
    snprintf(suffix, sizeof(suffix), "l%d%s", number, backward ? "_reverse" : "");
    rnn->runs[k] = (cbi_rnn_run){
        .cell = layer->cell, .input = input, .hidden = layer->hidden, .reverse = backward};
    for (int i = 0; i < layer->cell->param_count; i++) {
        bool dropped = options->no_bias && layer->cell->params[i].role == CB_BIAS;
        cb_status status =
            dropped ? CB_OK : add_weight(rnn->params, name, suffix, &rnn->runs[k], i, options);
        if (status != CB_OK)
            return status;
    }
    return add_scan(rnn, &rnn->runs[k], options);
}

cb_rnn *cb_stack_new(cb_params *params, const char *name, int64_t input, int count,
                     const cb_stack_layer *layers, const cb_rnn_options *options) {
    const cb_rnn_options none = {0};
    if (params == NULL || cb_params_status(params) != CB_OK)
        return NULL;
    options = options != NULL ? options : &none;
    if (count < 1 || count > MOST_LAYERS) {
        cbi_params_fail(params, CB_ERROR_VALUE, "rnn \"%s\": %d layers are outside 1..%d",
                        name != NULL ? name : "", count, MOST_LAYERS);
        return NULL;
    }
    const char *fault = options_fault(name, layers, options);
    if (fault != NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "rnn \"%s\": %s", name != NULL ? name : "", fault);
        return NULL;
    }
    int directions = options->bidirectional ? 2 : 1;
    cb_rnn *rnn = cbi_module_new(params, name, sizeof(*rnn), module_forward);
    cbi_rnn_run *runs = cb_params_allocate(params, sizeof(*runs) * (size_t)(count * directions));
    if (rnn == NULL || runs == NULL)
        return NULL;
    rnn->params = params;
    rnn->layers = count;
    rnn->directions = directions;
    rnn->dropout = options->dropout;
    rnn->recompute = options->recompute;
    rnn->runs = runs;
    for (int k = 0; k < count * directions; k++) {
        if (start_run(rnn, k, input, &layers[k / directions], options) != CB_OK)
            return NULL;
        if (k % directions == directions - 1)
            input = multiply(layers[k / directions].hidden, directions);
    }
    return rnn;
}

cb_rnn *cb_rnn_new_with(cb_params *params, const char *name, const cb_cell *cell, int64_t input,
                        const cb_rnn_options *options) {
    cb_stack_layer layers[MOST_LAYERS];
    int count = options->layers == 0 ? 1 : options->layers;
    for (int i = 0; i < count && i < MOST_LAYERS; i++)
        layers[i] = (cb_stack_layer){cell, options->hidden};
    return cb_stack_new(params, name, input, count, layers, options);
}

cb_module *cb_rnn_module(cb_rnn *rnn) {
    return rnn != NULL ? &rnn->module : NULL;
}

int cb_rnn_state_count(const cb_rnn *rnn) {
    int count = 0;
    for (int k = 0; rnn != NULL && k < rnn->layers * rnn->directions; k++)
        count += rnn->runs[k].cell->state_count;
    return count;
}

int64_t cb_rnn_state_size(const cb_rnn *rnn, int i) {
    for (int k = 0; rnn != NULL && i >= 0 && k < rnn->layers * rnn->directions; k++) {
        if (i < rnn->runs[k].cell->state_count)
            return rnn->runs[k].hidden;
        i -= rnn->runs[k].cell->state_count;
    }
    return 0;
}

int cb_rnn_layers(const cb_rnn *rnn) {
    return rnn != NULL ? rnn->layers : 0;
}

const char *cb_rnn_eager_reason(const cb_rnn *rnn, int layer) {
    if (rnn == NULL || layer < 0 || layer >= rnn->layers)
        return "there is no such layer";
    return cb_scan_reason(rnn->runs[layer * rnn->directions].scan);
}

int64_t cb_rnn_output_size(const cb_rnn *rnn) {
    return rnn != NULL ? rnn->runs[rnn->layers * rnn->directions - 1].hidden * rnn->directions : 0;
}
