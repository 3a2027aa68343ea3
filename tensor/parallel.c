/* OpenMP behind one function. A region costs some microseconds, so small loops never open one.
   Subnormal numbers are taken for zeros in every worker: they slow a recurrent network down by an
   order of magnitude and carry no information. As operands too: of a kernel that copies some of
   them first and one that does not, results would differ. */
#include "tensor/parallel.h"

#include <cerebra/tape.h>

#include <omp.h>
#include <stdatomic.h>

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

static _Atomic int thread_count; /* 0: OpenMP's default */

void cb_set_threads(int threads) {
    atomic_store(&thread_count, threads < 1 ? 1 : threads);
}

int cb_threads(void) {
    int threads = atomic_load(&thread_count);
    return threads > 0 ? threads : omp_get_max_threads();
}

void cbi_parallel_for(int64_t n, int64_t grain,
                      void (*body)(void *context, int64_t begin, int64_t end), void *context) {
    if (n <= 0)
        return;
    int64_t most = grain < 1 ? n : n / grain;
    int threads = cb_threads();
    if (most < threads)
        threads = (int)most;
    if (threads <= 1 || omp_in_parallel()) {
        unsigned saved = float_mode_enter();
        body(context, 0, n);
        float_mode_leave(saved);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        /* OpenMP may give fewer threads than asked for. */
        int64_t team = omp_get_num_threads(), self = omp_get_thread_num();
        int64_t begin = n / team * self + (self < n % team ? self : n % team);
        int64_t end = begin + n / team + (self < n % team);
        unsigned saved = float_mode_enter();
        if (begin < end)
            body(context, begin, end);
        float_mode_leave(saved);
    }
}
