/* Optimizers: groups of parameters, each with its options, and the driver that applies an update
   rule (rules/, or a user's) to every parameter.

   Each parameter counts its own steps and gets its state buffers at the first step that needs them,
   so that a frozen parameter costs nothing and may be thawed later. A step allocates and checks for
   all parameters before it changes the first one. */
#include "optim/optimizer_internal.h"

#include "nn/params_internal.h"
#include "optim/options.h"
#include "tensor/memory.h"

#include <math.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* ---- Options --------------------------------------------------------------------------------- */

bool cbi_optimizer_options_good(const cb_optimizer_rule *rule, cb_params *params,
                                const cb_optimizer_options *options) {
    if (!cbi_options_in_range(rule->name, params, options))
        return false;
    const char *fault = rule->fault == NULL ? NULL : rule->fault(options);
    if (fault != NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "%s: %s", rule->name, fault);
        return false;
    }
    return true;
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Appends a group with these options, not yet checked; what they do not set is as in the first
   group, or, of that one, the rule's default. Its number, or -1, recorded, on failure. */
static int add_group(cb_optimizer *optimizer, const cb_optimizer_options *options) {
    const cb_optimizer_options *defaults =
        optimizer->group_count > 0 ? optimizer->groups[0] : &optimizer->rule->defaults;
    cb_optimizer_options filled;
    if (!cbi_options_fill(optimizer->rule->name, optimizer->params, defaults, options, &filled) ||
        !cbi_optimizer_options_good(optimizer->rule, optimizer->params, &filled))
        return -1;
    int count = optimizer->group_count;
    cb_optimizer_options *added = cbi_allocate(sizeof *added);
    cb_optimizer_options **groups = cbi_allocate(((size_t)count + 1) * sizeof(*groups));
    if (added == NULL || groups == NULL) {
        cbi_free(added);
        cbi_free(groups);
        cbi_params_fail(optimizer->params, CB_ERROR_MEMORY, "%s: no memory for a group",
                        optimizer->rule->name);
        return -1;
    }
    *added = filled;
    if (count > 0)
        memcpy(groups, optimizer->groups, (size_t)count * sizeof(*groups));
    groups[count] = added;
    cbi_free(optimizer->groups);
    optimizer->groups = groups;
    optimizer->group_count = count + 1;
    return count;
}

/* What is wrong with a rule for parameters of this dtype; NULL when it is fine. */
static const char *rule_fault(const cb_optimizer_rule *rule, cb_dtype dtype) {
    if (rule->name == NULL || *rule->name == '\0')
        return "the rule has no name";
    if ((dtype == CB_F64 ? rule->update_f64 : rule->update_f32) == NULL)
        return "the rule has no update function for the set's dtype";
    for (int i = 0; i < CB_OPTIMIZER_STATES; i++) {
        const char *name = rule->state_names[i];
        bool taken = name != NULL && (*name == '\0' || strcmp(name, "step") == 0);
        for (int k = 0; k < i && name != NULL; k++) {
            taken =
                taken || rule->state_names[k] == NULL || strcmp(rule->state_names[k], name) == 0;
        }
        if (taken)
            return "state names must be without a gap, not empty, not step, and no two the same";
    }
    return NULL;
}

bool cbi_rule_needs(const cb_optimizer_rule *rule, const cb_optimizer_options *options, int i) {
    return rule->state_names[i] != NULL &&
           (rule->needs_state == NULL || rule->needs_state(options, i));
}

cb_optimizer *cb_optimizer_new(const char *name, cb_params *params,
                               const cb_optimizer_options *options) {
    const cb_optimizer_rule *rule = cbi_rule_find(name);
    if (rule == NULL) {
        cbi_params_fail(params, CB_ERROR_NOT_FOUND, "there is no optimizer named %s",
                        name == NULL ? "NULL" : name);
        return NULL;
    }
    return cb_optimizer_new_rule(rule, params, options);
}

cb_optimizer *cb_optimizer_new_rule(const cb_optimizer_rule *rule, cb_params *params,
                                    const cb_optimizer_options *options) {
    if (params == NULL || rule == NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "an optimizer needs a rule");
        return NULL;
    }
    const char *fault = rule_fault(rule, cb_params_dtype(params));
    if (fault != NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "optimizer %s: %s",
                        rule->name == NULL ? "" : rule->name, fault);
        return NULL;
    }
    cb_optimizer *optimizer = cbi_allocate(sizeof *optimizer);
    if (optimizer == NULL) {
        cbi_params_fail(params, CB_ERROR_MEMORY, "%s: no memory", rule->name);
        return NULL;
    }
    *optimizer = (cb_optimizer){.rule = rule, .params = params, .norm = NAN};
    if (!cbi_slots_take(optimizer) || add_group(optimizer, options) < 0) {
        cb_optimizer_free(optimizer);
        return NULL;
    }
    return optimizer;
}

