/* What is said of networks that cannot be of the sizes that they are asked to have, and of what a
   run is given that is of other sizes. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <stdio.h>
#include <string.h>

enum { INPUT = 3, HIDDEN = 8, TIME = 6, BATCH = 4 };

/* ---- When a network is made ------------------------------------------------------------------ */

/* What is said of a network of input 3 and hidden 8, and of its recurrence. */
static void expect_unfit(const char *text, const cb_setting *settings, const char *says) {
    cb_error error = {.status = CB_OK};
    cb_cell *cell = cb_cell_parse(text, NULL, &error);
    cr_assert_not_null(cell, "%s", error.message);
    cb_params *params = cb_params_new(1);
    const cb_rnn_options options = {.hidden = HIDDEN, .settings = settings};
    cr_expect_null(cb_rnn_new_with(params, "rnn", cell, INPUT, &options), "%s", text);
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cr_expect(strstr(cb_params_error(params), says) != NULL, "%s", cb_params_error(params));
    cr_expect_null(cb_cell_scan_new(cell, CB_F32, INPUT, &options, &error), "%s", text);
    cr_expect_eq(error.status, CB_ERROR_VALUE);
    cr_expect(strstr(error.message, says) != NULL, "%s", error.message);
    cb_params_free(params);
    cb_cell_free(cell);
}

Test(sizes, equations_have_to_fit_the_sizes) {
    static const cb_setting zero[] = {{"a", 0}, {NULL, 0}};
#define WITH "cell:2: with input 3 and hidden 8, "
    expect_unfit(
        "a, b, c = split(h)\nh' = U [a, b, c] + W x", NULL,
        "cell:1: with input 3 and hidden 8, the size of \"a\", hidden / 3, is 2.66667; it has "
        "to be a whole number");
    expect_unfit("h' = U a + V b + W x\na, b = split(x)", NULL,
                 WITH "the size of \"a\", input / 2, is 1.5;");
    expect_unfit("h' = U a + W x\na[hidden - 8] = V h", NULL,
                 WITH "the size of \"a\", hidden - 8, is 0;");
    expect_unfit("\nh' = heads 3 U h + W x", NULL,
                 WITH "the 8 rows of \"U\" cannot be cut into 3 equal blocks");
    expect_unfit("h' = U m + V x\nm' = heads 4 W x\nstate m[8]", NULL,
                 WITH "the 3 columns of \"W\" cannot be cut into 4 equal blocks");
    expect_unfit("let a = 1\nh' = W x / log(2 - 1 / a)", zero, WITH);
    expect_unfit("h' = W x +\n h^(1 / (input - 3))", NULL,
                 WITH "\"(1 / (input - 3))\" is no finite number: it is infinite");
    expect_unfit("h' = W x + b\ninit b = log(2 - input)", NULL,
                 WITH "the first values of \"b\" cannot be: they are not finite");
    expect_unfit("let a = 1\nh' = W x * (2 / a)", zero, WITH "\"(2 / a)\" is no finite number");
}

/* The same of a cell in C. */
Test(sizes, rows_have_to_be_multiples_of_blocks) {
    static const cb_cell_param params[] = {
        {"W", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 3}};
    cb_cell cell = cb_rnn_tanh;
    cb_error error = {.status = CB_OK};
    const cb_rnn_options options = {.hidden = HIDDEN};
    cell.params = params;
    cell.param_count = 1;
    cr_expect_null(cb_cell_scan_new(&cell, CB_F32, INPUT, &options, &error));
    cr_expect_eq(error.status, CB_ERROR_VALUE);
    cr_expect(strstr(error.message, "the rows of W cannot be cut into 3 equal blocks") != NULL,
              "%s", error.message);
}

/* ---- When it runs ---------------------------------------------------------------------------- */

/* A run of a network of whose states or masks, `list`, one has too few sequences. */
static void expect_refused(const cb_rnn *rnn, cb_rnn_io io, cb_tensor **list, int count, int wrong,
                           const char *says) {
    cb_tensor *observed[2];
    cb_tape *tape = cb_tape_new();
    for (int i = 0; i < count; i++)
        list[i] = cb_full(tape, CB_F32, CB_SHAPE(BATCH - (i == wrong), HIDDEN), 1);
    io.observed = observed;
    cb_rnn_forward(rnn, cb_full(tape, CB_F32, CB_SHAPE(TIME, BATCH, INPUT), 1), &io);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cr_expect(strstr(cb_tape_error(tape), says) != NULL, "%s", cb_tape_error(tape));
    cb_tape_free(tape);
}

Test(sizes, states_and_masks_are_checked_by_name) {
    cb_cell *cell =
        cb_cell_parse("a = W x + U h\nc' = tanh(a) + V c\nh' = c' * a\nobserve a", NULL, NULL);
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn =
        cb_rnn_new(params, "rnn", cell, INPUT, HIDDEN, .layers = 2, .recurrent_dropout = 0.5);
    cb_tensor *list[4];
    cr_assert_not_null(rnn);
    for (int i = 0; i < 4; i++) {
        char says[80];
        snprintf(says, sizeof says, "initial state %d is [3,8], not [4,8]", i);
        expect_refused(rnn, (cb_rnn_io){.initial = list}, list, 4, i, says);
        snprintf(says, sizeof says, "rnn \"rnn\": mask %d is [3,8], not [4,8]", i);
        expect_refused(rnn, (cb_rnn_io){.masks = list}, list, 4, i, says);
    }
    cb_params_free(params);
    cb_cell_free(cell);
}
