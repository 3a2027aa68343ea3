/* `cerebra tasks`: lists the tasks, and shows what one of them asks for. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/tasks/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char about[] =
    "Lists the tasks that recurrent networks are compared on: what is to be said of a sequence, "
    "and "
    "where the task is from. With TASK, NAME or NAME:PARAMETER=VALUE:..., only these: what they "
    "look like, what a guess costs, and the beginning of a sequence.\n";

static const char notes[] = "Losses are mean cross entropies in nats, or mean squared errors, over "
                            "all targets. A guess sees "
                            "no input; the second one knows which step it is at. Both are measured "
                            "on --sequences of them.\n"
                            "\n"
                            "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

typedef struct request {
    int64_t sequences, steps;
    uint64_t seed;
    bool names;
    option_list which;
} request;

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"sequences", .whole = &asked->sequences, .value = "N",
         .help = "sequences that a guess is measured on", .low = 1, .high = 100000},
        {"steps", .whole = &asked->steps, .value = "N",
         .help = "steps of a sequence that are shown at most", .low = 0, .high = 100000},
        {"seed", .seed = &asked->seed, .value = "N", .help = "another seed, other sequences"},
        {"names", .flag = &asked->names, .help = "print the names only, one in a line"},
        {.name = NULL},
    };
    const option_table table = {.command = "tasks",
                                .synopsis = "[OPTION ...] [TASK ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows,
                                .operand = "TASK",
                                .operands = &asked->which};
    return options_parse(&table, argc, argv, error);
}

static void print_task(const task *t) {
    printf("%-14s  %s\n", t->name, t->summary);
    printf("%16s%s\n", "", t->equation);
    for (int i = 0; i < TASK_PARAMETERS && t->parameters[i].name != NULL; i++) {
        const task_parameter *p = &t->parameters[i];
        printf("%16s%s: %s (%lld)\n", "", p->name, p->help, (long long)p->otherwise);
    }
    printf("%16s%s\n\n", "", t->source);
}

static void print_form(const task_form *form) {
    printf("sequences   of at most %lld steps\ninput       ", (long long)form->time);
    if (form->symbols > 0)
        printf("one of %lld symbols\n", (long long)form->symbols);
    else
        printf("%lld number%s\n", (long long)form->features, form->features == 1 ? "" : "s");
    if (form->classes > 0)
        printf("target      one of %lld classes", (long long)form->classes);
    else
        printf("target      %lld number%s", (long long)form->values, form->values == 1 ? "" : "s");
    printf(" %s\n", form->last ? "after the last step" : "at each step");
}

static void print_input(const task_batch *b, int64_t at) {
    if (b->symbols != NULL)
        printf("%d", b->symbols[at]);
    for (int64_t i = 0; b->features != NULL && i < b->form.features; i++)
        printf("%s%.4g", i > 0 ? "," : "", b->features[at * b->form.features + i]);
}

static void print_target(const task_batch *b, int64_t at) {
    if (b->classes != NULL && b->classes[at] == TASK_NO_TARGET)
        printf("-");
    else if (b->classes != NULL)
        printf("%d", b->classes[at]);
    for (int64_t i = 0; b->values != NULL && i < b->form.values; i++)
        printf("%s%.4g", i > 0 ? "," : "", b->values[at * b->form.values + i]);
    for (int c = 0; b->allowed != NULL && c < TASK_MOST_CLASSES; c++)
        if ((b->allowed[at] >> c & 1) != 0 && c != b->classes[at])
            printf("|%d", c);
}

/* The beginning of the first sequence: x -> y, x -> y, ... */
static void print_example(const task_batch *b, int64_t most) {
    int64_t steps = b->lengths[0] < most ? b->lengths[0] : most;
    printf("example     ");
    for (int64_t t = 0; t < steps; t++) {
        printf("%s", t > 0 ? "  " : "");
        print_input(b, task_at(b, t, 0));
        if (!b->form.last) {
            printf(":");
            print_target(b, task_at(b, t, 0));
        }
    }
    printf("%s", steps < b->lengths[0] ? " ..." : "");
    if (b->form.last) {
        printf(" -> ");
        print_target(b, 0);
    }
    printf("\n\n");
}

/* Returns the exit code. */
static int show(const request *asked, const char *text, char *error) {
    task_setup setup;
    task_batch batch;
    if (!task_choose(text, &setup, error))
        return EXIT_USAGE;
    if (!task_batch_make(&setup.form, setup.task->several_right, asked->sequences, &batch, error))
        return EXIT_FAILURE;
    cb_random random = cb_random_seed(asked->seed);
    task_draw(&setup, &random, &batch);
    print_task(setup.task);
    print_form(&setup.form);
    printf("a guess     %.4g", task_guess(&batch, false));
    if (!setup.form.last)
        printf(", knowing the step %.4g", task_guess(&batch, true));
    printf("\n");
    print_example(&batch, asked->steps);
    task_batch_free(&batch);
    return EXIT_SUCCESS;
}

int cerebra_tasks(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.sequences = 1000, .steps = 12, .seed = 1};
    options_outcome outcome = parse(&asked, argc, argv, error);
    int status = outcome == OPTIONS_BAD ? command_fail("tasks", EXIT_USAGE, error) : EXIT_SUCCESS;
    if (outcome == OPTIONS_RUN && asked.which.count == 0)
        for (int i = 0; tasks[i] != NULL; i++)
            asked.names ? (void)puts(tasks[i]->name) : print_task(tasks[i]);
    for (size_t i = 0; outcome == OPTIONS_RUN && i < asked.which.count && status == EXIT_SUCCESS;
         i++) {
        status = show(&asked, asked.which.values[i], error);
        if (status != EXIT_SUCCESS)
            command_fail("tasks", status, error);
    }
    free(asked.which.values);
    return status;
}
