/* The thread pool behind one function. Waking a thread costs some microseconds, so small loops
   never do. Subnormal numbers are taken for zeros in every worker: they slow a recurrent network
   down by an order of magnitude and carry no information. As operands too: of a kernel that copies
   some of them first and one that does not, results would differ. */
#include "tensor/parallel.h"

#include "tensor/thread_pool.h"

#include <cerebra/threads.h>

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define SUBNORMALS_ARE_ZERO 0x8040u /* as results and as operands */
static unsigned float_mode_enter(void) {
    unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | SUBNORMALS_ARE_ZERO);
    return saved;
}
static void float_mode_leave(unsigned saved) {
    /* Exceptions raised meanwhile stay raised, as after any arithmetic. */
    _mm_setcsr((_mm_getcsr() & ~SUBNORMALS_ARE_ZERO) | (saved & SUBNORMALS_ARE_ZERO));
}
#else
static unsigned float_mode_enter(void) {
    return 0;
}
static void float_mode_leave(unsigned saved) {
    (void)saved;
}
#endif

static _Atomic int thread_count; /* 0: not yet asked for */

void cb_set_threads(int threads) {
    atomic_store(&thread_count, threads < 1 ? 1 : threads);
}

/* OMP_NUM_THREADS, the first number of it, is what users of other numerical programs know. */
static int default_threads(void) {
    const char *text = getenv("OMP_NUM_THREADS");
    long wanted = text == NULL ? 0 : strtol(text, NULL, 10);
    return wanted >= 1 && wanted <= CBI_MOST_THREADS ? (int)wanted : cbi_processors();
}

int cb_threads(void) {
    int threads = atomic_load(&thread_count);
    if (threads == 0) {
        int unset = 0;
        threads = default_threads();
        if (!atomic_compare_exchange_strong(&thread_count, &unset, threads))
            threads = unset;
    }
    return threads;
}

/* A loop that is shared out; each call takes the next range. */
typedef struct shared_loop {
    void (*body)(void *context, int64_t begin, int64_t end);
    void *context;
    int64_t n, parts;
    _Atomic int64_t next;
} shared_loop;

static void run_range(void *context) {
    shared_loop *loop = context;
    int64_t i = atomic_fetch_add(&loop->next, 1), n = loop->n, parts = loop->parts;
    int64_t begin = n / parts * i + (i < n % parts ? i : n % parts);
    int64_t end = begin + n / parts + (i < n % parts);
    unsigned saved = float_mode_enter();
    if (begin < end)
        loop->body(loop->context, begin, end);
    float_mode_leave(saved);
}

void cbi_parallel_for_on(int threads, int64_t n, int64_t grain,
                         void (*body)(void *context, int64_t begin, int64_t end), void *context) {
    if (n <= 0)
        return;
    int64_t most = grain < 1 ? n : n / grain;
    shared_loop loop = {.body = body, .context = context, .n = n, .parts = threads};
    loop.parts = most < loop.parts ? most : loop.parts;
    loop.parts = cbi_pool_inside() || loop.parts < 1 ? 1 : loop.parts;
    cbi_pool_run((int)loop.parts, run_range, &loop);
}

void cbi_parallel_for(int64_t n, int64_t grain,
                      void (*body)(void *context, int64_t begin, int64_t end), void *context) {
    cbi_parallel_for_on(cb_threads(), n, grain, body, context);
}
