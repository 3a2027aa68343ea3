/* A run from inside: what its memory, its rows and its loop over steps share. */
#ifndef CEREBRA_AUTOGRAD_RUNTIME_RUN_INTERNAL_H
#define CEREBRA_AUTOGRAD_RUNTIME_RUN_INTERNAL_H

#include "autograd/runtime/run.h"

/* An operand at one step: the address of row 0, and the distance between rows, in bytes. */
typedef struct cbi_address {
    char *base;
    int64_t row;
    bool looked_up; /* rows are those that row_of says */
} cbi_address;

/* Rows of the batch that a sum over rows takes one after the other: sums of so many are added up in
   order, whatever the tiles and the threads. Tiles are multiples of it. */
int64_t cbi_block_rows(const cbi_run *run);

/* Rows that there is memory for in buffers for one step: those of a tile for each thread, which
   stay in its cache from one stage to the next, or all. */
int64_t cbi_one_step_rows(const cbi_run *run);

static inline cb_dtype cbi_run_dtype(const cbi_run *run) {
    return run->plan->graph->outputs[0].type.dtype;
}

/* Rows [first, first + rows) of the batch at one step, on one thread. */
typedef struct cbi_tile {
    const cbi_run *run;
    const cbi_program *program;
    bool backward;
    int64_t step, first, rows;
    int thread;       /* which scratch, and which tape, is its own */
    int64_t own;      /* what to add to a row's number: its own in buffers for one step */
    int64_t together; /* rows that row by row instructions run on at a time */
    char *registers;
    char *packed_rows;
    cbi_address *addresses; /* of each instruction: from first_address on, its result and inputs */
    const int *first_address;
} cbi_tile;

/* The time at which a step runs. */
int64_t cbi_time_of(const cbi_run *run, int64_t step);
/* Where a place's memory is, if that of another buffer. */
cbi_place cbi_at_home(const cbi_run *run, cbi_place place);
/* Row 0 of a buffer's place at a step. */
char *cbi_buffer_at(const cbi_run *run, cbi_place place, int64_t step);
/* The distance between its rows. */
int64_t cbi_row_bytes(const cbi_run *run, cbi_place place);
/* An operand at the tile's step. */
cbi_address cbi_locate(const cbi_tile *tile, cbi_place place);
/* The row of an operand. */
char *cbi_row_at(const cbi_tile *tile, const cbi_address *address, int64_t row);
/* Whether a sequence has an element at the tile's step, or all are computed as if they had. */
bool cbi_is_running(const cbi_tile *t, int64_t row);
/* Runs instructions [begin, end), all of them row by row, whose operands are located, on rows
   [first, last) of the batch. */
void cbi_run_rows(const cbi_tile *tile, int begin, int end, int64_t first, int64_t last);
/* Runs an instruction that is computed once for all rows. */
void cbi_run_once(const cbi_tile *tile, int instruction);
/* Applies an op as it is, to the tile's rows. */
void cbi_run_call(const cbi_tile *tile, int instruction);
/* Whether weights are packed: it takes as long as a few products. */
bool cbi_run_packs(const cbi_run *run);
/* Packs the weights of the forward or the backward step. */
void cbi_run_pack_weights(const cbi_run *run, bool backward);
/* The most that left operands take, packed, of a tile of so many rows. */
size_t cbi_run_packed_rows_bytes(const cbi_run *run, int64_t rows);
/* Packs the tile's rows of a left operand for the products that come next, where weights are. */
void cbi_run_pack(const cbi_tile *tile, int instruction);
/* A product of the tile's rows, on this thread or on all of them. */
void cbi_run_product(const cbi_tile *tile, int instruction);
void cbi_run_product_together(const cbi_tile *tile, int instruction);
/* Where a sequence is over, states keep their values, cotangents pass unchanged, and what is read
   after the loop is 0. */
void cbi_pass_over(const cbi_tile *tile);
/* Of a batch that runs as one, rows of which see each other: before a step backward, the cotangents
   of sequences that are over are put aside, and 0 in their place; after it, they are added. */
void cbi_put_aside(const cbi_tile *tile, char *aside);
void cbi_add_aside(const cbi_tile *tile, const char *aside);
size_t cbi_aside_bytes(const cbi_run *run);
/* The bit of each operand of which a row is one element. */
static inline const cbi_operand *cbi_operand_of(const cbi_instruction *instruction, int k) {
    return instruction->operands != NULL ? &instruction->operands[k] : &instruction->in[k];
}

#endif
