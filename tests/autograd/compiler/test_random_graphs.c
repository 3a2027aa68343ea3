/* Each pass over random graphs: the verifier finds no fault with the result, and the reference
   interpreter gets the same outputs and gradients from it as before. */
#include "autograd/compiler/pipeline.h"
#include "autograd/compiler/verify.h"
#include "interpret.h"
#include "random_graph.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

enum { GRAPHS = 400, BATCH = 3 };

/* A graph that is changed, and what came of it before. */
typedef struct subject {
    uint64_t seed;
    const char *pass;
    cbi_graph *graph;
    cbt_results before;
} subject;

static subject start(uint64_t seed) {
    subject s = {seed, "none", cbt_random_graph(seed), {0}};
    s.before = cbt_interpret(s.graph, BATCH, seed);
    return s;
}

static void finish(subject *s) {
    cbi_graph_free(s->graph);
    free(s->before.numbers);
}

/* Holds the graph to the one before. */
static void check(subject *s) {
    char bug[256] = "";
    cr_assert(cbi_verify_graph(s->graph, bug, sizeof(bug)),
              "after %s, CB_TEST_SEED=%" PRIu64 ": %s", s->pass, s->seed, bug);
    cbt_results after = cbt_interpret(s->graph, BATCH, s->seed);
    int64_t at = cbt_first_difference(&s->before, &after);
    cr_assert(at < 0, "after %s, CB_TEST_SEED=%" PRIu64 ": result %lld is %.17g and was %.17g",
              s->pass, s->seed, (long long)at, after.numbers[at], s->before.numbers[at]);
    free(after.numbers);
}

static void simplify(subject *s) {
    s->pass = "simplifying";
    cr_assert(cbi_graph_rewrite(s->graph, cbi_rewrite_copy, NULL));
    check(s);
}

static int run(subject *s, const cbi_pass_entry *entry) {
    cbi_pass pass = {.graph = s->graph, .looked_up = s->seed % 2 == 0};
    s->pass = entry->name;
    cr_assert(entry->run(&pass));
    return pass.changes;
}

/* The generator's graphs have to be right to begin with. */
Test(random_graphs, verify) {
    uint64_t seed = cbt_first_seed("random_graphs/verify");
    for (int i = 0; i < cbt_seed_count(GRAPHS); i++) {
        subject s = start(seed + (uint64_t)i);
        check(&s);
        finish(&s);
    }
}

Test(random_graphs, simplified) {
    uint64_t seed = cbt_first_seed("random_graphs/simplified");
    int count = cbt_seed_count(GRAPHS), smaller = 0;
    for (int i = 0; i < count; i++) {
        subject s = start(seed + (uint64_t)i);
        int values = s.graph->value_count;
        simplify(&s);
        smaller += s.graph->value_count < values;
        finish(&s);
    }
    cr_expect_geq(smaller, count / 2, "%d of %d graphs became smaller", smaller, count);
}

/* Each pass alone, on graphs that are only simplified. */
Test(random_graphs, after_one_pass) {
    uint64_t seed = cbt_first_seed("random_graphs/after_one_pass");
    int passes, count = cbt_seed_count(GRAPHS);
    const cbi_pass_entry *table = cbi_pass_table(&passes);
    for (int k = 0; k < passes; k++) {
        int changed = 0;
        for (int i = 0; i < count; i++) {
            subject s = start(seed + (uint64_t)i);
            simplify(&s);
            changed += run(&s, &table[k]) > 0;
            check(&s);
            finish(&s);
        }
        cr_expect_geq(changed, count / 20, "%s changed %d of %d graphs", table[k].name, changed,
                      count);
    }
}

/* All passes in their order; then the graph is planned, and the plan verified. */
Test(random_graphs, after_all_passes) {
    uint64_t seed = cbt_first_seed("random_graphs/after_all_passes");
    int passes;
    const cbi_pass_entry *table = cbi_pass_table(&passes);
    for (int i = 0; i < cbt_seed_count(GRAPHS); i++) {
        char bug[256] = "";
        subject s = start(seed + (uint64_t)i);
        simplify(&s);
        for (int k = 0; k < passes; k++) {
            run(&s, &table[k]);
            check(&s);
        }
        cbi_plan *plan = cbi_plan_new(s.graph, s.seed % 2 == 0, bug, sizeof(bug));
        cr_assert_not_null(plan, "CB_TEST_SEED=%" PRIu64 ": %s", s.seed, bug);
        s.graph = NULL;
        cbi_plan_free(plan);
        finish(&s);
    }
}
