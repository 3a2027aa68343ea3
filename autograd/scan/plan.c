/* Planning: what is needed, what is kept, where it lies, in which order it is computed. */
#include "autograd/scan/plan.h"

#include "tensor/memory.h"

#include <string.h>

/* What is known of each value while planning one pass. */
typedef struct planner {
    cbi_plan *plan;
    const cbi_graph *graph;
    int pass;      /* 0 forward, 1 backward */
    bool *live[2]; /* computed or read in that pass */
    bool *kept;    /* of forward values: kept for all steps */
    bool *lasting; /* operands of sums over the batch, and gradients of imports with rows */
    int *stage;    /* of the present pass: the program it is computed in */
    bool *crosses; /* of the present pass: used by a later program, or by a product */
    bool failed;   /* out of memory */
} planner;

static const cbi_value *value_of(const planner *p, int v) {
    return &p->graph->values[v];
}

static int number_of_next(const cbi_graph *graph, int v) {
    for (int i = 0; i < graph->state_count; i++)
        if (graph->next[i] == v)
            return i;
    return -1;
}

/* The value that parts are parts of. */
static int whole_of(const planner *p, int v) {
    while (value_of(p, v)->kind == CBI_PART)
        v = value_of(p, v)->in[0];
    return v;
}

/* ---- What is needed and what is kept --------------------------------------------------------- */

static bool is_given(const planner *p, int v) {
    cbi_kind kind = value_of(p, v)->kind;
    return kind == CBI_IMPORT || kind == CBI_STATE || kind == CBI_CONSTANT || kind == CBI_SEED;
}

/* Whether a forward value can be computed from what the backward step has anyway. */
static bool is_cheap(const planner *p, int v) {
    if (value_of(p, v)->kind != CBI_ELEMENTWISE)
        return false;
    for (int k = 0; k < value_of(p, v)->count; k++) {
        int from = whole_of(p, value_of(p, v)->in[k]);
        if (!is_given(p, from) && number_of_next(p->graph, from) < 0)
            return false;
    }
    return true;
}

static void need_inputs(planner *p, int v, int pass) {
    for (int k = 0; k < value_of(p, v)->count; k++)
        p->live[pass][value_of(p, v)->in[k]] = true;
}

static void find_needs(planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++) {
        p->live[0][graph->next[i]] = true;
        if (graph->state_gradient[i] >= 0)
            p->live[1][graph->state_gradient[i]] = true;
    }
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count; k++) {
            int v = graph->imports[i].gradients[k];
            p->live[1][v] = true;
            p->lasting[v] = graph->imports[i].rows;
        }
    for (int v = graph->value_count - 1; v >= 0; v--) {
        if (!p->live[1][v])
            continue;
        bool forward = v < graph->forward_count;
        if (value_of(p, v)->kind == CBI_BATCH_PRODUCT || value_of(p, v)->kind == CBI_BATCH_SUM)
            for (int k = 0; k < value_of(p, v)->count; k++)
                p->lasting[whole_of(p, value_of(p, v)->in[k])] = true;
        bool computed = !forward || value_of(p, v)->kind == CBI_PART ||
                        (!p->lasting[v] && is_cheap(p, v) && number_of_next(graph, v) < 0);
        if (computed)
            need_inputs(p, v, 1);
        else if (!is_given(p, v) && number_of_next(graph, v) < 0)
            p->kept[v] = p->live[0][v] = true;
    }
    for (int v = graph->forward_count - 1; v >= 0; v--)
        if (p->live[0][v])
            need_inputs(p, v, 0);
}

/* Whether a value is computed in the present pass, and not only read or an alias. */
static bool is_computed(const planner *p, int v) {
    if (!p->live[p->pass][v] || value_of(p, v)->kind == CBI_PART || is_given(p, v))
        return value_of(p, v)->kind == CBI_SEED && p->live[p->pass][v];
    cbi_kind kind = value_of(p, v)->kind;
    if (kind == CBI_BATCH_PRODUCT || kind == CBI_BATCH_SUM)
        return false;
    return p->pass == 0 || v >= p->graph->forward_count ||
           (!p->kept[v] && number_of_next(p->graph, v) < 0);
}

