/* The tape's life, its leaves and its errors. Ops are applied in apply.c, gradients are computed in
   backward.c. */
#include "autograd/ops/list.h"
#include "autograd/tape_internal.h"
#include "autograd/trace.h"
#include "tensor/format.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <math.h>
#include <string.h>

/* What ops return that have no tape to fail on: cb_tape_new had no memory, or no operand is on a
 * tape. */
static cb_node orphan = {.tensor = {.node = &orphan}};

cb_tensor *cbi_poison(cb_tape *tape) {
    return tape != NULL ? &tape->poison.tensor : &orphan.tensor;
}

bool cbi_is_poisoned(const cb_tensor *t) {
    return !cbi_arena_took_back(t) && (const void *)t->node == (const void *)t &&
           t == cbi_poison(t->node->tape);
}

/* Puts a text in front of the message, which is cut at its end. */
static void put_in_front(cb_tape *tape, const char *format, const char *name) {
    char message[sizeof(tape->message)];
    memcpy(message, tape->message, sizeof(message));
    int length = cbi_format(tape->message, sizeof(tape->message), format, name);
    int room = (int)sizeof(tape->message) - length;
    if (length > 0 && room > 1)
        snprintf(tape->message + length, (size_t)room, "%.*s", room - 1, message);
}

/* "NAME: " in front, unless it is there. */
static void name_function(cb_tape *tape) {
    size_t length = strlen(tape->function);
    if (strncmp(tape->message, tape->function, length) != 0 || tape->message[length] != ':')
        put_in_front(tape, "%.60s: ", tape->function);
}

void cbi_tape_record(cb_tape *tape, cb_status status, const char *prefix, const char *format,
                     va_list arguments) {
    if (tape == NULL || tape->status != CB_OK)
        return;
    tape->status = status;
    int length = snprintf(tape->message, sizeof(tape->message), "%s", prefix);
    if (length >= 0 && (size_t)length < sizeof(tape->message))
        cbi_vformat(tape->message + length, sizeof(tape->message) - (size_t)length, format,
                    arguments);
    if (tape->function != NULL)
        name_function(tape);
}

cbi_within cbi_function_begin(const cb_tensor *x, const char *name) {
    cb_tape *tape = x != NULL ? cb_tape_of(x) : NULL;
    if (tape == NULL || tape->function != NULL)
        return (cbi_within){NULL};
    tape->function = name;
    return (cbi_within){tape};
}

cb_tensor *cbi_function_end(cbi_within function, cb_tensor *y) {
    if (function.tape != NULL)
        function.tape->function = NULL;
    return y;
}

cb_tensor *cbi_tape_fail(cb_tape *tape, cb_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    cbi_tape_record(tape, status, "", format, arguments);
    va_end(arguments);
    return cbi_poison(tape);
}

void cbi_tape_name_layer(cb_tape *tape, const char *name) {
    static const char begin[] = "in layer \"";
    if (name[0] != '\0' && strncmp(tape->message, begin, sizeof(begin) - 1) != 0)
        put_in_front(tape, "in layer \"%.100s\": ", name);
}

cb_tensor *cb_fail(const cb_tensor *t, cb_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    cbi_tape_record(cb_tape_of(t), status, "", format, arguments);
    va_end(arguments);
    return cbi_poison(cb_tape_of(t));
}

static cb_tape *tape_new(bool no_grad) {
    cb_tape *tape = cbi_allocate(sizeof(*tape));
    if (tape == NULL)
        return NULL;
    tape->no_grad = tape->evaluating = no_grad;
    tape->recording = !no_grad;
    tape->poison.tape = tape;
    tape->poison.tensor.node = &tape->poison;
    return tape;
}

cb_tape *cb_tape_new(void) {
    return tape_new(false);
}

cb_tape *cb_tape_new_no_grad(void) {
    return tape_new(true);
}

bool cbi_tape_hold(cb_tape *tape, void (*release)(void *what), void *what) {
    cbi_hold *hold = cbi_tape_lasting(tape, sizeof(*hold));
    if (hold == NULL)
        return false;
    *hold = (cbi_hold){release, what, tape->holds};
    tape->holds = hold;
    return true;
}

void *cbi_tape_lasting(cb_tape *tape, size_t size) {
    void *memory = cbi_arena_allocate(&tape->arena, size);
    if (memory == NULL)
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "out of memory");
    return memory;
}

static void release_all(cb_tape *tape) {
    for (cbi_hold *hold = tape->holds; hold != NULL; hold = hold->next)
        hold->release(hold->what);
    tape->holds = NULL;
}

void cb_tape_free(cb_tape *tape) {
    if (tape == NULL)
        return;
    release_all(tape);
    cb_tape_free(tape->scratch);
    cb_tape_free(tape->tracer);
    cbi_arena_free(&tape->arena);
    cbi_free(tape->pass);
    cbi_trace_free(tape->trace);
    cbi_free(tape);
}

