/* A recurrence while it runs: what its memory, its rows and its loop over time share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_RECURRENCE_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_RECURRENCE_INTERNAL_H

#include "autograd/scan/recurrence.h"

/* An operand at one step: the address of row 0, and the distance between rows, in bytes. */
typedef struct cbi_operand {
    char *base;
    int64_t stride;
    bool looked_up; /* rows are those that row_of says */
} cbi_operand;

enum { CBI_OPERANDS = 1 + CBI_MAP_INPUTS }; /* of an instruction: what it writes, then its inputs */

/* Rows [first, first + rows) of the batch at one step. */
typedef struct cbi_tile {
    const cbi_recurrence *run;
    const cbi_program *program;
    bool backward;
    int64_t step, first, rows;
    char *registers;
    char *packed_rows;
    cbi_place packed_place; /* what lies packed there, of this step: where it begins */
    int64_t packed_depth;   /* and its columns */
    bool is_packed;
    cbi_operand *operands; /* CBI_OPERANDS for each instruction */
} cbi_tile;

int64_t cbi_element_size(const cbi_recurrence *run);
/* The time at which a step runs. */
int64_t cbi_time_of(const cbi_recurrence *run, int64_t step);
/* Where a place's memory is, if that of another buffer. */
cbi_place cbi_at_home(const cbi_recurrence *run, cbi_place place);
/* Row 0 of a buffer's columns at a step. What is there for all steps lies in the order of time. */
char *cbi_buffer_at(const cbi_recurrence *run, cbi_place place, int64_t step);
/* An operand at the tile's step. */
cbi_operand cbi_locate(const cbi_tile *tile, cbi_place place);
/* Runs instructions [begin, end), none of them a product, whose operands are located, on rows
   [first, last) of the batch. */
void cbi_run_rows(const cbi_tile *tile, int begin, int end, int64_t first, int64_t last);
/* Where a sequence is over, states keep their values, gradients pass unchanged, and what is kept
   for the sums over the batch is 0. */
void cbi_pass_over(const cbi_tile *tile);

#endif
