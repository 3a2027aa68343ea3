/* What an update rule is, and what the files of optim/ share.

   A rule is one row of the table at the foot of rules.c. A new optimizer is a loop in
   rules_template.h and a row there; nothing else changes. */
#ifndef CEREBRA_OPTIM_OPTIMIZER_INTERNAL_H
#define CEREBRA_OPTIM_OPTIMIZER_INTERNAL_H

#include <cerebra/optim.h>

/* Most state buffers a rule keeps for a parameter, each of the parameter's shape. */
#define CBI_RULE_STATES 3

/* One parameter's update: what the loops are given. All arrays are of one dtype and of one length.
 */
typedef struct cbi_update {
    const cb_optimizer_options *options;
    int64_t step;                 /* t, from 1 */
    void *value, *gradient;       /* gradient is left zero */
    void *state[CBI_RULE_STATES]; /* NULL where the options need none */
} cbi_update;

typedef struct cbi_rule {
    const char *name;
    cb_optimizer_options defaults; /* of options that are not given */
    bool reads_nesterov;           /* SGD, whose nesterov puts conditions on other options */
    bool accumulates;              /* Adagrad: state 0 starts at initial_accumulator, not at 0 */
    const char *state_names[CBI_RULE_STATES]; /* what PyTorch calls the state buffers */
    /* Whether the options need state buffer i. */
    bool (*needs_state)(const cb_optimizer_options *options, int i);
    /* Updates elements begin..end-1; context is a cbi_update. One function for f32, one for f64. */
    void (*update_f32)(void *context, int64_t begin, int64_t end);
    void (*update_f64)(void *context, int64_t begin, int64_t end);
} cbi_rule;

/* One parameter, as the optimizer sees it. */
typedef struct cbi_slot {
    cb_param *param;
    int group;
    int64_t steps; /* taken so far */
    cb_tensor *state[CBI_RULE_STATES];
    cb_tensor step_tensor;                   /* of steps, to be saved as an entry */
    char *step_name;                         /* of the entries of a file */
    char *state_entry_name[CBI_RULE_STATES]; /* NULL where the rule has no such state */
} cbi_slot;

struct cb_optimizer {
    const cbi_rule *rule;
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
bool cbi_optimizer_options_good(const cbi_rule *rule, cb_params *params,
                                const cb_optimizer_options *options);

/* The rule of a name, or NULL. */
const cbi_rule *cbi_rule_find(const char *name);

/* What clipping is made of (clip.c): the norm of the gradients of a set's first `count` parameters
   together; what they are to be multiplied by, 1 where they may stay; and the multiplication of
   elements begin..end-1 of one. */
double cbi_gradient_norm(const cb_params *params, int count);
double cbi_clip_scale(double norm, double max_norm);
void cbi_clip_scale_elements(const cb_tensor *gradient, double scale, int64_t begin, int64_t end);

#endif
