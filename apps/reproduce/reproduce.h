/* What the parts of `cerebra reproduce` share: which models there are, how each protocol trains
   them, and what they gave.

   reproduce.c           the command: options, files, training one model after the other
   resume.c              what is in the directory already
   models.c              configuration and initialisation of each model under each protocol
   figures.c             figures 12 to 14 and the one of section 4.1
   samples.c             table 3
   report.c              report.md
   paper.c               what the paper and the author's logs say, to compare with */
#ifndef CEREBRA_APPS_REPRODUCE_REPRODUCE_H
#define CEREBRA_APPS_REPRODUCE_REPRODUCE_H

#include "apps/chart/csv.h"
#include "apps/cli/options.h"
#include "apps/cli/run_lock.h"
#include "apps/model/trainer.h"

#include <stdio.h>

/* The models, in the order they are trained. */
typedef enum reproduce_model {
    REPRODUCE_LSTM,
    REPRODUCE_STACKED,
    REPRODUCE_CEREBRAL,
    REPRODUCE_WIDENED,      /* only under the controlled protocol */
    REPRODUCE_EQUAL_HALVES, /* section 4.1; the Cerebral model is its counterpart */
    REPRODUCE_MODELS,
} reproduce_model;

enum { REPRODUCE_PAPER_MODELS = 3, REPRODUCE_PATH_SIZE = 4096 };

/* How a model is called: in file names and --models, and in words. */
typedef struct reproduce_name {
    const char *id, *title;
    const char *author_log; /* the file of the author's log; NULL: there is none */
} reproduce_name;
extern const reproduce_name reproduce_names[REPRODUCE_MODELS];

typedef enum reproduce_protocol { PROTOCOL_PUBLISHED, PROTOCOL_CONTROLLED } reproduce_protocol;

/* The command line, checked. */
typedef struct reproduce_request {
    const char *data, *out, *protocol_name, *models, *logs, *every;
    checkpoint_interval interval;
    reproduce_protocol protocol;
    int64_t epochs, stacked_epochs, halves_epochs;
    int64_t hidden, seq_len, threads;
    training_options training;
    bool fresh, quiet;
} reproduce_request;

/* A model of this run. */
typedef struct reproduced {
    bool wanted;
    training_job job;
    training_result result;
    char log[REPRODUCE_PATH_SIZE], checkpoint[REPRODUCE_PATH_SIZE];
    csv_series curve;  /* epochs and losses; empty before it is trained */
    csv_series author; /* the same from the author's log; empty when there is none */
} reproduced;

/* A whole run. */
typedef struct reproduction {
    const reproduce_request *asked;
    run_lock lock;  /* of the directory, by its report */
    char *settings; /* JSON of the options that determine the results, see settings.h */
    corpus data;
    reproduced models[REPRODUCE_MODELS];
} reproduction;

/* Fills job->model, init and options of one model under the run's protocol. */
void reproduce_configure(const reproduction *run, reproduce_model which, training_job *job);

/* The hidden size (embedding as given) at which an LSTM has as nearly as possible so many
   parameters. */
int64_t reproduce_widened_hidden(const model_config *lstm, int64_t parameters);

/* DIRECTORY/NAME into path; false, with error, when it is too long. */
bool reproduce_path(const reproduction *run, const char *name, char path[REPRODUCE_PATH_SIZE],
                    char *error);

/* Looks for models of earlier runs in the directory. One that was made with other options is an
   error that says which, or that --fresh starts over. One that is wanted is gone on with; one that
   is not, but finished, belongs to the report. */
bool reproduce_find(reproduction *run, const option_row *rows, char *error);
/* The losses of a model's result as its curve. */
bool reproduce_make_curve(reproduced *entry, char *error);
/* Removes a file, which need not be there. */
bool reproduce_remove(const char *path, char *error);
/* Removes what killed runs have left half written; and all that earlier runs have written. */
bool reproduce_clean(const reproduction *run, char *error);
bool reproduce_start_over(const reproduction *run, char *error);

/* Each writes its files from the models that have been trained, and leaves out what needs others;
   figures of an earlier run that cannot be drawn now are removed. */
bool reproduce_write_figures(const reproduction *run, char *error);
bool reproduce_write_samples(const reproduction *run, char *error);
bool reproduce_write_report(const reproduction *run, char *error);

/* The first epoch from which curve a stays below b as long as both go on; -1: at the end it is not
   below. */
int64_t reproduce_below_from(const csv_series *a, const csv_series *b);
/* The first epoch at which the loss is below a value; -1: none. */
int64_t reproduce_reaches(const csv_series *curve, double value);

/* ---- The paper's side ------------------------------------------------------------------------ */

/* Losses of the author's logs at some epochs (from 0); NaN where the log is not quoted. */
enum { PAPER_EPOCHS = 12 };
extern const int64_t paper_epochs[PAPER_EPOCHS];
extern const double paper_losses[REPRODUCE_PAPER_MODELS][PAPER_EPOCHS];
extern const double paper_last_losses[REPRODUCE_PAPER_MODELS]; /* of the logs' last lines */

/* One claim: what the paper says, what the author's logs say, and when it is taken to hold. */
typedef struct paper_claim {
    const char *claim, *paper, *logs;
    int64_t needs; /* epochs of both models without which nothing can be said */
    int64_t from;  /* of "stays below": the last epoch from which it may begin */
} paper_claim;
typedef enum paper_claim_number {
    CLAIM_STACKED_BELOW_SINGLE,
    CLAIM_CEREBRAL_BELOW_SINGLE,
    CLAIM_CEREBRAL_BELOW_STACKED,
    CLAIM_CEREBRAL_LAST_LOSS,
    CLAIM_STACKED_REACHES_CEREBRAL,
    PAPER_CLAIMS,
} paper_claim_number;
extern const paper_claim paper_claims[PAPER_CLAIMS];

/* How near to the paper's a last loss has to be, and the first epoch of a crossing, as a part of
 * it. */
extern const double paper_loss_tolerance, paper_crossing_tolerance;
extern const int64_t paper_crossing; /* where two-stacked goes below Cerebral's last loss */

typedef enum claim_verdict { CLAIM_HELD, CLAIM_NOT_HELD, CLAIM_OPEN } claim_verdict;

/* Whether a claim holds of the models that were trained; open: they were not, or not long enough.
 */
claim_verdict reproduce_judge(const reproduction *run, paper_claim_number claim);

#endif
