/* The two protocols.

   "published" follows the experiments as their logs and programs show them to have been run. The
   recurrent weights are Glorot uniform, but their fans were computed on a stacked tensor, so that
   the leading dimensions multiply both: a gate's block has fan_in = fan_out = k * hidden, with k =
   4 for the single LSTM (weights [4, hidden, hidden]), k = 8 for the two-stacked one
   ([2, 4, hidden, hidden]), and for the Cerebral LSTM 4 for the input's weights and 8 for the
   recurrent ones. No gate has a bias; the two-stacked network has one vector added to each layer's
   new c and one to its new h. Embedding and output layer: Glorot uniform on their own two
   dimensions, output bias zero.

   "controlled" gives every model the same start: Glorot uniform gate by gate for all matrices, with
   the fans of the gate's own matrix, and ordinary biases that start at zero. It adds an LSTM whose
   hidden size makes up for the parameters that the Cerebral LSTM has more. */
#include "apps/cli/failure.h"
#include "reproduce.h"

#include <stdlib.h>
#include <string.h>

const reproduce_name reproduce_names[REPRODUCE_MODELS] = {
    [REPRODUCE_LSTM] = {"lstm", "single LSTM", "single_lstm.txt"},
    [REPRODUCE_STACKED] = {"stacked-lstm", "two-stacked LSTM", "2stack_lstm.txt"},
    [REPRODUCE_CEREBRAL] = {"cerebral-lstm", "Cerebral LSTM", "proposed_model.txt"},
    [REPRODUCE_WIDENED] = {"widened-lstm", "widened LSTM", NULL},
    [REPRODUCE_EQUAL_HALVES] = {"halves-equal", "Cerebral LSTM, equal halves", NULL},
};

/* The multipliers of the fans under the published protocol. */
typedef struct fan_factors {
    double input, recurrent;
} fan_factors;

static cb_init glorot(double fan) {
    return (cb_init){.kind = CB_INIT_GLOROT_UNIFORM, .fan_in = fan, .fan_out = fan};
}

static void configure_published(reproduce_model which, training_job *job) {
    static const fan_factors factors[REPRODUCE_MODELS] = {
        [REPRODUCE_LSTM] = {4, 4},         [REPRODUCE_STACKED] = {8, 8},
        [REPRODUCE_CEREBRAL] = {4, 8},     [REPRODUCE_WIDENED] = {4, 4},
        [REPRODUCE_EQUAL_HALVES] = {4, 8},
    };
    double hidden = (double)job->model.hidden;
    /* The two-stacked network's biases are not in its gates: the cell has them. */
    job->model.no_bias = which != REPRODUCE_STACKED;
    job->init.input = glorot(factors[which].input * hidden);
    job->init.recurrent = glorot(factors[which].recurrent * hidden);
    job->init.bias = (cb_init){.kind = CB_INIT_ZEROS};
}

static void configure_controlled(training_job *job) {
    job->init.input = (cb_init){.kind = CB_INIT_GLOROT_UNIFORM};
    job->init.recurrent = (cb_init){.kind = CB_INIT_GLOROT_UNIFORM};
    job->init.bias = (cb_init){.kind = CB_INIT_ZEROS};
}

static const char *cell_of(const reproduction *run, reproduce_model which) {
    switch (which) {
    case REPRODUCE_CEREBRAL:
    case REPRODUCE_EQUAL_HALVES:
        return "cerebral-lstm";
    case REPRODUCE_STACKED:
        return run->asked->protocol == PROTOCOL_PUBLISHED ? "lstm-state-bias" : "lstm";
    default:
        return "lstm";
    }
}

/* A cell that is always there. */
static const chosen_cell *named(const char *name) {
    char error[FAILURE_SIZE];
    return cell_choose(name, NULL, error);
}

int64_t reproduce_widened_hidden(const model_config *lstm, int64_t parameters) {
    model_config widened = *lstm;
    /* The count rises with the hidden size: the first size with enough, or the one before it. */
    while (widened.hidden < MODEL_LARGEST && model_parameters(&widened) < parameters)
        widened.hidden++;
    int64_t above = model_parameters(&widened) - parameters;
    widened.hidden--;
    int64_t below = parameters - model_parameters(&widened);
    return below <= above && widened.hidden >= lstm->hidden ? widened.hidden : widened.hidden + 1;
}

static int64_t epochs_of(const reproduce_request *asked, reproduce_model which) {
    switch (which) {
    case REPRODUCE_STACKED:
        return asked->stacked_epochs;
    case REPRODUCE_EQUAL_HALVES:
        return asked->halves_epochs;
    default:
        return asked->epochs;
    }
}

void reproduce_configure(const reproduction *run, reproduce_model which, training_job *job) {
    const reproduce_request *asked = run->asked;
    job->model = (model_config){.vocabulary = run->data.characters.count,
                                .embedding = asked->hidden,
                                .hidden = asked->hidden,
                                .layers = which == REPRODUCE_STACKED ? 2 : 1,
                                .seq_len = asked->seq_len};
    job->model.cell = named(cell_of(run, which));
    job->init = (model_init){.embedding = {.kind = CB_INIT_GLOROT_UNIFORM},
                             .head = {.kind = CB_INIT_GLOROT_UNIFORM},
                             .head_bias = {.kind = CB_INIT_ZEROS},
                             .equal_halves = which == REPRODUCE_EQUAL_HALVES};
    if (asked->protocol == PROTOCOL_PUBLISHED)
        configure_published(which, job);
    else
        configure_controlled(job);
    if (which == REPRODUCE_WIDENED) {
        model_config cerebral = job->model;
        cerebral.cell = named("cerebral-lstm");
        job->model.hidden = reproduce_widened_hidden(&job->model, model_parameters(&cerebral));
    }
    job->options = asked->training;
    job->options.epochs = epochs_of(asked, which);
    job->record_distance = which == REPRODUCE_CEREBRAL || which == REPRODUCE_EQUAL_HALVES;
}
