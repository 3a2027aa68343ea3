/* Optimizers, gradient clipping and learning-rate schedules, with PyTorch's formulas.

   theta: a parameter, g: its gradient, t: the step, from 1. Every option that is not named keeps
   the default that is written beside it, and a 0 that is named is 0:

     cb_adamw_new(params, .lr = 3e-4, .weight_decay = 0, .beta1 = 0) */
#ifndef CEREBRA_OPTIM_H
#define CEREBRA_OPTIM_H

#include <cerebra/files.h>
#include <cerebra/params.h>

CB_BEGIN_DECLS

/* An optimizer over the parameters of a set; ended by cb_optimizer_free. */
typedef struct cb_optimizer cb_optimizer;

/* Options of a group of parameters. Each optimizer reads the fields that its formula names. */
typedef struct cb_optimizer_options {
    const char *named; /* the names of options that count even where they are 0, each with a dot in
                          front, as in ".weight_decay, .beta1"; what follows a name up to the next
                          comma is passed over. NULL: 0 means the default everywhere. The macros
                          below fill it in: with the text that they are given. Read in the call
                          only. */
    double lr;         /* learning rate; default: the optimizer's, below */
    double initial_lr; /* what cb_optimizer_schedule scales; default: lr as it is given */
    double weight_decay; /* added to the gradient, g + weight_decay theta (AdamW: decoupled) */
    double momentum;     /* SGD, RMSprop */
    double dampening;    /* SGD */
    bool nesterov;       /* SGD: needs momentum > 0 and no dampening */
    double lr_decay;     /* Adagrad */
    double initial_accumulator; /* Adagrad */
    double beta1, beta2;        /* Adam, AdamW: 0.9, 0.999 */
    double alpha;               /* RMSprop: 0.99 */
    double epsilon;             /* Adagrad 1e-10; Adam, AdamW, RMSprop 1e-8 */
    bool amsgrad;               /* Adam, AdamW */
    bool centered;              /* RMSprop */
    bool lazy_rows;             /* all: rows without a gradient are passed by, see below */
    double own[4];    /* any finite numbers, for rules of a user's (cb_optimizer_rule); one option:
                         who names one of them gives all */
    double clip_norm; /* all: cb_clip_gradient_norm of all parameters before a step, without a pass
                         over memory of its own; 0: none; infinite: the norm is only measured. That
                         of the first group counts, for all groups together. */
} cb_optimizer_options;

/* Lazy rows are for embeddings, of which a step touches few rows. With lazy_rows a row (an index of
   the first axis; of a vector an element) whose gradient is 0 in every element is left as it is,
   its state and value both: no weight decay, no momentum that goes on, and no memory but that of
   its gradient is read. t still counts the parameter's steps. These are the semantics of PyTorch's
   SparseAdam, but that there a row that was looked up counts even where its gradient is exactly 0.
   A gradient is dense memory here, as any parameter's; the step reads it to find the rows. */

/* Options as an argument, of which those that are named count even where they are 0. (The first
   macro's arguments are expanded before the second makes a text of them.) For options that are
   computed, fill in a struct and its member `named`. */
#define CB_OPTIMIZER_OPTIONS(...) CBI_OPTIMIZER_TEXT(__VA_ARGS__)
#define CBI_OPTIMIZER_TEXT(...)   CB_STRUCT(cb_optimizer_options, .named = #__VA_ARGS__, __VA_ARGS__)

/* The optimizers: cb_adam_new(params, options...), or cb_adam_new(params) with the default ones.
   Errors as cb_optimizer_new. */
#define CBI_OPTIMIZER(name, ...)                                                                   \
    CBI_ONE_OR_MORE(CBI_OPTIMIZER_PLAIN, CBI_OPTIMIZER_WITH, __VA_ARGS__)(name, __VA_ARGS__)
#define CBI_OPTIMIZER_PLAIN(name, params) cb_optimizer_new(name, params, NULL)
#define CBI_OPTIMIZER_WITH(name, params, ...)                                                      \
    cb_optimizer_new(name, params, CB_OPTIMIZER_OPTIONS(__VA_ARGS__))

/* b = momentum b + (1 - dampening) g (b = g at first);  theta -= lr b   (Nesterov: g + momentum b).
   Default lr 1e-3. */
#define cb_sgd_new(...) CBI_OPTIMIZER("sgd", __VA_ARGS__)
/* s += g^2;  theta -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + epsilon). Default lr 0.01.
   (Duchi et al. 2011) */
#define cb_adagrad_new(...) CBI_OPTIMIZER("adagrad", __VA_ARGS__)
/* m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
   theta -= lr m^ / (sqrt(v^) + epsilon), m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t); amsgrad
   takes the largest v so far. Default lr 1e-3. (Kingma & Ba 2015; Reddi et al. 2018) */
