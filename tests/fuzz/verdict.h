/* Whether a program gives compiled what it gives op by op: outputs, states after the last step, all
   gradients; and compiled the same bits with any number of threads.

   A difference may be no fault. A value may lie at a kink (relu, max, floor), where rounding alone
   decides; a recurrence may be chaotic. Two things tell. The eager run is done again with noise of
   the size of rounding in every result that is rounded (Monte Carlo arithmetic, Parker 1997): what
   moves by as much as the difference is ill-conditioned. And the difference has to come again with
   other data. */
#ifndef CEREBRA_TESTS_FUZZ_VERDICT_H
#define CEREBRA_TESTS_FUZZ_VERDICT_H

#include "program.h"

/* One row a kind: enumerator, text, whether it is a failure. */
#define KINDS(X)                                                                                   \
    X(RIGHT, "right", false)                                                                       \
    X(ILL_CONDITIONED, "ill-conditioned, not judged", false)                                       \
    X(NOT_REPEATED, "differs with one draw of data only, not judged", false)                       \
    X(NO_MEMORY, "no memory for the fuzzer itself", false)                                         \
    X(INVALID, "the eager run has an error", true)                                                 \
    X(WRONG_STATUS, "only the compiled run has an error", true)                                    \
    X(WRONG_OUTPUT, "outputs differ", true)                                                        \
    X(WRONG_FINAL, "states after the last step differ", true)                                      \
    X(WRONG_GRADIENT, "gradients differ", true)                                                    \
    X(WRONG_THREADS, "the number of threads changes bits", true)                                   \
    X(FOUND_BUG, "the compiler says that it has a bug", true)                                      \
    X(WRONG_DESCRIPTION, "cb_scan_describe gives nothing", true)                                   \
    X(CRASH, "crash", true)                                                                        \
    X(HANG, "hang", true)

typedef enum verdict_kind {
#define KIND(name, text, failure) name,
    KINDS(KIND)
#undef KIND
        VERDICT_KINDS
} verdict_kind;

/* What was going on, in case of a crash. */
#define PHASES(X)                                                                                  \
    X(DRAWING, "drawing the program")                                                              \
    X(EAGER_RUN, "running op by op")                                                               \
    X(COMPILING, "compiling")                                                                      \
    X(COMPILED_RUN, "running compiled")                                                            \
    X(COMPILED_THREADS, "running compiled with several threads")                                   \
    X(DESCRIBING, "describing")

typedef enum phase {
#define PHASE(name, text) name,
    PHASES(PHASE)
#undef PHASE
        PHASE_COUNT
} phase;

typedef struct verdict {
    verdict_kind kind;
    char what[256];   /* of a failure: which tensor, which numbers */
    char reason[200]; /* why the step runs op by op; "": it is compiled */
} verdict;

bool kind_is_failure(verdict_kind kind);
const char *kind_text(verdict_kind kind);
const char *phase_text(phase now);

/* Judges a program; *now is kept up to date meanwhile. */
typedef void judge_function(const program *p, verdict *v, volatile phase *now);
judge_function judge;
/* The same of an eager run with noise instead of a compiled one: what it finds is no fault, and it
   should find nothing. */
void judge_noise(const program *p, verdict *v);

#endif
