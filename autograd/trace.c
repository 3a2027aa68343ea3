/* What a symbolic tape notes. */
#include "autograd/trace.h"

#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <string.h>

/* Small: a trace is some hundred nodes without elements. */
enum { CHUNK = 1 << 16 };

cb_tape *cbi_tape_new_symbolic(void) {
    cb_tape *tape = cb_tape_new();
    if (tape == NULL)
        return NULL;
    tape->arena.chunk = CHUNK;
    tape->trace = cbi_allocate(sizeof(*tape->trace));
    if (tape->trace == NULL) {
        cb_tape_free(tape);
        return NULL;
    }
    return tape;
}

void cbi_trace_reset(cbi_trace *trace) {
    if (trace == NULL)
        return;
    trace->count = trace->draw_count = 0;
    trace->caller = NULL;
    trace->fault = CBI_TRACE_GOOD;
    if (cbi_unread_was_touched(&trace->unread))
        cbi_unread_free(&trace->unread);
}

void cbi_trace_free(cbi_trace *trace) {
    if (trace == NULL)
        return;
    cbi_unread_free(&trace->unread);
    cbi_free(trace->nodes);
    cbi_free(trace->draws);
    cbi_free(trace);
}

bool cbi_trace_note(cbi_trace *trace, cb_node *node) {
    if (!cbi_grow(&trace->nodes, &trace->room, trace->count + 1, sizeof(*trace->nodes)))
        return false;
    node->index = trace->count;
    trace->nodes[trace->count++] = node;
    return true;
}

/* ---- Order ----------------------------------------------------------------------------------- */

typedef struct sorter {
    int first; /* the index of the first node that is sorted */
    int count; /* nodes sorted so far */
    cb_node **sorted;
    cb_node **stack; /* nodes whose inputs are being visited, each an input of the one before */
    int *input;      /* of each node: the next of its inputs to visit */
    bool *done, *linked;
} sorter;

static cb_node *first_output(cb_node *node) {
    return node->owner != NULL ? node->owner : node;
}

static bool is_done(const sorter *s, const cb_node *node) {
    return node->index < s->first || s->done[node->index - s->first];
}

static void place(sorter *s, cb_node *node) {
    for (int k = 0; k == 0 || k < node->out_count; k++) {
        cb_node *made = k == 0 ? node : node->outs[k]->node;
        if (is_done(s, made))
            continue;
        s->sorted[s->count++] = made;
        s->done[made->index - s->first] = true;
    }
}

/* Places what a node is computed from, in the order of the inputs, and then the node. */
static void visit(sorter *s, cb_node *node) {
    int depth = 0;
    s->stack[depth++] = first_output(node);
    while (depth > 0) {
        cb_node *top = s->stack[depth - 1];
        if (!is_done(s, top) && s->input[top->index - s->first] < top->count) {
            cb_node *in = first_output(top->in[s->input[top->index - s->first]++]->node);
            if (!is_done(s, in))
                s->stack[depth++] = in;
        } else {
            place(s, top);
            depth--;
        }
    }
}

/* Room to sort so many nodes in; false when there is no memory. */
static bool make_room(sorter *s, cb_tape *tape, size_t nodes) {
    size_t bytes = (nodes + 1) * (2 * sizeof(cb_node *) + sizeof(int) + 2 * sizeof(bool));
    s->sorted = cbi_arena_allocate(&tape->arena, bytes);
    if (s->sorted == NULL)
        return false;
    memset((void *)s->sorted, 0, bytes);
    s->stack = s->sorted + nodes + 1;
    s->input = (int *)(void *)(s->stack + nodes + 1);
    s->done = (bool *)(s->input + nodes + 1);
    s->linked = s->done + nodes + 1;
    return true;
}

