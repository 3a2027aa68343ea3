/* Tick positions and labels: the counts asked for are kept, every tick lies on the axis, and the
   labels read as people would write them. */
#include "apps/chart/ticks.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 0, .maximum = 2e7}, 5),
                     "0 0.5×10⁷ 1.0×10⁷ 1.5×10⁷ 2.0×10⁷");
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

Test(ticks, digits_in_common_are_an_offset) {
    axis_scale seconds = {.minimum = 1723456789, .maximum = 1723456789.5};
    tick_list ticks;
    cr_assert_str_eq(labels_of(seconds, 8), "0.0 0.1 0.2 0.3 0.4 0.5");
    ticks_make(&seconds, 8, &ticks);
    cr_assert_str_eq(ticks.offset, "+ 1723456789");
    axis_scale day = {.minimum = -1.7e9 - 86400, .maximum = -1.7e9};
    cr_assert_str_eq(labels_of(day, 6), "20000 40000 60000 80000 100000");
    ticks_make(&day, 6, &ticks);
    cr_assert_str_eq(ticks.offset, "− 1700100000");
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 2000, .maximum = 2050}, 6),
                     "2000 2010 2020 2030 2040 2050");
}

Test(ticks, neighbouring_numbers_have_all_their_digits) {
    double next = nextafter(nextafter(1, 2), 2);
    cr_assert_str_eq(labels_of((axis_scale){.minimum = 1, .maximum = next}, 5),
                     "1.0000000000000000 1.0000000000000002 1.0000000000000004");
}

static cb_random generator;

static double uniform(void) {
    double value;
    cb_random_uniform_f64(&generator, 1, &value, 0, 1);
    return value;
}

/* A range of any magnitude: wide, narrow, of a few neighbouring numbers, around 0, or of those that
   people have, as dates and epochs. */
static axis_scale draw_scale(void) {
    axis_scale scale = {.logarithmic = uniform() < 0.4};
    double kind = uniform();
    double sign = !scale.logarithmic && uniform() < 0.5 ? -1 : 1;
    scale.minimum = sign * pow(10, uniform() * 600 - 300) * (1 + uniform());
    if (kind < 0.3) {
        scale.maximum = scale.minimum + fabs(scale.minimum) * pow(10, -16 * uniform());
    } else if (kind < 0.5) {
        scale.maximum = scale.minimum;
        for (int steps = (int)(uniform() * 200) + 1; steps > 0; steps--)
            scale.maximum = nextafter(scale.maximum, INFINITY);
    } else if (kind < 0.7) {
        scale.maximum = pow(10, uniform() * 600 - 300);
    } else if (kind < 0.8) {
        scale.minimum = 1.7e9 + floor(uniform() * 1e6);
        scale.maximum = scale.minimum + pow(10, uniform() * 8 - 4);
    } else if (kind < 0.9) {
        scale.maximum = fabs(scale.minimum) * (1 + uniform());
        scale.minimum = scale.logarithmic ? scale.minimum : -scale.maximum * uniform();
    } else {
        scale.minimum = uniform() + (scale.logarithmic ? 0.01 : 0);
        scale.maximum = scale.minimum + pow(10, uniform() * 6 - 3);
        scale.integer = !scale.logarithmic && uniform() < 0.5;
    }
    if (scale.minimum >= scale.maximum)
        scale.maximum = nextafter(scale.minimum, INFINITY);
    return scale;
}

static void check_ticks(const axis_scale *scale, size_t most, unsigned long long seed) {
    static tick_list ticks;
    ticks_make(scale, most, &ticks);
    size_t majors = 0;
    for (size_t i = 0; i < ticks.count; i++) {
        const tick *item = &ticks.items[i];
        cr_assert(item->value >= scale->minimum && item->value <= scale->maximum,
                  "seed %llu: %.17g of %.17g .. %.17g", seed, item->value, scale->minimum,
                  scale->maximum);
        double at = axis_fraction(scale, item->value);
        cr_assert(at >= -1e-9 && at <= 1 + 1e-9, "seed %llu: %g", seed, at);
        cr_assert_eq(item->major, item->label[0] != '\0');
        majors += item->major;
        for (size_t j = 0; j < i && item->major; j++)
            cr_assert_str_neq(ticks.items[j].label, item->label, "seed %llu: %.17g .. %.17g", seed,
                              scale->minimum, scale->maximum);
    }
    cr_assert(majors >= 2 && majors <= most, "seed %llu: %.17g .. %.17g: %zu of %zu (log %d)", seed,
              scale->minimum, scale->maximum, majors, most, scale->logarithmic);
}

/* New ranges each run; CEREBRA_TEST_SEED repeats one. */
Test(ticks, every_range_has_two_labels_that_differ_and_lie_inside) {
    const char *again = getenv("CEREBRA_TEST_SEED");
    unsigned long long seed = again != NULL
                                  ? strtoull(again, NULL, 10)
                                  : (unsigned long long)time(NULL) * 1000003U + (unsigned)getpid();
    printf("ticks: CEREBRA_TEST_SEED=%llu\n", seed);
    generator = cb_random_seed(seed);
    for (int i = 0; i < 60000; i++) {
        axis_scale scale = draw_scale();
        check_ticks(&scale, 2 + (size_t)(uniform() * (TICKS_MOST - 1)), seed);
    }
}

Test(ticks, fraction_is_linear_in_the_value_or_its_logarithm) {
    axis_scale linear = {.minimum = 2, .maximum = 6};
    axis_scale logarithmic = {1, 100, true, false};
    cr_assert_float_eq(axis_fraction(&linear, 3), 0.25, 1e-15);
    cr_assert_float_eq(axis_fraction(&logarithmic, 10), 0.5, 1e-15);
}