/* ---- Stages ---------------------------------------------------------------------------------- */

static void find_stages(planner *p) {
    memset(p->crosses, 0, sizeof(bool) * (size_t)p->graph->value_count);
    for (int v = 0; v < p->graph->value_count; v++) {
        p->stage[v] = 0;
        if (!p->live[p->pass][v] || !(is_computed(p, v) || value_of(p, v)->kind == CBI_PART))
            continue;
        for (int k = 0; k < value_of(p, v)->count; k++)
            if (p->stage[value_of(p, v)->in[k]] > p->stage[v])
                p->stage[v] = p->stage[value_of(p, v)->in[k]];
        if (value_of(p, v)->kind == CBI_PRODUCT)
            p->stage[v]++;
    }
    for (int v = 0; v < p->graph->value_count; v++)
        for (int k = 0; is_computed(p, v) && k < value_of(p, v)->count; k++) {
            int from = whole_of(p, value_of(p, v)->in[k]);
            if (p->stage[from] < p->stage[v] || value_of(p, v)->kind == CBI_PRODUCT)
                p->crosses[from] = true;
        }
}

/* ---- Places ---------------------------------------------------------------------------------- */

static int buffer_new(planner *p, cbi_span span, int64_t columns, int index) {
    cbi_plan *plan = p->plan;
    if (plan->buffer_count == plan->buffer_room) {
        int room = plan->buffer_room == 0 ? 32 : 2 * plan->buffer_room;
        cbi_buffer *buffers = cbi_allocate(sizeof(*buffers) * (size_t)room);
        if (buffers == NULL) {
            p->failed = true;
            return 0;
        }
        if (plan->buffer_count > 0)
            memcpy(buffers, plan->buffers, sizeof(*buffers) * (size_t)plan->buffer_count);
        cbi_free(plan->buffers);
        plan->buffers = buffers;
        plan->buffer_room = room;
    }
    plan->buffers[plan->buffer_count] = (cbi_buffer){span, columns, index, p->pass == 1};
    return plan->buffer_count++;
}

cbi_place cbi_plan_place(const cbi_plan *plan, int value, int pass) {
    int64_t column = 0;
    while (plan->graph->values[value].kind == CBI_PART) {
        column += plan->graph->values[value].start;
        value = plan->graph->values[value].in[0];
    }
    cbi_place place = plan->place[pass][value];
    place.column += column;
    return place;
}

/* Imports, states, and in the backward pass what the forward pass has left. */
static cbi_place place_given(planner *p, int v) {
    const cbi_value *value = value_of(p, v);
    int next = number_of_next(p->graph, v);
    switch (value->kind) {
    case CBI_IMPORT:
        if (!value->rows)
            return (cbi_place){CBI_SHARED, 0, value->index, 0};
        for (int b = 0; b < p->plan->buffer_count; b++)
            if (p->plan->buffers[b].span == CBI_OUTSIDE &&
                p->plan->buffers[b].index == value->index)
                return (cbi_place){b, 0, 0, 0};
        return (cbi_place){buffer_new(p, CBI_OUTSIDE, value->columns, value->index), 0, 0, 0};
    case CBI_STATE:
        return (cbi_place){p->plan->state_buffer[value->index], 0, 0, 0};
    case CBI_SEED:
        return (cbi_place){p->plan->gradient_buffer[value->index], 1, 0, 0};
    default:
        if (p->pass == 1 && v < p->graph->forward_count && p->kept[v])
            return p->plan->place[0][v];
        if (p->pass == 1 && next >= 0)
            return (cbi_place){p->plan->state_buffer[next], 1, 0, 0};
        return (cbi_place){CBI_UNPLACED, 0, 0, 0};
    }
}

/* Whether a value of the present pass stays for all steps. */
static bool stays(const planner *p, int v) {
    return p->pass == 0 ? p->kept[v] : p->lasting[v];
}

