/* Results that are in the directory already. A model's file says with which options it was made,
   and whether it is finished; its log has the time that it took. */
#include "apps/cli/failure.h"
#include "apps/cli/settings.h"
#include "apps/model/checkpoint.h"
#include "apps/model/training_state.h"
#include "reproduce.h"
#include "tensor/io/file_replace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool reproduce_make_curve(reproduced *entry, char *error) {
    const training_result *result = &entry->result;
    csv_series *curve = &entry->curve;
    csv_free_series(curve);
    curve->x = calloc((size_t)result->count, sizeof *curve->x);
    curve->y = calloc((size_t)result->count, sizeof *curve->y);
    if (curve->x == NULL || curve->y == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    curve->count = (size_t)result->count;
    for (size_t i = 0; i < curve->count; i++) {
        curve->x[i] = (double)result->records[i].epoch;
        curve->y[i] = result->records[i].loss;
    }
    return true;
}

/* What a finished model that is not trained now has to say. */
static bool take_result(reproduced *entry, training_state *state, char *error) {
    logged_times times;
    entry->result = (training_result){.count = state->count,
                                      .records = state->records,
                                      .parameters = model_parameters(&entry->job.model)};
    state->records = NULL;
    logged_times_read(entry->log, &times);
    logged_times_find(&times, 0, entry->result.records, entry->result.count);
    logged_times_free(&times);
    return reproduce_make_curve(entry, error);
}

static bool examine(const reproduction *run, reproduced *entry, const cb_safetensors *stored,
                    const option_row *rows, char *error) {
    settings made;
    training_state state = {0};
    if (!settings_read(cb_safetensors_metadata(stored, "settings"), &made, error))
        return false;
    bool ok = settings_match(&made, rows, "it", error) == SETTINGS_SAME &&
              training_state_read(stored, &run->data, &state, error);
    settings_free(&made);
    int64_t begun = state.count + (state.step > 0);
    if (ok && entry->wanted && begun > entry->job.options.epochs) {
        ok = failure(error, FAILURE_SIZE,
                     "it has come to epoch %lld, further than the %lld that are asked for",
                     (long long)begun, (long long)entry->job.options.epochs);
    } else if (ok && entry->wanted) {
        entry->job.resume = entry->checkpoint;
    } else if (ok && state.finished && state.count > 0) {
        ok = take_result(entry, &state, error);
    }
    free(state.records);
    return ok;
}

bool reproduce_find(reproduction *run, const option_row *rows, char *error) {
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        reproduced *entry = &run->models[i];
        char reason[FAILURE_SIZE] = "";
        if (access(entry->checkpoint, F_OK) != 0)
            continue;
        cb_safetensors *stored = checkpoint_open(entry->checkpoint, error);
        if (stored == NULL)
            return false;
        bool ok = examine(run, entry, stored, rows, reason);
        cb_safetensors_free(stored);
        if (!ok) {
            return failure(error, FAILURE_SIZE,
                           "%s is of another run: %.700s (--fresh starts over)", entry->checkpoint,
                           reason);
        }
    }
    return true;
}

bool reproduce_remove(const char *path, char *error) {
    return unlink(path) == 0 || errno == ENOENT ||
           failure(error, FAILURE_SIZE, "cannot remove %s: %s", path, strerror(errno));
}

/* Calls visit for each file that this command writes. */
static bool for_each_file(const reproduction *run, bool (*visit)(const char *path, char *error),
                          char *error) {
    static const char *const others[] = {"figure-12.png",  "figure-13.png", "figure-14.png",
                                         "figure-4.1.png", "table-3.md",    "report.md"};
    bool ok = true;
    for (size_t i = 0; i < sizeof others / sizeof others[0] && ok; i++) {
        char path[REPRODUCE_PATH_SIZE];
        ok = reproduce_path(run, others[i], path, error) && visit(path, error);
    }
    for (int i = 0; i < REPRODUCE_MODELS && ok; i++)
        ok = visit(run->models[i].log, error) && visit(run->models[i].checkpoint, error);
    return ok;
}

static bool clean(const char *path, char *error) {
    (void)error;
    cbi_replacement_clean(path);
    return true;
}

bool reproduce_start_over(const reproduction *run, char *error) {
    return for_each_file(run, reproduce_remove, error);
}

bool reproduce_clean(const reproduction *run, char *error) {
    return for_each_file(run, clean, error);
}
