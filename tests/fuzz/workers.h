/* Trying many seeds in worker processes, so that a crash costs one seed and not the run. */
#ifndef CEREBRA_TESTS_FUZZ_WORKERS_H
#define CEREBRA_TESTS_FUZZ_WORKERS_H

#include "coverage.h"
#include "draw.h"
#include "verdict.h"

enum { MOST_REASONS = 96, MOST_FAILURES = 4096, MOST_JOBS = 64 };

typedef struct failure {
    uint64_t seed;
    verdict_kind kind;
    char what[256];
} failure;

/* What came of a number of seeds. */
typedef struct tally {
    uint64_t seeds, compiled, values;
    uint64_t kinds[VERDICT_KINDS];
    uint64_t forms[MOST_FORMS][2], features[MOST_FEATURES][2]; /* in all, and compiled */
    int reason_count, failure_count;
    struct {
        char text[160];
        uint64_t count;
    } reasons[MOST_REASONS]; /* why steps ran op by op, with numbers taken out */
    failure failures[MOST_FAILURES];
} tally;

typedef struct campaign {
    uint64_t first, count; /* seeds first, first + 1, ... */
    double seconds;        /* at most; 0: as long as it takes */
    int jobs;
    unsigned limit; /* seconds that one seed may take */
    draw_options draw;
    judge_function *judge; /* judge, but for tests */
} campaign;

/* Adds to t what the campaign finds, in order of seeds. False when no worker can be started. */
bool campaign_run(const campaign *c, tally *t);

/* Judges one program in a process of its own, as one of the campaign. What the process prints on
   stderr is seen only when it is not quiet. */
void judge_apart(const program *p, const campaign *c, bool quiet, verdict *v);

/* Seconds on a clock that only goes forward. */
double now_seconds(void);

#endif
