/* Registers: rows of a program that hold what passes between its instructions. They are given room
   in the order of the instructions, and room whose value is not read any more is given out again,
   so that all of them together stay in the L1 cache. */
#include "autograd/scan/plan_internal.h"

#include <stdio.h>

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
void cbi_find_registers(cbi_planner *p) {
    cbi_program *program = cbi_program_of(p);
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
            snprintf(p->plan->graph->reason, sizeof(p->plan->graph->reason),
                     "more than %d values are needed at once", MOST_SLOTS);
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
