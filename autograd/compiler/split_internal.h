/* Splitting a trace: what split.c and reassociate.c share. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_SPLIT_INTERNAL_H
#define CEREBRA_AUTOGRAD_COMPILER_SPLIT_INTERNAL_H

#include "autograd/compiler/split.h"

/* Where a node is computed: once, for all rows before the recurrence, or step by step. */
typedef enum cbi_level { CBI_INVARIANT, CBI_SEQUENCE, CBI_STEP } cbi_level;

/* What is known of the forward nodes while the trace is split. */
typedef struct cbi_splitter {
    cbi_split *split;
    cbi_traced *traced;
    int room;
    unsigned char *level; /* of each node */
    bool *mixes;          /* of each node: its rows depend on other rows */
    bool *scatters; /* of each node: the elements of one sequence are not together, see below */
    bool *expands;  /* of each node: cheap, and larger than what it is computed from */
    bool *cut;      /* of each node: a slice that the step is given in place of all it is cut of */
    int *uses;      /* of each node, by nodes that the next states follow from */
    int *same;      /* of each node of the step: the first one that is equal to it */
    int *renewed;   /* of each node of the step: what stands for it */
    int *next;      /* nodes: the states after the step */
} cbi_splitter;

static inline cb_node *cbi_split_node(const cbi_splitter *s, int i) {
    return cbi_traced_node(s->traced, 0, i);
}

/* levels.c. Failures; the first stays the reason. Each returns false. */
bool cbi_split_fail(cbi_splitter *s, const char *reason);
bool cbi_split_no_memory(cbi_splitter *s);
/* An op on the trace failed, or there was no memory before it got there. */
bool cbi_split_fail_traced(cbi_splitter *s);
bool cbi_split_is_state(const cbi_splitter *s, int i);
/* Finds out which nodes mix rows: the step is lowered as if all of it were one graph. */
bool cbi_split_find_mixing(cbi_splitter *s);
/* Notes what is known of the nodes from `from` on. */
bool cbi_split_note(cbi_splitter *s, int from);

/* reassociate.c: finds ops that compute what another one does; puts sums in another order. False,
   with a reason, on failure. */
bool cbi_share(cbi_splitter *s);
bool cbi_reassociate(cbi_splitter *s);

#endif
