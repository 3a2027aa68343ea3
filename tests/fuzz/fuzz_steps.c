/* A differential fuzzer of the compiler of steps: random steps, compiled against op by op.

       fuzz_steps --seed 1 --count 10000 --jobs 2

   Exit status: 0 nothing failed, 1 something did, 2 usage. */
#include "draw.h"
#include "execute.h"
#include "print.h"
#include "reduce.h"
#include "report.h"
#include "step.h"
#include "workers.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers: every fault ends the process, with a signal, so that it is seen. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) {
    return "abort_on_error=1:detect_leaks=0";
}
const char *__ubsan_default_options(void) {
    return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

/* One row an option: enumerator, name, what it takes ("": nothing), least and largest, help. */
#define OPTIONS(X)                                                                                 \
    X(SEED, "seed", "S", 0, UINT64_MAX, "the first seed (default: of the clock)")                  \
    X(COUNT, "count", "N", 1, UINT64_MAX,                                                          \
      "how many seeds (default 1000; with --seconds no limit)")                                    \
    X(SECONDS, "seconds", "N", 1, 10000000, "begin no seed after so long")                         \
    X(JOBS, "jobs", "N", 1, MOST_JOBS, "worker processes (default: one a processor)")              \
    X(LIMIT, "limit", "N", 1, 100000, "seconds that one seed may take (default 60)")               \
    X(MAX_OPS, "max-ops", "N", 1, 100, "the most ops, or groups of a few, of a step (default 24)") \
    X(F64_ONLY, "f64-only", "", 0, 0, "no f32")                                                    \
    X(COVERAGE, "coverage", "", 0, 0, "print what the steps had in them")                          \
    X(REDUCTIONS, "reductions", "N", 0, MOST_FAILURES, "reduce so many failures (default 3)")      \
    X(REDUCE_SECONDS, "reduce-seconds", "N", 1, 100000, "no longer than this each (default 60)")   \
    X(PLANS, "plans", "", 0, 0, "print what the compiler makes of each, and run none")             \
    X(SHOW, "show", "SEED", 0, UINT64_MAX, "print the step of a seed as a program")                \
    X(REDUCE, "reduce", "SEED", 0, UINT64_MAX, "reduce the failure of a seed, print it")           \
    X(HELP, "help", "", 0, 0, "print this")

typedef enum option_name {
#define ENUMERATOR(name, text, argument, low, high, help) name,
    OPTIONS(ENUMERATOR)
#undef ENUMERATOR
        OPTION_COUNT
} option_name;

typedef struct option_row {
    const char *name, *argument, *help;
    uint64_t low, high;
} option_row;

static const option_row rows[] = {
#define ROW(name, text, argument, low, high, help) {text, argument, help, low, high},
    OPTIONS(ROW)
#undef ROW
};

typedef struct settings {
    uint64_t value[OPTION_COUNT];
    bool given[OPTION_COUNT];
    campaign campaign;
} settings;

/* ---- Reducing -------------------------------------------------------------------------------- */

typedef struct wanted_failure {
    verdict_kind kind;
    campaign campaign;
} wanted_failure;

/* Values that differ are one kind, wherever they do. */
static verdict_kind family_of(verdict_kind kind) {
    return kind == WRONG_OUTPUT || kind == WRONG_FINAL ? WRONG_GRADIENT : kind;
}

/* What threads make of a program may differ from time to time. */
static bool still_fails(const program *p, void *context) {
    const wanted_failure *wanted = context;
    verdict v;
    for (int tries = wanted->kind == WRONG_THREADS ? 3 : 1; tries > 0; tries--) {
        judge_apart(p, &wanted->campaign, true, &v);
        if (family_of(v.kind) == wanted->kind)
            return true;
    }
    return false;
}

/* Prints the failure as small as it gets. The process is not kept quiet the last time: a
   sanitizer's report goes with the program. */
static int reduce_seed(const settings *s, uint64_t seed) {
    static program p;
    verdict v;
    char found[700], ops[300];
    program_draw(&p, seed, &s->campaign.draw);
    judge_apart(&p, &s->campaign, true, &v);
    if (!kind_is_failure(v.kind)) {
        printf("seed %" PRIu64 ": %s\n", seed, kind_text(v.kind));
        return 0;
    }
    wanted_failure wanted = {family_of(v.kind), s->campaign};
    if (v.kind == HANG)
        wanted.campaign.limit = 5;
    int calls = program_reduce(&p, still_fails, &wanted, 0, (double)s->value[REDUCE_SECONDS]);
    judge_apart(&p, &s->campaign, false, &v);
    print_ops(&p, ops, sizeof(ops));
    snprintf(found, sizeof(found), "%s: %s (--max-ops %d%s)", kind_text(v.kind), v.what,
             s->campaign.draw.most_ops, s->campaign.draw.f64_only ? " --f64-only" : "");
    printf("---- seed %" PRIu64 ", reduced by %d runs: %s [%s]\n", seed, calls, kind_text(v.kind),
           ops);
    print_program(stdout, &p, found);
    fflush(stdout);
    return 1;
}

/* ---- A campaign ------------------------------------------------------------------------------ */

/* Each failure once more in a process of its own: a worker has run other seeds before. */
static void report_failure(const settings *s, const failure *f) {
    static program p;
    verdict v;
    program_draw(&p, f->seed, &s->campaign.draw);
    judge_apart(&p, &s->campaign, true, &v);
    printf("seed %" PRIu64 ": %s: %s%s\n", f->seed, kind_text(f->kind), f->what,
           kind_is_failure(v.kind) ? "" : " (not in a process of its own)");
}

static int run_campaign(const settings *s) {
    static tally t;
    double start = now_seconds();
    printf("fuzz_steps --seed %" PRIu64, s->campaign.first);
    if (s->campaign.count < UINT64_MAX)
        printf(" --count %" PRIu64, s->campaign.count);
    printf(" --max-ops %d%s\n", s->campaign.draw.most_ops,
           s->campaign.draw.f64_only ? " --f64-only" : "");
    fflush(stdout);
    if (!campaign_run(&s->campaign, &t)) {
        fprintf(stderr, "fuzz_steps: cannot start workers\n");
        return 2;
    }
    report_numbers(stdout, &s->campaign, &t, now_seconds() - start);
    if (s->given[COVERAGE])
        report_coverage(stdout, &t);
    for (int i = 0; i < t.failure_count; i++)
        report_failure(s, &t.failures[i]);
    for (int i = 0; i < t.failure_count && (uint64_t)i < s->value[REDUCTIONS]; i++)
        reduce_seed(s, t.failures[i].seed);
    return t.failure_count > 0;
}

static int show(const settings *s) {
    static program p;
    program_draw(&p, s->value[SHOW], &s->campaign.draw);
    print_program(stdout, &p, "(shown)");
    return 0;
}

/* What is compiled of each step, for comparing builds of the library. */
static int print_plans(const settings *s) {
    enum { SIZE = 1 << 20 };
    static program p;
    char *text = malloc(SIZE);
    for (uint64_t i = 0; text != NULL && i < s->campaign.count; i++) {
        program_draw(&p, s->campaign.first + i, &s->campaign.draw);
        if (!step_load(&p))
            break;
        cb_scan *scan = scan_of(&p, false);
        cb_scan_sizes sizes = {.time = p.run.time, .batch = p.run.batch};
        if (cb_scan_describe(scan, &sizes, text, SIZE) == 0)
            strcpy(text, "no description\n");
        printf("---- seed %" PRIu64 "\n%s", s->campaign.first + i, text);
        cb_scan_free(scan);
        step_unload();
    }
    free(text);
    return ferror(stdout) ? 1 : 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

static void print_help(FILE *stream) {
    fputs("usage: fuzz_steps [options]\n"
          "Random steps, compiled against op by op: outputs, states, gradients, threads.\n",
          stream);
    for (int i = 0; i < OPTION_COUNT; i++)
        fprintf(stream, "  --%s %-*s %s\n", rows[i].name, 18 - (int)strlen(rows[i].name),
                rows[i].argument, rows[i].help);
}

static bool set(settings *s, int i, const char *text) {
    char *end = NULL;
    s->given[i] = true;
    if (rows[i].argument[0] == '\0')
        return true;
    s->value[i] = strtoull(text, &end, 10);
    return text[0] != '\0' && text[0] != '-' && *end == '\0' && s->value[i] >= rows[i].low &&
           s->value[i] <= rows[i].high;
}

/* False when they are not right. */
static bool read_options(settings *s, int argc, char **argv) {
    struct option options[OPTION_COUNT + 1] = {{NULL, 0, NULL, 0}};
    int i;
    for (i = 0; i < OPTION_COUNT; i++)
        options[i] = (struct option){
            rows[i].name, rows[i].argument[0] != '\0' ? required_argument : no_argument, NULL, i};
    while ((i = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (i < 0 || i >= OPTION_COUNT || !set(s, i, optarg))
            return false;
    return optind == argc;
}

static settings default_settings(void) {
    settings s = {.value = {0}};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    s.value[SEED] = (uint64_t)time(NULL) * 1000;
    s.value[JOBS] = processors < 1 || processors > MOST_JOBS ? 1 : (uint64_t)processors;
    s.value[LIMIT] = 60;
    s.value[MAX_OPS] = 24;
    s.value[REDUCTIONS] = 3;
    s.value[REDUCE_SECONDS] = 60;
    return s;
}

static campaign campaign_of(const settings *s) {
    uint64_t count = s->given[SECONDS] ? UINT64_MAX : 1000;
    return (campaign){.first = s->value[SEED],
                      .count = s->given[COUNT] ? s->value[COUNT] : count,
                      .seconds = (double)s->value[SECONDS],
                      .jobs = (int)s->value[JOBS],
                      .limit = (unsigned)s->value[LIMIT],
                      .draw = {.most_ops = (int)s->value[MAX_OPS], .f64_only = s->given[F64_ONLY]},
                      .judge = judge};
}

/* OpenMP reads its environment when it is loaded. Threads that spin while they wait cost more than
   these small programs do. */
static void start_again_with_patient_threads(char **argv) {
    if (getenv("OMP_WAIT_POLICY") == NULL && setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    settings s = default_settings();
    start_again_with_patient_threads(argv);
    bool good = read_options(&s, argc, argv);
    s.campaign = campaign_of(&s);
    if (!good || s.given[HELP]) {
        print_help(good ? stdout : stderr);
        return good ? 0 : 2;
    }
    if (s.given[PLANS])
        return print_plans(&s);
    if (s.given[SHOW])
        return show(&s);
    return s.given[REDUCE] ? reduce_seed(&s, s.value[REDUCE]) : run_campaign(&s);
}
