/* What the measurements of `cerebra bench` mean: the work of a step, the time it would take at the
   rate of a large product, and both forms of output. */
#include "bench.h"

#include <cerebra/version.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Which part of the columns of a matrix multiplies x: all of an input's weight, and of W [h, x] its
   share. */
static double share_of_x(const cb_cell *cell, const cb_cell_param *p, double input,
                         double columns) {
    if (p->role == CB_INPUT_WEIGHT || p->columns.size < CB_OWN_SIZE)
        return p->role == CB_INPUT_WEIGHT;
    const cb_cell_own_size *size = &cell->sizes[p->columns.size - CB_OWN_SIZE];
    return size->of != NULL ? 0 : size->input * input / (size->over > 1 ? size->over : 1) / columns;
}

/* Elements of a layer's matrices that multiply x, or others. */
static double matrix_elements(const bench_model *model, bool of_x, int64_t input, int64_t hidden) {
    const cb_cell *cell = model->cell;
    double sum = 0;
    for (int i = 0; i < cell->param_count; i++) {
        const cb_cell_param *p = &cell->params[i];
        double rows = (double)cb_cell_extent_of(cell, &p->rows, input, hidden, model->settings);
        double columns =
            (double)cb_cell_extent_of(cell, &p->columns, input, hidden, model->settings);
        double share = columns > 0 ? share_of_x(cell, p, (double)input, columns) : 0;
        sum += rows * columns * (of_x ? share : 1 - share);
    }
    return sum;
}

double bench_gflop(const bench_sizes *sizes, const bench_model *model, bench_step step) {
    double rows = (double)sizes->time * (double)sizes->batch;
    double symbols = (double)sizes->symbols;
    int64_t hidden = sizes->hidden;
    double input = matrix_elements(model, true, hidden, hidden);
    double recurrent = matrix_elements(model, false, hidden, hidden);
    double layers = (double)model->layers;
    double products = (symbols < rows ? symbols : rows) * input + (layers - 1) * rows * input +
                      layers * rows * recurrent + rows * (double)hidden * symbols;
    return 2e-9 * products * (step == BENCH_TRAINING ? 3 : 1);
}

/* What is derived from the measurements of a step. */
typedef struct figures {
    double gflop, rate; /* of the step; GFLOP/s */
    double share;       /* of the rate of the product */
    double ratio;       /* of the time to that at the rate of the product */
} figures;

static figures figures_of(const bench_run *run, int model, bench_step step) {
    const bench_result *result = &run->results[model][step];
    figures f = {.gflop = bench_gflop(&run->sizes, &run->models[model], step)};
    f.rate = f.gflop / (1e-3 * result->median);
    f.ratio = result->product_gflop / f.gflop;
    f.share = 1 / f.ratio;
    return f;
}

/* The slowest and the fastest of all products. */
static void find_rates(const bench_run *run, double *lowest, double *highest) {
    *lowest = INFINITY;
    *highest = 0;
    for (int i = 0; i < run->model_count; i++) {
        for (bench_step step = 0; step < BENCH_STEPS; step++) {
            if (run->wanted[step]) {
                *lowest = fmin(*lowest, run->results[i][step].lowest_rate);
                *highest = fmax(*highest, run->results[i][step].highest_rate);
            }
        }
    }
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
    double lowest, highest;
    find_rates(run, &lowest, &highest);
    printf("a %d-cubed product after each step: %.1f to %.1f GFLOP/s\n\n", BENCH_GEMM_SIZE, lowest,
           highest);
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
    return json_pack("{s:{s:f, s:f, s:f, s:f}, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}",
                     "milliseconds", "minimum", result->least, "lower_quartile",
                     result->lower_quartile, "median", result->median, "upper_quartile",
                     result->upper_quartile, "gflop", f.gflop, "gflop_per_second", f.rate,
                     "product_gflop_per_second", result->rate, "share", f.share, "ratio", f.ratio,
                     "parameter_bytes", (json_int_t)result->parameter_bytes, "tape_bytes",
                     (json_int_t)result->tape_bytes, "peak_bytes", (json_int_t)result->peak_bytes);
}

static json_t *model_json(const bench_run *run, int model) {
    const bench_model *m = &run->models[model];
    json_t *object = json_pack("{s:s, s:s, s:I}", "name", m->name, "cell", m->cell->name, "layers",
                               (json_int_t)m->layers);
    for (bench_step step = 0; step < BENCH_STEPS; step++)
        if (run->wanted[step])
            json_object_set_new(object, bench_step_names[step], step_json(run, model, step));
    return object;
}

bool bench_print_json(const bench_run *run) {
    const bench_sizes *sizes = &run->sizes;
    json_t *models = json_array();
    double lowest, highest;
    find_rates(run, &lowest, &highest);
    for (int i = 0; i < run->model_count; i++)
        json_array_append_new(models, model_json(run, i));
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:i, s:f, s:f}, s:o}", "version",
        cb_version(), "dtype", cb_dtype_name(sizes->dtype), "threads", run->threads, "batch",
        (json_int_t)sizes->batch, "hidden", (json_int_t)sizes->hidden, "time",
        (json_int_t)sizes->time, "symbols", (json_int_t)sizes->symbols, "recompute",
        (json_int_t)sizes->recompute, "steps", (json_int_t)sizes->steps, "warmup",
        (json_int_t)sizes->warmup, "gemm", "size", BENCH_GEMM_SIZE, "lowest_gflop_per_second",
        lowest, "highest_gflop_per_second", highest, "models", models);
    bool written =
        object != NULL && json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    json_decref(object);
    return written && fputc('\n', stdout) != EOF;
}