void cb_tape_evaluate(cb_tape *tape, bool on) {
    if (tape != NULL)
        tape->evaluating = on;
}

bool cb_tape_evaluates(const cb_tape *tape) {
    return tape != NULL && tape->evaluating;
}

void cb_tape_reset(cb_tape *tape) {
    if (tape == NULL)
        return;
    release_all(tape);
    cbi_arena_reset(&tape->arena);
    cbi_trace_reset(tape->trace);
    tape->status = CB_OK;
    tape->message[0] = '\0';
    tape->recording = !tape->no_grad;
    tape->sweeping = tape->selective = false;
    tape->noting = NULL;
    tape->again = NULL;
    tape->drawing_again = false;
    tape->scratch_in_use = tape->no_variables = tape->met_variable = false;
    tape->step++;
    tape->ops = 0;
    tape->leaves = NULL;
    tape->last = NULL;
    tape->fresh = tape->free = NULL;
}

cb_status cb_tape_status(const cb_tape *tape) {
    return tape != NULL ? tape->status : CB_ERROR_MEMORY;
}

const char *cb_tape_error(const cb_tape *tape) {
    return tape != NULL ? tape->message : "no tape: out of memory when it was made";
}

size_t cb_tape_bytes(const cb_tape *tape) {
    size_t bytes = 0;
    for (; tape != NULL; tape = tape->scratch)
        bytes += tape->arena.total + tape->pass_size;
    return bytes;
}

cb_tape *cb_tape_of(const cb_tensor *t) {
    return t == NULL || cbi_is_over(t) || t->node == NULL ? NULL : t->node->tape;
}

bool cb_requires_grad(const cb_tensor *t) {
    return cb_tape_of(t) != NULL && t->node->requires_grad;
}

bool cbi_is_over(const cb_tensor *t) {
    if (cbi_arena_took_back(t))
        return true;
    if (t->node == NULL || t == &orphan.tensor)
        return false;
    if ((const void *)t->node != (const void *)t)
        return true;
    return !cbi_is_poisoned(t) && t->node->step != t->node->tape->step;
}

cb_tape *cbi_tape_of_over(const cb_tensor *t) {
    if (t == NULL || cbi_arena_took_back(t) || t->node == NULL)
        return NULL;
    return (const void *)t->node == (const void *)t ? t->node->tape : NULL;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* Aligned for any options struct. */
static size_t aligned(size_t bytes) {
    return (bytes + 15) / 16 * 16;
}

cb_node *cbi_node_new(cb_tape *tape, int count, size_t options_size) {
    size_t inputs = aligned(sizeof(cb_node));
    size_t options = inputs + aligned(sizeof(cb_tensor *) * (size_t)count);
    char *memory = cbi_arena_allocate(&tape->arena, options + options_size);
    if (memory == NULL) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "out of memory (op %lld)", (long long)tape->ops);
        return NULL;
    }
    cb_node *node = (cb_node *)(void *)memory;
    *node = (cb_node){.tape = tape,
                      .step = tape->step,
                      .count = count,
                      .in = (cb_tensor **)(void *)(memory + inputs)};
    node->tensor.node = node;
    node->options = options_size > 0 ? memory + options : NULL;
    if (tape->trace != NULL && !cbi_trace_note(tape->trace, node)) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
        return NULL;
    }
    return node;
}

void cbi_node_link(cb_node *node) {
    node->previous = node->tape->last;
    node->tape->last = node;
}

cbi_block *cbi_block_new(cb_tape *tape, size_t size) {
    size = (size + 63) / 64 * 64;
    cbi_block *block = NULL;
    for (cbi_block **link = &tape->free; tape->sweeping && *link != NULL; link = &(*link)->next)
        if ((*link)->size == size) {
            block = *link;
            *link = block->next;
            break;
        }
    if (block == NULL) {
        size_t head = (sizeof(*block) + 63) / 64 * 64;
        char *memory = size > SIZE_MAX / 4 ? NULL : cbi_arena_allocate(&tape->arena, head + size);
        if (memory == NULL) {
            cbi_tape_fail(tape, CB_ERROR_MEMORY, "out of memory: %zu bytes (op %lld)", size,
                          (long long)tape->ops);
            return NULL;
        }
        block = (cbi_block *)(void *)memory;
        *block = (cbi_block){.data = memory + head, .size = size};
    }
    block->pending = 0;
    block->in_sweep = tape->sweeping;
    if (tape->sweeping) {
        block->fresh = true;
        block->next = tape->fresh;
        tape->fresh = block;
    }
    return block;
}

void *cbi_tape_pass_memory(cb_tape *tape, size_t size) {
    if (tape->pass != NULL && size <= tape->pass_size)
        return tape->pass;
    cbi_free(tape->pass);
    tape->pass = cbi_allocate_unset(size + 1);
    tape->pass_size = tape->pass != NULL ? size : 0;
    if (tape->pass == NULL)
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "out of memory: %zu bytes (op %lld)", size,
                      (long long)tape->ops);
    return tape->pass;
}

