/* Tick positions and labels: the counts asked for are kept, every tick lies on the axis, and the
   labels read as people would write them. */
#include "apps/chart/ticks.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The labels of the major ticks, joined by single spaces. */
static const char *labels_of(axis_scale scale, size_t most) {
    static char joined[1024];
    static tick_list ticks;
    ticks_make(&scale, most, &ticks);
    joined[0] = '\0';
    for (size_t i = 0; i < ticks.count; i++) {
        if (ticks.items[i].major) {
            size_t length = strlen(joined);
            snprintf(joined + length, sizeof joined - length, "%s%s", length == 0 ? "" : " ",
                     ticks.items[i].label);
        }
    }
    return joined;
}

Test(ticks, linear_labels_have_the_decimals_of_the_step) {
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 0, .maximum = 4.4}, 10),
                     "0.0 0.5 1.0 1.5 2.0 2.5 3.0 3.5 4.0");
    cr_assert_str_eq(labels_of((axis_scale){.minimum = -3, .maximum = 507}, 6),
                     "0 100 200 300 400 500");
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 0.1, .maximum = 0.32}, 6),
                     "0.10 0.15 0.20 0.25 0.30");
    cr_assert_str_eq(labels_of((axis_scale){.minimum = -1, .maximum = 1}, 5),
                     "−1.0 −0.5 0.0 0.5 1.0");
}

Test(ticks, very_large_and_small_values_use_powers_of_ten) {
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 0, .maximum = 2e6}, 5),
                     "0 0.5×10⁶ 1.0×10⁶ 1.5×10⁶ 2.0×10⁶");
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 0, .maximum = 3e-5}, 4),
                     "0 1×10⁻⁵ 2×10⁻⁵ 3×10⁻⁵");
}

Test(ticks, logarithmic_labels_follow_the_number_of_decades) {
    cr_assert_str_eq(labels_of((axis_scale){0.5, 150, true, false}, 4), "1 10 100");
    cr_assert_str_eq(labels_of((axis_scale){0.35, 4.5, true, false}, 5), "0.5 1 2");
    cr_assert_str_eq(labels_of((axis_scale){0.35, 4.5, true, false}, 10),
                     "0.4 0.5 0.6 0.7 0.8 0.9 1 2 3 4");
    cr_assert_str_eq(labels_of((axis_scale){1e-8, 1, true, false}, 5), "10⁻⁸ 10⁻⁶ 10⁻⁴ 10⁻² 10⁰");
    /* Less than a factor of 1.5: only a linear step has enough ticks. */
    cr_assert_str_eq(labels_of((axis_scale){1.02, 1.41, true, false}, 4), "1.1 1.2 1.3 1.4");
}

Test(ticks, whole_numbers_get_no_fractions) {
    axis_scale scale = {-0.1, 3.1, false, true};
    tick_list ticks;
    cr_assert_str_eq(labels_of(scale, 12), "0 1 2 3");
    ticks_make(&scale, 12, &ticks);
    for (size_t i = 0; i < ticks.count; i++)
        cr_assert_eq(ticks.items[i].value, floor(ticks.items[i].value));
}

/* Over many magnitudes: at most as many labels as asked for, at least one tick, all inside. */
Test(ticks, counts_and_ends_are_kept_over_all_magnitudes) {
    static tick_list ticks;
    for (int magnitude = -290; magnitude <= 290; magnitude += 10) {
        for (size_t most = 2; most <= TICKS_MOST; most++) {
            for (int logarithmic = 0; logarithmic <= 1; logarithmic++) {
                double low = 1.7 * pow(10, magnitude);
                axis_scale scale = {low, low * 7.3, logarithmic, false};
                ticks_make(&scale, most, &ticks);
                size_t majors = 0;
                for (size_t i = 0; i < ticks.count; i++) {
                    double at = axis_fraction(&scale, ticks.items[i].value);
                    cr_assert(at > -1e-6 && at < 1 + 1e-6, "%g at %g", ticks.items[i].value, at);
                    cr_assert_eq(ticks.items[i].major, ticks.items[i].label[0] != '\0');
                    majors += ticks.items[i].major;
                }
                cr_assert(majors >= 1 && majors <= most, "1e%d: %zu of %zu (log %d)", magnitude,
                          majors, most, logarithmic);
            }
        }
    }
}

Test(ticks, fraction_is_linear_in_the_value_or_its_logarithm) {
    axis_scale linear = {.minimum = 2, .maximum = 6};
    axis_scale logarithmic = {1, 100, true, false};
    cr_assert_float_eq(axis_fraction(&linear, 3), 0.25, 1e-15);
    cr_assert_float_eq(axis_fraction(&logarithmic, 10), 0.5, 1e-15);
}
