/* A fuzzer of the language of equations: texts that may be anything, and cells that are right.

       fuzz_equations --seed 1 --count 100000

   A quarter of the seeds each is: an edit of one of the tree's cells or a drawn one; tokens in any
   order; lines that are right one by one; a drawn cell, which is right. Whatever the text, reading
   it takes less than a second, and gives a cell, whose printed form is the same cell, or one
   message with a place of the text. A drawn cell is always read. One in so many cells is run
   compiled and op by op.

   Exit status: 0 nothing failed, 1 something did, 2 usage. */
#define _XOPEN_SOURCE 700 /* sigaltstack */

#include "equation_check.h"
#include "equation_draw.h"
#include "equation_mutate.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers: every fault ends the process, with a signal, so that the seed is told. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) {
    return "abort_on_error=1";
}
const char *__ubsan_default_options(void) {
    return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

#ifdef __SANITIZE_ADDRESS__
enum { SECONDS_OF_A_TEXT = 5 };
#else
enum { SECONDS_OF_A_TEXT = 1 };
#endif
enum { SECONDS_OF_A_RUN = 120, MOST_FAILURES = 10, MOST_REASONS = 20 };

typedef struct settings {
    uint64_t seed, count, seconds, runs;
    bool show;
} settings;

enum { EDITED, SOUP, LINES, DRAWN, KINDS };

typedef struct tally {
    uint64_t texts[KINDS], cells[KINDS], runs, not_compiled, failures;
    double slowest;
    uint64_t slowest_seed;
    char reasons[MOST_REASONS][160];
    int reason_count;
} tally;

/* ---- What goes wrong so that nothing is told any more ---------------------------------------- */

static char now_running[64];

static void tell_seed(int signal_number) {
    static const char slow[] = "too slow: ", crash[] = "crashed: ";
    const char *what = signal_number == SIGPROF ? slow : crash;
    ssize_t ignored = write(STDOUT_FILENO, what, strlen(what));
    ignored = write(STDOUT_FILENO, now_running, strlen(now_running));
    (void)ignored;
    _exit(1);
}

/* On a stack of their own, as the other one may be what has overflowed. AddressSanitizer sees to
   all but the last two, reports, and aborts. */
static void catch_signals(void) {
    static char room[1 << 16];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF};
    const stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};
    const struct sigaction action = {.sa_handler = tell_seed, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
#ifdef __SANITIZE_ADDRESS__
    int first = 4;
#else
    int first = 0;
#endif
    for (int i = first; i < 6; i++)
        sigaction(signals[i], &action, NULL);
}

