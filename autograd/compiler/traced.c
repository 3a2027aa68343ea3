/* Tracing a step for three numbers of sequences, and deriving on all traces. */
#include "autograd/compiler/traced.h"

#include "tensor/format.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Above 1, so that an axis of the batch is none that broadcasts. Small: the traces have addresses
   and no elements, but a step may look at extents. */
static const int64_t batches[CBI_SIDES] = {3, 7, 12};

static bool refuse(cbi_traced *traced, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse(cbi_traced *traced, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (traced->reason[0] == '\0')
        cbi_vformat(traced->reason, sizeof(traced->reason), format, arguments);
    va_end(arguments);
    return false;
}

static bool no_memory(cbi_traced *traced) {
    traced->no_memory = true;
    return refuse(traced, "out of memory");
}

/* What went wrong on a tape. */
static bool refuse_tape(cbi_traced *traced, const cb_tape *tape) {
    traced->no_memory = traced->no_memory || tape->status == CB_ERROR_MEMORY;
    return refuse(traced, "%s", cb_tape_error(tape));
}

/* ---- Comparing traces ------------------------------------------------------------------------ */

static int least_count(const cbi_traced *traced) {
    int least = traced->side[0].tape->trace->count;
    for (int s = 1; s < CBI_SIDES; s++)
        if (traced->side[s].tape->trace->count < least)
            least = traced->side[s].tape->trace->count;
    return least;
}

static bool compare(cbi_traced *traced) {
    int count = least_count(traced);
    for (int i = 0; i < count; i++) {
        if (traced->only_batch > 1) /* of one sequence they are those of another tape */
            for (int s = 0; s < CBI_SIDES; s++)
                cbi_take_numbers(cbi_traced_node(traced, s, i), cbi_traced_node(traced, 1, i));
        const char *why = cbi_traced_difference(traced, i, &traced->varies);
        const cb_op *op = cbi_traced_node(traced, 0, i)->op;
        if (why != NULL)
            return refuse(traced, "%s: %s", op != NULL ? op->name : "step", why);
    }
    for (int s = 0; s < CBI_SIDES; s++)
        if (traced->side[s].tape->trace->count != count)
            return refuse(traced, "step: " CBI_DIFFERS);
    return true;
}

/* A tensor that the step itself puts on the tape may have no row for each sequence: what would be
   in them for another number of sequences than that of a trace is not known. */
static bool check_leaves(cbi_traced *traced) {
    const cbi_side *side = &traced->side[0];
    for (int i = 0; i < cbi_traced_count(traced); i++) {
        const cb_node *n = cbi_traced_node(traced, 0, i);
        bool given = n == side->x->node;
        for (int k = 0; k < traced->signature.state_count; k++)
            given = given || n == side->states[k]->node;
        if (n->op == NULL && !given && cbi_has_batch(traced, i))
            return refuse(traced, "step: the shape of a tensor that it puts on the tape has the "
                                  "number of sequences in it");
    }
    return true;
}

/* ---- The traces ------------------------------------------------------------------------------ */

/* Before each further trace, the generators that the first one drew from are moved, far away: a
   step that does not begin to draw from there has set them before. */
static uint64_t far_away(int number) {
    return (uint64_t)number << 62;
}

static void shift_generators(const cbi_traced *traced, int number) {
    for (int i = 0; number > 0 && i < traced->side[0].tape->trace->draw_count; i++)
        traced->side[0].tape->trace->draws[i].generator->counter += far_away(number);
}

/* Whether a further trace drew from where they had been moved to. */
static bool shift_back(const cbi_traced *traced, int number) {
    bool same = true;
    if (number == 0)
        return true;
    const cbi_trace *first = traced->side[0].tape->trace, *other = traced->side[number].tape->trace;
    for (int i = 0; i < first->draw_count; i++) {
        const cb_random *before = &first->draws[i].start;
        for (int k = 0; k < other->draw_count; k++)
            if (other->draws[k].generator == first->draws[i].generator)
                same = same && other->draws[k].start.key == before->key &&
                       other->draws[k].start.counter == before->counter + far_away(number);
        *first->draws[i].generator = *before;
    }
    return same;
}

/* The number of sequences of a trace. Where what is traced holds for one number only, above 1, that
   is the second's. */
static int64_t batch_of(const cbi_traced *traced, int number) {
    if (traced->only_batch > 1 && number == 1)
        return traced->only_batch;
    return traced->only_batch == batches[number] ? batches[1] : batches[number];
}

static bool run_step(cbi_traced *traced, int number) {
    cbi_side *side = &traced->side[number];
    cb_tape *tape = side->tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    int64_t batch = batch_of(traced, number);
    shift_generators(traced, number);
    const char *fault = cbi_trace_once(&traced->signature, tape, batch, side);
    fault = shift_back(traced, number) || fault != NULL ? fault : cbi_sets_generator;
    bool failed = fault != NULL && tape->status != CB_OK;
    traced->no_memory = traced->no_memory || tape->status == CB_ERROR_MEMORY;
    return fault == NULL ||
           (failed ? refuse(traced, "%s (with %lld sequences)", fault, (long long)batch)
                   : refuse(traced, "%s", fault));
}

/* Runs the step on all sides, up to one that fails. */
static bool run_steps(cbi_traced *traced) {
    for (int s = 0; s < CBI_SIDES; s++)
        if (!run_step(traced, s))
            return false;
    return true;
}

/* With one sequence, an axis of the batch is one that broadcasts: gradients would be other ops. So
   a step for one sequence is traced for more, and has its numbers from a trace with one. */
static bool take_numbers_of_one(cbi_traced *traced) {
    cbi_side one;
    cb_tape *tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    const char *fault = cbi_trace_once(&traced->signature, tape, 1, &one);
    bool same = fault == NULL && tape->trace->count == cbi_traced_count(traced);
    for (int i = 0; same && i < tape->trace->count; i++)
        for (int s = 0; s < CBI_SIDES; s++)
            cbi_take_numbers(cbi_traced_node(traced, s, i), tape->trace->nodes[i]);
    if (fault != NULL && tape->status != CB_OK)
        refuse_tape(traced, tape);
    else if (!same)
        refuse(traced, "%s", fault != NULL ? fault : "step: " CBI_DIFFERS);
    cb_tape_free(tape);
    return same;
}

static void *copied(const void *from, size_t bytes) {
    void *to = cbi_allocate(bytes);
    if (to != NULL && bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

/* A copy of a signature whose arrays end with it. Weights keep their shapes and no data. */
static bool copy_signature(cbi_signature *to, const cbi_signature *from) {
    *to = *from;
    to->state_size = copied(from->state_size, sizeof(int64_t) * (size_t)from->state_count);
    size_t pointers = sizeof(cb_tensor *) * (size_t)(from->weight_count + 1);
    char *memory = cbi_allocate(pointers + sizeof(cb_tensor) * (size_t)from->weight_count);
    to->weights = (const cb_tensor *const *)(void *)memory;
    if (to->state_size == NULL || memory == NULL)
        return false;
    cb_tensor *shapes = (cb_tensor *)(void *)(memory + pointers);
    for (int i = 0; i < from->weight_count; i++)
        if (from->weights[i] != NULL) {
            shapes[i] = *from->weights[i];
            shapes[i].data = NULL;
            shapes[i].node = NULL;
            ((const cb_tensor **)(void *)memory)[i] = &shapes[i];
        }
    return true;
}

void cbi_traced_free(cbi_traced *traced) {
    if (traced == NULL)
        return;
    for (int i = 0; i < CBI_SIDES; i++)
        cb_tape_free(traced->side[i].tape);
    cbi_free((void *)(uintptr_t)traced->signature.state_size);
    cbi_free((void *)(uintptr_t)traced->signature.weights);
    cbi_free(traced);
}

/* Numbers that differ between two batches may differ between two calls as well. */
static bool check_again(cbi_traced *traced) {
    cbi_side side;
    cb_tape *tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    const char *fault = cbi_trace_once(&traced->signature, tape, traced->only_batch, &side);
    bool same = fault == NULL && cbi_traced_matches(traced, &side);
    if (tape->status != CB_OK)
        refuse_tape(traced, tape);
    else if (!same)
        refuse(traced, "%s", fault != NULL ? fault : "step: it differs from call to call");
    cb_tape_free(tape);
    return same;
}

cbi_traced *cbi_traced_new(const cbi_signature *signature, int64_t only_batch) {
    cbi_traced *traced = cbi_allocate(sizeof(*traced));
    if (traced == NULL || !copy_signature(&traced->signature, signature)) {
        cbi_traced_free(traced);
        return NULL;
    }
    traced->only_batch = only_batch;
    if (run_steps(traced) && (only_batch != 1 || take_numbers_of_one(traced)) && compare(traced) &&
        check_leaves(traced)) {
        traced->step_count = cbi_traced_count(traced);
        if (only_batch > 0)
            check_again(traced);
    }
    return traced;
}

/* ---- Working on all traces ------------------------------------------------------------------- */

static bool check_sides(cbi_traced *traced) {
    for (int i = 0; i < CBI_SIDES; i++)
        if (cbi_unread_was_touched(&traced->side[i].tape->trace->unread))
            return refuse(traced, "a gradient reads elements, or sets them: what it computes may "
                                  "depend on them");
    for (int i = 0; i < CBI_SIDES; i++)
        if (traced->side[i].tape->status != CB_OK)
            return refuse_tape(traced, traced->side[i].tape);
    return compare(traced);
}

int cbi_traced_apply(cbi_traced *traced, int like, const int *in) {
    int index = -1;
    for (int s = 0; s < CBI_SIDES; s++) {
        cb_tape *tape = traced->side[s].tape;
        const cb_node *node = cbi_traced_node(traced, s, like);
        cb_tensor **inputs =
            cbi_arena_allocate(&tape->arena, sizeof(*inputs) * (size_t)(node->count + 1));
        for (int i = 0; i < node->count && inputs != NULL; i++)
            inputs[i] = &cbi_traced_node(traced, s, in[i])->tensor;
        if (inputs == NULL) {
            no_memory(traced);
            return -1;
        }
        cb_tensor *made = cbi_apply_like(tape, node, inputs, node->options);
        if (cbi_is_poisoned(made)) {
            refuse_tape(traced, tape);
            return -1;
        }
        index = made->node->index;
    }
    return index;
}

int cbi_traced_symbol(cbi_traced *traced, int like) {
    int index = cbi_traced_count(traced);
    for (int s = 0; s < CBI_SIDES; s++) {
        const cb_tensor *t = &cbi_traced_node(traced, s, like)->tensor;
        if (cbi_is_poisoned(cbi_symbol(traced->side[s].tape, t->dtype, t->rank, t->shape))) {
            refuse_tape(traced, traced->side[s].tape);
            return -1;
        }
    }
    return index;
}

/* The tensors of some nodes of one side, in memory of its tape; NULL when there is none. */
static cb_tensor **tensors_of(const cbi_traced *traced, int side, int count, const int *list) {
    cb_tape *tape = traced->side[side].tape;
    cb_tensor **tensors = cbi_arena_allocate(&tape->arena, sizeof(*tensors) * (size_t)(count + 1));
    for (int i = 0; i < count && tensors != NULL; i++)
        tensors[i] = &cbi_traced_node(traced, side, list[i])->tensor;
    return tensors;
}

bool cbi_traced_gradients(cbi_traced *traced, const bool *inside, int output_count,
                          const int *outputs, const int *cotangents, int input_count,
                          const int *inputs, int *gradients) {
    for (int s = 0; s < CBI_SIDES; s++) {
        cb_tensor **y = tensors_of(traced, s, output_count, outputs);
        cb_tensor **g = tensors_of(traced, s, output_count, cotangents);
        cb_tensor **x = tensors_of(traced, s, input_count, inputs);
        cb_tensor **found = tensors_of(traced, s, input_count, inputs);
        if (y == NULL || g == NULL || x == NULL || found == NULL)
            return no_memory(traced);
        cbi_vector_jacobian(inside, output_count, y, g, input_count, x, found);
        for (int i = 0; i < input_count; i++)
            gradients[i] = found[i] != NULL ? found[i]->node->index : -1;
    }
    return check_sides(traced);
}
