/* Tasks: what is drawn is held to what the task says, by checkers that know nothing of how it was
   drawn; and what a guess costs to the figures of the papers. */
#include "apps/tasks/task.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <time.h>

enum { SEQUENCES = 400 };

static char error[FAILURE_SIZE];
static uint64_t seed;
static task_setup setup;
static task_batch batch;

/* Draws sequences of a task with a new seed each run. */
static void draw(const char *text) {
    seed = (uint64_t)time(NULL);
    cr_assert(task_choose(text, &setup, error), "%s", error);
    cr_assert(task_batch_make(&setup.form, setup.task->several_right, SEQUENCES, &batch, error));
    cb_random random = cb_random_seed(seed);
    task_draw(&setup, &random, &batch);
}

static int symbol(int64_t t, int64_t k) {
    return batch.symbols[task_at(&batch, t, k)];
}

static int class_of(int64_t t, int64_t k) {
    return batch.classes[task_at(&batch, t, k)];
}

/* ---- Choosing -------------------------------------------------------------------------------- */

Test(tasks, are_chosen_by_name_and_parameters) {
    cr_assert(task_choose("adding", &setup, error), "%s", error);
    cr_expect_eq(setup.form.time, 100);
    cr_assert(task_choose("copy:delay=7:count=2", &setup, error), "%s", error);
    cr_expect_eq(setup.form.time, 11);
    static const char *const bad[][2] = {
        {"addin", "tasks: there is no \"addin\" (did you mean adding?)"},
        {"copy:dela=3", "task copy: there is no \"dela\" (did you mean delay?)"},
        {"copy:delay=0", "task copy: delay must be a whole number from 1 to 100000, not \"0\""},
        {"copy:delay=", "task copy: delay must be a whole number from 1 to 100000, not \"\""},
        {"copy:delay", "task copy: delay must be a whole number from 1 to 100000, not \"\""},
        {"parity:length=1e3", "task parity: length must be a whole number from 1 to 100000, not "
                              "\"1e3\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_not(task_choose(bad[i][0], &setup, error));
        cr_expect_str_eq(error, bad[i][1]);
    }
    cr_expect_not(task_choose("", &setup, error));
    cr_expect_not(task_choose("copy:", &setup, error));
}

Test(tasks, sequences_depend_on_the_seed_alone) {
    for (int i = 0; tasks[i] != NULL; i++) {
        task_batch again;
        draw(tasks[i]->name);
        cr_assert(
            task_batch_make(&setup.form, setup.task->several_right, SEQUENCES, &again, error));
        cb_random random = cb_random_seed(seed);
        task_draw(&setup, &random, &again);
        cb_random other = random;
        task_draw(&setup, &other, &again); /* what was there before is drawn over */
        random = cb_random_seed(seed);
        task_draw(&setup, &random, &again);
        int64_t steps = setup.form.time * SEQUENCES;
        if (batch.symbols != NULL)
            cr_expect_arr_eq(batch.symbols, again.symbols, (size_t)steps * sizeof *batch.symbols);
        if (batch.features != NULL)
            cr_expect_arr_eq(batch.features, again.features,
                             (size_t)(steps * setup.form.features) * sizeof *batch.features);
        if (batch.classes != NULL && !setup.form.last)
            cr_expect_arr_eq(batch.classes, again.classes, (size_t)steps * sizeof *batch.classes);
        cr_expect_arr_eq(batch.lengths, again.lengths, SEQUENCES * sizeof *batch.lengths);
        task_batch_free(&again);
        task_batch_free(&batch);
    }
}

/* Numbers are within the form, and what is beyond a sequence's end does not count. */
Test(tasks, sequences_are_of_the_form) {
    for (int i = 0; tasks[i] != NULL; i++) {
        draw(tasks[i]->name);
        for (int64_t k = 0; k < SEQUENCES; k++) {
            cr_assert(batch.lengths[k] >= 1 && batch.lengths[k] <= setup.form.time);
            for (int64_t t = 0; t < setup.form.time; t++) {
                if (batch.symbols != NULL)
                    cr_assert(symbol(t, k) >= 0 && symbol(t, k) < setup.form.symbols);
                if (batch.classes == NULL || setup.form.last)
                    continue;
                cr_assert(class_of(t, k) >= TASK_NO_TARGET && class_of(t, k) < setup.form.classes);
                if (t >= batch.lengths[k])
                    cr_assert_eq(class_of(t, k), TASK_NO_TARGET);
                if (batch.allowed != NULL && class_of(t, k) != TASK_NO_TARGET)
                    cr_assert_neq(batch.allowed[task_at(&batch, t, k)] >> class_of(t, k) & 1, 0);
            }
        }
        task_batch_free(&batch);
    }
}

/* ---- Each task ------------------------------------------------------------------------------- */

Test(tasks, adding_adds_what_is_marked) {
    draw("adding:length=31");
    for (int64_t k = 0; k < SEQUENCES; k++) {
        double sum = 0;
        int marked[2] = {0};
        for (int64_t t = 0; t < 31; t++) {
            const float *x = batch.features + 2 * task_at(&batch, t, k);
            cr_assert(x[0] >= 0 && x[0] <= 1 && (x[1] == 0 || x[1] == 1));
            sum += x[1] == 1 ? x[0] : 0;
            marked[t >= 15] += x[1] == 1;
        }
        cr_assert(marked[0] == 1 && marked[1] == 1);
        cr_assert_float_eq(sum, batch.values[k], 1e-6);
    }
    task_batch_free(&batch);
}

Test(tasks, copy_repeats_after_the_signal) {
    draw("copy:delay=13:count=4");
    for (int64_t k = 0; k < SEQUENCES; k++) {
        for (int64_t t = 0; t < 21; t++) {
            cr_assert_eq(symbol(t, k) < 8, t < 4);
            cr_assert_eq(symbol(t, k) == 9, t == 16);
            cr_assert_eq(class_of(t, k), t < 17 ? 8 : symbol(t - 17, k));
        }
    }
    task_batch_free(&batch);
}

Test(tasks, parity_is_of_the_bits_so_far) {
    draw("parity:length=40");
    for (int64_t k = 0; k < SEQUENCES; k++) {
        int ones = 0;
        for (int64_t t = 0; t < 40; t++) {
            ones += symbol(t, k);
            cr_assert_eq(class_of(t, k), ones % 2);
        }
    }
    task_batch_free(&batch);
}

/* The grammar as a set of rules: which symbols may follow a state, by letters. */
static uint32_t reber_follow(int *state, char letter) {
    static const char letters[] = "BTSXPVE";
    static const char *const next[] = {"B1", "T2P3", "S2X4", "T3V5", "X3S6", "P4V6", "E7", ""};
    uint32_t may = 0;
    if (letter != 0) {
        const char *way = next[*state];
        for (; *way != '\0' && *way != letter; way += 2)
            continue;
        cr_assert(*way != '\0', "seed %llu: %c after state %d", (unsigned long long)seed, letter,
                  *state);
        *state = way[1] - '0';
    }
    for (const char *way = next[*state]; *way != '\0'; way += 2)
        may |= 1U << (strchr(letters, *way) - letters);
    return may;
}

Test(tasks, reber_strings_are_of_the_grammar) {
    draw("reber");
    int longest = 0;
    for (int64_t k = 0; k < SEQUENCES; k++) {
        int state = 0, length = batch.lengths[k];
        longest = length > longest ? length : longest;
        for (int64_t t = 0; t < length; t++) {
            uint32_t may = reber_follow(&state, "BTSXPVE"[symbol(t, k)]);
            cr_assert_eq(batch.allowed[task_at(&batch, t, k)], may);
            cr_assert_eq(class_of(t, k), t + 1 < length ? symbol(t + 1, k) : 6);
        }
        cr_assert_eq(state, 6, "a string ends in E");
    }
    cr_expect_gt(longest, 12);
    task_batch_free(&batch);
}

Test(tasks, embedded_reber_strings_end_as_they_begin) {
    draw("embedded-reber");
    for (int64_t k = 0; k < SEQUENCES; k++) {
        int state = 0, length = batch.lengths[k];
        cr_assert(symbol(0, k) == 0 && (symbol(1, k) == 1 || symbol(1, k) == 4));
        cr_assert_eq(batch.allowed[task_at(&batch, 0, k)], 1U << 1 | 1U << 4);
        cr_assert_eq(batch.allowed[task_at(&batch, 1, k)], 1U << 0);
        for (int64_t t = 2; t < length - 1; t++) {
            uint32_t may = reber_follow(&state, "BTSXPVE"[symbol(t, k)]);
            cr_assert_eq(batch.allowed[task_at(&batch, t, k)],
                         t == length - 2 ? 1U << symbol(1, k) : may);
        }
        cr_assert_eq(state, 7);
        cr_assert_eq(symbol(length - 1, k), symbol(1, k));
        cr_assert_eq(batch.allowed[task_at(&batch, length - 1, k)], 1U << 6);
    }
    task_batch_free(&batch);
}

Test(tasks, brackets_are_balanced_and_not_too_deep) {
    draw("brackets:length=40:kinds=3:depth=4");
    int deepest = 0;
    for (int64_t k = 0; k < SEQUENCES; k++) {
        int open[5], depth = 0;
        for (int64_t t = 0; t < 40; t++) {
            if (symbol(t, k) < 3) {
                cr_assert_lt(depth, 4);
                open[depth++] = symbol(t, k);
            } else {
                cr_assert_gt(depth, 0);
                cr_assert_eq(symbol(t, k) - 3, open[--depth]);
            }
            deepest = depth > deepest ? depth : deepest;
            bool closes = t + 1 < 40 && symbol(t + 1, k) >= 3;
            cr_assert_eq(class_of(t, k), closes ? open[depth - 1] : TASK_NO_TARGET);
        }
        cr_assert_eq(depth, 0);
    }
    cr_expect_eq(deepest, 4);
    task_batch_free(&batch);
}

/* One wave follows x_(t+1) = 2 cos(w) x_t - x_(t-1), with the same w throughout. */
Test(tasks, sines_are_waves) {
    draw("sines:length=50:waves=1");
    for (int64_t k = 0; k < SEQUENCES; k++) {
        double x[51], best = 0, twice_cosine = 0;
        for (int64_t t = 0; t < 50; t++) {
            x[t] = batch.features[task_at(&batch, t, k)];
            x[t + 1] = batch.values[task_at(&batch, t, k)];
        }
        for (int t = 1; t < 50; t++) {
            if (fabs(x[t]) > best) {
                best = fabs(x[t]);
                twice_cosine = (x[t + 1] + x[t - 1]) / x[t];
            }
        }
        for (int t = 1; t < 50; t++)
            cr_assert_float_eq(x[t + 1], twice_cosine * x[t] - x[t - 1], 1e-5);
        cr_assert(twice_cosine > 2 * cos(2 * 3.1416 / 8) && twice_cosine < 2);
    }
    task_batch_free(&batch);
}

/* The equation, with the slope from differences of a fine integration: dx/dt is small against the
   values, so that central differences over two units of time are good to a few percent. */
Test(tasks, mackey_glass_follows_its_equation) {
    draw("mackey-glass:length=200:ahead=1:delay=17");
    double squares = 0, slopes = 0;
    for (int64_t k = 0; k < SEQUENCES; k++) {
        double x[201];
        for (int64_t t = 0; t < 200; t++) {
            x[t] = batch.features[task_at(&batch, t, k)];
            x[t + 1] = batch.values[task_at(&batch, t, k)];
            cr_assert(x[t] > 0.1 && x[t] < 1.7, "%g", x[t]);
        }
        for (int t = 19; t < 198; t++) {
            double is = (8 * (x[t + 1] - x[t - 1]) - (x[t + 2] - x[t - 2])) / 12;
            double delayed = x[t - 17];
            double should = 0.2 * delayed / (1 + pow(delayed, 10)) - 0.1 * x[t];
            squares += (is - should) * (is - should);
            slopes += should * should;
        }
    }
    cr_expect_lt(sqrt(squares / slopes), 0.01, "%g", sqrt(squares / slopes));
    task_batch_free(&batch);
}

/* ---- Guessing -------------------------------------------------------------------------------- */

Test(tasks, guesses_cost_what_the_papers_say) {
    draw("adding");
    cr_expect_float_eq(task_guess(&batch, false), 1.0 / 6, 0.04); /* the variance of two uniforms */
    task_batch_free(&batch);
    draw("copy:delay=20:count=10");
    cr_expect_float_eq(task_guess(&batch, true), 10 * log(8) / 40, 0.02);
    task_batch_free(&batch);
    draw("parity");
    cr_expect_float_eq(task_guess(&batch, false), log(2), 0.001);
    task_batch_free(&batch);
    draw("brackets:kinds=4");
    cr_expect_float_eq(task_guess(&batch, false), log(4), 0.005);
    task_batch_free(&batch);
    draw("sines:waves=5");
    cr_expect_float_eq(task_guess(&batch, false), 1, 0.1);
    task_batch_free(&batch);
}