#define cb_adam_new(...) CBI_OPTIMIZER("adam", __VA_ARGS__)
/* Adam with theta -= lr weight_decay theta first, the gradient untouched; weight_decay defaults to
   0.01. (Loshchilov & Hutter 2019) */
#define cb_adamw_new(...) CBI_OPTIMIZER("adamw", __VA_ARGS__)
/* v = alpha v + (1 - alpha) g^2;  u = g / (sqrt(v) + epsilon), centered: v minus the squared
   running mean of g;  b = momentum b + u;  theta -= lr b. Default lr 0.01. (Tieleman & Hinton 2012)
 */
#define cb_rmsprop_new(...) CBI_OPTIMIZER("rmsprop", __VA_ARGS__)

/* An optimizer by name ("sgd", "adagrad", "adam", "adamw", "rmsprop") over all parameters of the
   set; those that are added later join the first group at the next call that steps, groups or
   restores. The set must outlive it. options NULL: the defaults. On a bad name, option or no
   memory: NULL, and the failure is recorded on the set (CB_ERROR_NOT_FOUND, CB_ERROR_VALUE,
   CB_ERROR_MEMORY). */
CB_API cb_optimizer *cb_optimizer_new(const char *name, cb_params *params,
                                      const cb_optimizer_options *options);
CB_API void cb_optimizer_free(cb_optimizer *optimizer);
/* The names, ended by NULL. */
CB_API const char *const *cb_optimizer_names(void);

/* ---- Rules of one's own ------------------------------------------------------------------------

   An optimizer that the library does not have is a struct: its name, what it keeps, and a loop over
   flat arrays. The library does the rest: groups, schedules, clipping, threads, files. Plain
   gradient descent is

     static void descend(const cb_optimizer_update *u) {
         float *theta = u->value, *gradient = u->gradient;
         for (int64_t i = 0; i < u->count; i++) {
             theta[i] -= (float)u->options->lr * gradient[i];
             gradient[i] = 0;
         }
     }
     static const cb_optimizer_rule descent = {
         .name = "descent", .defaults = {.lr = 0.1}, .update_f32 = descend};
     cb_optimizer *optimizer =
         cb_optimizer_new_rule(&descent, params, CB_OPTIMIZER_OPTIONS(.lr = 0.5));

   and examples/lion.c is one with state. */

/* Most state buffers of a rule. */
#define CB_OPTIMIZER_STATES 4

/* What a rule's update function is given: some consecutive elements of one parameter. */
typedef struct cb_optimizer_update {
    const cb_optimizer_options *options; /* of the parameter's group, all filled in */
    int64_t step;                        /* t, the parameter's own steps, from 1 */
    int64_t count;                       /* elements in each of the arrays that follow */
    void *value, *gradient;              /* of the parameters' dtype */
    void *state[CB_OPTIMIZER_STATES];    /* the same; NULL where the rule needs none */
} cb_optimizer_update;

/* How an optimizer moves parameters. */
typedef struct cb_optimizer_rule {
    const char *name;              /* in messages and files */
    cb_optimizer_options defaults; /* of options that are not given */
    /* The names of the state buffers, which are what the optimizer keeps for each parameter, of its
       shape; in files optimizer.PARAMETER.NAME. "step" is taken. */
    const char *state_names[CB_OPTIMIZER_STATES];
    /* Whether the options need state buffer i. NULL: all that have a name. */
    bool (*needs_state)(const cb_optimizer_options *options, int i);
    /* What its elements are before the first step. NULL: 0. */
    double (*state_start)(const cb_optimizer_options *options, int i);
    /* What is wrong with the options, in a few words that live on, beyond each one's own range;
       NULL when they are fine, and as a member when they always are. */
    const char *(*fault)(const cb_optimizer_options *options);
    /* Updates value and state from gradient, and sets gradient to zero. Called from several threads
       at once, for parts of parameters that start and end anywhere, so each element by itself. One
       function for f32 and one for f64; NULL where the program has no parameters of that dtype. */
    void (*update_f32)(const cb_optimizer_update *update);
    void (*update_f64)(const cb_optimizer_update *update);
} cb_optimizer_rule;

/* As cb_optimizer_new, with a rule, which must outlive the optimizer. CB_ERROR_VALUE, recorded, too
   when the rule is NULL or lacks a name or the function for the set's dtype, or has bad names of
   state. */
CB_API cb_optimizer *cb_optimizer_new_rule(const cb_optimizer_rule *rule, cb_params *params,
                                           const cb_optimizer_options *options);

/* ---- Groups ---------------------------------------------------------------------------------- */

/* Moves the parameters whose names start with prefix into a new group with options of its own, and
   returns the group's number (the first group is 0). A prefix that ends with a digit ends a number:
   "h.1" takes h.1.weight and not h.10.weight. Options that are not given (0 and not named, or NULL)
   are as in the first group. -1 when none matches, an option is bad or there is no memory: recorded
   on the set. */
