/* Windows: how many, which characters, and batches without repetition. */
#include "apps/model/windows.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <string.h>

enum { LENGTH = 62 };

static int32_t characters[LENGTH];
static char error[FAILURE_SIZE];

static void number(void) {
    for (int32_t i = 0; i < LENGTH; i++)
        characters[i] = i;
}

TestSuite(windows, .init = number);

Test(windows, count_leaves_room_for_the_character_after) {
    windows made;
    cr_assert(windows_make(passage_of_array(characters), 61, 20, &made, error));
    cr_assert_eq(made.count, 3);
    cr_assert(windows_make(passage_of_array(characters), 60, 20, &made, error));
    cr_assert_eq(made.count, 2);
    cr_assert(windows_make(passage_of_array(characters), 21, 20, &made, error));
    cr_assert_eq(made.count, 1);
    /* The paper's text: 305190 characters, 15259 windows. */
    cr_assert(windows_make(passage_of_array(characters), 305190, 20, &made, error));
    cr_assert_eq(made.count, 15259);
}

Test(windows, refuses_a_text_shorter_than_a_window) {
    windows made;
    cr_assert_not(windows_make(passage_of_array(characters), 20, 20, &made, error));
    cr_assert_str_eq(error, "the text to train on has 20 characters, fewer than a window of 20 and "
                            "the one after it");
    cr_assert_not(windows_make(passage_of_array(characters), 0, 20, &made, error));
}

Test(windows, fill_is_time_major_and_shifted_by_one) {
    windows made;
    window_batch batch;
    cr_assert(windows_make(passage_of_array(characters), LENGTH, 20, &made, error));
    cr_assert(window_batch_make(&made, 2, &batch, error));
    batch.chosen[0] = 2;
    batch.chosen[1] = 0;
    cr_assert(window_batch_fill(&made, 2, &batch, error));
    for (int t = 0; t < 20; t++) {
        cr_assert_eq(batch.x[2 * t], 40 + t);
        cr_assert_eq(batch.y[2 * t], 41 + t);
        cr_assert_eq(batch.x[2 * t + 1], t);
        cr_assert_eq(batch.y[2 * t + 1], t + 1);
    }
    window_batch_free(&batch);
}

Test(windows, refuses_a_batch_larger_than_the_data) {
    windows made;
    window_batch batch;
    cr_assert(windows_make(passage_of_array(characters), LENGTH, 20, &made, error));
    cr_assert_not(window_batch_make(&made, 4, &batch, error));
    cr_assert_str_eq(error, "a batch of 4 is larger than the data: the text has 3 windows of 20 "
                            "characters");
    cr_assert_null(batch.x);
}

Test(windows, batches_have_no_repetition_and_use_every_window) {
    windows made;
    window_batch batch;
    int drawn[12] = {0};
    cr_assert(windows_make(passage_of_array(characters), LENGTH, 5, &made, error));
    cr_assert_eq(made.count, 12);
    cr_assert(window_batch_make(&made, 4, &batch, error));
    cb_random random = cb_random_seed(7);
    for (int step = 0; step < 300; step++) {
        cr_assert(window_batch_draw(&made, &random, &batch, error));
        for (int i = 0; i < 4; i++) {
            drawn[batch.chosen[i]]++;
            for (int k = 0; k < i; k++)
                cr_assert_neq(batch.chosen[i], batch.chosen[k]);
        }
    }
    /* 100 expected for each, standard deviation 8.2. */
    for (int w = 0; w < 12; w++)
        cr_assert(drawn[w] > 59 && drawn[w] < 141, "window %d was drawn %d times", w, drawn[w]);
    window_batch_free(&batch);
}

Test(windows, a_whole_batch_takes_each_window_once) {
    windows made;
    window_batch batch;
    cr_assert(windows_make(passage_of_array(characters), LENGTH, 20, &made, error));
    cr_assert(window_batch_make(&made, 3, &batch, error));
    cb_random random = cb_random_seed(7);
    cr_assert(window_batch_draw(&made, &random, &batch, error));
    cr_assert_eq(batch.chosen[0] + batch.chosen[1] + batch.chosen[2], 3);
    window_batch_free(&batch);
}
