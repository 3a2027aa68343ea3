/* Registers: rows that hold what passes between the instructions of a stage. They are given room in
   the order of the instructions, and room whose value is not read any more is given out again, so
   that all of them together stay in the L1 cache. */
#include "autograd/compiler/plan_internal.h"

#include "tensor/memory.h"

/* A register while room is given out: where it starts, and when it is read last. */
typedef struct slot {
    int64_t start, bytes;
    int name, last;
} slot;

enum { LINE = 64 };

/* The last instruction that reads each register, or writes it when none does. */
static void find_last_uses(const cbi_program *program, int *last) {
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        if (instruction->out.place.buffer == CBI_REGISTER)
            last[instruction->out.place.name] = i;
        for (int k = 0; k < instruction->count && k < CBI_MAP_INPUTS; k++)
            if (instruction->in[k].place.buffer == CBI_REGISTER)
                last[instruction->in[k].place.name] = i;
    }
}

static slot *find_slot(slot *slots, int count, int name) {
    for (int k = 0; k < count; k++)
        if (slots[k].name == name)
            return &slots[k];
    return NULL;
}

/* Room for a register that is written by instruction `at`: one that is not read any more, the
   smallest that is large enough, or a new one. */
static slot *room_for(cbi_program *program, slot *slots, int *count, int64_t bytes, int at) {
    slot *best = NULL;
    for (int k = 0; k < *count; k++)
        if (slots[k].last < at && slots[k].bytes >= bytes &&
            (best == NULL || slots[k].bytes < best->bytes))
            best = &slots[k];
    if (best != NULL)
        return best;
    best = &slots[(*count)++];
    best->start = program->register_bytes;
    best->bytes = (bytes + LINE - 1) / LINE * LINE;
    program->register_bytes += best->bytes;
    return best;
}

void cbi_allocate_registers(cbi_planner *p) {
    cbi_program *program = cbi_program_of(p);
    int values = p->graph->value_count, count = 0;
    int *last = cbi_allocate(sizeof(int) * (size_t)(values + 1));
    slot *slots = cbi_allocate(sizeof(*slots) * (size_t)(values + 1));
    p->failed = p->failed || last == NULL || slots == NULL;
    if (!p->failed)
        find_last_uses(program, last);
    for (int i = 0; i < program->count && !p->failed; i++) {
        cbi_instruction *instruction = &program->list[i];
        for (int k = 0; k < instruction->count && k < CBI_MAP_INPUTS; k++)
            if (instruction->in[k].place.buffer == CBI_REGISTER)
                instruction->in[k].place.offset +=
                    find_slot(slots, count, instruction->in[k].place.name)->start;
        int name = instruction->out.place.name;
        if (instruction->out.place.buffer != CBI_REGISTER)
            continue;
        slot *room = find_slot(slots, count, name);
        if (room == NULL)
            room = room_for(program, slots, &count, cbi_bytes_of(p->graph, name), i);
        room->name = name;
        room->last = last[name];
        instruction->out.place.offset += room->start;
    }
    p->changes = count;
    cbi_free(last);
    cbi_free(slots);
}