/* Whether all pieces of a join stay, and can lie in it. */
static bool pieces_stay(const planner *p, int v) {
    bool stay = value_of(p, v)->kind == CBI_JOIN;
    for (int k = 0; stay && k < value_of(p, v)->count; k++) {
        int piece = value_of(p, v)->in[k];
        stay = is_computed(p, piece) && stays(p, piece) &&
               (p->pass == 1 || number_of_next(p->graph, piece) < 0) &&
               p->plan->place[p->pass][piece].buffer == CBI_UNPLACED;
    }
    return stay;
}

/* Where a computed value is written. */
static cbi_place place_computed(planner *p, int v) {
    const cbi_value *value = value_of(p, v);
    bool keep = stays(p, v) || pieces_stay(p, v);
    for (int i = 0; i < p->graph->state_count && !keep; i++) {
        if (p->pass == 0 && p->graph->next[i] == v)
            return (cbi_place){p->plan->state_buffer[i], 1, 0, 0};
        if (p->pass == 1 && p->graph->state_gradient[i] == v)
            return (cbi_place){p->plan->gradient_buffer[i], 0, 0, 0};
    }
    if (keep)
        return (cbi_place){buffer_new(p, CBI_ALL_STEPS, value->columns, -1), 0, 0, 0};
    if (value->kind == CBI_JOIN || value->kind == CBI_PRODUCT || p->crosses[v])
        return (cbi_place){buffer_new(p, CBI_ONE_STEP, value->columns, -1), 0, 0, 0};
    return (cbi_place){CBI_REGISTER, 0, v, 0};
}

/* Pieces of a join are written where the join lies, if they are computed and lie nowhere yet. */
static void place_pieces(planner *p, int v) {
    cbi_place at = p->plan->place[p->pass][v];
    if (p->failed)
        return;
    bool join_stays =
        at.buffer >= 0 && p->plan->buffers[at.buffer].span == CBI_ALL_STEPS && pieces_stay(p, v);
    for (int k = 0; k < value_of(p, v)->count; k++) {
        int piece = value_of(p, v)->in[k];
        cbi_place *place = &p->plan->place[p->pass][piece];
        bool lasts = (stays(p, piece) && !join_stays) ||
                     (p->pass == 0 && number_of_next(p->graph, piece) >= 0);
        if (is_computed(p, piece) && place->buffer == CBI_UNPLACED && !lasts)
            *place = at;
        at.column += value_of(p, piece)->columns;
    }
}

static void find_places(planner *p) {
    cbi_place *place = p->plan->place[p->pass];
    for (int v = 0; v < p->graph->value_count; v++)
        place[v] = (cbi_place){CBI_UNPLACED, 0, 0, 0};
    for (int v = p->graph->value_count - 1; v >= 0; v--)
        if (value_of(p, v)->kind == CBI_JOIN && is_computed(p, v)) {
            if (place[v].buffer == CBI_UNPLACED)
                place[v] = place_computed(p, v);
            place_pieces(p, v);
        }
    for (int v = 0; v < p->graph->value_count; v++) {
        if (!p->live[p->pass][v] || place[v].buffer != CBI_UNPLACED ||
            value_of(p, v)->kind == CBI_PART)
            continue;
        bool seed_of_output = value_of(p, v)->kind == CBI_SEED && value_of(p, v)->index == 0;
        place[v] = is_computed(p, v) && (value_of(p, v)->kind != CBI_SEED || seed_of_output)
                       ? place_computed(p, v)
                       : place_given(p, v);
    }
}

/* ---- Instructions ---------------------------------------------------------------------------- */

static cbi_program *program_of(planner *p) {
    return p->pass == 0 ? &p->plan->forward : &p->plan->backward;
}

