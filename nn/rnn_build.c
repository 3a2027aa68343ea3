/* Building a recurrent network: its weights and recurrences, from the cells' tables. */
#include "nn/equations/equations.h"
#include "nn/params_internal.h"
#include "nn/rnn_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 1024 };

/* ---- Weights --------------------------------------------------------------------------------- */

/* Whether every draw from an initialiser is the same number. */
static bool is_constant(const cb_init *init) {
    return init->kind == CB_INIT_ZEROS || init->kind == CB_INIT_CONSTANT ||
           (init->kind == CB_INIT_NORMAL && init->b == 0) ||
           (init->kind == CB_INIT_UNIFORM && init->a == init->b);
}

/* First values by role, where the options say any; else those of the table. */
static cb_init init_for(const cb_cell_param *p, const cb_rnn_options *options, int64_t hidden) {
    const cb_init *by_role[] = {
        [CB_INPUT_WEIGHT] = &options->input_init,
        [CB_RECURRENT_WEIGHT] = &options->recurrent_init,
        [CB_BIAS] = &options->bias_init,
        [CB_UNIT_WEIGHT] = &options->unit_init,
    };
    if (p->role != CB_CONSTANT && by_role[p->role]->kind != CB_INIT_DEFAULT)
        return *by_role[p->role];
    if (p->init.kind != CB_INIT_DEFAULT)
        return p->init;
    double bound = 1 / sqrt((double)hidden); /* as PyTorch */
    return (cb_init){.kind = CB_INIT_UNIFORM, .a = -bound, .b = bound};
}

/* First values of parameter i: what the cell says of it alone goes before what options say of all
   of its role. */
static cb_init first_values(const cbi_rnn_run *run, int i, const cb_rnn_options *options) {
    const cb_cell *cell = run->cell;
    cb_init own = {.kind = CB_INIT_DEFAULT};
    if (cell->param_init != NULL)
        own = cell->param_init(cell, i, run->input, run->hidden, run->settings);
    return own.kind != CB_INIT_DEFAULT ? own : init_for(&cell->params[i], options, run->hidden);
}

/* The lower half of a parameter becomes a copy of the upper one. */
static void equalise_halves(cb_tensor *value) {
    size_t half = cb_tensor_bytes(value) / 2;
    memcpy((char *)value->data + half, value->data, half);
}

static cb_status fail(const cb_rnn *rnn, cb_status status, const char *format, const char *name) {
    cbi_params_fail(rnn->params, status, format, name);
    return status;
}

static void end_constant(void *constant) {
    cb_tensor_free(constant);
}

static cb_status add_constant(cbi_rnn_run *run, int i, const char *name, int rank,
                              const int64_t *shape) {
    const cb_cell_param *p = &run->cell->params[i];
    cb_tensor *constant = cb_tensor_new(cb_params_dtype(run->rnn->params), rank, shape);
    if (!cbi_params_own(run->rnn->params, constant, end_constant)) {
        cb_tensor_free(constant);
        return fail(run->rnn, CB_ERROR_MEMORY, "constant %s: no memory", name);
    }
    p->fill(constant, run->input, run->hidden, run->settings);
    run->constants[i] = constant;
    return CB_OK;
}

static cb_status add_weight(cbi_rnn_run *run, const char *suffix, int i,
                            const cb_rnn_options *options) {
    const cb_rnn *rnn = run->rnn;
    const cb_cell_param *p = &run->cell->params[i];
    char name[256];
    int rank;
    int64_t shape[2];
    cbi_cell_shape(run, p, &rank, shape);
    int length = snprintf(name, sizeof(name), "%s.%s_%s", rnn->module.name, p->name, suffix);
    if (length < 0 || (size_t)length >= sizeof(name))
        return fail(rnn, CB_ERROR_VALUE, "rnn: the name \"%s\" is too long", rnn->module.name);
    if (shape[0] == INT64_MAX || shape[1] == INT64_MAX)
        return fail(rnn, CB_ERROR_MEMORY, "parameter %s: no memory", name);
    if (shape[0] == 0 || shape[1] == 0)
        return fail(rnn, CB_ERROR_VALUE,
                    "parameter %s: with these sizes, an extent is no whole number of at least 1",
                    name);
    if (p->role == CB_CONSTANT)
        return add_constant(run, i, name, rank, shape);
    cb_init init = first_values(run, i, options);
    run->weights[i] = cb_params_add(rnn->params, name, rank, shape, p->blocks, &init);
    if (run->weights[i] == NULL)
        return cb_params_status(rnn->params);
    if (p->halves == 2 && options->equal_halves)
        equalise_halves(run->weights[i]->value);
    return CB_OK;
}