/* The processor's time, so that a busy machine makes no difference. */
static void allow(long seconds) {
    const struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

/* ---- One seed -------------------------------------------------------------------------------- */

static void print_text(const text *t) {
    for (size_t i = 0; i < t->length; i++) {
        unsigned char c = (unsigned char)t->bytes[i];
        if ((c < ' ' && c != '\n') || c == 0x7F || c == '\\')
            printf("\\x%02X", c);
        else
            putchar(c);
    }
    printf("\n----\n");
}

static int draw_text(dice *d, const corpus *c, text *t) {
    int kind = below(d, KINDS);
    text own = {NULL, 0, 0};
    if (kind == EDITED || kind == DRAWN)
        draw_cell(d, &own);
    if (kind == EDITED)
        mutate(d, c, &own, t);
    else if (kind == SOUP)
        soup(d, t);
    else if (kind == LINES)
        wild_lines(d, t);
    else
        text_add(t, own.bytes, own.length);
    text_free(&own);
    return kind;
}

static void note_reason(tally *total, const char *reason) {
    total->not_compiled++;
    for (int i = 0; i < total->reason_count; i++)
        if (strcmp(total->reasons[i], reason) == 0)
            return;
    if (total->reason_count < MOST_REASONS)
        snprintf(total->reasons[total->reason_count++], 160, "%s", reason);
}

static void run_cell(dice *d, const cb_cell *cell, bool right, uint64_t seed, fault *found,
                     tally *total) {
    char reason[160];
    const cb_rnn_options options = {.hidden = DRAWN_HIDDEN, .no_bias = one_in(d, 5)};
    allow(SECONDS_OF_A_RUN);
    check_run(cell, &options, right, seed, found, reason);
    total->runs++;
    if (reason[0] != '\0')
        note_reason(total, reason);
}

static double processor_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static void try_seed(const settings *s, const corpus *c, uint64_t seed, tally *total) {
    dice d = {seed};
    text t = {NULL, 0, 0};
    fault found;
    snprintf(now_running, sizeof(now_running), "seed %" PRIu64 "\n", seed);
    int kind = draw_text(&d, c, &t);
    if (s->show)
        print_text(&t);
    allow(SECONDS_OF_A_TEXT);
    double start = processor_seconds();
    cb_cell *cell = check_text(&t, kind == DRAWN, &found);
    double taken = processor_seconds() - start;
    if (taken > total->slowest) {
        total->slowest = taken;
        total->slowest_seed = seed;
    }
    total->texts[kind]++;
    total->cells[kind] += cell != NULL;
    if (cell != NULL && s->runs > 0 && one_in(&d, (int)s->runs))
        run_cell(&d, cell, kind == DRAWN, seed, &found, total);
    allow(0);
    cb_cell_free(cell);
    if (found.what[0] != '\0') {
        total->failures++;
        printf("---- seed %" PRIu64 ": %s\n", seed, found.what);
        print_text(&t);
    }
    text_free(&t);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const tally *total, double seconds) {
    static const char *const kinds[] = {"edited", "soups", "lines", "drawn"};
    uint64_t texts = 0;
    for (int i = 0; i < KINDS; i++)
        texts += total->texts[i];
    printf("%" PRIu64 " texts in %.0f seconds, %" PRIu64 " failed; cells:", texts, seconds,
           total->failures);
    for (int i = 0; i < KINDS; i++)
        printf("%s %" PRIu64 " of %" PRIu64 " %s", i > 0 ? "," : "", total->cells[i],
               total->texts[i], kinds[i]);
    printf("\n%" PRIu64 " run compiled and op by op, %" PRIu64 " of them not compiled; the slowest "
           "text took %.3f seconds (seed %" PRIu64 ")\n",
           total->runs, total->not_compiled, total->slowest, total->slowest_seed);
    for (int i = 0; i < total->reason_count; i++)
        printf("not compiled: %s\n", total->reasons[i]);
}

static int run(const settings *s) {
    corpus c = {NULL, 0};
    tally total = {.failures = 0};
    static const char *const folders[] = {"cells", "examples/cells"};
    corpus_add_library(&c);
    for (int i = 0; i < 2; i++) {
        char path[700];
        snprintf(path, sizeof(path), "%.600s/%s", CB_TEST_SOURCE_DIR, folders[i]);
        if (!corpus_add_folder(&c, path))
            fprintf(stderr, "fuzz_equations: no cells in %s\n", path);
    }
    printf("fuzz_equations --seed %" PRIu64 "\n", s->seed);
    fflush(stdout);
    double start = now();
    uint64_t i = 0;
    while (i < s->count && total.failures < MOST_FAILURES &&
           (s->seconds == 0 || now() - start < (double)s->seconds))
        try_seed(s, &c, s->seed + i++, &total);
    corpus_free(&c);
    report(&total, now() - start);
    return total.failures > 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

static int usage(FILE *stream, int status) {
    fputs("usage: fuzz_equations [options]\n"
          "Random texts in the language of equations.\n"
          "  --seed S     the first seed (default: of the clock)\n"
          "  --count N    how many seeds (default 2000; with --seconds no limit)\n"
          "  --seconds N  begin no seed after so long\n"
          "  --runs N     run one in N cells (default 4; 0: none)\n"
          "  --show       print each text\n"
          "  --help       print this\n",
          stream);
    return status;
}

static bool read_number(const char *digits, uint64_t *number) {
    char *end;
    *number = strtoull(digits, &end, 10);
    return digits[0] >= '0' && digits[0] <= '9' && *end == '\0';
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"runs", required_argument, NULL, 'r'},
                                            {"show", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    settings s = {.seed = (uint64_t)time(NULL) * 1000000, .runs = 4};
    bool good = true, counted = false;
    for (int o; good && (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        counted = counted || o == 'c';
        if (o == 'h')
            return usage(stdout, 0);
        if (o == 'v')
            s.show = true;
        else
            good = o != '?' && read_number(optarg, o == 's'   ? &s.seed
                                                   : o == 'c' ? &s.count
                                                   : o == 't' ? &s.seconds
                                                              : &s.runs);
    }
    if (!good || optind < argc || s.runs > 1000000)
        return usage(stderr, 2);
    if (!counted)
        s.count = s.seconds > 0 ? UINT64_MAX : 2000;
    catch_signals();
    return run(&s);
}
