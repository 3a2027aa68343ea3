/* Programs as C. */
#ifndef CEREBRA_TESTS_FUZZ_PRINT_H
#define CEREBRA_TESTS_FUZZ_PRINT_H

#include "program.h"

/* The constants of the step and the step, a cb_scan_step called "step". */
void print_step(FILE *stream, const program *p);
/* The sizes of the run and what is special about it, as the lines of a comment. */
void print_run(FILE *stream, const program *p, const char *indent);
/* A complete C program that runs the step compiled and op by op, over the same data as the fuzzer,
   prints what differs, and exits with 1 then. found: what the fuzzer says of it. */
void print_program(FILE *stream, const program *p, const char *found);
/* The step's ops in alphabetical order, each once: "cb_add cb_linear". */
void print_ops(const program *p, char *text, size_t size);

/* For what is printed: a number so that it reads back as itself, and a shape as two arguments, with
   `batch` for the number of sequences. */
void print_number(FILE *stream, double x);
void print_shape(FILE *stream, const extents *shape, const char *batch);

#endif
