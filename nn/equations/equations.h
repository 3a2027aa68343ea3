/* Cells as text, from inside: what reading, checking, running and printing equations share.

   The text becomes tokens (tokens.c), the tokens nodes of expressions (parse.c) in equations and
   declarations (statements.c). Then names are found out to be states, parameters or results, and
   equations are put into the order of computation (names.c); each node gets its size (sizes.c); and
   tables are made of it that a cb_cell has (cell.c). Its step goes through the equations in order
   (evaluate.c). */
#ifndef CEREBRA_NN_EQUATIONS_EQUATIONS_H
#define CEREBRA_NN_EQUATIONS_EQUATIONS_H

#include <cerebra/equations.h>

/* ---- Tokens ---------------------------------------------------------------------------------- */

typedef enum cbi_token_kind {
    CBI_TOKEN_NAME,
    CBI_TOKEN_NUMBER,
    CBI_TOKEN_SIGN, /* one of = + - * / ^ ( ) [ ] , ' and T, the transposition */
    CBI_TOKEN_LINE, /* a line ends */
    CBI_TOKEN_END,
} cbi_token_kind;

typedef struct cbi_token {
    cbi_token_kind kind;
    int start, end; /* of its bytes in the text */
    char sign;
    bool dot; /* of *: one as papers print it, also between a matrix and a vector */
    double number;
} cbi_token;

/* ---- Expressions ----------------------------------------------------------------------------- */

typedef enum cbi_node_kind {
    CBI_NODE_NUMBER,
    CBI_NODE_NAME,  /* a name's value; of a state, before the step */
    CBI_NODE_NEXT,  /* a state after the step: c' */
    CBI_NODE_APPLY, /* the product of a matrix, `name`, with the argument */
    CBI_NODE_ADD,
    CBI_NODE_SUB,
    CBI_NODE_MUL,
    CBI_NODE_DIV,
    CBI_NODE_POWER,
    CBI_NODE_NEG,
    CBI_NODE_CALL, /* a function of the arguments */
    CBI_NODE_JOIN, /* [a, b] */
} cbi_node_kind;

enum {
    CBI_MOST_ARGUMENTS = 8,
    CBI_DEEPEST = 200,      /* levels of an expression */
    CBI_LONGEST_NAME = 100, /* bytes */
    CBI_MOST_NAMES = 1024,
    CBI_NAME_SLOTS = 2 * CBI_MOST_NAMES, /* of the hash table of names */
    CBI_MOST_NODES = 8192,
    CBI_MOST_EQUATIONS = 512,
    CBI_MOST_OPERATIONS = 1000, /* that one number is computed with */
    CBI_LONGEST_TEXT = 1 << 20, /* bytes */
};

/* A function that can be called by name. `numbers` more arguments have to be numbers. */
typedef struct cbi_function {
    const char *name;
    int operands, numbers;
    int optional; /* of the numbers, so many may be left out and are `otherwise` */
    double otherwise;
    bool over_units, to_one; /* sees all units at once; gives one number for each sequence */
    cb_tensor *(*apply)(cb_tensor *const *operands, const double *numbers);
    double (*of_numbers)(const double *operands, const double *numbers); /* NULL: of vectors only */
} cbi_function;

typedef struct cbi_node {
    cbi_node_kind kind;
    int start, end; /* of its bytes in the text */
    int at;         /* of its operator or name */
    int argument_count, arguments[CBI_MOST_ARGUMENTS];
    double number;
    int name;
    bool transposed;  /* of APPLY */
    bool is_number;   /* the value is a number, the same for all units and sequences */
    bool in_product;  /* within what a matrix is multiplied with */
    bool of_state;    /* depends on the states before the step */
    bool of_sequence; /* has a row for each sequence: depends on more than parameters */
    int depth, count; /* levels below it; nodes of it, which come right before, itself included */
    int parent;
    const cbi_function *function;
    int size; /* a variable of sizes.c */
} cbi_node;

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* (hidden H + input I + constant) / over, in lowest terms, over > 0. */
typedef struct cbi_form {
    int64_t hidden, input, constant, over;
} cbi_form;

/* A size that is to be found out: one of a class of equal ones. */
typedef struct cbi_size {
    int parent; /* of the class; itself for the first one */
    bool known;
    bool assumed; /* known because nothing says otherwise */
    cbi_form form;
    int origin; /* byte in the text where it became known */
    int blocks; /* equal parts that it is cut into */
} cbi_size;

/* ---- Names ----------------------------------------------------------------------------------- */

