/* Random graphs that nothing has simplified: the simplifications that building a graph does, each
   pass after them and all passes in turn must leave what the graph means; and what they leave is
   planned, and the plan verified. */
#include "autograd/compiler/pipeline.h"
#include "autograd/compiler/verify.h"
#include "interpret.h"
#include "raw_graph.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { GRAPHS = 400 };

/* A graph that is changed, and what came of it before. */
typedef struct subject {
    uint64_t seed;
    const char *pass;
    cbi_graph *graph;
    interpreted before;
} subject;

static subject start(uint64_t seed) {
    subject s = {seed, "none", raw_graph(seed), {0}};
    s.before = interpret(s.graph);
    return s;
}

static void finish(subject *s) {
    cbi_graph_free(s->graph);
    free(s->before.of);
}

/* The first number that differs by more than rounding can do; -1: none does. */
static int first_difference(const interpreted *a, const interpreted *b) {
    double largest = 1;
    if (a->count != b->count)
        return a->count < b->count ? a->count : b->count;
    for (int i = 0; i < a->count; i++)
        largest = fmax(largest, fabs(a->of[i]));
    for (int i = 0; i < a->count; i++)
        if (!(fabs(a->of[i] - b->of[i]) <= 1e-10 * largest))
            return i;
    return -1;
}

/* Holds the graph to the one before. */
static void check(subject *s) {
    char bug[256] = "";
    cr_assert(cbi_verify_graph(s->graph, bug, sizeof(bug)),
              "after %s, CB_TEST_SEED=%" PRIu64 ": %s", s->pass, s->seed, bug);
    interpreted after = interpret(s->graph);
    int at = first_difference(&s->before, &after);
    cr_assert(at < 0, "after %s, CB_TEST_SEED=%" PRIu64 ": result %d of %d, and of %d before",
              s->pass, s->seed, at, after.count, s->before.count);
    free(after.of);
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
Test(raw_graphs, verify) {
    uint64_t seed = first_seed_of("raw_graphs/verify");
    for (int i = 0; i < seed_count(GRAPHS); i++) {
        subject s = start(seed + (uint64_t)i);
        check(&s);
        finish(&s);
    }
}

Test(raw_graphs, simplified) {
    uint64_t seed = first_seed_of("raw_graphs/simplified");
    int count = seed_count(GRAPHS), smaller = 0;
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
Test(raw_graphs, after_one_pass) {
    uint64_t seed = first_seed_of("raw_graphs/after_one_pass");
    int passes, count = seed_count(GRAPHS);
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
Test(raw_graphs, after_all_passes) {
    uint64_t seed = first_seed_of("raw_graphs/after_all_passes");
    int passes;
    const cbi_pass_entry *table = cbi_pass_table(&passes);
    for (int i = 0; i < seed_count(GRAPHS); i++) {
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
