/* The slots of an optimizer: one for each parameter of the set, in the set's order. */
#include "optim/optimizer_internal.h"

#include "nn/params_internal.h"
#include "tensor/memory.h"

#include <string.h>

/* "optimizer.NAME.WHAT" at *at, which moves behind it; only measured where memory is NULL. */
static char *name_entry(char *memory, size_t *at, const char *name, const char *what) {
    char *entry = memory == NULL ? NULL : memory + *at;
    size_t size = sizeof CBI_STATE_PREFIX - 1 + strlen(name) + 1 + strlen(what) + 1;
    if (entry != NULL)
        snprintf(entry, size, CBI_STATE_PREFIX "%s.%s", name, what);
    *at += size;
    return entry;
}

/* Names a slot's entries of a file, in memory that is large enough; the size that they need. */
static size_t name_entries(const cb_optimizer_rule *rule, cbi_slot *s, const cb_param *param,
                           char *memory) {
    size_t used = 0;
    s->step_name = name_entry(memory, &used, param->name, "step");
    for (int k = 0; k < CB_OPTIMIZER_STATES; k++) {
        const char *what = rule->state_names[k];
        s->state_entry_name[k] = what == NULL ? NULL : name_entry(memory, &used, param->name, what);
    }
    return used;
}

/* A slot in the first group, its names behind it; NULL without memory. */
static cbi_slot *slot_new(const cb_optimizer_rule *rule, cb_param *param) {
    cbi_slot measured = {0};
    cbi_slot *s = cbi_allocate(sizeof *s + name_entries(rule, &measured, param, NULL));
    if (s != NULL) {
        s->param = param;
        s->step_tensor = cb_tensor_wrap(CB_I64, 0, NULL, &s->steps);
        name_entries(rule, s, param, (char *)(s + 1));
    }
    return s;
}

/* Makes room for as many slots. */
static bool reserve(cb_optimizer *optimizer, int count) {
    cbi_slot **slots = cbi_allocate((size_t)count * sizeof *slots);
    if (slots == NULL)
        return false;
    if (optimizer->slot_count > 0)
        memcpy(slots, optimizer->slots, (size_t)optimizer->slot_count * sizeof *slots);
    cbi_free(optimizer->slots);
    optimizer->slots = slots;
    return true;
}

bool cbi_slots_take(cb_optimizer *optimizer) {
    int count = cb_params_count(optimizer->params);
    bool good = count == optimizer->slot_count || reserve(optimizer, count);
    while (good && optimizer->slot_count < count) {
        cb_param *param = cb_params_at(optimizer->params, optimizer->slot_count);
        cbi_slot *s = slot_new(optimizer->rule, param);
        good = s != NULL;
        if (good)
            optimizer->slots[optimizer->slot_count++] = s;
    }
    if (!good) {
        cbi_params_fail(optimizer->params, CB_ERROR_MEMORY, "%s: no memory for its parameters",
                        optimizer->rule->name);
    }
    return good;
}

void cbi_slots_free(cb_optimizer *optimizer) {
    for (int i = 0; i < optimizer->slot_count; i++) {
        for (int k = 0; k < CB_OPTIMIZER_STATES; k++)
            cb_tensor_free(optimizer->slots[i]->state[k]);
        cbi_free(optimizer->slots[i]);
    }
    cbi_free(optimizer->slots);
}
