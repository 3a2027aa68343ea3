/* What is timed by `cerebra bench`, and how.

   Steps are timed one by one, and their median stands for them. The first steps, which allocate
   memory and trace the cell, are run before and not counted. Each step is followed by the product
   that it is measured against: clocks change and neighbours wake within seconds, and a step of one
   moment next to a product of another says nothing. */
#include "bench.h"

#include "apps/cli/progress.h"
#include "apps/model/eager_layers.h"
#include "tensor/kernels.h"

#include <stdio.h>
#include <stdlib.h>

const char *const bench_step_names[BENCH_STEPS + 1] = {"forward", "training", NULL};

/* A model with all that its steps need. */
typedef struct subject {
    const bench_sizes *sizes;
    cb_params *params;
    cb_module *embedding, *head;
    cb_rnn *rnn;
    cb_optimizer *optimizer;
    cb_tape *tape;
    cb_random random;
    int32_t *x, *y; /* [time, batch] */
} subject;

static bool out_of_memory(bench_result *result) {
    return failure(result->error, sizeof result->error, "out of memory");
}

static bool make(subject *made, const bench_sizes *sizes, const bench_model *model, bench_step step,
                 bench_result *result) {
    size_t count = (size_t)(sizes->time * sizes->batch);
    *made = (subject){.sizes = sizes, .random = cb_random_seed(2)};
    made->x = calloc(count, sizeof *made->x);
    made->y = calloc(count, sizeof *made->y);
    made->params = cb_params_new_dtype(1, sizes->dtype);
    made->tape = step == BENCH_TRAINING ? cb_tape_new() : cb_tape_new_no_grad();
    if (made->x == NULL || made->y == NULL || made->params == NULL || made->tape == NULL)
        return out_of_memory(result);
    int64_t hidden = sizes->hidden;
    made->embedding = cb_embedding_new(made->params, "embedding", sizes->symbols, hidden);
    made->rnn =
        cb_rnn_new(made->params, "rnn", model->cell, hidden, hidden, .layers = (int)model->layers,
                   .recompute = sizes->recompute, .settings = model->settings);
    made->head = cb_linear_new(made->params, "head", cb_rnn_output_size(made->rnn), sizes->symbols);
    if (step == BENCH_TRAINING)
        made->optimizer = cb_adagrad_new(made->params, .lr = 0.05, .initial_accumulator = 0.1);
    result->parameter_bytes =
        cb_params_elements(made->params) * (int64_t)cb_dtype_size(sizes->dtype);
    return cb_params_status(made->params) == CB_OK ||
           failure(result->error, sizeof result->error, "%s", cb_params_error(made->params));
}

static void release(subject *s) {
    cb_optimizer_free(s->optimizer);
    cb_params_free(s->params);
    cb_tape_free(s->tape);
    free(s->x);
    free(s->y);
}

static bool run_step(subject *s, bench_step step, bench_result *result) {
    const bench_sizes *sizes = s->sizes;
    uint64_t symbols = (uint64_t)sizes->symbols;
    for (int64_t i = 0; i < sizes->time * sizes->batch; i++) {
        s->x[i] = (int32_t)cb_random_below(&s->random, symbols);
        s->y[i] = (int32_t)cb_random_below(&s->random, symbols);
    }
    cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(sizes->time, sizes->batch), s->x);
    cb_tensor y = cb_tensor_wrap(CB_I32, CB_SHAPE(sizes->time, sizes->batch), s->y);
    cb_tape_reset(s->tape);
    cb_tensor *h = cb_rnn_forward(s->rnn, cb_forward(s->embedding, cb_input(s->tape, &x)), NULL);
    cb_tensor *logits = cb_forward(s->head, h);
    if (step == BENCH_TRAINING) {
        cb_status status = cb_backward(cb_cross_entropy(logits, cb_input(s->tape, &y)));
        if (status == CB_OK && cb_optimizer_step(s->optimizer) != CB_OK)
            return failure(result->error, sizeof result->error, "%s", cb_params_error(s->params));
    }
    return cb_tape_status(s->tape) == CB_OK ||
           failure(result->error, sizeof result->error, "%s", cb_tape_error(s->tape));
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value that a fraction of the sorted numbers lies below, between two of them if need be. */
static double quantile(const double *sorted, int64_t count, double fraction) {
    double position = fraction * (double)(count - 1);
    int64_t below = (int64_t)position;
    int64_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (position - (double)below) * (sorted[above] - sorted[below]);
}

