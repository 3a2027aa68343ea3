/* Layer normalisation over rows, and its gradient, written once for both float types;
   layer_norm.c includes this file twice with

       REAL        float or double
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   A row stays in the L1 cache while it is read for its mean, for its variance, and for what is
   written. Sums are added up in blocks, and the blocks' in double. */
#include "autograd/ops/row_total.h"

/* sum (a - shift) b, or with (a - shift)^2 where b is NULL */
CBI_MATH double ROWS(moment)(int64_t n, const REAL *a, REAL shift, const REAL *b) {
    double sum = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        const REAL *x = a + first, *y = b != NULL ? b + first : NULL;
        REAL part = 0;
        if (y != NULL) {
#pragma omp simd reduction(+ : part)
            for (int64_t i = 0; i < length; i++)
                part += (x[i] - shift) * y[i];
        } else {
#pragma omp simd reduction(+ : part)
            for (int64_t i = 0; i < length; i++)
                part += (x[i] - shift) * (x[i] - shift);
        }
        sum += (double)part;
    }
    return sum;
}

/* y = (x - mean) / sqrt(variance + epsilon) weight + bias; keeps the mean and the factor. */
CBI_MULTIVERSION static void ROWS(forward)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    const REAL *weight = job->weight, *bias = job->bias;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->x + r * job->n;
        REAL *y = (REAL *)job->out + r * job->n, *kept = (REAL *)job->statistics + 2 * r;
        const REAL mean = (REAL)(ROWS(total)(job->n, x) / (double)job->n);
        const double variance = ROWS(moment)(job->n, x, mean, NULL) / (double)job->n;
        const REAL factor = (REAL)(1 / sqrt(variance + job->epsilon));
        if (weight != NULL && bias != NULL)
            for (int64_t i = 0; i < job->n; i++)
                y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
        else if (weight != NULL)
            for (int64_t i = 0; i < job->n; i++)
                y[i] = (x[i] - mean) * factor * weight[i];
        else
            for (int64_t i = 0; i < job->n; i++)
                y[i] = (x[i] - mean) * factor + (bias != NULL ? bias[i] : 0);
        kept[0] = mean;
        kept[1] = factor;
    }
}

/* With z = (x - mean) factor and d = g weight: dx = factor (d - mean(d) - z mean(d z)). */
CBI_MATH void ROWS(row_gradient)(const rows_job *job, int64_t r, REAL *d) {
    const REAL *x = (const REAL *)job->x + r * job->n, *g = (const REAL *)job->g + r * job->n;
    const REAL *kept = (const REAL *)job->statistics + 2 * r, *weight = job->weight;
    REAL *dx = (REAL *)job->out + r * job->n;
    const REAL mean = kept[0], factor = kept[1];
    for (int64_t i = 0; i < job->n; i++)
        d[i] = weight != NULL ? g[i] * weight[i] : g[i];
    const REAL mean_d = (REAL)(ROWS(total)(job->n, d) / (double)job->n);
    const REAL slope =
        (REAL)(ROWS(moment)(job->n, x, mean, d) * (double)factor / (double)job->n) * factor;
    for (int64_t i = 0; i < job->n; i++)
        dx[i] = factor * (d[i] - mean_d - (x[i] - mean) * slope);
}

/* Of blocks of ROWS_OF_A_BLOCK rows: dx, and what the block adds to the gradients of weight and
   bias. */
CBI_MULTIVERSION static void ROWS(gradient)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t block = begin; block < end; block++) {
        REAL *own = (REAL *)job->parts + block * 3 * job->n, *dw = own + job->n, *db = dw + job->n;
        int64_t last = (block + 1) * ROWS_OF_A_BLOCK;
        memset(dw, 0, sizeof(REAL) * 2 * (size_t)job->n);
        for (int64_t r = block * ROWS_OF_A_BLOCK; r < last && r < job->rows; r++) {
            const REAL *x = (const REAL *)job->x + r * job->n;
            const REAL *g = (const REAL *)job->g + r * job->n;
            const REAL *kept = (const REAL *)job->statistics + 2 * r;
            const REAL mean = kept[0], factor = kept[1];
            if (job->out != NULL)
                ROWS(row_gradient)(job, r, own);
            for (int64_t i = 0; i < job->n; i++) {
                dw[i] += g[i] * ((x[i] - mean) * factor);
                db[i] += g[i];
            }
        }
    }
}
