/* GEMM on BLIS: the one file that knows it.

   BLIS picks a sub-configuration from the CPU's identity, and before 2026 does not know newer or
   virtualised ones: it takes a Xeon for haswell, at half speed, or falls back to plain C. So the
   configuration is chosen here from what the CPU can do, before BLIS initialises itself, unless the
   user has set BLIS_ARCH_TYPE.

   BLIS runs single-threaded; the output is split over the library's own threads. Its small-matrix
   code ("sup") is off: which of two kernels computes an element would depend on how the output is
   split, and with it the rounding. */
#include "tensor/gemm/packed.h"
#include "tensor/kernels.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <blis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* The configuration for this CPU, or -1 to leave the choice to BLIS. */
static int best_configuration(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = cbi_cpu_has_avx512();
    /* Zen 4 executes 512-bit operations in two halves and gains nothing from them (99 GFLOP/s with
       skx, 108 with zen3); Zen 5 does, and differs by this instruction. */
    bool halved = __builtin_cpu_is("amd") && !__builtin_cpu_supports("avx512vp2intersect");
#ifdef BLIS_CONFIG_SKX
    if (avx512 && !halved)
        return (int)BLIS_ARCH_SKX;
#endif
#ifdef BLIS_CONFIG_ZEN3
    if (avx2 && __builtin_cpu_is("amd"))
        return (int)BLIS_ARCH_ZEN3;
#endif
    (void)avx2, (void)avx512, (void)halved;
#endif
    return -1;
}

/* Whether BLIS has a configuration and this CPU can run it: BLIS aborts where it has none, and the
   CPU stops the process where it cannot. */
static bool is_usable(long configuration) {
    bool avx2 = false, avx512 = false;
#if defined(__x86_64__)
    __builtin_cpu_init();
    avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    avx512 = cbi_cpu_has_avx512();
#endif
    (void)avx2, (void)avx512;
    switch (configuration) {
#ifdef BLIS_CONFIG_SKX
    case BLIS_ARCH_SKX:
        return avx512;
#endif
#ifdef BLIS_CONFIG_HASWELL
    case BLIS_ARCH_HASWELL:
        return avx2;
#endif
#ifdef BLIS_CONFIG_ZEN
    case BLIS_ARCH_ZEN:
        return avx2;
#endif
#ifdef BLIS_CONFIG_ZEN2
    case BLIS_ARCH_ZEN2:
        return avx2;
#endif
#ifdef BLIS_CONFIG_ZEN3
    case BLIS_ARCH_ZEN3:
        return avx2;
#endif
#ifdef BLIS_CONFIG_SANDYBRIDGE
    case BLIS_ARCH_SANDYBRIDGE:
        return __builtin_cpu_supports("avx");
#endif
#ifdef BLIS_CONFIG_PENRYN
    case BLIS_ARCH_PENRYN:
        return __builtin_cpu_supports("sse3");
#endif
#ifdef BLIS_CONFIG_GENERIC
    case BLIS_ARCH_GENERIC:
        return true;
#endif
    default: /* of other processors: BLIS knows them */
#if defined(__x86_64__)
        return false;
#else
        return configuration >= 0 && configuration < BLIS_NUM_ARCHS;
#endif
    }
}

static char fault[160]; /* "": none */

static void configure(void) {
    const char *set = getenv("BLIS_ARCH_TYPE"), *asked = set != NULL && *set != '\0' ? set : NULL;
    int configuration = best_configuration();
    char number[16], *end = number;
    bool usable =
        asked == NULL || (is_usable(strtol(asked, &end, 10)) && end != asked && *end == '\0');
    if (!usable)
        snprintf(
            fault, sizeof(fault),
            "BLIS_ARCH_TYPE is \"%.40s\", which is no configuration of BLIS that this CPU can run",
            asked);
    snprintf(number, sizeof(number), "%d", configuration);
    if (configuration >= 0)
        setenv("BLIS_ARCH_TYPE", number, asked == NULL || !usable);
    else if (asked == NULL || !usable)
        unsetenv("BLIS_ARCH_TYPE");
    bli_init();
}

