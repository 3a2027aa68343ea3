/* Verifying a plan: its programs are run in thought for a few steps, on symbols in the place of
   numbers. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_VERIFY_INTERNAL_H
#define CEREBRA_AUTOGRAD_COMPILER_VERIFY_INTERNAL_H

#include "autograd/arena.h"
#include "autograd/compiler/verify.h"

/* Steps run in thought: what passes from step to step, and what is written over two steps later,
   shows in three. */
enum { CBI_VERIFIED_STEPS = 3 };

/* What one element of a row is: element so and so of a value at a step, in one number. Operations
   that only move elements have no symbols of their own. */
typedef uint64_t cbi_symbol;
enum { CBI_ELEMENT_BITS = 38, CBI_STEP_BITS = 4 };

/* Symbols that are no value's. */
enum {
    CBI_NOTHING = 0,  /* never written, or written over */
    CBI_A_NUMBER = 1, /* the element is the number's place among the verifier's numbers */
    CBI_GIVEN = 2,    /* the gradient of output 0 at the step, before it is added */
    CBI_FINAL = 3, /* the gradient of a state after the last step; the step is the state's number,
                      as far as it goes */
    CBI_FIRST_VALUE = 8,
};

static inline cbi_symbol cbi_symbol_new(int64_t of, int64_t step, int64_t element) {
    return ((uint64_t)of << CBI_STEP_BITS | (uint64_t)step) << CBI_ELEMENT_BITS | (uint64_t)element;
}
static inline cbi_symbol cbi_value_symbol(int value, int64_t element) {
    return cbi_symbol_new(CBI_FIRST_VALUE + value, 0, element);
}
static inline int64_t cbi_symbol_element(cbi_symbol symbol) {
    return (int64_t)(symbol & ((UINT64_C(1) << CBI_ELEMENT_BITS) - 1));
}
static inline int cbi_symbol_step(cbi_symbol symbol) {
    return (int)(symbol >> CBI_ELEMENT_BITS & ((1 << CBI_STEP_BITS) - 1));
}
/* The value that a symbol is an element of; negative when it is none's. */
static inline int cbi_symbol_value(cbi_symbol symbol) {
    return (int)(symbol >> (CBI_ELEMENT_BITS + CBI_STEP_BITS)) - CBI_FIRST_VALUE;
}

typedef struct cbi_plan_verifier {
    const cbi_plan *plan;
    const cbi_graph *graph;
    char *bug;
    size_t size;
    cbi_arena arena;
    bool failed;          /* out of memory */
    bool keep;            /* whether the backward pass follows, see cbi_run */
    cbi_symbol **symbols; /* of each value's elements, without a step */
    bool *moves;          /* of each value: its elements at a step are others', see symbols.c */
    int number_count, number_room;
    double *numbers;       /* that there are */
    int *captured;         /* of each captured tensor: the value that it is */
    int *row_inputs;       /* of each row input */
    int *cotangents;       /* of each output */
    cbi_symbol **cells;    /* of each buffer: of 4 bytes each, slot after slot */
    cbi_symbol *registers; /* of the running stage */
    int64_t register_cells;
    cbi_symbol *packed; /* what is packed now */
    int64_t packed_count;
    int *added; /* to each accumulator, how many times in this step */
    int step;
    bool backward;
    int instruction;
} cbi_plan_verifier;

/* Writes what is wrong at the present instruction; false, to be returned. */
bool cbi_plan_wrong(cbi_plan_verifier *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Zeroed memory that ends with the verifier. */
void *cbi_verifier_memory(cbi_plan_verifier *v, size_t bytes);

/* verify_symbols.c */
bool cbi_find_symbols(cbi_plan_verifier *v);
/* What element `element` of a value is at a step. */
cbi_symbol cbi_symbol_of(cbi_plan_verifier *v, int value, int64_t element, int step);
/* The gradient of state i that comes to a step from the one after it. */
cbi_symbol cbi_incoming_symbol(cbi_plan_verifier *v, int state, int64_t element, int step);
cbi_symbol cbi_number_symbol(cbi_plan_verifier *v, cb_dtype dtype, double number);

/* verify_memory.c */
/* Memory in which nothing is written, but initial states and gradients of last states. */
bool cbi_make_cells(cbi_plan_verifier *v);
void cbi_forget_registers(cbi_plan_verifier *v);

/* Elements that an operand can be read from, or a result written to: from the first byte of what it
   spans to the last. */
typedef struct cbi_source {
    cbi_symbol *cells; /* one for each 4 bytes from the operand's place on; NULL: */
    cbi_symbol first;  /* the element at the place, which the others follow */
    bool single;       /* or which is all there is */
} cbi_source;
enum { CBI_CELL = 4 };
/* Of bytes [begin, end) from an operand's place; false, and wrong, when some are not there. */
bool cbi_find_source(cbi_plan_verifier *v, cbi_place place, int64_t begin, int64_t end,
                     cb_dtype dtype, bool written, cbi_source *source);
/* The element so many bytes from the place. */
static inline cbi_symbol cbi_read_symbol(const cbi_source *source, int64_t offset, int64_t size) {
    return source->cells != NULL ? source->cells[offset / CBI_CELL]
           : source->single      ? source->first
                                 : source->first + (uint64_t)(offset / size);
}
static inline void cbi_write_symbol(const cbi_source *source, int64_t offset, int64_t size,
                                    cbi_symbol symbol) {
    source->cells[offset / CBI_CELL] = symbol;
    if (size > CBI_CELL)
        source->cells[offset / CBI_CELL + 1] = CBI_NOTHING;
}
static inline int64_t cbi_array_count(int rank, const int64_t *extent) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= extent[i];
    return count;
}

/* Loops over the elements of an array of this shape, and the bytes to the present one. */
typedef struct cbi_walk {
    int rank;
    const int64_t *extent, *stride;
    int64_t index[CB_MAX_RANK], offset;
} cbi_walk;

static inline cbi_walk cbi_walk_of(int rank, const int64_t *extent, const int64_t *stride) {
    return (cbi_walk){.rank = rank, .extent = extent, .stride = stride};
}

static inline void cbi_advance(cbi_walk *w) {
    for (int i = w->rank - 1; i >= 0; i--) {
        w->offset += w->stride[i];
        if (++w->index[i] < w->extent[i])
            return;
        w->offset -= w->stride[i] * w->extent[i];
        w->index[i] = 0;
    }
}

/* Where a place lies: elsewhere, if its buffer is written over. */
cbi_place cbi_verified_home(const cbi_plan_verifier *v, cbi_place place);
/* Bytes between rows where a place lies. */
int64_t cbi_verified_row_bytes(const cbi_plan_verifier *v, cbi_place place);

/* verify_instructions.c */
/* Runs an instruction in thought, once it is seen to compute what the graph says. */
bool cbi_verify_instruction(cbi_plan_verifier *v, const cbi_instruction *instruction);
/* Where an array at an operand's place is read or written. False, and wrong, when parts of it are
   nowhere. */
bool cbi_source_of(cbi_plan_verifier *v, const cbi_operand *operand, int rank,
                   const int64_t *extent, cb_dtype dtype, bool written, cbi_source *source);
/* Whether a place's rows are anywhere in a table. */
bool cbi_is_looked_up_place(const cbi_plan_verifier *v, cbi_place place);

#endif
