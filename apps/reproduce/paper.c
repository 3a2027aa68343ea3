/* What there is to compare with. All facts about the paper and its author's logs stand in this
   file.

   Sources. Paper: R. Kumar, "Cerebral LSTM: A Better Alternative for Single- and Multi-Stacked LSTM
   Cell-Based RNNs", 2020, sections 5.1 to 5.3. Logs: the author's repository
   github.com/mr-ravin/cerebral-rnn-experimental-results, one line an epoch, epochs counted from 0:
   single_lstm.txt (500 epochs), 2stack_lstm.txt (791), proposed_model.txt (500). A few losses are
   quoted here, rounded to three decimals; --logs reads the files themselves. */
#include "reproduce.h"

#include <math.h>

const int64_t paper_epochs[PAPER_EPOCHS] = {0, 1, 2, 3, 4, 10, 50, 100, 200, 300, 400, 499};

const double paper_losses[REPRODUCE_PAPER_MODELS][PAPER_EPOCHS] = {
    [REPRODUCE_LSTM] = {4.298, 4.024, 3.705, 3.548, NAN, 3.004, 1.965, 1.692, 1.427, 1.251, 1.081,
                        0.911},
    [REPRODUCE_STACKED] = {3.757, 3.534, 3.521, 3.518, 3.513, 3.504, 2.319, 1.836, 1.480, 1.203,
                           0.854, 0.568},
    [REPRODUCE_CEREBRAL] = {4.271, 3.682, 3.496, NAN, NAN, 2.583, 1.838, 1.529, 1.016, 0.582, 0.446,
                            0.398},
};

const double paper_last_losses[REPRODUCE_PAPER_MODELS] = {
    [REPRODUCE_LSTM] = 0.911,
    [REPRODUCE_STACKED] = 0.368,
    [REPRODUCE_CEREBRAL] = 0.398,
};

/* The epochs are those of the paper's words where it has any: "after 250 epochs" is taken to allow
   what its own logs show, 267. */
const paper_claim paper_claims[PAPER_CLAIMS] = {
    [CLAIM_STACKED_BELOW_SINGLE] = {"two-stacked stays below single", "after 250 epochs",
                                    "from epoch 267", .needs = 300, .from = 299},
    [CLAIM_CEREBRAL_BELOW_SINGLE] = {"Cerebral stays below single", "from the very beginning",
                                     "from epoch 0", .needs = 3, .from = 0},
    [CLAIM_CEREBRAL_BELOW_STACKED] = {"Cerebral stays below two-stacked",
                                      "\"easily outperformed\", no epoch given", "from epoch 2",
                                      .needs = 30, .from = 29},
    [CLAIM_CEREBRAL_LAST_LOSS] = {"last loss of Cerebral", "0.3979 on 500 epochs",
                                  "0.3980 at epoch 499", .needs = 500},
    [CLAIM_STACKED_REACHES_CEREBRAL] = {"two-stacked goes below Cerebral's last loss",
                                        "after 678 epochs", "at epoch 676", .needs = 500},
};

const double paper_loss_tolerance = 0.02, paper_crossing_tolerance = 0.1;
const int64_t paper_crossing = 676;