/* ---- Cells and options ----------------------------------------------------------------------- */

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

static bool is_rate(double rate) {
    return rate >= 0 && rate < 1;
}

/* Why a cell, or the options with it, cannot be used, in text; false when it can. */
static bool is_unusable(const cb_cell *cell, const cb_rnn_options *options, char *text,
                        size_t size) {
    const char *why = NULL;
    if (cbi_cell_fault(cell, text, size))
        return true;
    if (options->recurrent_dropout > 0 && cell->recurrent_states == CB_CELL_NO_RECURRENT_STATES)
        why = "recurrent_dropout: the cell has no state that a recurrent weight multiplies";
    else if (options->recurrent_dropout > 0 && cell->full_step == NULL)
        why = "recurrent_dropout: the cell has no full_step, which is given what recurrent weights "
              "see";
    else if (!options->equal_halves && halves_start_equal(cell, options))
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
    if (!is_rate(options->dropout))
        return "dropout is outside [0, 1)";
    if (!is_rate(options->recurrent_dropout))
        return "recurrent_dropout is outside [0, 1)";
    if (!is_rate(options->zoneout) || !is_rate(options->zoneout_cell))
        return "zoneout is outside [0, 1)";
    if (options->recompute < 0)
        return "recompute is below 0";
    if (options->reverse && options->bidirectional)
        return "reverse and bidirectional exclude each other";
    return NULL;
}

/* ---- Sizes and recurrences of one direction of a layer --------------------------------------- */

/* Says that layers want a further input of different sizes. */
static cb_status sizes_differ(const cb_rnn *rnn, int layer, const cbi_rnn_vector *given,
                              int64_t size) {
    cbi_params_fail(
        rnn->params, CB_ERROR_VALUE,
        "rnn \"%s\", layer %d: the further input \"%s\" has the size %lld here and %lld in "
        "the layers before, and all layers share it; give it a size that does not "
        "depend on the layer's input or hidden size",
        rnn->module.name, layer, given->name, (long long)size, (long long)given->size);
    return CB_ERROR_VALUE;
}

/* Finds the cell's further inputs among the network's, or adds them. */
static cb_status join_inputs(cb_rnn *rnn, cbi_rnn_run *run, int layer) {
    for (int i = 0; i < run->cell->input_count; i++) {
        const char *name = run->cell->inputs[i].name;
        int at = 0;
        while (at < rnn->input_count && strcmp(rnn->inputs[at].name, name) != 0)
            at++;
        if (at == CB_CELL_MAX_VECTORS)
            return fail(rnn, CB_ERROR_VALUE, "rnn \"%s\": too many further inputs",
                        rnn->module.name);
        if (at == rnn->input_count)
            rnn->inputs[rnn->input_count++] = (cbi_rnn_vector){name, run->input_size[i]};
        if (rnn->inputs[at].size != run->input_size[i])
            return sizes_differ(rnn, layer, &rnn->inputs[at], run->input_size[i]);
        run->input_of[i] = at;
    }
    return CB_OK;
}

static void end_scan(void *scan) {
    cb_scan_free(scan);
}

