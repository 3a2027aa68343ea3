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