static void emit(planner *p, cbi_instruction instruction) {
    cbi_program *program = program_of(p);
    if (program->count == program->room) {
        int room = program->room == 0 ? 64 : 2 * program->room;
        cbi_instruction *list = cbi_allocate(sizeof(*list) * (size_t)room);
        if (list == NULL) {
            p->failed = true;
            return;
        }
        if (program->count > 0)
            memcpy(list, program->list, sizeof(*list) * (size_t)program->count);
        cbi_free(program->list);
        program->list = list;
        program->room = room;
    }
    program->list[program->count++] = instruction;
}

/* Registers that hold no value of the graph are numbered after the values. */
static cbi_place temporary(planner *p) {
    return (cbi_place){CBI_REGISTER, 0, p->graph->value_count + program_of(p)->count, 0};
}

/* An operand of the given width. A single column, or a constant, is spread over a register first.
 */
static cbi_place operand(planner *p, int v, int64_t columns) {
    const cbi_value *value = value_of(p, v);
    cbi_place place = cbi_plan_place(p->plan, v, p->pass);
    bool constant = value->kind == CBI_CONSTANT;
    if (!constant && value->columns == columns)
        return place;
    cbi_place spread = temporary(p);
    cbi_instruction instruction = {.code = CBI_RUN_SPREAD,
                                   .value = v,
                                   .columns = columns,
                                   .out = spread,
                                   .count = constant ? 0 : 1,
                                   .in = {place},
                                   .parameters = {value->parameters[0]}};
    emit(p, instruction);
    return spread;
}

static void emit_copy(planner *p, int v, int64_t columns, cbi_place out) {
    const cbi_value *value = value_of(p, v);
    cbi_place in = cbi_plan_place(p->plan, v, p->pass);
    bool spread = value->kind == CBI_CONSTANT || value->columns != columns;
    emit(p, (cbi_instruction){.code = spread ? CBI_RUN_SPREAD : CBI_RUN_KERNEL,
                              .value = v,
                              .columns = columns,
                              .out = out,
                              .count = value->kind == CBI_CONSTANT ? 0 : 1,
                              .in = {in},
                              .parameters = {spread ? value->parameters[0] : 1},
                              .op = &cb_scale_op});
}

static bool same_place(cbi_place a, cbi_place b) {
    return a.buffer == b.buffer && a.later == b.later && a.name == b.name && a.column == b.column;
}

static void emit_join(planner *p, int v) {
    cbi_place at = p->plan->place[p->pass][v];
    for (int k = 0; k < value_of(p, v)->count; k++) {
        int piece = value_of(p, v)->in[k];
        if (!same_place(cbi_plan_place(p->plan, piece, p->pass), at))
            emit_copy(p, piece, value_of(p, piece)->columns, at);
        at.column += value_of(p, piece)->columns;
    }
}

/* The number of a product's weights; the same for products with the same matrices. */
static int weights_of(planner *p, int v) {
    cbi_plan *plan = p->plan;
    const cbi_value *product = value_of(p, v);
    for (int i = 0; i < plan->weights_count; i++) {
        const cbi_value *other = value_of(p, plan->weights[i].value);
        if (plan->weights[i].backward == (p->pass == 1) && other->count == product->count &&
            other->across == product->across &&
            memcmp(other->in + 1, product->in + 1, sizeof(int) * (size_t)(product->count - 1)) == 0)
            return i;
    }
    cbi_weights *weights = cbi_allocate(sizeof(*weights) * (size_t)(plan->weights_count + 1));
    if (weights == NULL) {
        p->failed = true;
        return 0;
    }
    if (plan->weights_count > 0)
        memcpy(weights, plan->weights, sizeof(*weights) * (size_t)plan->weights_count);
    cbi_free(plan->weights);
    plan->weights = weights;
    weights[plan->weights_count] =
        (cbi_weights){v, p->pass == 1, value_of(p, product->in[0])->columns, product->columns};
    return plan->weights_count++;
}

