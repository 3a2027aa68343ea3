/* A worker is idle, or a caller has claimed it and posted a job to it, or it has taken that job.
   Who waits, workers for a job and callers for workers that have taken theirs, looks again and
   again for a short time, which is what most waits take, and then sleeps.

   A job is on its caller's stack. Before the caller returns it takes back what was posted and not
   taken, and waits for the others; a worker's last use of a job is to count itself out of it. All
   atomics are sequentially consistent: who goes to sleep says so and then looks once more, who has
   something for it posts it and then looks whether it sleeps, so that one of them sees the other.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "tensor/thread_pool.h"

#include <cerebra/threads.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORKERS = 1023, LINE = 64, LOOKS = 64 };

typedef struct job {
    void (*work)(void *context);
    void *context;
    _Atomic int left;    /* parts that nobody has begun */
    _Atomic int workers; /* that it is posted to, or that have taken it */
} job;

/* The low bits of a worker's state; the others count what was posted to it, so that a caller does
   not take another's job for its own. */
enum { IDLE, CLAIMED, POSTED, TAKEN, KINDS };

typedef struct worker {
    _Alignas(LINE) _Atomic uint64_t state;
    job *job; /* valid from POSTED on */
    _Atomic bool sleeps;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} worker;

static worker workers[MOST_WORKERS];
static _Atomic int worker_count;
static _Atomic bool stopping;
static pthread_mutex_t growing = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t done_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static _Atomic int sleeping_callers;
static _Atomic int64_t spin_nanoseconds = 2000000;
static _Thread_local bool working;

void cb_set_spinning(double microseconds) {
    double most = 1e9; /* 1000 seconds */
    double spin = microseconds > 0 ? microseconds : 0;
    atomic_store(&spin_nanoseconds, (int64_t)(1000 * (spin < most ? spin : most)));
}

int cbi_processors(void) {
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)online;
    return count < 1 ? 1 : count;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool has_job(void *context) {
    worker *w = context;
    return atomic_load(&w->state) % KINDS == POSTED;
}

static bool is_left(void *context) {
    job *j = context;
    return atomic_load(&j->workers) == 0;
}

/* Looks for a while whether something has happened. */
static bool spin(bool (*happened)(void *context), void *context) {
    int64_t limit = atomic_load(&spin_nanoseconds), end = 0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (happened(context))
                return true;
            pause_briefly();
        }
        int64_t now = nanoseconds();
        end = end == 0 ? now + limit : end;
        if (now >= end)
            return false;
    }
}

/* ---- Workers --------------------------------------------------------------------------------- */

static void do_parts(job *j) {
    while (atomic_fetch_sub(&j->left, 1) > 0)
        j->work(j->context);
}

static void wait_for_job(worker *w) {
    if (spin(has_job, w))
        return;
    pthread_mutex_lock(&w->mutex);
    atomic_store(&w->sleeps, true);
    while (!has_job(w) && !atomic_load(&stopping))
        pthread_cond_wait(&w->wake, &w->mutex);
    atomic_store(&w->sleeps, false);
    pthread_mutex_unlock(&w->mutex);
}

static void leave(job *j) {
    /* j may be gone from here on. */
    if (atomic_fetch_sub(&j->workers, 1) == 1 && atomic_load(&sleeping_callers) > 0) {
        pthread_mutex_lock(&done_mutex);
        pthread_cond_broadcast(&done);
        pthread_mutex_unlock(&done_mutex);
    }
}

static void *serve(void *context) {
    worker *w = context;
    working = true;
    while (!atomic_load(&stopping)) {
        wait_for_job(w);
        uint64_t found = atomic_load(&w->state), posts = found - found % KINDS;
        if (found % KINDS != POSTED ||
            !atomic_compare_exchange_strong(&w->state, &found, posts + TAKEN))
            continue;
        job *j = w->job;
        do_parts(j);
        atomic_store(&w->state, posts + IDLE);
        leave(j);
    }
    return NULL;
}

