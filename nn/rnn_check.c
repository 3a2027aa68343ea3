/* Checking a layer: its recurrence, with its own weights and the names of its cell. */
#include "nn/rnn_internal.h"

#include <stdio.h>

static bool check_direction(const cbi_rnn_run *run, const cb_scan_check_options *asked,
                            cb_scan_check_report *report) {
    cb_tensor *weights[CB_CELL_MAX_PARAMS];
    const cbi_rnn_form *form = cbi_rnn_training_form(run);
    const char *names[CB_CELL_MAX_PARAMS], *state_names[CBI_MOST_STATES];
    cb_scan_check_options options = *asked;
    for (int i = 0; i < run->cell->param_count; i++) {
        weights[i] = run->weights[i] != NULL ? run->weights[i]->value : run->constants[i];
        names[i] = run->cell->params[i].name;
    }
    options.weights = weights;
    options.weight_names = names;
    options.state_names = state_names;
    cbi_rnn_form_names(form, state_names);
    return cb_scan_check(form->scan, &options, report);
}

bool cb_rnn_check(const cb_rnn *rnn, int layer, const cb_scan_check_options *options,
                  cb_scan_check_report *report) {
    static const cb_scan_check_options defaults = {.time = 0};
    cb_scan_check_report own, *r = report != NULL ? report : &own;
    *r = (cb_scan_check_report){.passed = false};
    if (rnn == NULL || layer < 0 || layer >= rnn->layers) {
        snprintf(r->message, sizeof(r->message), "there is no such layer");
        return false;
    }
    bool passed = true;
    for (int direction = 0; direction < rnn->directions && passed; direction++)
        passed = check_direction(&rnn->runs[layer * rnn->directions + direction],
                                 options != NULL ? options : &defaults, r);
    return passed;
}