/* The recurrence of a form of a run whose weights are there; the set's. */
static cb_status add_scan(cbi_rnn_run *run, cbi_rnn_form *form, const cb_rnn_options *options) {
    const cb_rnn *rnn = run->rnn;
    int64_t sizes[CBI_MOST_STATES];
    cb_tensor *weights[CB_CELL_MAX_PARAMS];
    int states = cbi_rnn_form_states(form);
    for (int i = 0; i < states; i++)
        sizes[i] = cbi_rnn_form_state_size(form, i);
    for (int i = 0; i < run->cell->param_count; i++)
        weights[i] = run->weights[i] != NULL ? run->weights[i]->value : run->constants[i];
    cb_scan_options scan = {.name = run->cell->name,
                            .dtype = cb_params_dtype(rnn->params),
                            .input = cbi_rnn_form_input(form),
                            .state_count = states,
                            .state_size = sizes,
                            .weight_count = run->cell->param_count,
                            .weights = weights,
                            .eager = options->eager,
                            .context_step = cbi_rnn_step,
                            .context = form};
    form->scan = cb_scan_new(NULL, &scan);
    if (cbi_params_own(rnn->params, form->scan, end_scan))
        return CB_OK;
    cb_scan_free(form->scan);
    form->scan = NULL;
    return fail(rnn, CB_ERROR_MEMORY, "rnn \"%s\": no memory", rnn->module.name);
}

static cb_status add_scans(cbi_rnn_run *run, const cb_rnn_options *options) {
    cb_status status = CB_OK;
    for (int masked = 0; masked < 2; masked++)
        for (int observing = 0; observing < 2 && status == CB_OK; observing++) {
            cbi_rnn_form *form = &run->forms[masked][observing];
            *form = (cbi_rnn_form){.run = run, .masked = masked, .observing = observing};
            if ((masked && options->recurrent_dropout == 0) ||
                (observing && run->cell->observed_count == 0))
                continue;
            status = add_scan(run, form, options);
        }
    return status;
}

/* Fills in run number k of a network and makes its weights. */
static cb_status start_run(cb_rnn *rnn, int k, int64_t input, const cb_stack_layer *layer,
                           const cb_rnn_options *options) {
    const char *name = rnn->module.name;
    char why[400];
    int number = k / rnn->directions;
    bool backward = options->reverse || k % rnn->directions == 1;
    char suffix[32];
    cbi_rnn_run *run = &rnn->runs[k];
    if (input < 1 || layer->hidden < 1) {
        cbi_params_fail(rnn->params, CB_ERROR_SHAPE,
                        "rnn \"%s\", layer %d: sizes %lld and %lld; "
                        "both must be at least 1",
                        name, number, (long long)input, (long long)layer->hidden);
        return CB_ERROR_SHAPE;
    }
    *run = (cbi_rnn_run){.rnn = rnn,
                         .cell = layer->cell,
                         .input = input,
                         .hidden = layer->hidden,
                         .reverse = backward};
    if (is_unusable(layer->cell, options, why, sizeof(why)) ||
        !cbi_cell_settings(layer->cell, layer->settings, run->settings, why, sizeof(why)) ||
        !cbi_equations_fit(layer->cell, input, layer->hidden, run->settings, why, sizeof(why))) {
        cbi_params_fail(rnn->params, CB_ERROR_VALUE, "rnn \"%s\", layer %d: %s", name, number, why);
        return CB_ERROR_VALUE;
    }
    const char *without = cbi_rnn_set_sizes(run);
    if (without != NULL)
        return fail(rnn, CB_ERROR_VALUE,
                    "rnn: the size of %s is no whole number of at least 1 with these sizes",
                    without);
    snprintf(suffix, sizeof(suffix), "l%d%s", number, backward ? "_reverse" : "");
    cb_status status = join_inputs(rnn, run, number);
    for (int i = 0; i < layer->cell->param_count && status == CB_OK; i++)
        if (!options->no_bias || layer->cell->params[i].role != CB_BIAS)
            status = add_weight(run, suffix, i, options);
    return status == CB_OK ? add_scans(run, options) : status;
}

