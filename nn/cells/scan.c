/* A cell as a recurrence by itself, without weights: to be described, checked, or run with weights
   of one's own. */
#include "autograd/scan/scan_internal.h"
#include "nn/equations/equations.h"
#include "nn/rnn_internal.h"
#include "tensor/memory.h"

#include <stdio.h>

/* What the recurrence's steps look at; ends with it. */
typedef struct cell_context {
    cb_rnn rnn;
    cbi_rnn_run run;
} cell_context;

static void end_context(void *context) {
    cbi_free(context);
}

static cb_scan *refuse(cell_context *context, cb_error *error, cb_status status, const char *text) {
    if (error != NULL) {
        error->status = status;
        snprintf(error->message, sizeof(error->message), "%s", text);
    }
    cbi_free(context);
    return NULL;
}

/* The shapes of the weights; the name of one that has none, or NULL. *blocks: more than 1, and its
   rows cannot be cut into so many blocks. */
static const char *set_shapes(const cbi_rnn_run *run, const cb_rnn_options *options, cb_dtype dtype,
                              cb_tensor *shapes, cb_tensor **weights, int *blocks) {
    const cb_cell *cell = run->cell;
    for (int i = 0; i < cell->param_count; i++) {
        const cb_cell_param *p = &cell->params[i];
        int rank;
        int64_t shape[2];
        cbi_cell_shape(run, p, &rank, shape);
        if (shape[0] == 0 || shape[1] == 0 || shape[0] == INT64_MAX || shape[1] == INT64_MAX)
            return p->name;
        if (p->blocks > 1 && shape[0] % p->blocks != 0) {
            *blocks = p->blocks;
            return p->name;
        }
        shapes[i] = cb_tensor_wrap(dtype, rank, shape, NULL);
        weights[i] = options->no_bias && p->role == CB_BIAS ? NULL : &shapes[i];
    }
    return NULL;
}

cb_scan *cb_cell_scan_new(const cb_cell *cell, cb_dtype dtype, int64_t input,
                          const cb_rnn_options *options, cb_error *error) {
    cb_tensor shapes[CB_CELL_MAX_PARAMS], *weights[CB_CELL_MAX_PARAMS] = {NULL};
    char text[512];
    if (options == NULL || cbi_cell_fault(cell, text, sizeof(text)))
        return refuse(NULL, error, CB_ERROR_VALUE, options == NULL ? "options are NULL" : text);
    cell_context *context = cbi_allocate(sizeof(*context));
    if (context == NULL)
        return refuse(NULL, error, CB_ERROR_MEMORY, "out of memory");
    cbi_rnn_run *run = &context->run;
    *run = (cbi_rnn_run){
        .rnn = &context->rnn, .cell = cell, .input = input, .hidden = options->hidden};
    if (!cbi_cell_settings(cell, options->settings, run->settings, text, sizeof(text)) ||
        !cbi_equations_fit(cell, input, options->hidden, run->settings, text, sizeof(text)))
        return refuse(context, error, CB_ERROR_VALUE, text);
    int blocks = 1;
    const char *without = cbi_rnn_set_sizes(run);
    if (without == NULL)
        without = set_shapes(run, options, dtype, shapes, weights, &blocks);
    if (without != NULL && blocks > 1) {
        snprintf(text, sizeof(text),
                 "cell \"%s\": with these sizes, the rows of %s cannot be cut into %d equal blocks",
                 cell->name, without, blocks);
        return refuse(context, error, CB_ERROR_VALUE, text);
    }
    if (without != NULL) {
        snprintf(text, sizeof(text),
                 "cell \"%s\": with these sizes, %s has an extent that is no whole number of at "
                 "least 1, or too large",
                 cell->name, without);
        return refuse(context, error, CB_ERROR_VALUE, text);
    }
    cbi_rnn_form *form = &run->forms[0][0];
    *form = (cbi_rnn_form){.run = run};
    const cb_scan_options scan = {.name = cell->name,
                                  .dtype = dtype,
                                  .input = cbi_rnn_form_input(form),
                                  .state_count = cell->state_count,
                                  .state_size = run->state_size,
                                  .weight_count = cell->param_count,
                                  .weights = weights,
                                  .eager = options->eager,
                                  .context_step = cbi_rnn_step,
                                  .context = form};
    cb_scan *made = cb_scan_new_with(NULL, &scan, error);
    if (made == NULL)
        cbi_free(context);
    else
        cbi_scan_own(made, context, end_context);
    return made;
}
