/* `cerebra bench`: how long a step takes, and how far that is from what the machine can do.

   The measure is the rate of a large product, taken in turn with the steps. */
#include "bench.h"

#include "apps/cli/command.h"
#include "apps/cli/options.h"
#include "apps/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Times steps of the paper's three models, or of one model with any cell: forward alone, and "
    "training (batch, forward, loss, backward, Adagrad). Every measurement runs in a process of "
    "its own, on random symbols.\n";

static const char notes[] =
    "ms/step is the median. GFLOP counts the products of a step, the first layer's input projected "
    "once per symbol. Each step is followed by a 2048-cubed product by BLIS on as many threads; "
    "ratio is the step's time over that of the same GFLOP at the product's rate (the median over "
    "the steps), and share the inverse of it. Tape and peak are bytes of memory, peak that of the "
    "whole process. --json also has the minimum and the quartiles of the steps.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

/* The command line. */
typedef struct request {
    const char *cell, *set, *step, *dtype;
    int64_t layers, threads;
    bool layers_given;
    bench_sizes sizes;
    bool json, quiet;
} request;

static const request defaults = {
    .layers = 1,
    .dtype = "f32",
    .sizes = {.batch = 128, .hidden = 512, .time = 20, .symbols = 89, .steps = 10, .warmup = 3},
};

static const char *const dtypes[] = {"f32", "f64", NULL};

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    bench_sizes *sizes = &asked->sizes;
    option_row rows[] = {
        {"cell", .string = &asked->cell, .value = "CELL,...",
         .help = "only these cells: names (see cerebra cells), files of equations, or "
                 "FILE.so[:NAME]; separated by commas, which no file's name may have (the paper's "
                 "models: lstm, lstm in two layers, and cerebral-lstm)"},
        {"set", .string = &asked->set, .value = "NAME=X", .help = SET_OPTION_HELP, .joined = true},
        {"layers", .whole = &asked->layers, .value = "N", .help = "recurrent layers of --cell",
         .low = 1, .high = MODEL_MOST_LAYERS, .given = &asked->layers_given},
        {"step", .string = &asked->step, .value = "NAME", .help = "only this step",
         .names = bench_step_names},
        {"batch", .whole = &sizes->batch, .value = "N", .help = "sequences in a step", .low = 1,
         .high = MODEL_LARGEST},
        {"hidden", .whole = &sizes->hidden, .value = "N",
         .help = "hidden size of each layer, and the embedding's", .low = 1, .high = MODEL_LARGEST},
        {"time", .whole = &sizes->time, .value = "N", .help = "time steps", .low = 1,
         .high = MODEL_LARGEST},
        {"symbols", .whole = &sizes->symbols, .value = "N", .help = "characters there are",
         .low = 1, .high = MODEL_LARGEST},
        {"recompute", .whole = &sizes->recompute, .value = "K",
         .help = "keep states every K time steps only; 0: keep all", .low = 0,
         .high = MODEL_LARGEST},
        {"dtype", .string = &asked->dtype, .value = "NAME", .help = "dtype", .names = dtypes},
        {"steps", .whole = &sizes->steps, .value = "N", .help = "steps that are timed", .low = 1,
         .high = 1000000},
        {"warmup", .whole = &sizes->warmup, .value = "N", .help = "steps before them", .low = 0,
         .high = 1000000},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {"json", .flag = &asked->json, .help = "print a JSON object"},
        {"quiet", 'q', .flag = &asked->quiet, .help = "do not say what is being measured"},
        {.name = NULL},
    };
    const option_table table = {.command = "bench",
                                .synopsis = "[OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    return options_parse(&table, argc, argv, error);
}

static bool choose_models(const request *asked, bench_run *run, char *error) {
    if (asked->cell != NULL) {
        const chosen_cell *cells[BENCH_MOST_MODELS];
        int count = cell_choose_list(asked->cell, asked->set, cells, BENCH_MOST_MODELS, error);
        for (int i = 0; i < count; i++) {
            run->models[run->model_count++] =
                (bench_model){cells[i]->name, cells[i]->cell, asked->layers, cells[i]->settings};
        }
        return count > 0;
    }
    if (asked->set != NULL)
        return failure(error, FAILURE_SIZE, "--set means nothing without --cell");
    if (asked->layers_given)
        return failure(error, FAILURE_SIZE, "--layers means nothing without --cell");
    run->models[run->model_count++] = (bench_model){"lstm", &cb_lstm, 1, NULL};
    run->models[run->model_count++] = (bench_model){"stacked-lstm", &cb_lstm, 2, NULL};
    run->models[run->model_count++] = (bench_model){"cerebral-lstm", &cb_cerebral_lstm, 1, NULL};
    return true;
}

static bool check(const request *asked, bench_run *run, char *error) {
    run->sizes = asked->sizes;
    run->sizes.dtype = strcmp(asked->dtype, "f64") == 0 ? CB_F64 : CB_F32;
    for (bench_step step = 0; step < BENCH_STEPS; step++)
        run->wanted[step] = asked->step == NULL || strcmp(asked->step, bench_step_names[step]) == 0;
    return choose_models(asked, run, error);
}

/* The name of what is measured is part of an error, and of what is said meanwhile. */
static bool measure(const bench_run *run, const bench_model *timed, bench_step step, bool quiet,
                    bench_result *result, char *error) {
    char what[128];
    snprintf(what, sizeof what, "%s, %s", timed->name, bench_step_names[step]);
    if (!quiet)
        fprintf(stderr, "cerebra bench: %s\n", what);
    bench_in_process(&run->sizes, timed, step, result);
    /* Once for each model. */
    if (step == BENCH_TRAINING || !run->wanted[BENCH_TRAINING])
        fputs(result->eager_layers, stderr);
    return result->ok || failure(error, FAILURE_SIZE, "%s: %s", what, result->error);
}

static bool measure_all(bench_run *run, bool quiet, char *error) {
    for (int i = 0; i < run->model_count; i++) {
        for (bench_step step = 0; step < BENCH_STEPS; step++)
            if (run->wanted[step] &&
                !measure(run, &run->models[i], step, quiet, &run->results[i][step], error))
                return false;
    }
    return true;
}

int cerebra_bench(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = defaults;
    bench_run run = {0};
    options_outcome outcome = parse(&asked, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    if (outcome == OPTIONS_BAD || !check(&asked, &run, error))
        return command_fail("bench", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    if (asked.threads > 0)
        cb_set_threads((int)asked.threads);
    if (!measure_all(&run, asked.quiet, error))
        return command_fail("bench", EXIT_FAILURE, error);
    run.threads = cb_threads();
    if (!asked.json)
        bench_print_table(&run);
    else if (!bench_print_json(&run))
        return command_fail("bench", EXIT_FAILURE, "cannot write standard output");
    return EXIT_SUCCESS;
}
