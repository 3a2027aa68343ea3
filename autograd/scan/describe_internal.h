/* Describing a recurrence as text: what the files that write its sections share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_DESCRIBE_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_DESCRIBE_INTERNAL_H

#include "autograd/scan/describe_text.h"
#include "autograd/scan/scan_internal.h"

enum { CBI_SHAPES = 64 }; /* the column of equations that shapes begin in */

/* The two graphs of a step, see split.h. */
enum { CBI_OF_SEQUENCE, CBI_OF_STEP, CBI_GRAPHS };

/* A description while it is written. */
typedef struct cbi_description {
    cb_scan *scan;
    const cb_scan_sizes *sizes;
    const cbi_split *split;
    cbi_compilation *compilation;
    const cbi_compiled *compiled;
    int *captured_number;           /* of each node: that of what is computed once; 0: it is not */
    cbi_text text;                  /* all of it */
    cbi_text equations[CBI_GRAPHS]; /* of each graph as it was lowered */
    cbi_text passes[CBI_GRAPHS];    /* what each pass did to it */
} cbi_description;

/* Whether x is looked up, and computed with, row by row of a table. */
bool cbi_described_table(const cbi_description *d);
/* Rows that the sequence's graph runs over. */
int64_t cbi_described_rows(const cbi_description *d);
/* The run of a plan that is described: enough of one to ask how many bytes its parts take. */
cbi_run cbi_described_run(const cbi_description *d, const cbi_plan *plan);
/* Bytes of a buffer for that run, those that it leaves for others included. */
size_t cbi_described_bytes(const cbi_run *run, int buffer);

/* describe_names.c: names, as equations have them. */
void cbi_write_state(const cbi_description *d, cbi_text *text, int state);
/* Something captured: a weight, or cN, which is computed once. */
void cbi_write_captured(const cbi_description *d, cbi_text *text, int node);
/* A part of something captured; a view of any other value, in brackets. */
void cbi_write_part(const cbi_description *d, cbi_text *text, const cbi_captured *captured,
                    const cbi_view *part);
void cbi_write_view(cbi_text *text, const cbi_view *view);
/* Row input or output number i of a graph. */
void cbi_write_row_input(const cbi_description *d, cbi_text *text, const cbi_graph *graph, int i);
void cbi_write_output(const cbi_description *d, cbi_text *text, const cbi_graph *graph, int i);
/* The matrices that a product multiplies with, side by side and on top of each other. */
void cbi_write_weights(const cbi_description *d, cbi_text *text, const cbi_graph *graph,
                       const cbi_value *product);
/* An op's options, less its random numbers: ", axis=1". */
void cbi_write_options(cbi_text *text, const cb_op *op, const void *options, int rank);
/* What is computed once, before the recurrence. False when there is no memory. */
bool cbi_number_captured(cbi_description *d);
void cbi_describe_captured(cbi_description *d);

/* describe_graph.c: a graph as equations. False when there is no memory. */
bool cbi_describe_graph(const cbi_description *d, cbi_text *text, const cbi_graph *graph);
/* The products of a graph, forward and backward, with their shapes. */
void cbi_describe_products(cbi_text *text, const cbi_graph *graph);

/* describe_plan.c: the programs, what is formed after the loop, and where everything lies. */
void cbi_describe_plans(cbi_description *d);

/* describe_cost.c: floating-point operations, and bytes moved. */
typedef struct cbi_cost {
    double products, others, bytes; /* operations of products, of the rest; bytes moved */
} cbi_cost;
/* Of instructions [begin, end) of a program on so many rows. */
cbi_cost cbi_cost_of(const cbi_plan *plan, const cbi_program *program, int begin, int end,
                     int64_t rows);
void cbi_describe_cost(cbi_description *d);
/* Elements that an instruction computes of a row. */
int64_t cbi_instruction_elements(const cbi_instruction *instruction);
/* The instructions from begin on that are one line of a description: what runs together on rows, a
   product with the packing of its left operand, or one that all rows share. */
int cbi_described_end(const cbi_program *program, int begin);

#endif