const char *cbi_gemm_fault(void) {
    pthread_once(&configured, configure);
    return fault[0] != '\0' ? fault : NULL;
}

typedef struct gemm_job {
    cb_dtype dtype;
    int64_t m, n, k;
    cbi_matrix a, b, c;
    bool accumulate, split_rows;
    int64_t tile;
} gemm_job;

/* NULL, for an operand without elements, stays NULL. */
static void *offset(cb_dtype dtype, void *data, int64_t elements) {
    return data != NULL ? (char *)data + elements * (int64_t)cb_dtype_size(dtype) : NULL;
}

static void gemm_range(void *context, int64_t begin, int64_t end) {
    const gemm_job *job = context;
    int64_t first = begin * job->tile, last = end * job->tile;
    int64_t m = job->m, n = job->n;
    cbi_matrix a = job->a, b = job->b, c = job->c;
    if (job->split_rows) {
        m = (last < m ? last : m) - first;
        a.data = offset(job->dtype, a.data, first * a.row_stride);
        c.data = offset(job->dtype, c.data, first * c.row_stride);
    } else {
        n = (last < n ? last : n) - first;
        b.data = offset(job->dtype, b.data, first * b.column_stride);
        c.data = offset(job->dtype, c.data, first * c.column_stride);
    }
    rntm_t runtime;
    bli_rntm_init(&runtime);
    bli_rntm_set_num_threads(1, &runtime);
    bli_rntm_disable_l3_sup(&runtime);
    if (job->dtype == CB_F32) {
        float one = 1, beta = job->accumulate ? 1 : 0;
        bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, job->k, &one, a.data, a.row_stride,
                     a.column_stride, b.data, b.row_stride, b.column_stride, &beta, c.data,
                     c.row_stride, c.column_stride, NULL, &runtime);
    } else {
        double one = 1, beta = job->accumulate ? 1 : 0;
        bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, job->k, &one, a.data, a.row_stride,
                     a.column_stride, b.data, b.row_stride, b.column_stride, &beta, c.data,
                     c.row_stride, c.column_stride, NULL, &runtime);
    }
}

/* Rows or columns a thread gets are multiples of this, so that few micro-tiles are cut. Of every
   kernel's extents, 6, 8, 12, 16 and 32, a larger multiple would leave the threads unequal parts.
 */
#define TILE 16

void cbi_gemm_blis(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                   bool accumulate, cbi_matrix c) {
    pthread_once(&configured, configure);
    gemm_job job = {dtype, m, n, k, a, b, c, accumulate, .split_rows = m > n};
    int64_t longest = job.split_rows ? m : n, other = job.split_rows ? n : m;
    job.tile = longest < 2 * TILE ? (longest + 1) / 2 : TILE;
    int64_t tiles = (longest + job.tile - 1) / job.tile;
    int64_t grain = CBI_GRAIN_MULTIPLICATIONS / (job.tile * other * (k > 0 ? k : 1)) + 1;
    cbi_parallel_for(tiles, grain, gemm_range, &job);
}

void cbi_gemm(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
              bool accumulate, cbi_matrix c) {
    const cbi_gemm_block all = {m, accumulate, c};
    if (m > 0 && n > 0 && !cbi_gemv(dtype, m, n, k, a, b, accumulate, c) &&
        !cbi_gemm_packed(dtype, m, n, k, a, b, false, 1, &all))
        cbi_gemm_blis(dtype, m, n, k, a, b, accumulate, c);
}

