/* Workers that die: each seed is tried, and each death told of its seed. */
#include "workers.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A judge that finds something, or dies, by the last digit of the seed. */
static void deadly(const program *p, verdict *v, volatile phase *now) {
    memset(v, 0, sizeof(*v));
    *now = COMPILED_RUN;
    switch (p->seed % 10) {
    case 1:
        signal(SIGSEGV, SIG_DFL); /* Criterion and sanitizers have handlers of their own */
        raise(SIGSEGV);
        break;
    case 3:
        _exit(23);
    case 5:
        v->kind = WRONG_GRADIENT;
        strcpy(v->what, "gradient of w0");
        break;
    case 7:
        strcpy(v->reason, "cb_flip: number 17 of [2,3] is not known");
        break;
    default:
        break;
    }
}

static void never_ending(const program *p, verdict *v, volatile phase *now) {
    (void)v;
    *now = COMPILING;
    for (volatile bool forever = p->value_count > 0; forever;)
        ;
}

static campaign campaign_with(judge_function *with, uint64_t count, unsigned limit) {
    return (campaign){.first = 1000,
                      .count = count,
                      .jobs = 2,
                      .limit = limit,
                      .draw = {.most_ops = 6},
                      .judge = with};
}

Test(fuzz_workers, survive_and_tell_what_killed_them, .timeout = 60) {
    static tally t;
    campaign c = campaign_with(deadly, 100, 60);
    cr_assert(campaign_run(&c, &t));
    cr_expect(t.seeds == 100 && t.kinds[RIGHT] == 70 && t.kinds[CRASH] == 20);
    cr_expect_eq(t.kinds[WRONG_GRADIENT], 10);
    cr_assert_eq(t.failure_count, 30);
    for (int i = 0; i < 30; i++) {
        static const char *const what[] = {"signal 11 while running compiled",
                                           "exit 23 while running compiled", "gradient of w0"};
        cr_expect_eq(t.failures[i].seed, 1000 + 10 * (uint64_t)(i / 3) + 1 + 2 * (uint64_t)(i % 3));
        cr_expect_str_eq(t.failures[i].what, what[i % 3]);
    }
    cr_expect_eq(t.compiled, 70);
    cr_assert_eq(t.reason_count, 1);
    cr_expect_str_eq(t.reasons[0].text, "cb_flip: number # of [#] is not known");
    cr_expect_eq(t.reasons[0].count, 10);
}

Test(fuzz_workers, are_stopped_when_a_seed_takes_too_long, .timeout = 60) {
    static tally t;
    campaign c = campaign_with(never_ending, 2, 1);
    cr_assert(campaign_run(&c, &t));
    cr_expect_eq(t.kinds[HANG], 2);
    cr_assert_eq(t.failure_count, 2);
    cr_expect_str_eq(t.failures[0].what, "compiling takes too long");
}

Test(fuzz_workers, judge_a_program_in_a_process_of_its_own, .timeout = 60) {
    static program p;
    verdict v;
    campaign c = campaign_with(deadly, 1, 60);
    program_draw(&p, 1005, &c.draw);
    judge_apart(&p, &c, true, &v);
    cr_expect_eq(v.kind, WRONG_GRADIENT);
    p.seed = 1001;
    judge_apart(&p, &c, true, &v);
    cr_expect_eq(v.kind, CRASH);
    p.seed = 1000;
    judge_apart(&p, &c, true, &v);
    cr_expect_eq(v.kind, RIGHT);
}
