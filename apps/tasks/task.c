/* The table of tasks, choosing one by name, and batches of sequences. */
#include "task.h"

#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/cli/suggest.h"
#include "tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const task *const tasks[] = {&task_adding, &task_copy,           &task_parity,
                             &task_reber,  &task_embedded_reber, &task_brackets,
                             &task_sines,  &task_mackey_glass,   NULL};

enum { TASKS = sizeof tasks / sizeof tasks[0], NAME_SIZE = 64 };

/* ---- Choosing -------------------------------------------------------------------------------- */

static const task *find(const char *name, char *error) {
    const char *names[TASKS] = {NULL};
    for (int i = 0; tasks[i] != NULL; i++) {
        names[i] = tasks[i]->name;
        if (strcmp(name, names[i]) == 0)
            return tasks[i];
    }
    suggest_name("tasks", name, names, error);
    return NULL;
}

/* Takes "NAME=VALUE". */
static bool set_parameter(task_setup *setup, const char *text, char *error) {
    char name[NAME_SIZE];
    const char *names[TASK_PARAMETERS + 1] = {NULL};
    const char *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
    for (int i = 0; i < TASK_PARAMETERS; i++) {
        const task_parameter *p = &setup->task->parameters[i];
        names[i] = p->name;
        if (p->name == NULL || strcmp(p->name, name) != 0)
            continue;
        if (equals == NULL || !options_parse_whole(equals + 1, &setup->parameter[i]) ||
            setup->parameter[i] < p->low || setup->parameter[i] > p->high) {
            return failure(error, FAILURE_SIZE,
                           "task %s: %s must be a whole number from %lld to %lld, not \"%s\"",
                           setup->task->name, name, (long long)p->low, (long long)p->high,
                           equals == NULL ? "" : equals + 1);
        }
        return true;
    }
    char what[2 * NAME_SIZE];
    snprintf(what, sizeof what, "task %s", setup->task->name);
    return suggest_name(what, name, names, error);
}

bool task_choose(const char *text, task_setup *chosen, char *error) {
    char part[2 * NAME_SIZE];
    size_t length = strcspn(text, ":");
    snprintf(part, sizeof part, "%.*s", (int)length, text);
    *chosen = (task_setup){.task = find(part, error)};
    if (chosen->task == NULL)
        return false;
    for (int i = 0; i < TASK_PARAMETERS; i++)
        chosen->parameter[i] = chosen->task->parameters[i].otherwise;
    while (text[length] == ':') {
        text += length + 1;
        length = strcspn(text, ":");
        snprintf(part, sizeof part, "%.*s", (int)length, text);
        if (!set_parameter(chosen, part, error))
            return false;
    }
    chosen->task->set_form(chosen);
    return true;
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* How many targets a batch has room for. */
static int64_t targets(const task_batch *batch) {
    return batch->size * (batch->form.last ? 1 : batch->form.time);
}

static void *array(int64_t count, int64_t each, size_t size, bool *good) {
    if (each == 0)
        return NULL;
    bool fits = count <= (INT64_MAX / 64) / each;
    void *made = fits ? calloc((size_t)(count * each), size) : NULL;
    *good = *good && made != NULL;
    return made;
}

bool task_batch_make(const task_form *form, bool several_right, int64_t size, task_batch *made,
                     char *error) {
    *made = (task_batch){.form = *form, .size = size};
    bool good = size <= INT64_MAX / 64 / form->time;
    if (good) {
        int64_t steps = form->time * size;
        made->lengths = array(size, 1, sizeof *made->lengths, &good);
        made->symbols = array(steps, form->symbols > 0, sizeof *made->symbols, &good);
        made->features = array(steps, form->features, sizeof *made->features, &good);
        made->classes = array(targets(made), form->classes > 0, sizeof *made->classes, &good);
        made->allowed = array(targets(made), several_right, sizeof *made->allowed, &good);
        made->values = array(targets(made), form->values, sizeof *made->values, &good);
    }
    if (!good)
        task_batch_free(made);
    return good || failure(error, FAILURE_SIZE, "out of memory for a batch of %lld sequences",
                           (long long)size);
}

void task_batch_free(task_batch *batch) {
    free(batch->lengths);
    free(batch->symbols);
    free(batch->features);
    free(batch->classes);
    free(batch->allowed);
    free(batch->values);
    *batch = (task_batch){.size = 0};
}

void task_draw(const task_setup *setup, cb_random *random, task_batch *batch) {
    const task_form *form = &batch->form;
    size_t steps = (size_t)(form->time * batch->size), count = (size_t)targets(batch);
    if (batch->symbols != NULL)
        memset(batch->symbols, 0, steps * sizeof *batch->symbols);
    if (batch->features != NULL)
        memset(batch->features, 0, steps * (size_t)form->features * sizeof *batch->features);
    if (batch->allowed != NULL)
        memset(batch->allowed, 0, count * sizeof *batch->allowed);
    if (batch->values != NULL)
        memset(batch->values, 0, count * (size_t)form->values * sizeof *batch->values);
    for (size_t i = 0; i < count && batch->classes != NULL; i++)
        batch->classes[i] = TASK_NO_TARGET;
    for (int64_t k = 0; k < batch->size; k++)
        setup->task->draw(setup, random, batch, k);
}

/* ---- Guessing -------------------------------------------------------------------------------- */

/* The loss, summed over the targets [from, to), of their best constant guess; *count: how many. */
static double guess_between(const task_batch *batch, int64_t from, int64_t to, int64_t *count) {
    double total = 0;
    *count = 0;
    if (batch->form.classes > 0) {
        int64_t seen[TASK_MOST_CLASSES] = {0};
        for (int64_t i = from; i < to; i++) {
            if (batch->classes[i] != TASK_NO_TARGET) {
                seen[batch->classes[i]]++;
                ++*count;
            }
        }
        for (int c = 0; c < TASK_MOST_CLASSES; c++)
            total -= seen[c] > 0 ? (double)seen[c] * log((double)seen[c] / (double)*count) : 0;
        return total;
    }
    int64_t width = batch->form.values;
    *count = to - from;
    for (int64_t v = 0; v < width; v++) {
        double mean = 0, squares = 0;
        for (int64_t i = from; i < to; i++)
            mean += batch->values[i * width + v] / (double)*count;
        for (int64_t i = from; i < to; i++)
            squares += pow(batch->values[i * width + v] - mean, 2);
        total += squares / (double)width;
    }
    return total;
}

double task_guess(const task_batch *batch, bool knows_time) {
    int64_t all = targets(batch), part = knows_time ? batch->size : all, counted = 0;
    double total = 0;
    for (int64_t at = 0; at < all; at += part) {
        int64_t count;
        total += guess_between(batch, at, at + part, &count);
        counted += count;
    }
    return counted > 0 ? total / (double)counted : 0;
}