CB_API int cb_optimizer_group(cb_optimizer *optimizer, const char *prefix,
                              const cb_optimizer_options *options);
/* The same with the parameters for which chosen(param, context) is true. No weight decay for biases
   and norms, whose parameters are vectors:

     cb_optimizer_group_where(adamw, cb_param_is_vector, NULL,
                              CB_OPTIMIZER_OPTIONS(.weight_decay = 0)); */
typedef bool cb_param_choice(const cb_param *param, void *context);
CB_API int cb_optimizer_group_where(cb_optimizer *optimizer, cb_param_choice *chosen, void *context,
                                    const cb_optimizer_options *options);
/* Whether a parameter has one axis, as biases and the weights of norms have. context is unused. */
CB_API bool cb_param_is_vector(const cb_param *param, void *context);
/* The options of a group with the defaults filled in, to read or to change between steps (lr, for a
   schedule); here 0 is 0. Valid while the optimizer is. NULL when there is no such group. */
CB_API cb_optimizer_options *cb_optimizer_group_options(cb_optimizer *optimizer, int group);
CB_API int cb_optimizer_group_count(const cb_optimizer *optimizer);

/* ---- The step -------------------------------------------------------------------------------- */

/* One step: updates every parameter that is not frozen from its gradient, then sets the gradients
   to zero. t counts a parameter's own steps. CB_ERROR_VALUE: NULL, or an option changed to a bad
   value; CB_ERROR_MEMORY (the first step makes the state). Then nothing is changed, and the failure
   is recorded on the set. */
CB_API cb_status cb_optimizer_step(cb_optimizer *optimizer);
/* The norm of all gradients together in the last step, before they were clipped. NaN without a
   step, or without clip_norm. */
CB_API double cb_optimizer_gradient_norm(const cb_optimizer *optimizer);

/* Scales all gradients by min(1, max_norm / (norm + 1e-6)) and returns their norm before, the
   square root of the sum of all squares. NaN or infinite norms, and a max_norm that is negative or
   NaN, leave the gradients as they are. An optimizer's clip_norm does the same faster. */
CB_API double cb_clip_gradient_norm(cb_params *params, double max_norm);
/* Clips each element of each gradient to [-limit, limit]; a negative or NaN limit changes nothing.
 */
CB_API void cb_clip_gradient_value(cb_params *params, double limit);

/* ---- State -----------------------------------------------------------------------------------

   What an optimizer carries from one step to the next, to be written into a safetensors file beside
   the weights (cb_safetensors_write), so that training goes on bit for bit as if it had not been
   stopped; examples/14_resume.c does so. For each parameter NAME that has taken a step:
     optimizer.NAME.step    i64 [], the steps taken
     optimizer.NAME.BUFFER  of the parameter's shape and dtype; BUFFER as PyTorch calls it:
                            momentum_buffer (SGD, RMSprop), sum (Adagrad), exp_avg, exp_avg_sq,
                            max_exp_avg_sq (Adam, AdamW), square_avg, grad_avg (RMSprop); or as
                            a rule of one's own calls it
   and as metadata, under the key "optimizer", a JSON text of its name and the groups' options. */

/* How many entries there are now, and the i-th. Names live as long as the optimizer, tensors until
   its next step or restore; {NULL, NULL} when i is out of range. */
CB_API int cb_optimizer_state_count(const cb_optimizer *optimizer);
CB_API cb_named_tensor cb_optimizer_state_at(const cb_optimizer *optimizer, int i);
/* Writes the JSON text into buffer as snprintf would, and returns its length without the zero
   ("buffer" may be NULL where size is 0); 0 without memory or optimizer. */
CB_API size_t cb_optimizer_settings(const cb_optimizer *optimizer, char *buffer, size_t size);
/* Takes state and options from a file that has the entries and metadata above. The optimizer must
   be of the same name, with the same groups. Entries that do not begin with "optimizer." are the
   caller's. CB_ERROR_FORMAT: the settings are missing or damaged, or are another optimizer's;
   CB_ERROR_NOT_FOUND: an entry is missing, or is of no parameter; CB_ERROR_SHAPE, CB_ERROR_DTYPE;
   CB_ERROR_VALUE: an option or a number of steps out of range, or a NaN; CB_ERROR_MEMORY. On
   failure nothing is changed. error may be NULL. */
CB_API cb_status cb_optimizer_restore(cb_optimizer *optimizer, const cb_safetensors *file,
                                      cb_error *error);

/* ---- Schedules ------------------------------------------------------------------------------- */

