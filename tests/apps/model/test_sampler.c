/* The order of windows: passes that are complete, streams that are contiguous, and both taken up
   anywhere. */
#include "apps/model/sampler.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char error[FAILURE_SIZE];

/* A generator with a seed of its own in each run, which is printed. */
static cb_random fresh(void) {
    uint64_t seed = (uint64_t)time(NULL);
    cr_log_info("seed %llu", (unsigned long long)seed);
    return cb_random_seed(seed);
}

static int64_t between(cb_random *random, int64_t low, int64_t high) {
    return low + (int64_t)cb_random_below(random, (uint64_t)(high - low + 1));
}

/* A text whose character at place i is i. */
static int32_t *text_of(int64_t length) {
    int32_t *characters = calloc((size_t)length, sizeof *characters);
    for (int64_t i = 0; i < length; i++)
        characters[i] = (int32_t)i;
    return characters;
}

Test(sampler, an_order_has_every_place_once) {
    cb_random random = fresh();
    for (int trial = 0; trial < 200; trial++) {
        int64_t count = between(&random, 1, trial < 100 ? 20 : 5000), in_place = 0;
        uint64_t key = cb_random_u64(&random);
        bool *seen = calloc((size_t)count, sizeof *seen);
        for (int64_t i = 0; i < count; i++) {
            int64_t place = sampler_permuted(key, count, i);
            cr_assert(place >= 0 && place < count && !seen[place], "%lld of %lld", (long long)place,
                      (long long)count);
            seen[place] = true;
            in_place += place == i;
        }
        /* One element of a random order is in its place, on average. */
        cr_expect(count < 100 || in_place < 12, "%lld of %lld", (long long)in_place,
                  (long long)count);
        free(seen);
    }
}

/* Each place is as likely as another: 60 elements, 6000 keys, chi squared of 59 degrees. */
Test(sampler, orders_are_uniform) {
    cb_random random = fresh();
    double counts[60] = {0}, squares = 0;
    for (int trial = 0; trial < 6000; trial++)
        counts[sampler_permuted(cb_random_u64(&random), 60, 17)]++;
    for (int i = 0; i < 60; i++)
        squares += (counts[i] - 100) * (counts[i] - 100) / 100;
    cr_expect(squares < 130, "chi squared %g", squares); /* beyond it: one in a million */
}

/* Checks a batch of windows against the text, whose numbers are places; their first places. */
static void check_batch(const window_batch *batch, int64_t time, int64_t *first) {
    for (int64_t b = 0; b < batch->size; b++) {
        first[b] = batch->x[b];
        for (int64_t t = 0; t < time; t++) {
            cr_assert_eq(batch->x[t * batch->size + b], first[b] + t);
            cr_assert_eq(batch->y[t * batch->size + b], first[b] + t + 1);
        }
    }
}

/* Random sizes; the sampler's rounds are checked one after the other. */
static void try_rounds(sampling how, cb_random *random) {
    int64_t time = between(random, 1, 9), batch_size = between(random, 1, 6);
    int64_t length = time * batch_size * between(random, 1, 12) + time + between(random, 0, 40);
    int32_t *characters = text_of(length);
    sampler s;
    window_batch batch;
    cr_assert(
        sampler_make(&how, passage_of_array(characters), length, time, batch_size, 7, &s, error),
        "%s", error);
    cr_assert(window_batch_make(&s.windows, batch_size, &batch, error), "%s", error);
    int64_t spare = how.random_offsets ? time - 1 : 0;
    cr_assert_eq(s.round, (length - 1 - spare) / time / batch_size);
    int64_t first[6], before[6] = {0};
    bool *seen = calloc((size_t)length, sizeof *seen);
    for (int64_t step = 0; step < 5 * s.round; step++) {
        bool begins = step % s.round == 0;
        cr_assert_eq(s.state.cursor == 0, begins);
        cr_assert(sampler_next(&s, random, &batch, error));
        check_batch(&batch, time, first);
        if (begins)
            memset(seen, 0, (size_t)length * sizeof *seen);
        cr_assert(s.state.offset >= 0 && s.state.offset <= spare);
        for (int64_t b = 0; b < batch_size; b++) {
            cr_assert_eq((first[b] - s.state.offset) % time, 0);
            cr_assert_not(seen[first[b]], "a window twice in a pass");
            seen[first[b]] = true;
            if (how.carried)
                cr_assert_eq(first[b],
                             begins ? s.state.offset + b * s.round * time : before[b] + time);
            before[b] = first[b];
        }
    }
    free(seen);
    window_batch_free(&batch);
    free(characters);
}

Test(sampler, passes_are_complete_and_streams_contiguous) {
    cb_random random = fresh();
    for (int trial = 0; trial < 400; trial++) {
        bool carried = trial % 2 == 0;
        try_rounds((sampling){.pass = !carried || trial % 3 == 0,
                              .carried = carried,
                              .random_offsets = trial % 5 < 2},
                   &random);
    }
}

Test(sampler, goes_on_anywhere) {
    cb_random random = fresh();
    int32_t *characters = text_of(500);
    for (int trial = 0; trial < 100; trial++) {
        const sampling how = {.pass = trial & 1, .carried = trial & 2, .random_offsets = trial & 4};
        sampler s, other;
        window_batch batch, again;
        cr_assert(sampler_make(&how, passage_of_array(characters), 500, 7, 3, 5, &s, error));
        cr_assert(sampler_make(&how, passage_of_array(characters), 500, 7, 3, 5, &other, error));
        cr_assert(window_batch_make(&s.windows, 3, &batch, error));
        cr_assert(window_batch_make(&s.windows, 3, &again, error));
        for (int64_t steps = between(&random, 0, 60); steps > 0; steps--)
            cr_assert(sampler_next(&s, &random, &batch, error));
        cb_random same = random;
        cr_assert(sampler_state_is_valid(&other, &s.state));
        other.state = s.state;
        for (int step = 0; step < 50; step++) {
            cr_assert(sampler_next(&s, &random, &batch, error));
            cr_assert(sampler_next(&other, &same, &again, error));
            cr_assert_arr_eq(batch.x, again.x, 21 * sizeof *batch.x);
        }
        window_batch_free(&batch);
        window_batch_free(&again);
    }
    free(characters);
}

Test(sampler, refuses_what_cannot_be) {
    int32_t *characters = text_of(50);
    const sampling how = {.carried = true, .random_offsets = true};
    sampler s;
    cr_assert_not(sampler_make(&how, passage_of_array(characters), 18, 10, 1, 1, &s, error));
    cr_assert_not_null(strstr(error, "fewer than a window"), "%s", error);
    cr_assert_not(sampler_make(&how, passage_of_array(characters), 50, 10, 5, 1, &s, error));
    cr_assert_not_null(strstr(error, "a batch of 5 is larger"), "%s", error);
    cr_assert(sampler_make(&how, passage_of_array(characters), 50, 10, 2, 1, &s, error), "%s",
              error);
    const sampler_state bad[] = {
        {.offset = 10}, {.offset = -1}, {.cursor = 2}, {.cursor = -1}, {.cursor = INT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(sampler_state_is_valid(&s, &bad[i]));
    cr_expect(sampler_state_is_valid(&s, &(sampler_state){.offset = 9, .cursor = 1}));
    free(characters);
}