void cb_optimizer_free(cb_optimizer *optimizer) {
    if (optimizer == NULL)
        return;
    for (int i = 0; i < optimizer->group_count; i++)
        cbi_free(optimizer->groups[i]);
    cbi_free(optimizer->groups);
    cbi_slots_free(optimizer);
    cbi_free(optimizer);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

/* Whether the parameter's name begins with the prefix: "h.1" is no beginning of "h.10". */
static bool starts_with(const cb_param *param, void *prefix) {
    const char *text = prefix;
    size_t length = strlen(text);
    if (strncmp(param->name, text, length) != 0)
        return false;
    bool in_number = length > 0 && is_digit(text[length - 1]) && is_digit(param->name[length]);
    return !in_number;
}

/* The new group's number; -1 on failure, recorded but where no parameter is chosen. */
static int group_chosen(cb_optimizer *optimizer, cb_param_choice *chosen, void *context,
                        const cb_optimizer_options *options, bool *any) {
    *any = !cbi_slots_take(optimizer);
    if (*any)
        return -1;
    for (int i = 0; i < optimizer->slot_count; i++)
        *any = *any || chosen(optimizer->slots[i]->param, context);
    int group = *any ? add_group(optimizer, options) : -1;
    for (int i = 0; group >= 0 && i < optimizer->slot_count; i++)
        if (chosen(optimizer->slots[i]->param, context))
            optimizer->slots[i]->group = group;
    return group;
}

int cb_optimizer_group(cb_optimizer *optimizer, const char *prefix,
                       const cb_optimizer_options *options) {
    bool any;
    if (optimizer == NULL || prefix == NULL)
        return -1;
    int group = group_chosen(optimizer, starts_with, (void *)(uintptr_t)prefix, options, &any);
    if (!any) {
        cbi_params_fail(optimizer->params, CB_ERROR_NOT_FOUND,
                        "%s: no parameter's name starts with %s", optimizer->rule->name, prefix);
    }
    return group;
}

int cb_optimizer_group_where(cb_optimizer *optimizer, cb_param_choice *chosen, void *context,
                             const cb_optimizer_options *options) {
    bool any;
    if (optimizer == NULL || chosen == NULL)
        return -1;
    int group = group_chosen(optimizer, chosen, context, options, &any);
    if (!any) {
        cbi_params_fail(optimizer->params, CB_ERROR_NOT_FOUND, "%s: no parameter is chosen",
                        optimizer->rule->name);
    }
    return group;
}

bool cb_param_is_vector(const cb_param *param, void *context) {
    (void)context;
    return param->value->rank == 1;
}

cb_optimizer_options *cb_optimizer_group_options(cb_optimizer *optimizer, int group) {
    return group >= 0 && group < cb_optimizer_group_count(optimizer) ? optimizer->groups[group]
                                                                     : NULL;
}

int cb_optimizer_group_count(const cb_optimizer *optimizer) {
    return optimizer == NULL ? 0 : optimizer->group_count;
}

/* ---- The step -------------------------------------------------------------------------------- */

/* Makes the state buffers that the slot's options ask for and that it does not have yet. */
static bool prepare(const cb_optimizer *optimizer, cbi_slot *s) {
    const cb_optimizer_options *options = optimizer->groups[s->group];
    const cb_tensor *value = s->param->value;
    for (int k = 0; k < CB_OPTIMIZER_STATES; k++) {
        if (s->state[k] != NULL || !cbi_rule_needs(optimizer->rule, options, k))
            continue;
        s->state[k] = cb_tensor_new(value->dtype, value->rank, value->shape);
        if (s->state[k] == NULL)
            return false;
        if (optimizer->rule->state_start != NULL)
            cb_tensor_fill(s->state[k], optimizer->rule->state_start(options, k));
    }
    return true;
}

cb_status cb_optimizer_step(cb_optimizer *optimizer) {
    if (optimizer == NULL)
        return CB_ERROR_VALUE;
    for (int i = 0; i < optimizer->group_count; i++)
        if (!cbi_optimizer_options_good(optimizer->rule, optimizer->params, optimizer->groups[i]))
            return CB_ERROR_VALUE;
    if (!cbi_slots_take(optimizer))
        return CB_ERROR_MEMORY;
    for (int i = 0; i < optimizer->slot_count; i++) {
        cbi_slot *s = optimizer->slots[i];
        if (!cbi_is_fixed(s->param) && !prepare(optimizer, s)) {
            cbi_params_fail(optimizer->params, CB_ERROR_MEMORY, "%s: no memory for the state of %s",
                            optimizer->rule->name, s->param->name);
            return CB_ERROR_MEMORY;
        }
    }
    for (int i = 0; i < optimizer->slot_count; i++)
        optimizer->slots[i]->steps += !cbi_is_fixed(optimizer->slots[i]->param);
    double max_norm = optimizer->groups[0]->clip_norm, scale = 1;
    optimizer->norm = NAN;
    if (max_norm > 0) {
        optimizer->norm = cbi_gradient_norm(optimizer->params, optimizer->slot_count);
        scale = cbi_clip_scale(optimizer->norm, max_norm);
    }
    cbi_optimizer_sweep(optimizer, scale);
    return CB_OK;
}

double cb_optimizer_gradient_norm(const cb_optimizer *optimizer) {
    return optimizer == NULL ? (double)NAN : optimizer->norm;
}
