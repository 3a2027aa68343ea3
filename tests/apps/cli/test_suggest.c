/* Edit distance and the suggestions made of it. */
#include "apps/cli/suggest.h"
#include "tensor/nearest.h"

#include <criterion/criterion.h>

static const char *const commands[] = {"train", "sample", "eval", "reproduce",
                                       "plot",  "cells",  NULL};

Test(suggest, distance_counts_single_edits_and_swaps) {
    cr_assert_eq(cbi_name_distance("plot", "plot"), 0);
    cr_assert_eq(cbi_name_distance("plot", "plt"), 1);
    cr_assert_eq(cbi_name_distance("plot", "polt"), 1);
    cr_assert_eq(cbi_name_distance("kitten", "sitting"), 3);
    cr_assert_eq(cbi_name_distance("", "abc"), 3);
}

Test(suggest, nearest_is_found_only_when_near) {
    cr_assert_str_eq(cbi_nearest_name("trian", commands), "train");
    cr_assert_str_eq(cbi_nearest_name("smaple", commands), "sample");
    cr_assert_str_eq(cbi_nearest_name("repro", commands), "reproduce");
    cr_assert_str_eq(cbi_nearest_name("cell", commands), "cells");
    cr_assert_null(cbi_nearest_name("banana", commands));
    cr_assert_null(cbi_nearest_name("", commands));
    cr_assert_null(cbi_nearest_name("x", (const char *const[]){"y", NULL}));
}

Test(suggest, words_longer_than_the_table_are_harmless) {
    char word[300];
    for (size_t i = 0; i < sizeof word - 1; i++)
        word[i] = 'a';
    word[sizeof word - 1] = '\0';
    cr_assert_null(cbi_nearest_name(word, commands));
}

Test(suggest, option_messages_say_what_is_wrong) {
    static const struct option options[] = {{"title", required_argument, NULL, 't'},
                                            {"log-x", no_argument, NULL, 'x'},
                                            {"log-y", no_argument, NULL, 'y'},
                                            {NULL, 0, NULL, 0}};
    char message[128];
    suggest_option_message('?', "--tilte=abc", options, message, sizeof message);
    cr_assert_str_eq(message, "unknown option --tilte (did you mean --title?)");
    suggest_option_message('?', "--zebra", options, message, sizeof message);
    cr_assert_str_eq(message, "unknown option --zebra");
    suggest_option_message(':', "--title", options, message, sizeof message);
    cr_assert_str_eq(message, "option --title needs a value");
    suggest_option_message('?', "--log-x=1", options, message, sizeof message);
    cr_assert_str_eq(message, "option --log-x takes no value");
    suggest_option_message('?', "--log", options, message, sizeof message);
    cr_assert_str_eq(message, "option --log could mean several options");
}