static void emit_value(planner *p, int v) {
    const cbi_value *value = value_of(p, v);
    cbi_instruction instruction = {.value = v,
                                   .columns = value->columns,
                                   .out = p->plan->place[p->pass][v],
                                   .op = value->op,
                                   .parameters = {value->parameters[0], value->parameters[1]}};
    switch (value->kind) {
    case CBI_PRODUCT:
        instruction.code = CBI_RUN_PRODUCT;
        instruction.count = 1;
        instruction.in[0] = cbi_plan_place(p->plan, value->in[0], p->pass);
        instruction.depth = value_of(p, value->in[0])->columns;
        instruction.weights = weights_of(p, v);
        break;
    case CBI_ELEMENTWISE:
        instruction.code = CBI_RUN_KERNEL;
        instruction.count = value->count;
        for (int k = 0; k < value->count; k++)
            instruction.in[k] = operand(p, value->in[k], value->columns);
        break;
    case CBI_ROW_SUM:
    case CBI_ROW_MAX:
    case CBI_ROW_MIN:
        instruction.code = value->kind == CBI_ROW_SUM   ? CBI_RUN_SUM
                           : value->kind == CBI_ROW_MAX ? CBI_RUN_MAX
                                                        : CBI_RUN_MIN;
        instruction.count = 1;
        instruction.columns = value_of(p, value->in[0])->columns;
        instruction.in[0] = operand(p, value->in[0], instruction.columns);
        break;
    case CBI_SEED: /* of state 0: what comes from the step after, and from outside */
        if (value->index != 0)
            return;
        instruction.code = CBI_RUN_KERNEL;
        instruction.op = &cb_add_op;
        instruction.count = 2;
        instruction.in[0] = (cbi_place){p->plan->gradient_buffer[0], 1, 0, 0};
        instruction.in[1] = (cbi_place){p->plan->given_buffer, 1, 0, 0};
        break;
    case CBI_JOIN:
        emit_join(p, v);
        return;
    default:
        return;
    }
    emit(p, instruction);
}

/* What a pass must leave behind where its values do not lie there already. */
static void emit_results(planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++) {
        int v = p->pass == 0 ? graph->next[i] : graph->state_gradient[i];
        cbi_place out = {p->pass == 0 ? p->plan->state_buffer[i] : p->plan->gradient_buffer[i],
                         p->pass == 0, 0, 0};
        if (v < 0)
            emit(p, (cbi_instruction){.code = CBI_RUN_SPREAD,
                                      .value = -1,
                                      .columns = graph->state_size[i],
                                      .out = out});
        else if (!same_place(cbi_plan_place(p->plan, v, p->pass), out))
            emit_copy(p, v, graph->state_size[i], out);
    }
}

static void find_instructions(planner *p) {
    int last = 0;
    for (int v = 0; v < p->graph->value_count; v++)
        last = p->stage[v] > last ? p->stage[v] : last;
    for (int stage = 0; stage <= last; stage++)
        for (int products = 1; products >= 0; products--)
            for (int v = 0; v < p->graph->value_count; v++)
                if (is_computed(p, v) && p->stage[v] == stage &&
                    (value_of(p, v)->kind == CBI_PRODUCT) == (products == 1))
                    emit_value(p, v);
    emit_results(p);
}

/* ---- Registers ------------------------------------------------------------------------------- */

/* A register while room is given out: where it starts, and when it is read last. */
typedef struct slot {
    int64_t start, columns;
    int name, last;
} slot;

enum { MOST_SLOTS = 256 };

/* The last instruction that reads a register, or writes it when none does. */
static int last_use(const cbi_program *program, int name) {
    int last = -1;
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        if (instruction->out.buffer == CBI_REGISTER && instruction->out.name == name)
            last = i;
        for (int k = 0; k < instruction->count; k++)
            if (instruction->in[k].buffer == CBI_REGISTER && instruction->in[k].name == name)
                last = i;
    }
    return last;
}

static slot *find_slot(slot *slots, int count, int name) {
    for (int k = 0; k < count; k++)
        if (slots[k].name == name)
            return &slots[k];
    return NULL;
}

/* Gives registers their room. One that is not read any more is used again, the narrowest that is
   wide enough. */
