/* What the parts of `cerebra bench` share.

   bench.c           the command: options, and which measurement follows which
   measure.c   the measurement: a model's steps, in turn with a large product
   process.c   running each measurement in a process of its own
   report.c    how much work a step is, the table, and the JSON */
#ifndef CEREBRA_APPS_BENCH_BENCH_H
#define CEREBRA_APPS_BENCH_BENCH_H

#include "apps/cli/failure.h"

#include <cerebra/cerebra.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rows and columns of the matrices whose product steps are measured against. */
enum { BENCH_GEMM_SIZE = 2048 };

/* What is timed. Forward: a batch drawn, embedding, recurrent layers and linear layer on a tape
   without gradients. Training: the same, cross entropy, backward and Adagrad. */
typedef enum bench_step { BENCH_FORWARD, BENCH_TRAINING, BENCH_STEPS } bench_step;
extern const char *const bench_step_names[BENCH_STEPS + 1]; /* ended by NULL */

/* What all measurements of a run have in common. */
typedef struct bench_sizes {
    cb_dtype dtype; /* CB_F32 or CB_F64 */
    int64_t batch, hidden, time, symbols;
    int64_t recompute;     /* of the recurrent layers: see cb_rnn_options */
    int64_t steps, warmup; /* counted, and run before them */
} bench_sizes;

/* A model: embedding of `hidden` features, layers of a cell, linear layer onto the symbols. */
typedef struct bench_model {
    const char *name;
    const cb_cell *cell;
    int64_t layers;
    const cb_setting *settings; /* hyperparameters; may be NULL */
} bench_model;

/* What measuring gave; plain data, so that it passes through a pipe. */
typedef struct bench_result {
    bool ok;
    char error[FAILURE_SIZE];        /* when not ok */
    char eager_layers[FAILURE_SIZE]; /* which run op by op, and why; "": none */
    /* Of a model's steps: milliseconds, and bytes. */
    double least, lower_quartile, median, upper_quartile;
    int64_t parameter_bytes, tape_bytes, peak_bytes;
    /* Of the product after each of them, GFLOP/s: median, slowest and fastest. */
    double rate, lowest_rate, highest_rate;
    /* What the product would have done in the time of a step: the median of the step's time times
       the rate of the product after it. */
    double product_gflop;
} bench_result;

/* A whole run; bench.c fills it, report.c prints it. */
enum { BENCH_MOST_MODELS = 16 };
typedef struct bench_run {
    bench_sizes sizes;
    int threads;
    int model_count;
    bench_model models[BENCH_MOST_MODELS];
    bool wanted[BENCH_STEPS];
    bench_result results[BENCH_MOST_MODELS][BENCH_STEPS];
} bench_run;

/* ---- Measuring ------------------------------------------------------------------------------- */

/* Times a model's steps in this process, each followed by C = A B by BLIS's own call, all of
   BENCH_GEMM_SIZE rows and columns, and reads its peak resident memory, which is the process's:
   call it once, and before anything else that needs memory. Without memory, or when the library
   fails, result->error says so. */
void bench_measure_steps(const bench_sizes *sizes, const bench_model *model, bench_step step,
                         bench_result *result);
/* The figures of so many steps, from their times in milliseconds and the rates of the products
   after each; sorts both. */
void bench_summarise(double *times, double *rates, int64_t count, bench_result *result);

/* Starts a process that measures a model's steps and waits for its result. This process must not
   have run anything on several threads yet. */
void bench_in_process(const bench_sizes *sizes, const bench_model *model, bench_step step,
                      bench_result *result);

/* ---- Reporting ------------------------------------------------------------------------------- */

/* Floating-point operations of a step in its products, in units of 10^9, a multiplication and an
   addition counted each:
     forward = 2 (min(S, T B) W_in + (L - 1) T B W_in' + L T B W_rec + T B H S),  training = 3 x
   with S symbols, T time steps, batch B, hidden size H, L layers; W_in and W_rec are the elements
   of a layer's matrices that multiply x, and others: of W [h, x], the columns of x and the rest.
   Layer 0 reads rows of the embedding's table, so that no more than S different rows need to be
   projected. The factor of 3: each product Y = X W of the forward pass has dX = dY W' and dW = X'
   dY, of the same size. */
double bench_gflop(const bench_sizes *sizes, const bench_model *model, bench_step step);

void bench_print_table(const bench_run *run);
/* False: standard output failed, or there was no memory. */
bool bench_print_json(const bench_run *run);

#endif
