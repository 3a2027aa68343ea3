/* `cerebra train --resume`: the options of the run that goes on, and those that are given over
 * them. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/settings.h"
#include "apps/model/training_state.h"
#include "train.h"

#include <stdlib.h>
#include <string.h>

/* What a resumed run takes from its checkpoint. */
typedef struct resumed {
    settings settings;
    const chosen_cell *cell;
    const chosen_cell *named; /* what --cell names; NULL: it is not given */
    char *log;
} resumed;

/* The cell that the command line names, with the hyperparameters of the checkpoint where it has
   them: those that are given are compared apart from it. */
static const chosen_cell *name_again(const train_request *asked, const cb_safetensors *stored,
                                     char *error) {
    const char *set = cb_safetensors_metadata(stored, "cell_set");
    const chosen_cell *named = set != NULL ? cell_choose(asked->cell, set, error) : NULL;
    return named != NULL ? named : cell_choose(asked->cell, NULL, error);
}

/* Returns the exit code, 0 when all is well. */
static int read_resumed(const train_request *asked, resumed *r, char *error) {
    const char *path = asked->resume;
    char message[FAILURE_SIZE] = "";
    cb_safetensors *stored = checkpoint_open(path, error);
    if (stored == NULL)
        return EXIT_FAILURE;
    /* A shared library is loaded only where the command line names it. */
    r->named = asked->cell_given ? name_again(asked, stored, error) : NULL;
    if (asked->cell_given && r->named == NULL) {
        cb_safetensors_free(stored);
        return cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE;
    }
    r->log = training_state_log(stored, path);
    bool ok = settings_read(cb_safetensors_metadata(stored, "settings"), &r->settings, message);
    /* As it was, whatever has become of a file of equations since. */
    r->cell = ok ? checkpoint_cell(stored, message) : NULL;
    cb_safetensors_free(stored);
    if (r->cell == NULL)
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
    return r->cell != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whether --cell and --set, as far as they are given, say what the checkpoint has. However they are
   written: what counts is the cell. before: --cell as it was given then. */
static bool check_cell(const train_request *asked, const resumed *r, const char *before,
                       char *error) {
    const char *path = asked->resume;
    if (r->named != NULL && !cell_says_the_same(r->named, r->cell)) {
        return r->named->text != NULL && r->cell->text != NULL
                   ? failure(error, FAILURE_SIZE,
                             "the equations of %s differ from those that %s was trained with; "
                             "without --cell, those in the checkpoint go on",
                             asked->cell, path)
                   : failure(error, FAILURE_SIZE, "%s was made with --cell \"%s\", not \"%s\"",
                             path, before, asked->cell);
    }
    return asked->set == NULL || cell_check_set(r->cell, asked->set, path, error);
}

static int apply(train_request *asked, resumed *r, int argc, char **argv, char *error) {
    const char *path = asked->resume;
    char message[FAILURE_SIZE] = "";
    option_row rows[OPTIONS_MOST];
    train_request again = train_defaults();
    again.chosen = r->cell;
    again.log = r->log;
    again.checkpoint = path;
    train_rows(&again, rows);
    if (!settings_apply(&r->settings, rows, message)) {
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
        return EXIT_FAILURE;
    }
    const char *cell = again.cell, *set = again.set;
    if (!check_cell(asked, r, cell, error) || train_parse(rows, argc, argv, error) != OPTIONS_RUN)
        return EXIT_USAGE;
    again.cell = cell;
    again.set = set;
    if (asked->data == NULL && again.data != NULL && strcmp(again.data, "-") == 0) {
        failure(error, FAILURE_SIZE, "%s was trained on standard input; give its text by --data",
                path);
        return EXIT_USAGE;
    }
    train_drop_defaults(&again);
    settings_outcome outcome = settings_match(&r->settings, rows, path, error);
    if (outcome != SETTINGS_SAME)
        return outcome == SETTINGS_DIFFER ? EXIT_USAGE : EXIT_FAILURE;
    *asked = again;
    return EXIT_SUCCESS;
}

int train_resume(train_request *asked, int argc, char **argv, char *error) {
    static resumed before;
    int status = read_resumed(asked, &before, error);
    return status == EXIT_SUCCESS ? apply(asked, &before, argc, argv, error) : status;
}
