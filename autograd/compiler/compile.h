/* From a step to plans: what a recurrence asks the compiler for. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_COMPILE_H
#define CEREBRA_AUTOGRAD_COMPILER_COMPILE_H

#include "autograd/compiler/pipeline.h"
#include "autograd/compiler/split.h"

/* What a run is like, as far as plans differ with it. */
typedef struct cbi_variant {
    bool looked_up;       /* x is rows of a table */
    bool gradients;       /* any are wanted */
    bool x;               /* that of x, or of the table */
    const bool *captured; /* of each captured tensor of the step; NULL: of all */
} cbi_variant;

/* The plans for one kind of run. */
typedef struct cbi_compiled {
    cbi_plan *sequence; /* NULL: the step is given x as it is, or nothing */
    cbi_plan *step;
    int *of_sequence, *of_step; /* of each plan's captured tensor: its place among the step's */
    cbi_variant variant;
    bool checked;      /* against the step run op by op, at first use */
    bool checked_one;  /* and at the first use for one sequence */
    char refused[320]; /* why it failed that; "": it did not */
} cbi_compiled;

/* A step that was traced, and what was compiled from it. */
typedef struct cbi_compilation {
    cbi_split *split;
    int captured_count;
    int *captured; /* nodes: what both parts capture */
    int variant_count, variant_room;
    cbi_compiled **variants;
    bool varies;      /* the reason is that it depends on the number of sequences */
    int holders;      /* runs whose tape may still want their gradient */
    uint64_t step;    /* the hash of the trace that it was compiled for */
    uint64_t made;    /* the run that it was compiled in */
    uint64_t used;    /* the last run that it was used in, of those of the recurrence */
    char reason[320]; /* why the step cannot be compiled; "": it can */
} cbi_compilation;

/* Of a step for any number of sequences, 0, or for one. NULL when there is no memory. */
cbi_compilation *cbi_compilation_new(const cbi_signature *signature, int64_t only_batch);
void cbi_compilation_free(cbi_compilation *compilation);
/* The plans for a kind of run, compiled now if they have not been. Those of all other kinds are
   given up where there are many and no other run holds the compilation. NULL when there is no
   memory or, with a reason, when the step cannot be compiled. watch: called after each pass, or
   NULL. */
cbi_compiled *cbi_compile(cbi_compilation *compilation, const cbi_variant *variant);

/* Compiles without keeping, for descriptions: calls watch for each pass over each of the two
 * graphs.
 */
cbi_compiled *cbi_compile_watched(cbi_compilation *compilation, const cbi_variant *variant,
                                  cbi_pass_watch *watch, void *context);
void cbi_compiled_free(cbi_compiled *compiled);

/* Whether x itself is boundary tensor k. */
bool cbi_is_boundary_x(const cbi_split *split, int k);

#endif
