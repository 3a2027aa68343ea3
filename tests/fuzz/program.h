/* A step program: the instructions of a random step, and the run that it is tried on.

   A program is a list of values. The first ones are what a step is given (x, states, weights), each
   other one is an op applied to earlier values. A value's type is known before anything runs: its
   dtype, its shape, and an interval that holds all its elements. So a program is valid by
   construction, and stays so when the reducer edits it: whoever changes a program calls
   program_infer, which says whether it still is. */
#ifndef CEREBRA_TESTS_FUZZ_PROGRAM_H
#define CEREBRA_TESTS_FUZZ_PROGRAM_H

#include <cerebra/cerebra.h>

enum {
    MOST_RANK = 5,
    MOST_INPUTS = 8,
    MOST_NUMBERS = 2 * MOST_RANK,
    MOST_VALUES = 224,
    MOST_STATES = 4,
    MOST_WEIGHTS = 32,
    NO_VALUE = -1, /* in the place of a bias: none */
};

/* times, or times x the number of sequences in the batch, which the step learns when it runs. */
typedef struct extent {
    int64_t times;
    bool batch;
} extent;

typedef struct extents {
    int rank;
    extent at[MOST_RANK];
} extents;

typedef struct type {
    cb_dtype dtype;
    extents shape;
    double low, high; /* every element is in [low, high] */
} type;

struct form;

/* One instruction. What its arguments mean is up to its form (forms.h). */
typedef struct value {
    const struct form *form;
    int count, in[MOST_INPUTS]; /* earlier values, or NO_VALUE */
    double parameter[2];
    int axis_count, axes[MOST_RANK];
    extents shape;
    int64_t number[MOST_NUMBERS];
    cb_dtype dtype;
    bool flag;
    type type;
} value;

/* How a tensor lies in memory when the step runs. The recurrence is made for row-major ones. */
typedef enum layout { PLAIN, TRANSPOSED, FLIPPED, EXPANDED, SLICED, LAYOUTS } layout;

typedef struct weight {
    extents shape; /* no batch */
    layout layout;
    bool constant; /* no gradient is asked for */
    int same_as;   /* an earlier weight of this shape that is this one too; -1: none */
} weight;

/* What a state starts from. SPREAD: one row for all sequences. SHARED: what the state before it
   starts from. */
typedef enum origin { ZEROS, CONSTANT, VARIABLE, SPREAD, SHARED, STARTS } origin;

/* What the loss does with outputs: nothing, a weighted sum, a sum of sines, the last step only. */
typedef enum reading { UNREAD, PROJECTED, SINES, LAST, READINGS } reading;

typedef struct run {
    int64_t time, batch;
    int64_t table;         /* x is rows looked up in a table of so many; 0: it is not */
    bool rows;             /* the scan is given the table and the rows, and not what they give */
    layout x_layout;       /* TRANSPOSED: [batch, time, input] in memory */
    bool constant_x;       /* no gradient is asked for */
    bool lengths, reverse; /* as in cb_scan_io */
    bool narrow;           /* lengths and symbols are i32 */
    bool no_gradient;      /* on a tape that records nothing */
    bool into;             /* cb_variable_into, onto gradients that are there already */
    origin initial[MOST_STATES];
    reading output;
    bool final[MOST_STATES]; /* whether the loss reads the state after the last step */
    /* Gradients are those of cb_backward, or, where this is not 0, what cb_grad gives for the
       variables whose bit is set, in the order in which execute.c makes them. */
    uint64_t asked;
    int sweeps;    /* of the gradient, over one tape */
    int runs;      /* one after the other on one tape: states are carried on */
    uint64_t data; /* seed of all numbers */
} run;

typedef struct program {
    uint64_t seed;
    cb_dtype dtype;
    int64_t input;
    int state_count;
    int64_t state_size[MOST_STATES];
    bool sums[MOST_STATES]; /* the state grows: it becomes itself plus something in [-1, 1] */
    int weight_count;
    weight weights[MOST_WEIGHTS];
    int value_count;
    value values[MOST_VALUES];
    int next[MOST_STATES];
    run run;
} program;

/* What elements are drawn from, and what states stay in. */
#define WEIGHT_BOUND 0.8
#define STATE_BOUND  2.0
#define SUM_BOUND    40.0
/* No value may grow beyond this: f32 has to be worth comparing. */
#define VALUE_BOUND   100.0
#define INTEGER_BOUND 1000.0
enum { MOST_ELEMENTS = 900 }; /* of a value, for one sequence */

/* The most time steps of a run: what SUM_BOUND counts on, for two runs that follow each other. */
enum { MOST_TIME = 17 };

/* Infers the types of all values from the leaves on. False when an instruction does not fit, or a
   state does not get a value that it may hold. */
bool program_infer(program *p);
/* The same of the last value alone. */
bool program_infer_last(program *p);
/* Whether value i, whose type is known, may be what a state becomes. */
bool program_may_be_next(const program *p, int state, int i);
/* Marks the values that a state after the step depends on. */
void program_live(const program *p, bool live[MOST_VALUES]);
/* Drops values that are not marked, and gives the others new numbers. */
void program_keep(program *p, const bool live[MOST_VALUES]);
/* Drops weights that no value reads. */
void program_drop_weights(program *p);
/* Drops a state that no value reads and another is left of. */
void program_drop_state(program *p, int state);
/* The first value that is the leaf of a form (form_x, form_state, form_weight) and number, or
   NO_VALUE. */
int program_leaf(const program *p, const struct form *form, int64_t number);
/* How many live values have this form. */
int program_uses(const program *p, const struct form *form);
/* Whether a live value draws random numbers. */
bool program_draws(const program *p);

/* ---- Extents --------------------------------------------------------------------------------- */

extent fixed(int64_t times);
extent batches(int64_t times);
bool same_extent(extent a, extent b);
bool same_extents(const extents *a, const extents *b);
/* [B, columns] and [columns] */
extents rows_of(int64_t columns);
extents vector_of(int64_t columns);
/* Which axis is the batch; -1: none. Of several, the first. */
int batch_axis(const extents *shape);
/* The product of all times, and how many axes are multiples of the batch. */
int64_t times_of(const extents *shape);
int batch_count(const extents *shape);
/* The extents of a run with so many sequences. */
void resolve(const extents *shape, int64_t batch, int64_t *result);
/* NumPy's rule, for any number of sequences. False when it does not hold. */
bool broadcast(const extents *a, const extents *b, extents *result);
void axis_insert(extents *shape, int axis, extent e);
void axis_remove(extents *shape, int axis);

#endif