typedef enum cbi_name_kind {
    CBI_NAME_UNKNOWN,
    CBI_NAME_X,
    CBI_NAME_SIZE,  /* hidden, input, or declared with size: a number */
    CBI_NAME_LET,   /* a number */
    CBI_NAME_INPUT, /* a further input */
    CBI_NAME_STATE,
    CBI_NAME_RESULT, /* of an equation */
    CBI_NAME_VECTOR, /* parameters */
    CBI_NAME_MATRIX,
} cbi_name_kind;

typedef struct cbi_name {
    char *text;
    cbi_name_kind kind;
    int at;       /* byte in the text: its declaration or equation, or its first use */
    int equation; /* that gives its value, or of a state the next one; -1: none */
    int part;     /* of the equation's results */
    bool defined; /* an equation or a declaration says what it is */
    bool used;
    int value;     /* the node of what let or size declares, or of a state's or an input's
                      size; -1: none */
    bool forming;  /* the form is being found out */
    bool has_form; /* it was: of a size, or the size of a state or an input */
    cbi_form form;
    int setting;               /* of let with a plain number: the index in the table; -1: none */
    int size, columns;         /* variables; of a matrix, size is that of its rows */
    int heads;                 /* of a matrix: blocks on the diagonal */
    int heads_at, observed_at; /* bytes of these lines' mentions; -1: none */
    int init_at;               /* byte of its init; -1: none */
    cb_init_kind init;
    int init_count, init_nodes[2];
    cb_cell_role role;
    int index;       /* in the cell's table of states, parameters or further inputs */
    bool multiplied; /* of a state: a matrix multiplies it */
} cbi_name;

/* ---- Equations ------------------------------------------------------------------------------- */

typedef struct cbi_equation {
    int first_target, target_count; /* names of results, in the list of targets */
    bool next;                      /* the target is a state after the step */
    bool split;                     /* the value is cut into as many parts as there are targets */
    int first_node, node;           /* all nodes of the expression; its root */
    int at, end;                    /* bytes in the text */
    int form_node;                  /* of a declared size of the result; -1: none */
    bool of_states;                 /* states go into it, and not only through a matrix */
    bool multiplied; /* such a result that a matrix multiplies, as it is or within another one */
} cbi_equation;

/* A cell that was read; begins with the cell. */
typedef struct cbi_equations {
    cb_cell cell;
    char *text, *name, *file;
    const cb_setting *settings; /* while it is read */
    cb_error *error;            /* the same; never NULL */

    int token_count, token_room, token; /* token: the next one */
    int depth;                          /* of brackets and signs while parsing */
    cbi_token *tokens;
    int node_count, node_room, name_count, name_room, equation_count, equation_room;
    cbi_node *nodes;
    cbi_name *names;
    int name_slots[CBI_NAME_SLOTS]; /* index + 1; 0: empty */
    cbi_equation *equations;
    int target_count, target_room;
    int *targets;
    int size_count, size_room;
    cbi_size *sizes;
    int *order; /* of computation: equations */
    int output; /* a name; -1: not said */
    int output_at;
    int observed_count, observed_room;
    int *observed;   /* names */
    int state_count; /* names that are states, in order: names[states[i]] */
    int *states;
    /* The tables of the cell. */
    char **state_names;
    cb_cell_extent *state_sizes;
    cb_cell_own_size *own_sizes;
    double *state_initial;
    cb_cell_param *params;
    cb_setting *cell_settings;
    cb_cell_vector *inputs, *observed_vectors;
} cbi_equations;

/* ---- fail.c ---------------------------------------------------------------------------------- */

/* Records what is wrong at a byte of the text, with the line and a caret below it; -1: at no place.
   Returns false. Only the first one is kept. */
