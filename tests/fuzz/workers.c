/* Worker processes. Each has a desk in shared memory: the seed that it is at, and its tally. When a
   worker dies, its desk tells where, and another takes its place.

   The parent runs no step itself: OpenMP's threads do not survive a fork. */
#define _DEFAULT_SOURCE /* for MAP_ANONYMOUS */
#include "workers.h"

#include "forms.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct desk {
    pid_t pid;
    volatile bool busy;
    volatile uint64_t seed;
    volatile phase now;
    tally tally;
} desk;

typedef struct office {
    _Atomic uint64_t next; /* how many seeds were given out */
    double deadline;       /* 0: none */
    desk desks[];
} office;

double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *shared_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void silence_stderr(void) {
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) {
        dup2(nowhere, STDERR_FILENO);
        close(nowhere);
    }
}

/* Before a process judges anything. Tracing takes and gives back megabytes, which the C library
   would have mapped and zeroed anew for each program. */
static void prepare_process(void) {
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void add_failure(tally *t, uint64_t seed, const verdict *v) {
    if (t->failure_count == MOST_FAILURES)
        return;
    failure *f = &t->failures[t->failure_count++];
    f->seed = seed;
    f->kind = v->kind;
    snprintf(f->what, sizeof(f->what), "%s", v->what);
}

static void add_reason(tally *t, const char *text, uint64_t count) {
    int i = 0;
    while (i < t->reason_count && strcmp(t->reasons[i].text, text) != 0)
        i++;
    if (i == MOST_REASONS)
        return;
    if (i == t->reason_count)
        snprintf(t->reasons[t->reason_count++].text, sizeof(t->reasons[i].text), "%s", text);
    t->reasons[i].count += count;
}

/* Numbers become #, runs of them and brackets one #, so that equal reasons read the same. */
static void normalise(const char *reason, char *text, size_t size) {
    size_t n = 0;
    for (const char *c = reason; *c != '\0' && n + 2 < size; c++) {
        bool digit = isdigit((unsigned char)*c);
        if (!digit)
            text[n++] = *c;
        else if (n == 0 ||
                 (text[n - 1] != '#' && !(text[n - 1] == ',' && n > 1 && text[n - 2] == '#')))
            text[n++] = '#';
        else if (text[n - 1] == ',')
            n--;
    }
    text[n] = '\0';
}

static void count(tally *t, const program *p, const verdict *v) {
    bool has_form[MOST_FORMS], has_feature[MOST_FEATURES], compiled = v->reason[0] == '\0';
    char text[160];
    t->seeds++;
    t->compiled += compiled;
    t->kinds[v->kind]++;
    t->values += (uint64_t)p->value_count;
    if (kind_is_failure(v->kind))
        add_failure(t, p->seed, v);
    if (!compiled) {
        normalise(v->reason, text, sizeof(text));
        add_reason(t, text, 1);
    }
    cover(p, has_form, has_feature);
    for (int i = 0; i < MOST_FORMS; i++) {
        t->forms[i][0] += has_form[i];
        t->forms[i][1] += has_form[i] && compiled;
    }
    for (int i = 0; i < MOST_FEATURES; i++) {
        t->features[i][0] += has_feature[i];
        t->features[i][1] += has_feature[i] && compiled;
    }
}

static int by_seed(const void *a, const void *b) {
    const failure *u = a, *v = b;
    return (u->seed > v->seed) - (u->seed < v->seed);
}

static void add_tally(tally *sum, const tally *t) {
    sum->seeds += t->seeds;
    sum->compiled += t->compiled;
    sum->values += t->values;
    for (int i = 0; i < VERDICT_KINDS; i++)
        sum->kinds[i] += t->kinds[i];
    for (int i = 0; i < MOST_FORMS * 2; i++)
        sum->forms[i / 2][i % 2] += t->forms[i / 2][i % 2];
    for (int i = 0; i < MOST_FEATURES * 2; i++)
        sum->features[i / 2][i % 2] += t->features[i / 2][i % 2];
    for (int i = 0; i < t->reason_count; i++)
        add_reason(sum, t->reasons[i].text, t->reasons[i].count);
    for (int i = 0; i < t->failure_count && sum->failure_count < MOST_FAILURES; i++)
        sum->failures[sum->failure_count++] = t->failures[i];
    qsort(sum->failures, (size_t)sum->failure_count, sizeof(failure), by_seed);
}

/* ---- A worker's life ------------------------------------------------------------------------- */

/* What a fault has done to a process's memory should not be blamed on many other seeds. */
enum { SEEDS_OF_A_PROCESS = 256 };

static bool is_over(const office *o, const campaign *c) {
    return o->next >= c->count || (o->deadline > 0 && now_seconds() > o->deadline);
}

static void work(office *o, desk *mine, const campaign *c) {
    static program p;
    verdict v;
    silence_stderr();
    prepare_process();
    for (int k = 0; k < SEEDS_OF_A_PROCESS && !is_over(o, c); k++) {
        uint64_t number = atomic_fetch_add(&o->next, 1);
        if (number >= c->count)
            break;
        mine->seed = c->first + number;
        mine->now = DRAWING;
        mine->busy = true;
        alarm(c->limit);
        program_draw(&p, mine->seed, &c->draw);
        c->judge(&p, &v, &mine->now);
        count(&mine->tally, &p, &v);
        alarm(0);
        mine->busy = false;
    }
    _exit(0);
}

/* What a process's end says of the program that it was at. */
static void verdict_of_death(int status, phase now, verdict *v) {
    memset(v, 0, sizeof(*v));
    bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    v->kind = late ? HANG : CRASH;
    if (late)
        snprintf(v->what, sizeof(v->what), "%s takes too long", phase_text(now));
    else if (WIFSIGNALED(status))
        snprintf(v->what, sizeof(v->what), "signal %d while %s", WTERMSIG(status), phase_text(now));
    else
        snprintf(v->what, sizeof(v->what), "exit %d while %s", WEXITSTATUS(status),
                 phase_text(now));
}

static bool hire(office *o, desk *d, const campaign *c) {
    fflush(NULL);
    d->busy = false;
    pid_t pid = fork();
    if (pid == 0)
        work(o, d, c);
    d->pid = pid; /* the parent's to say: both see it */
    return pid > 0;
}

/* A seed that killed its worker is counted as a failure. Another worker goes on. */
static bool bury(office *o, desk *d, const campaign *c, int status) {
    verdict v;
    d->pid = 0;
    if (!d->busy)
        return is_over(o, c) || hire(o, d, c);
    verdict_of_death(status, d->now, &v);
    d->tally.seeds++;
    d->tally.kinds[v.kind]++;
    add_failure(&d->tally, d->seed, &v);
    return hire(o, d, c);
}

bool campaign_run(const campaign *c, tally *t) {
    size_t bytes = sizeof(office) + sizeof(desk) * (size_t)c->jobs;
    office *o = shared_memory(bytes);
    bool good = o != NULL;
    int status;
    pid_t pid;
    if (!good)
        return false;
    o->deadline = c->seconds > 0 ? now_seconds() + c->seconds : 0;
    for (int i = 0; i < c->jobs && good; i++)
        good = hire(o, &o->desks[i], c);
    while ((pid = wait(&status)) > 0 || errno == EINTR)
        for (int i = 0; i < c->jobs; i++)
            if (pid > 0 && o->desks[i].pid == pid)
                good = bury(o, &o->desks[i], c, status) && good;
    for (int i = 0; i < c->jobs; i++)
        add_tally(t, &o->desks[i].tally);
    munmap(o, bytes);
    return good;
}

/* ---- One program ----------------------------------------------------------------------------- */

typedef struct chamber {
    volatile bool done;
    volatile phase now;
    verdict v;
} chamber;

void judge_apart(const program *p, const campaign *c, bool quiet, verdict *v) {
    static chamber *room;
    int status = 0;
    if (room == NULL)
        room = shared_memory(sizeof(*room));
    memset(v, 0, sizeof(*v));
    v->kind = NO_MEMORY;
    if (room == NULL)
        return;
    fflush(NULL);
    room->done = false;
    pid_t pid = fork();
    if (pid == 0) {
        if (quiet)
            silence_stderr();
        prepare_process();
        alarm(c->limit);
        c->judge(p, &room->v, &room->now);
        room->done = true;
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && room->done)
        *v = room->v;
    else if (pid > 0)
        verdict_of_death(status, room->now, v);
}
