/* The parts of a check: a problem, what came of running it, and how far two outcomes are apart. */
#ifndef CEREBRA_AUTOGRAD_SCAN_CHECK_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_CHECK_INTERNAL_H

#include "autograd/scan/check.h"
#include "autograd/tape_internal.h"

/* A problem: plain tensors. Weights that the form gives are only pointed to. */
typedef struct cbi_problem {
    cb_scan *scan;
    const cbi_check_form *form;
    cb_tensor *x, *rows, *lengths, *projection;
    cb_tensor **weights, **states, **final_projections;
    cb_tensor *given; /* of each weight that is pointed to */
    /* Tensors of the program that the step's own variables have their gradients added to: the
       checks compare these gradients, too, and leave the tensors alone. */
    int gradient_count;
    cb_tensor *const *gradients;
} cbi_problem;

static inline int cbi_problem_states(const cbi_problem *p) {
    return p->scan->signature.state_count;
}
static inline int cbi_problem_weights(const cbi_problem *p) {
    return p->scan->signature.weight_count;
}

/* What x and the states are: as a fresh network has them, positive, where numbers around 0 have no
   logarithm, or the form's run's, of which a step that fails on any others can be expected to make
   something. */
typedef enum cbi_range { CBI_AROUND_0, CBI_POSITIVE, CBI_OF_RUN, CBI_RANGES } cbi_range;

/* check_problem.c. False when there is no memory; to be freed all the same. */
bool cbi_problem_new(cbi_problem *p, cb_scan *scan, const cbi_check_form *form, uint64_t seed,
                     cbi_range range);
void cbi_problem_free(cbi_problem *p);

/* What came of a run: outputs, last states and gradients, on a tape of its own. */
typedef struct cbi_outcome {
    cb_status status;
    cb_tape *tape;
    int count;
    cb_tensor **results;
    cbi_stand_ins stand_ins; /* for the problem's gradients; the last of the results */
} cbi_outcome;

/* check_outcome.c. change: what each op gives is multiplied by 1 + or - this; to be ended in any
   case. */
cbi_outcome cbi_outcome_of(const cbi_problem *p, cbi_way way, double change);
void cbi_outcome_end(cbi_outcome *o);
/* The largest difference over the largest element of b; and where the largest difference is.
   Numbers that are not finite are all the same; *finite becomes false where b has one.
   any_for_none: a may have any number where b's is not finite. */
double cbi_difference(const cb_tensor *a, const cb_tensor *b, bool any_for_none, bool *finite);
int64_t cbi_worst_place(const cb_tensor *a, const cb_tensor *b);

#endif
