/* The passes over a graph: each takes one and changes it, in the order of the table in pipeline.c.
   The file of each says what it does and why. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_PASS_H
#define CEREBRA_AUTOGRAD_COMPILER_PASS_H

#include "autograd/compiler/graph.h"

typedef struct cbi_pass {
    cbi_graph *graph;
    bool looked_up; /* row inputs are rows of tables, in any order */
    int changes;    /* what the pass changed, in the unit that the table names */
} cbi_pass;

/* False when there is no memory. */
bool cbi_simplify(cbi_pass *pass);       /* simplify.c, concat.c */
bool cbi_merge_sums(cbi_pass *pass);     /* merge.c */
bool cbi_merge_products(cbi_pass *pass); /* merge.c */
bool cbi_sink_slices(cbi_pass *pass);    /* sink.c */
bool cbi_drop_unread(cbi_pass *pass);    /* unread_columns.c */
bool cbi_contract_sums(cbi_pass *pass);  /* contract.c */
bool cbi_materialize(cbi_pass *pass);    /* materialize.c */

#endif
