/* The line of a terminal: what it shows, and that it is never wider than that. */
#include "apps/cli/progress.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static progress of(double held_out_loss) {
    return (progress){.label = "cerebral-lstm",
                      .epochs = 50,
                      .steps_per_epoch = 100,
                      .held_out_loss = held_out_loss};
}

Test(progress, line_has_all_where_there_is_room) {
    char line[512];
    progress p = of(1.25);
    progress_line(&p, 24, 50, 1.5, "9.9 steps/s, 4:05 left", 200, line, sizeof line);
    cr_expect_str_eq(line,
                     "cerebral-lstm [#########-----------] epoch 25/50, loss 1.5000, held out "
                     "1.2500, 9.9 steps/s, 4:05 left");
    p = of(NAN);
    progress_line(&p, 49, 100, 1.5, "9.9 steps/s, 0:00 left", 200, line, sizeof line);
    cr_expect_str_eq(line, "cerebral-lstm [####################] epoch 50/50, loss 1.5000, 9.9 "
                           "steps/s, 0:00 left");
}

Test(progress, line_is_never_wider_than_the_terminal) {
    progress p = of(1.25);
    for (int width = 0; width < 160; width++) {
        char line[512];
        progress_line(&p, 3, 1, 1234567.5, "9.9 steps/s, 123:04:05 left", width, line, sizeof line);
        cr_assert_leq(strlen(line), (size_t)width);
        cr_assert_eq(strchr(line, '\n'), NULL);
        cr_assert(width < 30 || strstr(line, "epoch 4/50") != NULL, "%s", line);
        cr_assert(width < 60 || strstr(line, "loss 1234567.5") != NULL, "%s", line);
    }
}
