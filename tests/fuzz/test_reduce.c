/* The reducer, on failures that are made up: what is left has what the failure needs, and little
   else. */
#include "draw.h"
#include "forms.h"
#include "reduce.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const draw_options options = {.most_ops = 24};

static bool has_form(const program *p, const form *f) {
    return program_uses(p, f) > 0;
}

/* Steps with a chunk of something that a tanh was computed from. */
static bool has_tanh_and_chunk(const program *p, void *context) {
    int *calls = context;
    (*calls)++;
    return has_form(p, &form_tanh) && has_form(p, &form_chunk);
}

Test(fuzz_reduce, leaves_what_the_failure_needs, .timeout = 120) {
    program *p = malloc(sizeof(*p));
    int found = 0;
    cr_assert_not_null(p);
    for (uint64_t seed = 0; seed < 400 && found < 40; seed++) {
        int calls = 0;
        program_draw(p, seed, &options);
        if (!has_tanh_and_chunk(p, &calls))
            continue;
        found++;
        int64_t before = program_cost(p);
        calls = 0;
        int counted = program_reduce(p, has_tanh_and_chunk, &calls, 0, 0);
        int ops = 0;
        for (int i = 0; i < p->value_count; i++)
            ops += !form_is_leaf(p->values[i].form);
        cr_expect_eq(counted, calls);
        cr_expect(has_form(p, &form_tanh) && has_form(p, &form_chunk));
        cr_expect_leq(program_cost(p), before);
        cr_expect_leq(ops, 8, "seed %llu: %d ops are left", (unsigned long long)seed, ops);
        cr_expect(program_infer(p));
    }
    cr_expect_eq(found, 40);
    free(p);
}

/* Failures of a run, not of a step. */
static bool has_lengths_and_time(const program *p, void *context) {
    (void)context;
    return p->run.lengths && p->run.time >= 2 && p->state_count >= 2;
}

Test(fuzz_reduce, makes_the_run_small) {
    program *p = malloc(sizeof(*p));
    int found = 0;
    cr_assert_not_null(p);
    for (uint64_t seed = 0; seed < 1000 && found < 20; seed++) {
        program_draw(p, seed, &options);
        if (!has_lengths_and_time(p, NULL))
            continue;
        found++;
        program_reduce(p, has_lengths_and_time, NULL, 0, 0);
        cr_expect(p->run.lengths && p->run.time == 2 && p->state_count == 2);
        cr_expect(p->run.batch <= 1 && !p->run.reverse && p->run.table == 0);
        cr_expect(p->run.runs == 1 && p->run.sweeps == 1 && p->weight_count == 0);
        for (int i = 0; i < p->value_count; i++)
            cr_expect(form_is_leaf(p->values[i].form) || p->values[i].form == &form_full);
        for (int s = 0; s < p->state_count; s++)
            cr_expect_eq(p->state_size[s], 1, "seed %llu", (unsigned long long)seed);
    }
    cr_expect_eq(found, 20);
    free(p);
}

static bool never(const program *p, void *context) {
    (void)p, (void)context;
    return false;
}

Test(fuzz_reduce, leaves_a_program_alone_that_does_not_fail_when_smaller) {
    program *p = malloc(sizeof(*p));
    cr_assert_not_null(p);
    program_draw(p, 3, &options);
    int64_t before = program_cost(p);
    cr_expect_gt(program_reduce(p, never, NULL, 0, 0), 0);
    cr_expect_eq(program_cost(p), before);
    cr_expect_leq(program_reduce(p, never, NULL, 5, 0), 5);
    free(p);
}