bool cbi_equations_fail(cbi_equations *e, int at, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* The same of settings that were given, not of the text. */
bool cbi_equations_refuse(cbi_equations *e, int at, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;
bool cbi_equations_no_memory(cbi_equations *e);
/* The number of the line that a byte is in, from 1. */
int cbi_line_of(const cbi_equations *e, int at);
/* A part of the text for a message: in one line, without comments, and cut off where it is long. */
enum { CBI_QUOTE_SIZE = 66 };
const char *cbi_quote(const cbi_equations *e, int start, int end, char text[CBI_QUOTE_SIZE]);
#define CBI_QUOTE(e, start, end) cbi_quote(e, start, end, (char[CBI_QUOTE_SIZE]){0})

/* ---- tokens.c -------------------------------------------------------------------------------- */

bool cbi_read_tokens(cbi_equations *e);
/* The code point at a byte, and how many bytes it has; -1, and one, when it is not UTF-8. */
int32_t cbi_character_at(const char *text, int *bytes);
const cbi_token *cbi_peek(const cbi_equations *e, int ahead);
/* Whether the next token is this sign; and takes it if it is. */
bool cbi_is_sign(const cbi_equations *e, char sign);
bool cbi_take_sign(cbi_equations *e, char sign);
/* Whether a token is this word. */
bool cbi_is_word(const cbi_equations *e, const cbi_token *t, const char *word);
/* Takes a sign that has to be there; else says what was expected. */
bool cbi_expect_sign(cbi_equations *e, char sign, const char *expected);
/* Says that something else was expected than what comes next. */
bool cbi_expected(cbi_equations *e, const char *expected);
/* Whether a name begins with a capital letter. */
bool cbi_is_capital(const char *name);

/* ---- functions.c ----------------------------------------------------------------------------- */

const cbi_function *cbi_function_find(const char *name);
/* What a function of papers and other languages is called here, its name in small letters; NULL. */
const char *cbi_function_elsewhere(const char *name);
/* The function of a name that is near, or that is used elsewhere, for who has mistyped it; NULL. */
const char *cbi_function_nearest(const char *name);

/* ---- parse.c --------------------------------------------------------------------------------- */

/* Reads an expression; its node, or -1. */
int cbi_parse_expression(cbi_equations *e);
/* Takes a name; its index, or -1. New names have no kind. */
int cbi_take_name(cbi_equations *e, const char *expected);
int cbi_name_of(cbi_equations *e, const char *text, int length, int at);

/* ---- statements.c ---------------------------------------------------------------------------- */

bool cbi_read_statements(cbi_equations *e);
/* Takes the number behind heads; -1: it is none that can be. */
int cbi_take_head_count(cbi_equations *e);
/* Whether a line of the text is a declaration, by its first word, and cannot be anything else. */
bool cbi_is_declaration(const char *line);

/* ---- numbers.c ------------------------------------------------------------------------------- */

/* The value of an expression of numbers. settings: values of hyperparameters; NULL: as declared. */
double cbi_number_of(const cbi_equations *e, int node, const double *settings, int64_t input,
                     int64_t hidden);
/* The size that an expression is: numbers, hidden, input, and sizes, added and subtracted,
   multiplied with and divided by numbers. */
bool cbi_form_of(cbi_equations *e, int node, cbi_form *form);
/* That of a name, where a node says it. */
bool cbi_form_of_name(cbi_equations *e, const cbi_node *node, cbi_form *form);
/* A setting of that name that was given; NULL. */
const cb_setting *cbi_given_setting(const cbi_equations *e, const char *name);
/* To lowest terms, and a + sign b; false when a number is too large. */
bool cbi_form_reduce(cbi_form *form);
bool cbi_form_add(const cbi_form *a, const cbi_form *b, int sign, cbi_form *sum);
/* A form as text: "4 * hidden + input". */
const char *cbi_form_text(const cbi_form *form, char *text, size_t size);

/* ---- names.c --------------------------------------------------------------------------------- */

bool cbi_resolve_names(cbi_equations *e);
/* Whether a size of a name can be a whole number of at least 1; else says so. */
bool cbi_check_form(cbi_equations *e, int name, const cbi_form *form);
/* Whether a number depends on the hidden size or the input's. */
bool cbi_depends_on_sizes(const cbi_equations *e, int node);

/* ---- roles.c --------------------------------------------------------------------------------- */

/* Finds the order in which equations can be computed; fails on a cycle. */
bool cbi_order_equations(cbi_equations *e);
/* What each parameter is for, from what it meets; once there is an order. */
void cbi_find_roles(cbi_equations *e);

/* ---- sizes.c --------------------------------------------------------------------------------- */

bool cbi_find_sizes(cbi_equations *e);
/* The form of a size that was found. */
cbi_form cbi_size_form(const cbi_equations *e, int size);
/* How it is cut into equal parts, 1 where it is not. */
int cbi_size_blocks(const cbi_equations *e, int size);

/* ---- check.c --------------------------------------------------------------------------------- */

/* Whether all constants in equations are finite that do not depend on sizes; else says so. */
bool cbi_check_constants(cbi_equations *e);
/* Whether a cell can be of these sizes and hyperparameters: all sizes come out as whole numbers,
   and all constants and first values as finite ones; else why not, with the line. True of a cell
   that is not from text. */
bool cbi_equations_fit(const cb_cell *cell, int64_t input, int64_t hidden, const double *settings,
                       char *why, size_t size);

/* ---- evaluate.c ------------------------------------------------------------------------------ */

void cbi_equations_step(const cb_cell_step *s);

/* ---- cell.c ---------------------------------------------------------------------------------- */

/* The cell that a cb_cell is part of; NULL: it is not from text. */
const cbi_equations *cbi_equations_of(const cb_cell *cell);

#endif
