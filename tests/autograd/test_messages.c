/* What messages say, and that they do so everywhere in the same way. */
#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <locale.h>
#include <string.h>

/* A program may have set a locale in which 0.5 is "0,5". */
Test(messages, numbers_have_a_point_in_any_locale) {
    float value = 1;
    cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(1), &value);
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL || *localeconv()->decimal_point != ',')
        cr_skip_test("there is no locale de_DE.UTF-8");
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(1);
    cb_dropout(cb_input(tape, &x), 1.5, &random);
    cr_expect_not_null(strstr(cb_tape_error(tape), "a rate of 1.5 is"), "%s", cb_tape_error(tape));
    cb_tape_free(tape);
    cb_params *params = cb_params_new(1);
    cb_dropout_new(params, "drop", -0.5);
    cr_expect_not_null(strstr(cb_params_error(params), "-0.5"), "%s", cb_params_error(params));
    cb_params_free(params);
    cr_expect_eq(*localeconv()->decimal_point, ',', "the program's locale is left as it was");
}

/* A function that is made of ops is named, and not only the op that failed in it; of functions
   within each other the one that was called. */
Test(messages, functions_made_of_ops_are_named) {
    static float zeros[24];
    const cb_tensor plain[] = {cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), zeros),
                               cb_tensor_wrap(CB_F32, CB_SHAPE(4, 5), zeros),
                               cb_tensor_wrap(CB_F64, CB_SHAPE(3), zeros)};
    static const char *const expected[] = {"linear: [2,3]: a weight [4,5] takes 5 features",
                                           "mse: sub: [2,3] x [4,5]: ",
                                           "huber: sub: [2,3] x f64[3]: ",
                                           "binary_cross_entropy: mul: [2,3] x [4,5]: ",
                                           "stack: concat: ",
                                           "layer_norm: [2,3]: weight",
                                           "masked_fill: where: ",
                                           "sub: [2,3] x [4,5]: "};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        cb_tape *tape = cb_tape_new();
        cb_tensor *a = cb_input(tape, &plain[0]), *b = cb_input(tape, &plain[1]);
        cb_tensor *c = cb_input(tape, &plain[2]), *both[] = {a, b};
        switch (i) {
        case 0:
            cb_linear(a, b, NULL);
            break;
        case 1:
            cb_mse(a, b, CB_REDUCE_MEAN);
            break;
        case 2:
            cb_huber(a, c, 1, CB_REDUCE_MEAN);
            break;
        case 3:
            cb_binary_cross_entropy(a, b, CB_REDUCE_MEAN);
            break;
        case 4:
            cb_stack(2, both, 0);
            break;
        case 5:
            cb_layer_norm(a, b, NULL, 1e-5);
            break;
        case 6:
            cb_masked_fill(a, b, 0);
            break;
        default:
            cb_softmax(a, 0);
            cb_sub(a, b);
        }
        cr_expect_eq(strncmp(cb_tape_error(tape), expected[i], strlen(expected[i])), 0,
                     "\"%s\" does not begin with \"%s\"", cb_tape_error(tape), expected[i]);
        cb_tape_free(tape);
    }
}
