/* Batch normalisation over rows, a channel of an image each, and its gradient, written once for
   both float types; batch_norm.c includes this file twice with

       REAL        float or double
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   Sums are formed in blocks that stay in the L1 cache, and those of the blocks added up in
   double. */
#include "autograd/ops/row_total.h"

/* A row's sum, and that of squares of what is left when the row's own mean is taken off. */
CBI_MULTIVERSION static void ROWS(measure)(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->x + r * job->n;
        moments all = {0, 0, 0};
        for (int64_t first = 0; first < job->n; first += BLOCK) {
            const int64_t length = job->n - first < BLOCK ? job->n - first : BLOCK;
            const double own = ROWS(total)(length, x + first) / (double)length;
            const REAL shift = (REAL)own;
            REAL part = 0;
#pragma omp simd reduction(+ : part)
            for (int64_t i = 0; i < length; i++)
                part += (x[first + i] - shift) * (x[first + i] - shift);
            merge(&all, (moments){(double)length, own * (double)length, (double)part});
        }
        job->sums[2 * r] = all.sum;
        job->sums[2 * r + 1] = all.squares;
    }
}

/* y = (x - mean) factor weight + bias */
CBI_MULTIVERSION static void ROWS(normalise)(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    const REAL *weight = job->weight, *bias = job->bias;
    for (int64_t r = begin; r < end; r++) {
        const int64_t c = r % job->channels;
        const REAL *x = (const REAL *)job->x + r * job->n, mean = (REAL)job->mean[c];
        const REAL scale = (REAL)job->factor[c] * (weight != NULL ? weight[c] : 1);
        const REAL add = bias != NULL ? bias[c] : 0;
        REAL *y = (REAL *)job->out + r * job->n;
        for (int64_t i = 0; i < job->n; i++)
            y[i] = (x[i] - mean) * scale + add;
    }
}

/* A row's sum of g, and of g (x - mean). */
CBI_MULTIVERSION static void ROWS(measure_gradient)(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->x + r * job->n, *g = (const REAL *)job->g + r * job->n;
        const REAL mean = (REAL)job->mean[r % job->channels];
        double sum = 0, dot = 0;
        for (int64_t first = 0; first < job->n; first += BLOCK) {
            const int64_t last = job->n - first < BLOCK ? job->n : first + BLOCK;
            REAL part = 0, product = 0;
#pragma omp simd reduction(+ : part, product)
            for (int64_t i = first; i < last; i++) {
                part += g[i];
                product += g[i] * (x[i] - mean);
            }
            sum += (double)part;
            dot += (double)product;
        }
        job->sums[2 * r] = sum;
        job->sums[2 * r + 1] = dot;
    }
}

/* dx = weight factor (g - mean g - (x - mean) slope) */
CBI_MULTIVERSION static void ROWS(gradient)(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    const REAL *weight = job->weight;
    for (int64_t r = begin; r < end; r++) {
        const int64_t c = r % job->channels;
        const REAL *x = (const REAL *)job->x + r * job->n, *g = (const REAL *)job->g + r * job->n;
        const REAL scale = (REAL)job->factor[c] * (weight != NULL ? weight[c] : 1);
        const REAL mean = (REAL)job->mean[c], mean_g = (REAL)job->mean_g[c],
                   slope = (REAL)job->slope[c];
        REAL *dx = (REAL *)job->out + r * job->n;
        for (int64_t i = 0; i < job->n; i++)
            dx[i] = scale * (g[i] - mean_g - (x[i] - mean) * slope);
    }
}