void cbi_gemm_blocks(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool across, int count, const cbi_gemm_block *blocks) {
    bool wide = true; /* each block is as cbi_gemm forms it */
    for (int i = 0; i < count; i++)
        wide = wide && (across ? m : blocks[i].extent) > CBI_GEMV_ROWS;
    if (wide && count <= CBI_MOST_BLOCKS &&
        cbi_gemm_packed(dtype, m, n, k, a, b, across, count, blocks))
        return;
    for (int i = 0; i < count; i++) {
        int64_t extent = blocks[i].extent;
        cbi_gemm(dtype, across ? m : extent, across ? extent : n, k, a, b, blocks[i].accumulate,
                 blocks[i].c);
        a.data = offset(dtype, a.data, across ? 0 : extent * a.row_stride);
        b.data = offset(dtype, b.data, across ? extent * b.column_stride : 0);
    }
}

/* ---- The microkernel alone ------------------------------------------------------------------- */

static cbi_microkernel microkernels[2]; /* f32, f64 */
static sgemm_ukr_ft run_f32_kernel;
static dgemm_ukr_ft run_f64_kernel;
static cntx_t *context_of_kernels;

static void run_f32(int64_t m, int64_t n, int64_t k, const void *a, const void *b, bool accumulate,
                    void *c, int64_t row_stride, int64_t column_stride) {
    float one = 1, beta = accumulate ? 1 : 0;
    auxinfo_t next = {.a_next = (void *)(uintptr_t)a, .b_next = (void *)(uintptr_t)b};
    run_f32_kernel(m, n, k, &one, (float *)(uintptr_t)a, (float *)(uintptr_t)b, &beta, c,
                   row_stride, column_stride, &next, context_of_kernels);
}

static void run_f64(int64_t m, int64_t n, int64_t k, const void *a, const void *b, bool accumulate,
                    void *c, int64_t row_stride, int64_t column_stride) {
    double one = 1, beta = accumulate ? 1 : 0;
    auxinfo_t next = {.a_next = (void *)(uintptr_t)a, .b_next = (void *)(uintptr_t)b};
    run_f64_kernel(m, n, k, &one, (double *)(uintptr_t)a, (double *)(uintptr_t)b, &beta, c,
                   row_stride, column_stride, &next, context_of_kernels);
}

static cbi_microkernel describe_kernel(num_t type) {
    return (cbi_microkernel){
        .usable = type == BLIS_FLOAT ? run_f32_kernel != NULL : run_f64_kernel != NULL,
        .rows = bli_cntx_get_blksz_def_dt(type, BLIS_MR, context_of_kernels),
        .columns = bli_cntx_get_blksz_def_dt(type, BLIS_NR, context_of_kernels),
        .depth = bli_cntx_get_blksz_def_dt(type, BLIS_KC, context_of_kernels),
        .most_depth = bli_cntx_get_blksz_max_dt(type, BLIS_KC, context_of_kernels),
        .row_major = bli_cntx_l3_nat_ukr_prefers_rows_dt(type, BLIS_GEMM_UKR, context_of_kernels),
    };
}

static void find_microkernels(void) {
    pthread_once(&configured, configure);
    context_of_kernels = bli_gks_query_cntx();
    /* BLIS keeps functions as object pointers, which ISO C does not convert. */
    void *f32 = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context_of_kernels);
    void *f64 = bli_cntx_get_l3_nat_ukr_dt(BLIS_DOUBLE, BLIS_GEMM_UKR, context_of_kernels);
    memcpy(&run_f32_kernel, &f32, sizeof(f32));
    memcpy(&run_f64_kernel, &f64, sizeof(f64));
    microkernels[0] = describe_kernel(BLIS_FLOAT);
    microkernels[0].run = run_f32;
    microkernels[1] = describe_kernel(BLIS_DOUBLE);
    microkernels[1].run = run_f64;
}

const cbi_microkernel *cbi_microkernel_of(cb_dtype dtype) {
    static pthread_once_t found = PTHREAD_ONCE_INIT;
    pthread_once(&found, find_microkernels);
    return &microkernels[dtype == CB_F32 ? 0 : 1];
}
