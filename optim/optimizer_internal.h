/* What the files of optim/ share. */
#ifndef CEREBRA_OPTIM_OPTIMIZER_INTERNAL_H
#define CEREBRA_OPTIM_OPTIMIZER_INTERNAL_H

#include "optim/rules/list.h"

/* One parameter, as the optimizer sees it. */
typedef struct cbi_slot {
    cb_param *param;
    int group;
    int64_t steps; /* taken so far */
    cb_tensor *state[CB_OPTIMIZER_STATES];
    cb_tensor step_tensor;                       /* of steps, to be saved as an entry */
    char *step_name;                             /* of the entries of a file */
    char *state_entry_name[CB_OPTIMIZER_STATES]; /* NULL where the rule has no such state */
} cbi_slot;

struct cb_optimizer {
    const cb_optimizer_rule *rule;
    cb_params *params;
    cbi_slot **slots; /* each allocated by itself: tensors of the state point into them */
    int slot_count;   /* as the set had parameters when it was last looked at */
    cb_optimizer_options **groups; /* each allocated by itself: callers hold pointers to them */
    int group_count;
    double norm; /* of the gradients before the last step; NaN where it was not asked for */
};

/* What the names of all entries of a file begin with. */
#define CBI_STATE_PREFIX "optimizer."

/* Gives parameters that are new in the set their slots, in the first group. False, recorded, when
   there is no memory: those that have one keep it. */
bool cbi_slots_take(cb_optimizer *optimizer);
void cbi_slots_free(cb_optimizer *optimizer);
/* Whether the options are in their ranges; records on the set what is not. */
bool cbi_optimizer_options_good(const cb_optimizer_rule *rule, cb_params *params,
                                const cb_optimizer_options *options);

/* Whether the rule keeps state buffer i where a group has these options. */
bool cbi_rule_needs(const cb_optimizer_rule *rule, const cb_optimizer_options *options, int i);

/* Updates all parameters from their gradients times scale, with state and counts of steps that are
   ready, and leaves the gradients zero (sweep.c). */
void cbi_optimizer_sweep(const cb_optimizer *optimizer, double scale);

/* What clipping is made of (clip.c): the norm of the gradients of a set's first `count` parameters
   together; what they are to be multiplied by, 1 where they may stay; and the multiplication of
   elements begin..end-1 of one. */
double cbi_gradient_norm(const cb_params *params, int count);
double cbi_clip_scale(double norm, double max_norm);
void cbi_clip_scale_elements(const cb_tensor *gradient, double scale, int64_t begin, int64_t end);

#endif