cb_status cbi_node_allocate(cb_node *node) {
    cbi_strides_row_major(&node->tensor);
    if (node->tape->trace != NULL) {
        node->tensor.data = cbi_trace_memory(node->tape->trace, cb_tensor_bytes(&node->tensor));
        return node->tensor.data != NULL ? CB_OK : CB_ERROR_MEMORY;
    }
    node->block = cbi_block_new(node->tape, cb_tensor_bytes(&node->tensor));
    if (node->block == NULL)
        return CB_ERROR_MEMORY;
    node->tensor.data = node->block->data;
    return CB_OK;
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

static cb_tensor *leaf(cb_tape *tape, const cb_tensor *value, bool variable, cb_tensor *sink) {
    if (tape == NULL || tape->status != CB_OK)
        return cbi_poison(tape);
    if (value == NULL)
        return cbi_tape_fail(tape, CB_ERROR_VALUE, "input: the tensor is NULL");
    if (!cbi_shape_valid(value->dtype, value->rank, value->shape))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE, "input: not a valid tensor");
    if (value->data == NULL && cb_tensor_count(value) > 0)
        return cbi_tape_fail(tape, CB_ERROR_VALUE, "input: the tensor has no data");
    if (tape->detecting && tape->trace == NULL && cbi_first_nan(value) >= 0)
        return cbi_tape_fail(tape, CB_ERROR_VALUE, "input: element %lld is nan",
                             (long long)cbi_first_nan(value));
    if (variable && !cb_dtype_is_float(value->dtype))
        return cbi_tape_fail(tape, CB_ERROR_DTYPE, "variable: %s has no gradient; f32 or f64 has",
                             cb_dtype_name(value->dtype));
    cb_node *node = cbi_node_new(tape, 0, 0);
    if (node == NULL)
        return cbi_poison(tape);
    node->tensor = *value;
    node->tensor.node = node;
    node->sink = sink;
    node->requires_grad = variable && tape->recording && !tape->no_variables;
    tape->met_variable = tape->met_variable || variable;
    if (node->requires_grad)
        cbi_node_link(node);
    return &node->tensor;
}

cb_tensor *cb_input(cb_tape *tape, const cb_tensor *value) {
    return leaf(tape, value, false, NULL);
}

cb_tensor *cb_variable(cb_tape *tape, const cb_tensor *value) {
    return leaf(tape, value, true, NULL);
}

cb_tensor *cbi_variable_into(cb_tape *tape, const cb_tensor *value, cb_tensor *gradient) {
    return leaf(tape, value, true, gradient);
}

/* Where a gradient is added in place of the program's tensor; NULL: to one of the tape's. */
static cb_tensor *stand_in(const cbi_stand_ins *stand_ins, const cb_tensor *gradient) {
    for (int i = 0; i < stand_ins->count; i++)
        if (stand_ins->of_program[i]->data == gradient->data &&
            cb_tensor_same_shape(stand_ins->of_program[i], gradient))
            return stand_ins->own[i];
    return NULL;
}

cb_tensor *cb_variable_into(cb_tape *tape, const cb_tensor *value, cb_tensor *gradient) {
    if (tape != NULL && value != NULL &&
        (gradient == NULL || gradient->dtype != value->dtype ||
         !cb_tensor_same_shape(gradient, value) || !cb_tensor_is_contiguous(gradient)))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE,
                             "variable: its gradient must be contiguous and like the value");
    if (tape != NULL && tape->stand_ins != NULL && gradient != NULL)
        gradient = stand_in(tape->stand_ins, gradient);
    return leaf(tape, value, true, gradient);
}

cb_tensor *cbi_filled_like(cb_tape *tape, const cb_tensor *t, double value) {
    return cb_full(tape, t->dtype, t->rank, t->shape, value);
}

double cb_item(const cb_tensor *t) {
    if (t == NULL || cbi_is_poisoned(t))
        return NAN;
    if (cbi_is_over(t)) {
        cbi_tape_fail(cbi_tape_of_over(t), CB_ERROR_TAPE, "item: the tensor " CBI_IS_OVER);
        return NAN;
    }
    if (t->node != NULL && t->node->tape != NULL && t->node->tape->trace != NULL) {
        cb_fail(t, CB_ERROR_TAPE, "item: the step reads a value, which a trace does not have");
        return NAN;
    }
    if (cb_tensor_count(t) != 1) {
        char shape[160];
        cb_fail(t, CB_ERROR_SHAPE, "item: %s has not one element",
                cb_shape_format(t, shape, sizeof(shape)));
        return NAN;
    }
    return t->data != NULL ? cbi_load(t->dtype, t->data) : NAN;
}
