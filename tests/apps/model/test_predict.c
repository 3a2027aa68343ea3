/* Prediction: the loss over windows and with the state carried, reading piece by piece, and the
   temperature. */
#include "apps/model/predict.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <math.h>

enum { LENGTH = 300, VOCABULARY = 5 };

static model made;
static char error[FAILURE_SIZE];
static int32_t characters[LENGTH];

static void set_up(void) {
    const model_config config = {.cell = cell_choose("lstm", NULL, error),
                                 .vocabulary = VOCABULARY,
                                 .embedding = 4,
                                 .hidden = 6,
                                 .layers = 2,
                                 .seq_len = 7,
                                 .dropout = 0.5};
    model_init init;
    cr_assert(model_init_find("default", &init));
    cr_assert(model_make(&config, &init, 11, &made, error), "%s", error);
    for (int i = 0; i < LENGTH; i++)
        characters[i] = (i * i + i / 3) % VOCABULARY;
}

static void tear_down(void) {
    model_free(&made);
}

TestSuite(predict, .init = set_up, .fini = tear_down);

Test(predict, carried_and_windows_agree_within_one_window) {
    double windows, carried;
    cr_assert(predict_windows(&made, passage_of_array(characters), 8, &windows, error), "%s",
              error);
    cr_assert(predict_carried(&made, passage_of_array(characters), 8, &carried, error), "%s",
              error);
    cr_assert_float_eq(windows, carried, 1e-6);
    cr_assert(predict_windows(&made, passage_of_array(characters), 300, &windows, error));
    cr_assert(predict_carried(&made, passage_of_array(characters), 300, &carried, error));
    cr_assert(fabs(windows - carried) > 1e-7, "the state is not carried");
}

Test(predict, windows_are_the_mean_over_all_pieces) {
    /* 17 predictions: windows of 7, 7 and 3, each from a zero state. */
    double whole, first, second, last;
    cr_assert(predict_windows(&made, passage_of_array(characters), 18, &whole, error));
    cr_assert(predict_carried(&made, passage_of_array(characters), 8, &first, error));
    cr_assert(predict_carried(&made, passage_of_array(characters + 7), 8, &second, error));
    cr_assert(predict_carried(&made, passage_of_array(characters + 14), 4, &last, error));
    cr_assert_float_eq(whole, (7 * first + 7 * second + 3 * last) / 17, 1e-6);
}

/* Parts are read side by side; each is what predict_carried makes of it. */
Test(predict, parts_are_the_mean_over_carried_parts) {
    enum { LONG = 5000 };
    static int32_t text[LONG];
    cb_random random = cb_random_seed(3);
    for (int i = 0; i < LONG; i++)
        text[i] = (int32_t)cb_random_below(&random, VOCABULARY);
    const int64_t counts[] = {2, 50, 1024, 2048, 2050, 3500, 4097, LONG};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int64_t count = counts[k], parts = predict_part_count(count);
        cr_assert_eq(parts, count <= 2048 ? 1 : (count - 1) / 1024);
        /* Pieces of at most 64 characters, all of one length. */
        int64_t length = (count - 1) / parts, pieces = (length + 63) / 64;
        length = length / pieces * pieces;
        double whole, sum = 0;
        cr_assert(predict_parts(&made, passage_of_array(text), count, &whole, error), "%s", error);
        for (int64_t part = 0; part < parts; part++) {
            double loss;
            cr_assert(predict_carried(&made, passage_of_array(text + part * length), length + 1,
                                      &loss, error));
            sum += loss;
        }
        cr_expect_float_eq(whole, sum / (double)parts, 1e-5, "%lld characters: %g, not %g",
                           (long long)count, whole, sum / (double)parts);
        cr_expect(count < 100 || (count - 1 - parts * length) * 32 < count, "too much is left out");
    }
    cr_assert_eq(predict_part_count(1000000), 32);
}

Test(predict, refuses_a_text_without_anything_to_predict) {
    double loss;
    cr_assert_not(predict_windows(&made, passage_of_array(characters), 1, &loss, error));
    cr_assert_not(predict_carried(&made, passage_of_array(characters), 0, &loss, error));
    cr_assert_not(predict_parts(&made, passage_of_array(characters), 1, &loss, error));
}

Test(predict, reading_in_pieces_gives_the_same_logits) {
    reader *whole = reader_new(&made, error);
    reader *pieces = reader_new(&made, error);
    const cb_tensor *expected = reader_feed(whole, characters, 30, error);
    cr_assert_not_null(expected);
    for (int i = 0; i < 30; i++) {
        const cb_tensor *logits = reader_feed(pieces, characters + i, 1, error);
        cr_assert_not_null(logits, "%s", error);
        for (int c = 0; c < VOCABULARY; c++) {
            cr_assert_float_eq(((const float *)logits->data)[c],
                               ((const float *)expected->data)[i * VOCABULARY + c], 1e-5);
        }
    }
    reader_free(whole);
    reader_free(pieces);
}

Test(predict, picks_by_temperature) {
    float values[] = {9, 9, 9, 0, 1, 2}; /* the last of two rows counts */
    cb_tensor logits = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 1, 3), values);
    cb_random random = cb_random_seed(5);
    int counts[3] = {0};
    const int draws = 20000;
    cr_assert_eq(reader_pick(&logits, 0, &random), 2);
    cr_assert_eq(reader_pick(&logits, 1e-3, &random), 2);
    for (int i = 0; i < draws; i++)
        counts[reader_pick(&logits, 2, &random)]++;
    double total = 1 + exp(0.5) + exp(1);
    for (int c = 0; c < 3; c++) {
        double p = exp(c / 2.0) / total;
        double deviation = sqrt(p * (1 - p) / draws);
        cr_assert(fabs((double)counts[c] / draws - p) < 5 * deviation, "class %d: %d", c,
                  counts[c]);
    }
}