/* Formulas for the learning rate of epoch n, from 0, of the initial one, lr0. */
typedef enum cb_schedule_kind {
    CB_SCHEDULE_CONSTANT,    /* lr0 */
    CB_SCHEDULE_STEP,        /* lr0 gamma^floor(n / period) */
    CB_SCHEDULE_MULTI_STEP,  /* lr0 gamma^(milestones passed, n >= m) */
    CB_SCHEDULE_EXPONENTIAL, /* lr0 gamma^n */
    CB_SCHEDULE_COSINE,  /* minimum + (lr0 - minimum) (1 + cos(pi n / period)) / 2, minimum after it
                          */
    CB_SCHEDULE_WARM_UP, /* lr0 (start + (1 - start) min(1, n / period)) */
    CB_SCHEDULE_PLATEAU, /* times gamma when the metric has not improved for more than patience */
    CB_SCHEDULE_SEQUENCE, /* one schedule after the other: parts[k] from epoch milestones[k - 1] on,
                             its own n from 0 there */
} cb_schedule_kind;

/* A schedule is a plain struct of the caller's: fill in the options, leave the state zero. lr0 is
   the initial rate, n the epochs so far; an epoch is whatever lies between two calls of
   cb_schedule_advance, so it may be a step. Ten epochs of warm-up, a cosine of eighty, and then a
   tenth:

     cb_schedule parts[] = {{.kind = CB_SCHEDULE_WARM_UP, .period = 10},
                            {.kind = CB_SCHEDULE_COSINE, .period = 80},
                            {.kind = CB_SCHEDULE_CONSTANT, .scale = 0.1}};
     const int64_t milestones[] = {10, 90};
     cb_schedule schedule = {.kind = CB_SCHEDULE_SEQUENCE, .parts = parts,
                             .milestones = milestones, .milestone_count = 2};
     for (...) {
         cb_optimizer_schedule(optimizer, &schedule); // the rates of all groups
         ... cb_optimizer_step(optimizer) ...
         cb_schedule_advance(&schedule, loss);
     } */
typedef struct cb_schedule {
    cb_schedule_kind kind;     /* the formula */
    double gamma;              /* 0: 0.1 */
    int64_t period;            /* epochs; at least 1 where it is used */
    double scale;              /* lr0 is that of the call times this; 0: 1 */
    const int64_t *milestones; /* MULTI_STEP, SEQUENCE: rising, the caller's */
    int milestone_count;       /* how many there are */
    struct cb_schedule *parts; /* SEQUENCE: milestone_count + 1 of them, none a sequence; the
                                  caller's, and where one is PLATEAU its state is there */
    double minimum;            /* COSINE: lr at the end; PLATEAU: no lower than this */
    double start;              /* WARM_UP: the first factor, in (0, 1]; 0: 1/3 */
    int64_t patience;          /* PLATEAU: epochs without improvement that are let pass */
    double threshold;          /* PLATEAU: improved means metric < best (1 - threshold); 0: 1e-4 */
    int64_t cooldown;          /* PLATEAU: epochs after a cut in which none is counted */
    bool absolute;             /* PLATEAU: improved means metric < best - threshold */
    bool maximise;             /* PLATEAU: higher is better, the signs above reversed */
    bool repeat;               /* COSINE: the wave goes on after the period, up again and down */
    int64_t epoch;             /* state: epochs so far */
    double best;               /* state of PLATEAU */
    int64_t bad, cooling;      /* state of PLATEAU */
    double factor; /* state of PLATEAU: product of the cuts so far; 0 before the first */
} cb_schedule;

/* The learning rate for the schedule's present epoch, from the initial one. Changes nothing. NaN
   when an option is outside its range. */
CB_API double cb_schedule_lr(const cb_schedule *schedule, double initial_lr);
/* Ends an epoch. metric is read by PLATEAU only (lower is better, unless
   maximise). Does nothing when an option is outside its range. */
CB_API void cb_schedule_advance(cb_schedule *schedule, double metric);
/* Sets the rate of every group to cb_schedule_lr of its initial_lr. CB_ERROR_VALUE, recorded on the
   set and nothing changed: an option of the schedule is outside its range. */
CB_API cb_status cb_optimizer_schedule(cb_optimizer *optimizer, const cb_schedule *schedule);

/* The state of a schedule, and of its parts, as a JSON text, to be kept in the metadata of the file
   that has the optimizer's state: written into buffer as cb_optimizer_settings does; 0 without
   memory or schedule. */
CB_API size_t cb_schedule_state(const cb_schedule *schedule, char *buffer, size_t size);
/* Takes the state from such a text. The schedule has its options already, those of which the state
   was taken. CB_ERROR_FORMAT: no text (NULL), a damaged one, or one of another number of parts;
   CB_ERROR_VALUE: a number out of range; CB_ERROR_MEMORY. On failure nothing is changed. error may
   be NULL. */
CB_API cb_status cb_schedule_restore(cb_schedule *schedule, const char *text, cb_error *error);

CB_END_DECLS

#endif