static void find_registers(planner *p) {
    cbi_program *program = program_of(p);
    slot slots[MOST_SLOTS];
    int count = 0;
    for (int i = 0; i < program->count; i++) {
        cbi_instruction *instruction = &program->list[i];
        for (int k = 0; k < instruction->count; k++)
            if (instruction->in[k].buffer == CBI_REGISTER)
                instruction->in[k].column +=
                    find_slot(slots, count, instruction->in[k].name)->start;
        if (instruction->out.buffer != CBI_REGISTER)
            continue;
        slot *best = find_slot(slots, count, instruction->out.name);
        int64_t columns = instruction->code >= CBI_RUN_SUM ? 1 : instruction->columns;
        for (int k = 0; best == NULL && k < count; k++)
            if (slots[k].last < i && slots[k].columns >= columns &&
                (best == NULL || slots[k].columns < best->columns))
                best = &slots[k];
        if (best == NULL && count == MOST_SLOTS) {
            p->failed = true;
            return;
        }
        if (best == NULL) {
            best = &slots[count++];
            best->start = program->register_columns;
            best->columns = (columns + 15) / 16 * 16; /* whole cache lines of f32 */
            program->register_columns += best->columns;
        }
        best->name = instruction->out.name;
        best->last = last_use(program, best->name);
        instruction->out.column += best->start;
    }
}

/* ---- The plan -------------------------------------------------------------------------------- */

static void plan_pass(planner *p, int pass) {
    p->pass = pass;
    find_stages(p);
    find_places(p);
    if (!p->failed)
        find_instructions(p);
    if (!p->failed)
        find_registers(p);
}

static void make_state_buffers(planner *p) {
    for (int i = 0; i < p->graph->state_count; i++) {
        p->pass = 0;
        p->plan->state_buffer[i] = buffer_new(p, CBI_ALL_STATES, p->graph->state_size[i], i);
        p->pass = 1;
        p->plan->gradient_buffer[i] = buffer_new(p, CBI_TWO_STEPS, p->graph->state_size[i], i);
    }
    p->plan->given_buffer = buffer_new(p, CBI_GIVEN, p->graph->state_size[0], 0);
}

cbi_plan *cbi_plan_new(cbi_graph *graph) {
    if (!cbi_graph_drop_dead(graph) || !cbi_graph_merge(graph))
        return NULL;
    size_t count = (size_t)graph->value_count;
    cbi_plan *plan = cbi_allocate(sizeof(*plan));
    /* One block for all that is known of each value while planning. */
    char *flags = cbi_allocate(count * (5 * sizeof(bool) + sizeof(int)) + sizeof(int));
    if (plan != NULL) {
        plan->graph = graph;
        plan->place[0] = cbi_allocate(sizeof(cbi_place) * count);
        plan->place[1] = cbi_allocate(sizeof(cbi_place) * count);
    }
    planner p = {.plan = plan, .graph = graph};
    p.failed = plan == NULL || flags == NULL || plan->place[0] == NULL || plan->place[1] == NULL;
    if (!p.failed) {
        p.stage = (int *)(void *)flags;
        p.live[0] = (bool *)(flags + sizeof(int) * count);
        p.live[1] = p.live[0] + count;
        p.kept = p.live[1] + count;
        p.lasting = p.kept + count;
        p.crosses = p.lasting + count;
        make_state_buffers(&p);
        find_needs(&p);
        plan_pass(&p, 0);
        plan_pass(&p, 1);
    }
    cbi_free(flags);
    if (!p.failed)
        return plan;
    if (plan != NULL)
        plan->graph = NULL; /* the caller keeps it */
    cbi_plan_free(plan);
    return NULL;
}

void cbi_plan_free(cbi_plan *plan) {
    if (plan == NULL)
        return;
    cbi_free(plan->buffers);
    cbi_free(plan->weights);
    cbi_free(plan->forward.list);
    cbi_free(plan->backward.list);
    cbi_free(plan->place[0]);
    cbi_free(plan->place[1]);
    cbi_graph_free(plan->graph);
    cbi_free(plan);
}
