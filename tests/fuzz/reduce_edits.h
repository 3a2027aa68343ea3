/* The edits that the reducer tries. */
#ifndef CEREBRA_TESTS_FUZZ_REDUCE_EDITS_H
#define CEREBRA_TESTS_FUZZ_REDUCE_EDITS_H

#include "forms.h"

typedef struct reducer reducer;

/* A copy of the smallest program so far, to be edited; then whether the copy takes its place. */
program *reducer_begin(reducer *r);
bool reducer_try(reducer *r);
const program *reducer_best(const reducer *r);

/* Tries all edits of one kind; true when one was kept. */
typedef bool edit(reducer *r);
extern edit *const all_edits[]; /* ended by NULL */

edit reduce_sizes; /* reduce_sizes.c */

/* How far a form is from the simplest ones: 0 for those that a reduced program should be made of.
 */
int form_rank(const form *f);

#endif
