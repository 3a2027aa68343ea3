/* Running a program: over data, with gradients, on one tape. */
#ifndef CEREBRA_TESTS_FUZZ_EXECUTE_H
#define CEREBRA_TESTS_FUZZ_EXECUTE_H

#include "program.h"

enum { MOST_RESULTS = 64, MOST_RUNS = 2 };

/* The plain tensors that a run uses, all of them drawn from run.data. */
typedef struct run_data {
    cb_tensor *x; /* or the table that it is looked up in */
    cb_tensor *symbols, *lengths, *projection;
    cb_tensor *weights[MOST_WEIGHTS], *initial[MOST_STATES];
} run_data;

bool run_data_draw(const program *p, run_data *data);
void run_data_free(run_data *data);

/* What came of a run: outputs, states after the last step, and a gradient for each variable; zeros
   where there is none. In f64, which holds f32 exactly. */
typedef struct result {
    cb_status status;
    char message[256];
    double loss;
    int count;
    struct {
        char name[48];
        cb_tensor *value;
    } of[MOST_RESULTS];
} result;

/* The recurrence of the loaded step, made from row-major weights. */
/* Most programs leave out the check at first use, which would hide faults. */
cb_scan *scan_of(const program *p, bool eager);
void execute(const program *p, cb_scan *scan, const run_data *data, result *r);
void result_free(result *r);

/* The shape of the tensor that is laid out so as to be seen as one of the given shape, and how a
   tensor on a tape is seen so. */
void layout_base(layout l, int rank, const int64_t *shape, int64_t *base);
cb_tensor *layout_view(layout l, cb_tensor *base, int rank, const int64_t *shape);

/* The slot whose tensor a weight is: its own, or that of the one it is the same as. */
int weight_slot(const program *p, int slot);
/* What a state starts from, given that states which share have one size. */
origin origin_of(const program *p, int state);

/* Seeds of the data, each of a tensor of its own: run.data plus these. */
enum { SEED_X, SEED_SYMBOLS, SEED_LENGTHS, SEED_PROJECTION, SEED_STATES = 8, SEED_WEIGHTS = 32 };

/* So many numbers at the front of a tape's memory are NaN before a run: what it reads there without
   having written it shows, and shows each time. */
enum { DIRTY = 1 << 16 };

/* What gradients are before the run where they are added to (cb_variable_into). */
#define GRADIENT_BEFORE 0.25

#endif
