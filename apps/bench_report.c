/* What the measurements of `cerebra bench` mean: the work of a step, the time it would take at the
   machine's best rate, and both forms of output. */
#include "bench.h"

#include <cerebra/version.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int64_t extent(cb_cell_extent e, int64_t input, int64_t hidden) {
    return e.times * (e.size == CB_INPUT ? input : hidden);
}

/* Elements of a layer's matrices of one role. */
static double matrix_elements(const cb_cell *cell, cb_cell_role role, int64_t input,
                              int64_t hidden) {
    double sum = 0;
    for (int i = 0; i < cell->param_count; i++) {
        const cb_cell_param *param = &cell->params[i];
        if (param->role == role && param->columns.times > 0) {
            sum += (double)extent(param->rows, input, hidden) *
                   (double)extent(param->columns, input, hidden);
        }
    }
    return sum;
}

double bench_gflop(const bench_sizes *sizes, const bench_model *model, bench_step step) {
    double rows = (double)sizes->time * (double)sizes->batch;
    double symbols = (double)sizes->symbols;
    int64_t hidden = sizes->hidden;
    double input = matrix_elements(model->cell, CB_INPUT_WEIGHT, hidden, hidden);
    double recurrent = matrix_elements(model->cell, CB_RECURRENT_WEIGHT, hidden, hidden);
    double layers = (double)model->layers;
    double products = (symbols < rows ? symbols : rows) * input + (layers - 1) * rows * input +
                      layers * rows * recurrent + rows * (double)hidden * symbols;
    return 2e-9 * products * (step == BENCH_TRAINING ? 3 : 1);
}

double bench_best_rate(const bench_run *run) {
    double best = 0;
    for (int i = 0; i <= run->model_count; i++) {
        best = run->rates[i] > best ? run->rates[i] : best;
    }
    return best;
}

/* What is derived from a median. */
typedef struct figures {
    double gflop, rate; /* of the step; GFLOP/s */
    double share;       /* of the machine's best rate */
    double ratio;       /* of the time to that at the best rate */
} figures;

static figures figures_of(const bench_run *run, int model, bench_step step) {
    figures f = {.gflop = bench_gflop(&run->sizes, &run->models[model], step)};
    double best = bench_best_rate(run);
    f.rate = f.gflop / (1e-3 * run->results[model][step].median);
    f.share = f.rate / best;
    f.ratio = best / f.rate;
    return f;
}

static double mebibytes(int64_t bytes) {
    return (double)bytes / (1 << 20);
}

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

void bench_print_table(const bench_run *run) {
    const bench_sizes *sizes = &run->sizes;
    int width = (int)strlen("model");
    for (int i = 0; i < run->model_count; i++) {
        int length = (int)strlen(run->models[i].name);
        width = length > width ? length : width;
    }
    printf("batch %lld, hidden %lld, %lld time step%s, %lld symbol%s, %s, %d thread%s; "
           "medians of %lld step%s\n",
           (long long)sizes->batch, (long long)sizes->hidden, (long long)sizes->time,
           plural(sizes->time), (long long)sizes->symbols, plural(sizes->symbols),
           cb_dtype_name(sizes->dtype), run->threads, plural(run->threads), (long long)sizes->steps,
           plural(sizes->steps));
    printf("best rate of a %d-cubed product: %.1f GFLOP/s\n\n", BENCH_GEMM_SIZE,
           bench_best_rate(run));
    printf("%-*s  %-8s  %9s  %8s  %8s  %6s  %6s  %11s  %8s  %8s\n", width, "model", "step",
           "ms/step", "GFLOP", "GFLOP/s", "share", "ratio", "weights MiB", "tape MiB", "peak MiB");
    for (int i = 0; i < run->model_count; i++) {
        for (bench_step step = 0; step < BENCH_STEPS; step++) {
            const bench_result *result = &run->results[i][step];
            if (run->wanted[step]) {
                figures f = figures_of(run, i, step);
                printf("%-*s  %-8s  %9.3f  %8.4g  %8.4g  %5.1f%%  %6.2f  %11.1f  %8.1f  %8.1f\n",
                       width, run->models[i].name, bench_step_names[step], result->median, f.gflop,
                       f.rate, 100 * f.share, f.ratio, mebibytes(result->parameter_bytes),
                       mebibytes(result->tape_bytes), mebibytes(result->peak_bytes));
            }
        }
    }
}

static json_t *step_json(const bench_run *run, int model, bench_step step) {
    const bench_result *result = &run->results[model][step];
    figures f = figures_of(run, model, step);
    return json_pack("{s:{s:f, s:f, s:f, s:f}, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "milliseconds",
                     "minimum", result->least, "lower_quartile", result->lower_quartile, "median",
                     result->median, "upper_quartile", result->upper_quartile, "gflop", f.gflop,
                     "gflop_per_second", f.rate, "share", f.share, "ratio", f.ratio,
                     "parameter_bytes", (json_int_t)result->parameter_bytes, "tape_bytes",
                     (json_int_t)result->tape_bytes, "peak_bytes", (json_int_t)result->peak_bytes);
}

static json_t *model_json(const bench_run *run, int model) {
    const bench_model *m = &run->models[model];
    json_t *object = json_pack("{s:s, s:s, s:I}", "name", m->name, "cell", m->cell->name, "layers",
                               (json_int_t)m->layers);
    for (bench_step step = 0; step < BENCH_STEPS; step++) {
        if (run->wanted[step]) {
            json_object_set_new(object, bench_step_names[step], step_json(run, model, step));
        }
    }
    return object;
}

bool bench_print_json(const bench_run *run) {
    const bench_sizes *sizes = &run->sizes;
    json_t *rates = json_array();
    json_t *models = json_array();
    for (int i = 0; i <= run->model_count; i++) {
        json_array_append_new(rates, json_real(run->rates[i]));
    }
    for (int i = 0; i < run->model_count; i++) {
        json_array_append_new(models, model_json(run, i));
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:i, s:f, s:o}, s:o}", "version",
        cb_version(), "dtype", cb_dtype_name(sizes->dtype), "threads", run->threads, "batch",
        (json_int_t)sizes->batch, "hidden", (json_int_t)sizes->hidden, "time",
        (json_int_t)sizes->time, "symbols", (json_int_t)sizes->symbols, "recompute",
        (json_int_t)sizes->recompute, "steps", (json_int_t)sizes->steps, "warmup",
        (json_int_t)sizes->warmup, "gemm", "size", BENCH_GEMM_SIZE, "gflop_per_second",
        bench_best_rate(run), "rates", rates, "models", models);
    bool written =
        object != NULL && json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    json_decref(object);
    return written && fputc('\n', stdout) != EOF;
}
