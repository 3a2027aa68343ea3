/* The softmax of attention over rows of scores, and its gradient, written once for both float
   types; attention.c includes this file twice with

       REAL        float or double
       EXP         of tensor/math.h
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   mask: NULL, or one element for each score, stride apart; 0: the score does not take part. A row
   in which none does is 0, and so is its gradient. */
#include "autograd/ops/row_total.h"

/* scores = scale scores, -inf where masked; returns the largest. */
CBI_MATH REAL ROWS(scaled)(int64_t n, REAL *restrict scores, REAL scale, const REAL *restrict mask,
                           int64_t stride) {
    REAL most = -INFINITY;
    if (mask == NULL) {
#pragma omp simd reduction(max : most)
        for (int64_t i = 0; i < n; i++) {
            scores[i] *= scale;
            most = scores[i] > most ? scores[i] : most;
        }
        return most;
    }
    for (int64_t i = 0; i < n; i++) {
        scores[i] = mask[i * stride] != 0 ? scores[i] * scale : -(REAL)INFINITY;
        most = scores[i] > most ? scores[i] : most;
    }
    return most;
}

/* y = exp(y - shift); -inf becomes 0. */
CBI_MATH void ROWS(exponential)(int64_t n, REAL *y, REAL shift) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        REAL e = EXP(y[i] - shift);
        y[i] = y[i] == -(REAL)INFINITY ? 0 : e;
    }
}

/* A row of scores becomes that of weights, which add up to 1; returns log sum exp of the scaled
   scores, +inf when none takes part: exp(score - it) gives the weight again. */
CBI_MULTIVERSION static double ROWS(weigh)(int64_t n, void *scores, double scale, const void *mask,
                                           int64_t stride) {
    REAL *y = scores, most = ROWS(scaled)(n, y, (REAL)scale, mask, stride);
    if (most == -(REAL)INFINITY) { /* NaN is not: what is not a number is to be seen */
        bool empty = true;
        for (int64_t i = 0; i < n; i++)
            empty = empty && y[i] == -(REAL)INFINITY;
        if (empty) {
            for (int64_t i = 0; i < n; i++)
                y[i] = 0;
            return INFINITY;
        }
    }
    ROWS(exponential)(n, y, most);
    double sum = ROWS(total)(n, y);
    const REAL factor = (REAL)(1 / sum);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] *= factor;
    return (double)most + cbi_log_f64(sum);
}

/* A row of scores becomes that of weights again. */
CBI_MULTIVERSION static void ROWS(weigh_again)(int64_t n, void *scores, double scale,
                                               const void *mask, int64_t stride, double logsumexp) {
    REAL *y = scores;
    ROWS(scaled)(n, y, (REAL)scale, mask, stride);
    if (logsumexp == INFINITY) {
        for (int64_t i = 0; i < n; i++)
            y[i] = 0;
        return;
    }
    ROWS(exponential)(n, y, (REAL)logsumexp);
}

/* g, the gradient of a row of weights, becomes that of its scores: scale w (g - sum o d), o the
   output's row and d its gradient. */
CBI_MULTIVERSION static void ROWS(score_gradient)(int64_t n, const void *weights, void *gradient,
                                                  double scale, int64_t width, const void *output,
                                                  const void *output_gradient) {
    const REAL *restrict w = weights, *o = output, *d = output_gradient;
    REAL *restrict g = gradient, dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < width; i++)
        dot += o[i] * d[i];
    const REAL factor = (REAL)scale;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        g[i] = factor * w[i] * (g[i] - dot);
}