/* Whether some state of the network is one that this rate of zoneout is for. */
static bool has_effect(const cb_rnn *rnn, const double *rate) {
    for (int k = 0; k < rnn->layers * rnn->directions; k++)
        for (int i = 0; i < rnn->runs[k].cell->state_count; i++)
            if (cbi_rnn_zoneout(&rnn->runs[k], i) == rate)
                return true;
    return false;
}

/* Zoneout that no state has is a mistake, as is recurrent dropout. */
static bool check_zoneout(cb_rnn *rnn) {
    const char *why = NULL;
    if (rnn->zoneout > 0 && !has_effect(rnn, &rnn->zoneout))
        why = "zoneout: no cell of it has a state that recurrent weights see";
    else if (rnn->zoneout_cell > 0 && !has_effect(rnn, &rnn->zoneout_cell))
        why = "zoneout_cell: no cell of it has a state beside those that recurrent weights see";
    if (why != NULL)
        cbi_params_fail(rnn->params, CB_ERROR_VALUE, "rnn \"%s\": %s", rnn->module.name, why);
    return why == NULL;
}

/* ---- The network ----------------------------------------------------------------------------- */

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
    rnn->recurrent_dropout = options->recurrent_dropout;
    rnn->zoneout = options->zoneout;
    rnn->zoneout_cell = options->zoneout_cell;
    rnn->recompute = options->recompute;
    rnn->runs = runs;
    for (int k = 0; k < count * directions; k++) {
        if (start_run(rnn, k, input, &layers[k / directions], options) != CB_OK)
            return NULL;
        if (k % directions == directions - 1)
            input = runs[k].state_size[0] > INT64_MAX / directions
                        ? INT64_MAX
                        : directions * runs[k].state_size[0];
    }
    return check_zoneout(rnn) ? rnn : NULL;
}

cb_rnn *cb_rnn_new_with(cb_params *params, const char *name, const cb_cell *cell, int64_t input,
                        const cb_rnn_options *options) {
    cb_stack_layer layers[MOST_LAYERS];
    int count = options->layers == 0 ? 1 : options->layers;
    for (int i = 0; i < count && i < MOST_LAYERS; i++)
        layers[i] = (cb_stack_layer){cell, options->hidden, options->settings};
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
            return rnn->runs[k].state_size[i];
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
    return cb_scan_reason(cbi_rnn_training_form(&rnn->runs[layer * rnn->directions])->scan);
}

int64_t cb_rnn_output_size(const cb_rnn *rnn) {
    return rnn != NULL
               ? rnn->runs[rnn->layers * rnn->directions - 1].state_size[0] * rnn->directions
               : 0;
}

int cb_rnn_input_count(const cb_rnn *rnn) {
    return rnn != NULL ? rnn->input_count : 0;
}

const char *cb_rnn_input_name(const cb_rnn *rnn, int i) {
    return i >= 0 && i < cb_rnn_input_count(rnn) ? rnn->inputs[i].name : NULL;
}

int64_t cb_rnn_input_size(const cb_rnn *rnn, int i) {
    return i >= 0 && i < cb_rnn_input_count(rnn) ? rnn->inputs[i].size : 0;
}

int cb_rnn_observed_count(const cb_rnn *rnn) {
    int count = 0;
    for (int k = 0; rnn != NULL && k < rnn->layers * rnn->directions; k++)
        count += rnn->runs[k].cell->observed_count;
    return count;
}

int64_t cb_rnn_observed_size(const cb_rnn *rnn, int i) {
    for (int k = 0; rnn != NULL && i >= 0 && k < rnn->layers * rnn->directions; k++) {
        if (i < rnn->runs[k].cell->observed_count)
            return rnn->runs[k].observed_size[i];
        i -= rnn->runs[k].cell->observed_count;
    }
    return 0;
}

int cb_rnn_mask_count(const cb_rnn *rnn) {
    int count = 0;
    for (int k = 0; rnn != NULL && rnn->recurrent_dropout > 0 && k < rnn->layers * rnn->directions;
         k++)
        count += rnn->runs[k].masked_count;
    return count;
}
