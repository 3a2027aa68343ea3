/* What the files of `cerebra train` share: the command line as it is asked for. */
#ifndef CEREBRA_APPS_COMMANDS_TRAIN_H
#define CEREBRA_APPS_COMMANDS_TRAIN_H

#include "apps/cli/options.h"
#include "apps/model/trainer.h"
#include "optimizer_options.h"

/* The command line. NaN: not given. */
typedef struct train_request {
    const char *data, *newlines, *normalize, *validation, *cell, *set, *init, *preset;
    const chosen_cell *chosen; /* what cell and set name */
    const char *log, *checkpoint, *resume, *every, *limit;
    int64_t layers, hidden, embedding, seq_len, recompute, threads, seeds;
    double dropout, recurrent_dropout, zoneout, zoneout_cell, held_out;
    optimizer_options optimizer;
    training_options training;
    checkpoint_interval interval;
    double time_limit;
    bool keep_best, detect_anomaly, quiet, cell_given;
} train_request;

/* ---- train_options.c */

/* The paper's experiment. */
train_request train_defaults(void);

/* The table of all options, ended by a row without a name, with their values in the request. */
void train_rows(train_request *asked, option_row rows[OPTIONS_MOST]);

/* Makes options that say what is so anyway ones that are not given, as a checkpoint keeps them. */
void train_drop_defaults(train_request *asked);

/* Parses the command line over what the request has. */
options_outcome train_parse(option_row *rows, int argc, char **argv, char *error);

/* What is wrong with a command line whose values are well-formed one by one; fills in what follows
   from them. */
bool train_check(train_request *asked, model_init *init, char *error);

/* ---- train_runs.c */

/* The run that is asked for, or those of all seeds: trains, and says how it ended. Returns the exit
   code; a failure is told. */
int train_runs(const train_request *asked, training_job *job, char *error);

/* ---- train_resume.c */

/* The command line once more, over the options of the run that goes on, which live as long as the
   process. Returns the exit code, 0 when all is well. */
int train_resume(train_request *asked, int argc, char **argv, char *error);

#endif
