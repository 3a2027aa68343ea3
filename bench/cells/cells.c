/* The list of cells, and what their files share. */
#include "cells.h"

#include <math.h>

const literature_cell literature_cells[] = {
    {"indrnn", "Li et al. 2018", 512, 512, indrnn_sizes, indrnn_step},
    {"sru", "Lei et al. 2018", 512, 512, sru_sizes, sru_step},
    {"qrnn", "Bradbury et al. 2017", 512, 512, qrnn_sizes, qrnn_step},
    {"mingru", "Feng et al. 2024", 512, 512, mingru_sizes, mingru_step},
    {"minlstm", "Feng et al. 2024", 512, 512, minlstm_sizes, minlstm_step},
    {"lru", "Orvieto et al. 2023", 512, 512, lru_sizes, lru_step},
    {"unicornn", "Rusch and Mishra 2021", 512, 512, unicornn_sizes, unicornn_step},
    {"scrn", "Mikolov et al. 2015", 512, 512, scrn_sizes, scrn_step},
    {"lstm-projection", "Sak et al. 2014", 512, 512, projected_lstm_sizes, projected_lstm_step},
    {"phased-lstm", "Neil et al. 2016", 512, 512, phased_lstm_sizes, phased_lstm_step},
    {"hyper-lstm", "Ha et al. 2017", 512, 512, hyper_lstm_sizes, hyper_lstm_step},
    {"highway", "Zilly et al. 2017", 512, 512, highway_sizes, highway_step},
    {"block-gru", "Cho et al. 2014, block-diagonal", 512, 512, block_gru_sizes, block_gru_step},
    {"gru-zoneout", "Krueger et al. 2017", 512, 512, zoneout_gru_sizes, zoneout_gru_step},
    {"gru-variational", "Gal and Ghahramani 2016", 512, 512, variational_gru_sizes,
     variational_gru_step},
    {"clockwork", "Koutnik et al. 2014", 512, 512, clockwork_sizes, clockwork_step},
    {"slstm", "Beck et al. 2024", 512, 512, slstm_sizes, slstm_step},
    {"mlstm", "Beck et al. 2024", 64, 64, mlstm_sizes, mlstm_step},
    {"delta-net", "Schlag et al. 2021", 64, 64, delta_net_sizes, delta_net_step},
    {"memory-slots", "Graves et al. 2014, content addressing", 64, 64, memory_slots_sizes,
     memory_slots_step},
    {"s6", "Gu and Dao 2023", 512, 512, s6_sizes, s6_step},
    {"lmu", "Voelker et al. 2019", 512, 512, lmu_sizes, lmu_step},
    {"ltc", "Hasani et al. 2021", 16, 16, ltc_sizes, ltc_step},
    {.name = NULL},
};

/* ---- Sizes ----------------------------------------------------------------------------------- */

void literature_state(literature_sizes *s, int64_t size) {
    s->state[s->state_count++] = size;
}

void literature_matrix(literature_sizes *s, int64_t rows, int64_t columns) {
    int i = s->weight_count++;
    s->weight[i].rank = 2;
    s->weight[i].shape[0] = rows;
    s->weight[i].shape[1] = columns;
    s->weight[i].high = 1 / sqrt((double)columns);
    s->weight[i].low = -s->weight[i].high;
}

void literature_vector(literature_sizes *s, int64_t size, double low, double high) {
    int i = s->weight_count++;
    s->weight[i].rank = 1;
    s->weight[i].shape[0] = size;
    s->weight[i].low = low;
    s->weight[i].high = high;
}

void literature_blocks(literature_sizes *s, int64_t groups, int64_t rows, int64_t columns) {
    int i = s->weight_count++;
    s->weight[i].rank = 3;
    s->weight[i].shape[0] = groups;
    s->weight[i].shape[1] = rows;
    s->weight[i].shape[2] = columns;
    s->weight[i].high = 1 / sqrt((double)rows);
    s->weight[i].low = -s->weight[i].high;
}

void literature_product_of(literature_sizes *s, bool each_step, int64_t count, int64_t k,
                           int64_t n) {
    s->product[s->product_count++] = (literature_product){each_step, count, k, n};
}

/* ---- Floor ----------------------------------------------------------------------------------- */

static void floor_axis(const cb_call *call, int axis, int64_t *index) {
    const cb_tensor *x = call->in[0];
    if (axis == x->rank) {
        cb_tensor_set(call->out, index, floor(cb_tensor_get(x, index)));
        return;
    }
    for (index[axis] = 0; index[axis] < x->shape[axis]; index[axis]++)
        floor_axis(call, axis + 1, index);
}

static cb_status floor_forward(const cb_call *call) {
    int64_t index[CB_MAX_RANK] = {0};
    floor_axis(call, 0, index);
    return CB_OK;
}

static const cb_op floor_op = {.name = "floor",
                               .formula = "y = floor(x)",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .shape = cb_shape_same,
                               .forward = floor_forward,
                               .row_by_row = cb_row_by_row};

cb_tensor *literature_floor(cb_tensor *x) {
    return cb_apply(&floor_op, 1, &x, NULL);
}
