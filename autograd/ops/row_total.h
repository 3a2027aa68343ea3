/* The sum of a row, added up in blocks of BLOCK elements, and the blocks' in double. Included where
   REAL and ROWS are defined: by softmax_rows.h and layer_norm_rows.h. */
CBI_MATH double ROWS(total)(int64_t n, const REAL *a) {
    double sum = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        REAL part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = 0; i < length; i++)
            part += a[first + i];
        sum += (double)part;
    }
    return sum;
}
