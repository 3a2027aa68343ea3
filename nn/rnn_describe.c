/* Describing what the compiler makes of a layer: its recurrence, with the names of its cell. */
#include "nn/rnn_internal.h"

size_t cb_rnn_describe(const cb_rnn *rnn, int layer, int64_t time, int64_t batch, int64_t table,
                       char *buffer, size_t size) {
    const char *names[CB_CELL_MAX_PARAMS], *state_names[CBI_MOST_STATES];
    if (size > 0)
        buffer[0] = '\0';
    if (rnn == NULL || layer < 0 || layer >= rnn->layers)
        return 0;
    const cbi_rnn_run *run = &rnn->runs[layer * rnn->directions];
    for (int i = 0; i < run->cell->param_count; i++)
        names[i] = run->cell->params[i].name;
    const cbi_rnn_form *form = cbi_rnn_training_form(run);
    cbi_rnn_form_names(form, state_names);
    const cb_scan_sizes sizes = {time, batch, table, names, state_names};
    return cb_scan_describe(form->scan, &sizes, buffer, size);
}
