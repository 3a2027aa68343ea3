/* What a campaign found, for people. */
#ifndef CEREBRA_TESTS_FUZZ_REPORT_H
#define CEREBRA_TESTS_FUZZ_REPORT_H

#include "workers.h"

/* The numbers of all programs, why some ran op by op, what failed. */
void report_numbers(FILE *stream, const campaign *c, const tally *t, double seconds);
/* How many programs had each form and each property. */
void report_coverage(FILE *stream, const tally *t);

#endif
