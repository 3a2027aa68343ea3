/* Softmax and its relatives over rows, and their gradients, written once for both float types;
   softmax.c includes this file twice with

       REAL        float or double
       EXP         of tensor/math.h
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   A row stays in the L1 cache while it is read for its largest element, for the sum of
   exponentials, and for what is written. Sums are added up in blocks, and the blocks' in double. */
#include "autograd/ops/row_total.h"

CBI_MATH REAL ROWS(most)(int64_t n, const REAL *x) {
    REAL most = x[0];
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* y = exp(x - most) */
CBI_MATH void ROWS(exponential)(int64_t n, const REAL *restrict x, REAL most, REAL *restrict y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = EXP(x[i] - most);
}

/* y = exp(x - most), and its sum; y may be NULL. */
CBI_MATH double ROWS(exponentials)(int64_t n, const REAL *x, REAL most, REAL *y) {
    REAL block[BLOCK];
    double sum = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        REAL part = 0, *to = y != NULL ? y + first : block;
        ROWS(exponential)(length, x + first, most, to);
#pragma omp simd reduction(+ : part)
        for (int64_t i = 0; i < length; i++)
            part += to[i];
        sum += (double)part;
    }
    return sum;
}

/* sum a b */
CBI_MATH double ROWS(dot)(int64_t n, const REAL *a, const REAL *b) {
    double sum = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        REAL part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = 0; i < length; i++)
            part += a[first + i] * b[first + i];
        sum += (double)part;
    }
    return sum;
}

/* y = exp(x - m) / sum exp(x - m), m the largest */
CBI_MULTIVERSION static void ROWS(softmax)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->a + r * job->n;
        REAL *y = (REAL *)job->out + r * job->n;
        double sum = ROWS(exponentials)(job->n, x, ROWS(most)(job->n, x), y);
        const REAL scale = (REAL)(1 / sum);
        for (int64_t i = 0; i < job->n; i++)
            y[i] *= scale;
    }
}

/* y = (x - m) - log sum exp(x - m): not x - logsumexp(x), which loses the digits that both have in
   common. */
CBI_MULTIVERSION static void ROWS(log_softmax)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->a + r * job->n;
        REAL *y = (REAL *)job->out + r * job->n;
        const REAL most = ROWS(most)(job->n, x);
        const REAL shift = (REAL)cbi_log_f64(ROWS(exponentials)(job->n, x, most, NULL));
        for (int64_t i = 0; i < job->n; i++)
            y[i] = (x[i] - most) - shift;
    }
}

/* y = m + log sum exp(x - m), one element a row; with m = 0 where the largest is infinite */
CBI_MULTIVERSION static void ROWS(logsumexp)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->a + r * job->n;
        REAL most = ROWS(most)(job->n, x);
        most = most - most == 0 ? most : 0;
        double sum = ROWS(exponentials)(job->n, x, most, NULL);
        ((REAL *)job->out)[r] = (REAL)cbi_log_f64(sum) + most;
    }
}

/* a: y, b: g; dx = y (g - sum g y) */
CBI_MULTIVERSION static void ROWS(softmax_gradient)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *y = (const REAL *)job->a + r * job->n, *g = (const REAL *)job->b + r * job->n;
        REAL *dx = (REAL *)job->out + r * job->n;
        const REAL sum = (REAL)ROWS(dot)(job->n, y, g);
        for (int64_t i = 0; i < job->n; i++)
            dx[i] = y[i] * (g[i] - sum);
    }
}

/* a: y, b: g; dx = g - exp(y) sum g */
CBI_MULTIVERSION static void ROWS(log_softmax_gradient)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *y = (const REAL *)job->a + r * job->n, *g = (const REAL *)job->b + r * job->n;
        REAL *dx = (REAL *)job->out + r * job->n;
        const REAL sum = (REAL)ROWS(total)(job->n, g);
        for (int64_t i = 0; i < job->n; i++)
            dx[i] = g[i] - EXP(y[i]) * sum;
    }
}

/* a: x, b: y, c: g, one element a row each; dx = g exp(x - y) */
CBI_MULTIVERSION static void ROWS(logsumexp_gradient)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)job->a + r * job->n;
        REAL *dx = (REAL *)job->out + r * job->n;
        const REAL y = ((const REAL *)job->b)[r], g = ((const REAL *)job->c)[r];
        for (int64_t i = 0; i < job->n; i++)
            dx[i] = g * EXP(x[i] - y);
    }
}
