/* Ranges that cover every item once, and the floating point mode around them. */
#include "tensor/parallel.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <float.h>
#include <stdatomic.h>
#include <stdlib.h>

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
