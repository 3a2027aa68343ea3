/* Tasks: what sequences a recurrent network is given, and what it is to say of them. Each is a row
   of one table (task.c) and a file that draws its sequences. */
#ifndef CEREBRA_APPS_TASKS_TASK_H
#define CEREBRA_APPS_TASKS_TASK_H

#include <cerebra/random.h>

#include <stdbool.h>
#include <stdint.h>

enum { TASK_PARAMETERS = 3, TASK_MOST_CLASSES = 32 };

/* What the sequences of a task look like. Inputs are symbols or features, targets are classes
   (judged by cross entropy) or values (by their mean squared error). */
typedef struct task_form {
    int64_t time;     /* steps of the longest sequence */
    int64_t symbols;  /* inputs are numbers below this; 0: features */
    int64_t features; /* numbers in an input; 0: symbols */
    int64_t classes;  /* targets are numbers below this; 0: values */
    int64_t values;   /* numbers in a target; 0: classes */
    bool last;        /* one target a sequence, after its last step; else one a step */
} task_form;

/* A target class that is none: it does not count. */
enum { TASK_NO_TARGET = -1 };

/* Sequences with their targets; owns its arrays. Those that the form has no use for are NULL. */
typedef struct task_batch {
    task_form form;
    int64_t size;      /* sequences */
    int32_t *lengths;  /* [size]: steps that count, 1..time */
    int32_t *symbols;  /* [time, size] */
    float *features;   /* [time, size, features] */
    int32_t *classes;  /* [time, size], or [size] when form.last */
    uint32_t *allowed; /* like classes: bit c is set when class c is right as well; of tasks where
                          several are */
    float *values;     /* [time, size, values], or [size, values] when form.last */
} task_batch;

/* A number that a task can be given: "adding:length=200". Whole, from low to high. */
typedef struct task_parameter {
    const char *name, *help;
    int64_t otherwise, low, high;
} task_parameter;

typedef struct task_setup task_setup;

typedef struct task {
    const char *name;
    const char *summary;                        /* one line */
    const char *equation;                       /* what the target is */
    const char *source;                         /* the paper that it is from */
    task_parameter parameters[TASK_PARAMETERS]; /* those with a name */
    void (*set_form)(task_setup *setup);
    /* Fills the k-th sequence of a batch whose arrays are zero, classes TASK_NO_TARGET. */
    void (*draw)(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k);
    bool several_right; /* batches have `allowed` */
} task;

/* A task with its parameters. */
struct task_setup {
    const task *task;
    int64_t parameter[TASK_PARAMETERS];
    task_form form;
};

/* All tasks, ended by NULL. */
extern const task *const tasks[];

/* Reads "NAME" or "NAME:PARAMETER=VALUE:...". Fails with one line in error (room for FAILURE_SIZE
   bytes), which names the nearest task or parameter. */
bool task_choose(const char *text, task_setup *chosen, char *error);

/* Room for sequences of this form. Fails when there is no memory. */
bool task_batch_make(const task_form *form, bool several_right, int64_t size, task_batch *made,
                     char *error);
void task_batch_free(task_batch *batch);

/* Draws all sequences of a batch anew. They depend on the generator alone. */
void task_draw(const task_setup *setup, cb_random *random, task_batch *batch);

/* What the best guess that sees no input costs on a batch: with classes, the entropy of their
   frequencies over all targets, in nats; with values, the variance about their mean. Where the time
   step says something, a guess may know it: then frequencies and means are those of each step. */
double task_guess(const task_batch *batch, bool knows_time);

/* Places in a batch's arrays. */
static inline int64_t task_at(const task_batch *b, int64_t t, int64_t k) {
    return t * b->size + k;
}

#endif
