/* The judge: rounding is no failure, and what is wrong is one. */
#include "draw.h"
#include "verdict.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Another way of rounding stands for the compiled run, as any right compiler has one of its own. */
Test(fuzz_verdict, takes_no_rounding_for_a_failure, .timeout = 300) {
    program *p = malloc(sizeof(*p));
    int counts[VERDICT_KINDS] = {0};
    cr_assert_not_null(p);
    for (uint64_t seed = 0; seed < 10000; seed++) {
        verdict v;
        program_draw(p, seed, &(draw_options){.most_ops = 24});
        judge_noise(p, &v);
        counts[v.kind]++;
        cr_expect_not(kind_is_failure(v.kind), "seed %llu: %s: %s", (unsigned long long)seed,
                      kind_text(v.kind), v.what);
    }
    cr_expect_leq(counts[ILL_CONDITIONED] + counts[NOT_REPEATED], 200,
                  "%d programs are ill-conditioned, %d differ once", counts[ILL_CONDITIONED],
                  counts[NOT_REPEATED]);
    free(p);
}
