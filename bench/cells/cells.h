/* Recurrent cells from the literature, as steps of plain ops: what a user would write. A cell is a
   function that says its sizes, a step, and a line in cells.c.

   States are [batch, size] each, the first one is the output. Biases and other vectors are weights
   like the matrices. */
#ifndef CEREBRA_BENCH_CELLS_CELLS_H
#define CEREBRA_BENCH_CELLS_CELLS_H

#include <cerebra/cerebra.h>

enum { LITERATURE_MOST_STATES = 8, LITERATURE_MOST_WEIGHTS = 24, LITERATURE_MOST_PRODUCTS = 16 };

/* A product of all rows with a matrix [k, n] that all share, `count` of them side by side. */
typedef struct literature_product {
    bool each_step; /* in the loop; else once for all time steps */
    int64_t count, k, n;
} literature_product;

/* What a cell is made of. */
typedef struct literature_sizes {
    int state_count, weight_count, product_count;
    int64_t state[LITERATURE_MOST_STATES];
    struct {
        int rank;
        int64_t shape[4];
        double low, high; /* initial values */
    } weight[LITERATURE_MOST_WEIGHTS];
    literature_product product[LITERATURE_MOST_PRODUCTS];
} literature_sizes;

typedef struct literature_cell {
    const char *name, *source;
    int64_t input, hidden; /* that it is timed with */
    void (*sizes)(int64_t input, int64_t hidden, literature_sizes *sizes);
    cb_scan_step *step;
} literature_cell;

/* Ended by a row without a name. */
extern const literature_cell literature_cells[];

/* For the functions that say sizes. */
void literature_state(literature_sizes *s, int64_t size);
/* A matrix [rows, columns] with entries up to 1 / sqrt(columns); a vector within low and high. */
void literature_matrix(literature_sizes *s, int64_t rows, int64_t columns);
void literature_vector(literature_sizes *s, int64_t size, double low, double high);
/* [groups, rows, columns], entries up to 1 / sqrt(rows): the left operand is a row. */
void literature_blocks(literature_sizes *s, int64_t groups, int64_t rows, int64_t columns);
void literature_product_of(literature_sizes *s, bool each_step, int64_t count, int64_t k,
                           int64_t n);

/* floor(x), as an op of a user's: it has no gradient, and treats rows one by one. */
cb_tensor *literature_floor(cb_tensor *x);

/* The generators that steps draw from. */
void literature_seed(uint64_t seed);

#define LITERATURE_CELL(name)                                                                      \
    void name##_sizes(int64_t input, int64_t hidden, literature_sizes *sizes);                     \
    void name##_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next);
LITERATURE_CELL(indrnn)
LITERATURE_CELL(sru)
LITERATURE_CELL(qrnn)
LITERATURE_CELL(mingru)
LITERATURE_CELL(minlstm)
LITERATURE_CELL(lru)
LITERATURE_CELL(unicornn)
LITERATURE_CELL(scrn)
LITERATURE_CELL(projected_lstm)
LITERATURE_CELL(phased_lstm)
LITERATURE_CELL(hyper_lstm)
LITERATURE_CELL(highway)
LITERATURE_CELL(block_gru)
LITERATURE_CELL(zoneout_gru)
LITERATURE_CELL(variational_gru)
LITERATURE_CELL(clockwork)
LITERATURE_CELL(slstm)
LITERATURE_CELL(mlstm)
LITERATURE_CELL(delta_net)
LITERATURE_CELL(memory_slots)
LITERATURE_CELL(s6)
LITERATURE_CELL(lmu)
LITERATURE_CELL(ltc)
#undef LITERATURE_CELL

#endif
