/* Drawing a random program from a seed. */
#ifndef CEREBRA_TESTS_FUZZ_DRAW_H
#define CEREBRA_TESTS_FUZZ_DRAW_H

#include "program.h"

typedef struct draw_options {
    int most_ops; /* proposals, that is: most are one op */
    bool f64_only;
} draw_options;

/* The same seed and options give the same program. */
void program_draw(program *p, uint64_t seed, const draw_options *options);

/* The run that a program is tried on. */
struct drawing;
void run_draw(struct drawing *d);

#endif
