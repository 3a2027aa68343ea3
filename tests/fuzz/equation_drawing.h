/* A cell that is being drawn, for the parts of the generator. */
#ifndef CEREBRA_TESTS_FUZZ_EQUATION_DRAWING_H
#define CEREBRA_TESTS_FUZZ_EQUATION_DRAWING_H

#include "equation_text.h"

typedef enum extent { HIDDEN, INPUT, ONE, HALF, FEW, DOUBLE, EXTENTS } extent;

typedef enum thing_kind {
    THING_STATE,
    THING_RESULT,
    THING_INPUT,
    THING_VECTOR,
    THING_MATRIX
} thing_kind;

/* Something with a name. */
typedef struct thing {
    char name[24];
    thing_kind kind;
    extent size, columns;
    bool computed; /* of a state: its equation is drawn, so that name' may be used */
    bool used;
} thing;

enum { MOST_THINGS = 120, MOST_LINES = 200 };

typedef struct drawing {
    dice *dice;
    text *line; /* that is being written */
    text lines[MOST_LINES];
    thing things[MOST_THINGS];
    int line_count, thing_count, name_count, let_count;
    bool few_declared;
    int plain;       /* one in so many blanks is something else */
    bool multiplied; /* a matrix stands in front of what comes next */
} drawing;

/* How strongly an operator holds its operands together: as an operand of a stronger one, an
   expression needs brackets. */
enum { LOOSE, SUM = 1, PRODUCT = 2, FACTOR = 3, POWER = 4, APPLICATION = 5, PRIMARY = 6 };

/* Writes an expression of a size, with at most so many levels, that holds together at least so
   strongly. */
void put_expression(drawing *d, extent size, int depth, int least);

/* A blank, or what may stand in its place; of wide ones, where a line may end, also the end. */
void put_blank(drawing *d);
void put_wide_blank(drawing *d);
void put_prime(drawing *d);
/* "[hidden / 2]" */
void put_size(drawing *d, extent size);

void new_name(drawing *d, bool matrix, char name[24]);
thing *new_thing(drawing *d, thing_kind kind, extent size, extent columns);

/* Adds a line to the text; what is written until end_line goes there. Returns what was written to
   before. */
text *begin_line(drawing *d);
void end_line(drawing *d, text *before);

#endif