bool cbi_trace_sort(cb_tape *tape, int first, int count, cb_tensor *const *outputs) {
    cbi_trace *trace = tape->trace;
    int nodes = trace->count - first;
    sorter s = {.first = first};
    if (nodes < 2)
        return true;
    if (!make_room(&s, tape, (size_t)nodes))
        return false;
    for (; tape->last != NULL && tape->last->index >= first; tape->last = tape->last->previous)
        s.linked[tape->last->index - first] = true;
    for (int i = 0; i < count; i++)
        if (outputs[i] != NULL)
            visit(&s, outputs[i]->node);
    for (int i = first; i < trace->count; i++) /* what no output is computed from */
        visit(&s, trace->nodes[i]);
    for (int i = 0; i < nodes; i++)
        if (s.linked[s.sorted[i]->index - first])
            cbi_node_link(s.sorted[i]);
    for (int i = 0; i < nodes; i++) {
        trace->nodes[first + i] = s.sorted[i];
        s.sorted[i]->index = first + i;
    }
    return true;
}

/* ---- For the tape ---------------------------------------------------------------------------- */

void *cbi_trace_memory(cbi_trace *trace, size_t bytes) {
    return cbi_unread_memory(&trace->unread, bytes);
}

cb_tensor *cbi_symbol(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape) {
    if (tape == NULL || tape->status != CB_OK)
        return cbi_poison(tape);
    if (!cbi_shape_valid(dtype, rank, shape))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE, "trace: not a valid dtype and shape");
    cb_tensor value = cb_tensor_wrap(dtype, rank, shape, NULL);
    value.data = cbi_trace_memory(tape->trace, cb_tensor_bytes(&value));
    if (value.data == NULL)
        return cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
    return cb_dtype_is_float(dtype) ? cb_variable(tape, &value) : cb_input(tape, &value);
}

/* ---- Generators ------------------------------------------------------------------------------ */

void cbi_trace_step_begins(cbi_trace *trace, const void *caller) {
    trace->caller = caller;
}

static bool has_moved(const cbi_trace_draw *draw) {
    return draw->generator->key == draw->start.key &&
           draw->generator->counter == draw->start.counter + (uint64_t)draw->count;
}

void cbi_trace_step_ends(cbi_trace *trace) {
    trace->caller = NULL;
    if (trace->fault == CBI_TRACE_OWN_GENERATOR)
        trace->draw_count = 0; /* what is noted may be gone */
    for (int i = 0; i < trace->draw_count; i++) {
        if (!has_moved(&trace->draws[i]))
            trace->fault = CBI_TRACE_SETS_GENERATOR;
        *trace->draws[i].generator = trace->draws[i].start;
    }
}

/* Whether a generator lies between the frames of the step's caller and of this function: in one of
   the step's own. Stacks grow towards lower addresses on all processors that we know. */
static bool is_own(const cbi_trace *trace, const cb_random *generator) {
    uintptr_t at = (uintptr_t)generator;
    return at < (uintptr_t)trace->caller && at > (uintptr_t)__builtin_frame_address(0);
}

static void move(cbi_trace *trace, const cbi_trace_draw *draw, int64_t count) {
    if (is_own(trace, draw->generator))
        trace->fault = CBI_TRACE_OWN_GENERATOR;
    else if (!has_moved(draw) && trace->fault == CBI_TRACE_GOOD)
        trace->fault = CBI_TRACE_SETS_GENERATOR;
    draw->generator->counter += (uint64_t)count;
}

bool cbi_trace_draw_numbers(cbi_trace *trace, cb_random *generator, int64_t count,
                            cb_random *state) {
    int i = 0;
    while (i < trace->draw_count && trace->draws[i].generator != generator)
        i++;
    if (i == trace->draw_count) {
        if (!cbi_grow(&trace->draws, &trace->draw_room, i + 1, sizeof(*trace->draws)))
            return false;
        trace->draws[trace->draw_count++] = (cbi_trace_draw){generator, *generator, 0};
    }
    *state = trace->draws[i].start;
    state->counter += (uint64_t)trace->draws[i].count;
    if (trace->caller != NULL)
        move(trace, &trace->draws[i], count);
    trace->draws[i].count += count;
    return true;
}
