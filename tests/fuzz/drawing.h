/* A program while it is drawn: what the files draw_*.c share.

   Functions that add a value return its number, or FAILED when its form refuses the inputs, which
   passes through what is made from it, as a poisoned tensor does. A draw that fails costs nothing:
   what it has added already is not used, or is used by others.

   No expression may draw twice, or add two values: in which order would be the compiler's choice,
   and a seed would stand for another program in another build. */
#ifndef CEREBRA_TESTS_FUZZ_DRAWING_H
#define CEREBRA_TESTS_FUZZ_DRAWING_H

#include "draw.h"
#include "forms.h"

enum { FAILED = -2 };

/* Kinds of op that a program may have. Each program has some and not others (swarm testing, Groce
   et al. 2012): otherwise nearly all would have a bit of everything, and little that is built on
   it. */
typedef enum family {
    ALWAYS = 0,
    REDUCTIONS = 1 << 0,
    NORMALISATIONS = 1 << 1,
    PARTS = 1 << 2,   /* slices, joins */
    STRIDES = 1 << 3, /* flips, slices in steps, pads */
    HEADS = 1 << 4,   /* more axes than two */
    BATCH = 1 << 5,   /* across the sequences of a batch */
    INDICES = 1 << 6,
    CASTS = 1 << 7,
    CONSTANTS = 1 << 8,
    OWN_OPS = 1 << 9,
    RANDOM = 1 << 10,
    LOSSES = 1 << 11,
    COMPUTED = 1 << 12, /* weights from weights */
    KINKS = 1 << 13,    /* functions with corners and steps */
    FAMILIES = 14,
} family;

/* Those that a program has none of, or a few and then much of. */
#define SPECIAL (STRIDES | HEADS | BATCH | INDICES | CASTS | CONSTANTS | OWN_OPS | RANDOM | LOSSES)

typedef struct drawing {
    program *p;
    cb_random random;
    unsigned families;
    bool strided;   /* some weights are */
    bool finishing; /* what has not been used yet is wanted more */
    /* Sizes that are met more often; hidden = heads x width. */
    int64_t hidden, heads, width;
    int uses[MOST_VALUES];
} drawing;

/* ---- Chance ---------------------------------------------------------------------------------- */

int64_t below(drawing *d, int64_t n);
int64_t between(drawing *d, int64_t low, int64_t high); /* both included */
bool chance(drawing *d, int percent);
double uniform(drawing *d, double low, double high);
/* An index, each as likely as its weight says. */
int weighted(drawing *d, int count, const int *weights);
/* A number of columns: mostly one that others have too. */
int64_t size(drawing *d);
/* Whether the program may have all of these families. */
bool allows(const drawing *d, unsigned families);

/* ---- Adding values --------------------------------------------------------------------------- */

int emit(drawing *d, const value *v);
/* By a form that has inputs only, or an axis, a shape, ... besides. */
int make(drawing *d, const form *f, int count, const int *in);
#define MAKE(d, f, ...)                                                                            \
    make(d, &(f), (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})
int make_axis(drawing *d, const form *f, int x, int axis);
int make_reduction(drawing *d, const form *f, int x, int axis, bool keep);
int make_shape(drawing *d, const form *f, int x, const extents *shape);
int make_slice(drawing *d, int x, int axis, int64_t start, int64_t stop, int64_t step);
int make_chunk(drawing *d, int x, int axis, int64_t count, int64_t index);
int make_transpose(drawing *d, int x, int axis_a, int axis_b);
int make_concat(drawing *d, int count, const int *in, int axis);
int make_affine(drawing *d, int x, double scale, double shift);
int make_scale(drawing *d, int x, double factor);
int make_cast(drawing *d, int x, cb_dtype dtype);
int make_full(drawing *d, cb_dtype dtype, const extents *shape, double value);
int make_weight(drawing *d, const extents *shape);
int make_vector(drawing *d, int64_t columns);

/* The type of a value; NULL for one that failed. Valid until the next value is added. */
const type *type_of(const drawing *d, int x);
extents shape_of(const drawing *d, int x);
/* The last extent; 0 when there is none or it is the batch. */
int64_t columns_of(const drawing *d, int x);

/* ---- Choosing values ------------------------------------------------------------------------- */

enum { ANY_RANK = -1 };
typedef enum where_batch { ANYWHERE, NOWHERE, FIRST } where_batch;

typedef enum kind { OWN_FLOAT, ANY_FLOAT, OTHER_FLOAT, INTEGER } kind; /* OWN: the program's */

typedef struct wanted {
    int rank; /* or ANY_RANK */
    where_batch batch;
    kind kind;
    const extents *shape;     /* exactly; NULL: any */
    const extents *broadcast; /* broadcasts with this one; NULL: any */
} wanted;

/* A value that fits, later and unused ones more often; FAILED when there is none. */
int pick(drawing *d, const wanted *w);
int pick_rows(drawing *d);  /* [B, n] */
int pick_float(drawing *d); /* of any shape */
/* An axis that is not the batch, or where the program may mix sequences, any; FAILED: none. */
int pick_axis(drawing *d, int x);

/* ---- Making values fit ----------------------------------------------------------------------- */

/* x with all elements in [low, high]. */
int tame(drawing *d, int x, double low, double high);
/* [B, columns] of the program's dtype, in the range of a state, from anything. */
int rows_from(drawing *d, int x, int64_t columns);
/* A matrix without a batch, from weights. */
int matrix(drawing *d, int64_t rows, int64_t columns);
/* An operand that broadcasts with x. */
int companion(drawing *d, int x);
/* x times a matrix, with a bias or without. */
int linear(drawing *d, int x, int64_t columns);
/* [B, heads, width] of [B, n]. */
int split_heads(drawing *d, int x);

/* ---- Proposals: one more op, or a few that belong together ----------------------------------- */

typedef struct proposal {
    unsigned families; /* that it needs */
    int weight;
    int (*draw)(drawing *d);
} proposal;

extern const proposal elementwise_proposals[], row_proposals[], shape_proposals[],
    index_proposals[], idiom_proposals[]; /* each ended by one without draw */

#endif