static double median(double *numbers, int64_t count) {
    qsort(numbers, (size_t)count, sizeof *numbers, compare_numbers);
    return quantile(numbers, count, 0.5);
}

void bench_summarise(double *times, double *rates, int64_t count, bench_result *result) {
    double *work = calloc((size_t)count, sizeof *work);
    if (work == NULL) {
        result->ok = failure(result->error, sizeof result->error, "out of memory");
        return;
    }
    for (int64_t i = 0; i < count; i++)
        work[i] = 1e-3 * times[i] * rates[i];
    result->product_gflop = median(work, count);
    result->median = median(times, count);
    result->least = times[0];
    result->lower_quartile = quantile(times, count, 0.25);
    result->upper_quartile = quantile(times, count, 0.75);
    result->rate = median(rates, count);
    result->lowest_rate = rates[0];
    result->highest_rate = rates[count - 1];
    free(work);
}

/* The most memory that this process has had in use; 0 where the system does not say. getrusage
   would count that of the process it was started from. */
static int64_t peak_bytes(void) {
    char line[256];
    long long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL &&
           sscanf(line, "VmHWM: %lld kB", &kilobytes) != 1) {
    }
    if (status != NULL)
        fclose(status);
    return (int64_t)kilobytes * 1024;
}

/* ---- The product ----------------------------------------------------------------------------- */

typedef struct product {
    cb_tensor *a, *b, *c;
} product;

static cb_tensor *random_matrix(cb_dtype dtype, cb_random *random) {
    cb_tensor *t = cb_tensor_new(dtype, CB_SHAPE(BENCH_GEMM_SIZE, BENCH_GEMM_SIZE));
    if (t != NULL && dtype == CB_F32)
        cb_random_uniform_f32(random, cb_tensor_count(t), t->data, -1, 1);
    else if (t != NULL)
        cb_random_uniform_f64(random, cb_tensor_count(t), t->data, -1, 1);
    return t;
}

static cbi_matrix matrix(const cb_tensor *t) {
    return (cbi_matrix){t->data, BENCH_GEMM_SIZE, 1};
}

/* C = A B by BLIS's own call, whatever products the library computes otherwise: GFLOP/s. */
static double product_rate(const product *p) {
    const int size = BENCH_GEMM_SIZE;
    double begin = progress_clock();
    cbi_gemm_blis(p->a->dtype, size, size, size, matrix(p->a), matrix(p->b), false, matrix(p->c));
    return 2e-9 * size * size * size / (progress_clock() - begin);
}

static bool make_product(product *p, cb_dtype dtype, bench_result *result) {
    cb_random random = cb_random_seed(3);
    p->a = random_matrix(dtype, &random);
    p->b = random_matrix(dtype, &random);
    p->c = random_matrix(dtype, &random);
    if (p->a == NULL || p->b == NULL || p->c == NULL)
        return out_of_memory(result);
    product_rate(p); /* finds memory for what BLIS packs */
    return true;
}

static void release_product(product *p) {
    cb_tensor_free(p->a);
    cb_tensor_free(p->b);
    cb_tensor_free(p->c);
}

/* ---- Both in turn ---------------------------------------------------------------------------- */

/* What only the model has taken, as long as there is no product. */
static void read_memory(const subject *s, bench_result *result) {
    result->tape_bytes = (int64_t)cb_tape_bytes(s->tape);
    result->peak_bytes = peak_bytes();
}

void bench_measure_steps(const bench_sizes *sizes, const bench_model *model, bench_step step,
                         bench_result *result) {
    *result = (bench_result){0};
    subject s;
    product p = {0};
    double *times = calloc((size_t)sizes->steps, sizeof *times);
    double *rates = calloc((size_t)sizes->steps, sizeof *rates);
    result->ok = make(&s, sizes, model, step, result) &&
                 ((times != NULL && rates != NULL) || out_of_memory(result));
    for (int64_t i = -sizes->warmup; result->ok && i < sizes->steps; i++) {
        double begin = progress_clock();
        result->ok = run_step(&s, step, result);
        double took = 1e3 * (progress_clock() - begin);
        if (result->ok && i == 0) {
            read_memory(&s, result);
            result->ok = make_product(&p, sizes->dtype, result);
        }
        if (result->ok && i >= 0) {
            times[i] = took;
            rates[i] = product_rate(&p);
        }
    }
    if (result->ok) {
        bench_summarise(times, rates, sizes->steps, result);
        eager_layers(s.rnn, model->name, result->eager_layers, sizeof result->eager_layers);
    }
    release(&s);
    release_product(&p);
    free(times);
    free(rates);
}
