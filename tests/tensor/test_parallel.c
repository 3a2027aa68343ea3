/* Ranges that cover every item once, and the floating point mode around them. */
#include "tensor/parallel.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct record {
    atomic_int visits[1000];
    atomic_llong shortest, ranges;
    double tiny, result;
} record;

static void visit(void *context, int64_t begin, int64_t end) {
    record *r = context;
    atomic_fetch_add(&r->ranges, 1);
    long long length = end - begin, shortest = atomic_load(&r->shortest);
    while (length < shortest && !atomic_compare_exchange_weak(&r->shortest, &shortest, length))
        ;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&r->visits[i], 1);
}

Test(parallel, every_item_once_in_ranges_no_shorter_than_the_grain) {
    static record r;
    static const int64_t grains[] = {-3, 0, 1, 2, 7, 16, 500, 999, 1000, 5000};
    for (int threads = 1; threads <= 4; threads++)
        for (int g = 0; g < 10; g++)
            for (int64_t n = 0; n <= 1000; n += n < 20 ? 1 : 163) {
                cb_set_threads(threads);
                for (int i = 0; i < 1000; i++)
                    atomic_store(&r.visits[i], 0);
                atomic_store(&r.shortest, INT64_MAX);
                atomic_store(&r.ranges, 0);
                cbi_parallel_for(n, grains[g], visit, &r);
                for (int64_t i = 0; i < 1000; i++)
                    cr_assert_eq(atomic_load(&r.visits[i]), i < n ? 1 : 0);
                long long ranges = atomic_load(&r.ranges);
                cr_assert(ranges <= threads && (n == 0) == (ranges == 0));
                cr_assert(ranges <= 1 || atomic_load(&r.shortest) >= grains[g],
                          "%lld items, grain %lld: a range of %lld", (long long)n,
                          (long long)grains[g], (long long)atomic_load(&r.shortest));
            }
}

static void halve(void *context, int64_t begin, int64_t end) {
    record *r = context;
    volatile double tiny = r->tiny;
    (void)begin;
    (void)end;
    r->result = tiny / 2;
}

static void multiply(void *context, int64_t begin, int64_t end) {
    record *r = context;
    volatile double tiny = r->tiny;
    (void)begin;
    (void)end;
    r->result = tiny * 1e300;
}

Test(parallel, subnormal_numbers_are_zeros_inside_and_numbers_outside) {
    static record r = {.tiny = DBL_MIN};
    volatile double tiny = DBL_MIN;
    cb_set_threads(1);
    cbi_parallel_for(1, 1, halve, &r);
#if defined(__x86_64__)
    cr_expect_eq(r.result, 0);
#endif
    r.tiny = tiny / 2;
    cbi_parallel_for(1, 1, multiply, &r);
#if defined(__x86_64__)
    cr_expect_eq(r.result, 0);
#endif
    cr_expect(tiny / 2 > 0);
    cr_expect(r.tiny * 1e300 > 0);
}

static void nest(void *context, int64_t begin, int64_t end) {
    (void)begin;
    (void)end;
    cbi_parallel_for(100, 1, visit, context);
}

Test(parallel, a_loop_inside_a_loop_runs_on_its_own_thread) {
    static record r;
    cb_set_threads(4);
    atomic_store(&r.shortest, INT64_MAX);
    cbi_parallel_for(4, 1, nest, &r);
    cr_expect_eq(atomic_load(&r.visits[99]), atomic_load(&r.ranges));
}

Test(parallel, the_number_of_threads_is_at_least_one) {
    cr_expect_geq(cb_threads(), 1);
    cb_set_threads(-5);
    cr_expect_eq(cb_threads(), 1);
    cb_set_threads(3);
    cr_expect_eq(cb_threads(), 3);
}

/* ---- Many that ask --------------------------------------------------------------------------- */

enum { CALLERS = 4, LOOPS = 3000, ITEMS = 64 };

typedef struct summing {
    _Atomic long long sum;
} summing;

static void add_range(void *context, int64_t begin, int64_t end) {
    summing *s = context;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&s->sum, i + 1);
}

/* Whether each of many loops has done all of its items once. */
static bool loops_are_right(int loops) {
    for (int i = 0; i < loops; i++) {
        summing s = {0};
        cbi_parallel_for(ITEMS, 1, add_range, &s);
        if (atomic_load(&s.sum) != ITEMS * (ITEMS + 1) / 2)
            return false;
    }
    return true;
}

static void *call_again_and_again(void *context) {
    *(bool *)context = loops_are_right(LOOPS);
    return NULL;
}

Test(parallel, any_threads_may_ask_while_another_sets_how_many, .timeout = 120) {
    pthread_t threads[CALLERS];
    bool right[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_again_and_again, &right[i]), 0);
    for (int i = 0; i < 2000; i++)
        cb_set_threads(1 + i % 5);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect(right[i]);
    }
    cb_set_threads(2);
}

static void nested(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
        cbi_parallel_for(ITEMS, 1, add_range, context);
}

Test(parallel, work_within_work_is_done, .timeout = 60) {
    summing s = {0};
    cb_set_threads(3);
    cbi_parallel_for(100, 1, nested, &s);
    cr_expect_eq(atomic_load(&s.sum), 100 * ITEMS * (ITEMS + 1) / 2);
}

Test(parallel, a_thread_that_sleeps_is_woken, .timeout = 60) {
    const struct timespec moment = {0, 3000000};
    cb_set_threads(3);
    for (int spin = 0; spin <= 100; spin += 100) {
        cb_set_spinning(spin);
        for (int i = 0; i < 50; i++) {
            cr_expect(loops_are_right(3));
            nanosleep(&moment, NULL);
        }
    }
    cb_set_spinning(2000);
}

typedef struct meeting {
    atomic_int here, met;
} meeting;

/* Waits, for ten seconds at most, until another thread is at work, too. */
static void meet(void *context, int64_t begin, int64_t end) {
    const struct timespec moment = {0, 1000000};
    meeting *m = context;
    (void)begin;
    (void)end;
    atomic_fetch_add(&m->here, 1);
    for (int i = 0; i < 10000 && atomic_load(&m->here) < 2; i++)
        nanosleep(&moment, NULL);
    atomic_fetch_add(&m->met, atomic_load(&m->here) == 2);
}

static bool two_threads_meet(void) {
    meeting m = {0};
    cbi_parallel_for_on(2, 2, 1, meet, &m);
    return atomic_load(&m.met) == 2;
}

/* After fork there are none of the threads; the child makes its own. */
Test(parallel, a_child_computes, .timeout = 60) {
    cb_set_threads(3);
    cr_assert(loops_are_right(10) && two_threads_meet());
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            alarm(20);
            _exit(loops_are_right(200) && two_threads_meet() ? 0 : 1);
        }
        int status = -1;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
        cr_assert(loops_are_right(10));
    }
}