/* After fork there is none of the threads, and nobody holds a lock. */
static void forget_workers(void) {
    atomic_store(&worker_count, 0);
    atomic_store(&sleeping_callers, 0);
    pthread_mutex_init(&growing, NULL);
    pthread_mutex_init(&done_mutex, NULL);
    pthread_cond_init(&done, NULL);
}

/* Signals are for the program's own threads. */
static bool start_worker(worker *w) {
    sigset_t all, before;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->job = NULL;
    atomic_store(&w->sleeps, false);
    atomic_store(&w->state, IDLE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&w->thread, NULL, serve, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* Sees to it that there are so many workers, or as many as there can be. */
static void grow(int wanted) {
    static bool registered;
    wanted = wanted < MOST_WORKERS ? wanted : MOST_WORKERS;
    if (atomic_load(&worker_count) >= wanted || atomic_load(&stopping))
        return;
    pthread_mutex_lock(&growing);
    if (!registered)
        registered = pthread_atfork(NULL, NULL, forget_workers) == 0;
    for (int i = atomic_load(&worker_count); i < wanted && registered; i++) {
        if (!start_worker(&workers[i]))
            break;
        atomic_store(&worker_count, i + 1);
    }
    pthread_mutex_unlock(&growing);
}

/* When the process ends, or what the library is linked into is unloaded: a thread may not outlive
   the code it runs. */
__attribute__((destructor)) static void stop_workers(void) {
    atomic_store(&stopping, true);
    for (int i = 0; i < atomic_load(&worker_count); i++) {
        pthread_mutex_lock(&workers[i].mutex);
        pthread_cond_signal(&workers[i].wake);
        pthread_mutex_unlock(&workers[i].mutex);
        pthread_join(workers[i].thread, NULL);
    }
}

bool cbi_pool_inside(void) {
    return working;
}

/* ---- Callers --------------------------------------------------------------------------------- */

/* A worker that a job was posted to. */
typedef struct posting {
    worker *worker;
    uint64_t state; /* since then, unless it has taken the job */
} posting;

static bool post(worker *w, job *j, posting *made) {
    uint64_t found = atomic_load(&w->state), posts = found - found % KINDS + KINDS;
    if (found % KINDS != IDLE ||
        !atomic_compare_exchange_strong(&w->state, &found, posts + CLAIMED))
        return false;
    *made = (posting){w, posts + POSTED};
    w->job = j;
    atomic_fetch_add(&j->workers, 1);
    atomic_store(&w->state, posts + POSTED);
    if (atomic_load(&w->sleeps)) {
        pthread_mutex_lock(&w->mutex);
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->mutex);
    }
    return true;
}

/* Takes a job back that a worker has not taken. */
static void take_back(posting made, job *j) {
    uint64_t idle = made.state - POSTED + IDLE;
    if (atomic_compare_exchange_strong(&made.worker->state, &made.state, idle))
        atomic_fetch_sub(&j->workers, 1);
}

static void wait_for_workers(job *j) {
    if (spin(is_left, j))
        return;
    pthread_mutex_lock(&done_mutex);
    atomic_fetch_add(&sleeping_callers, 1);
    while (atomic_load(&j->workers) > 0)
        pthread_cond_wait(&done, &done_mutex);
    atomic_fetch_sub(&sleeping_callers, 1);
    pthread_mutex_unlock(&done_mutex);
}

void cbi_pool_run(int parts, void (*work)(void *context), void *context) {
    job j = {.work = work, .context = context, .left = parts};
    posting posted[MOST_WORKERS];
    int count = 0;
    if (parts > 1 && !working) {
        grow(parts - 1);
        for (int i = 0, all = atomic_load(&worker_count); i < all && count < parts - 1; i++)
            count += post(&workers[i], &j, &posted[count]);
    }
    bool before = working;
    working = true;
    do_parts(&j);
    working = before;
    for (int i = 0; i < count; i++)
        take_back(posted[i], &j);
    if (count > 0)
        wait_for_workers(&j);
}
