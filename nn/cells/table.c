/* The list of cells. A new one is a file of its own and a line here. */
#include <cerebra/rnn.h>

#include <string.h>

static const cb_cell *const cells[] = {
    &cb_rnn_tanh,
    &cb_lstm,
    &cb_peephole_lstm,
    &cb_layernorm_lstm,
    &cb_projected_lstm,
    &cb_gru,
    &cb_gru_reset_before,
    &cb_cerebral_lstm,
    &cb_cerebral_lstm_as_printed,
    &cb_peephole_cerebral_lstm,
    &cb_cerebral_gru,
    NULL,
};

const cb_cell *const *cb_cells(void) {
    return cells;
}

const cb_cell *cb_cell_find(const char *name) {
    for (int i = 0; cells[i] != NULL && name != NULL; i++)
        if (strcmp(cells[i]->name, name) == 0)
            return cells[i];
    return NULL;
}
