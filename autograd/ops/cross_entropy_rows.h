/* Cross entropy and its gradient over rows of logits, written once for both float types;
   cross_entropy.c includes this file twice with

       REAL        float or double
       EXP         of tensor/math.h
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   A row is read for its largest logit and again, from the L1 cache, for the sum of exponentials.
   No probability is written but into the gradient. The sum and its logarithm are in double, because
   rows may be long, and so that a loss near 0 keeps its digits. */

/* e = exp(x - most) scale - spread. The last vector of a row overlaps the one before it: what is
   left over would take an exponential for each element. */
CBI_MATH void ROWS(exponentials)(int64_t n, const REAL *restrict x, REAL most, REAL scale,
                                 REAL spread, REAL *restrict e) {
    enum { LANES = 64 / sizeof(REAL) };
    const int64_t whole = n >= LANES ? n / LANES * LANES : n;
    for (int64_t i = 0; i < whole; i++)
        e[i] = EXP(x[i] - most) * scale - spread;
    if (whole < n)
        for (int64_t i = n - LANES; i < n; i++)
            e[i] = EXP(x[i] - most) * scale - spread;
}

/* The sum of exp(x - most) over a row of which most is the largest. With a NaN or +infinity in the
   row, or nothing but -infinity, it is NaN, whatever the largest is then; else at least 1. */
CBI_MATH double ROWS(sum)(int64_t classes, const REAL *x, REAL most) {
    REAL block[BLOCK];
    double sum = 0;
    for (int64_t c = 0; c < classes; c += BLOCK) {
        int64_t length = classes - c < BLOCK ? classes - c : BLOCK;
        /* Apart from the sum: a loop over both dtypes compiles to slower code. */
        ROWS(exponentials)(length, x + c, most, 1, 0, block);
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < length; i++)
            sum += (double)block[i];
    }
    return sum;
}

CBI_MATH REAL ROWS(most)(int64_t classes, const REAL *x) {
    enum { LANES = 64 / sizeof(REAL) };
    REAL most = x[0];
    const int64_t whole = classes >= LANES ? classes / LANES * LANES : classes;
#pragma omp simd reduction(max : most)
    for (int64_t c = 0; c < whole; c++)
        most = x[c] > most ? x[c] : most;
    if (whole < classes) { /* the last vector, as above */
#pragma omp simd reduction(max : most)
        for (int64_t c = classes - LANES; c < classes; c++)
            most = x[c] > most ? x[c] : most;
    }
    return most;
}

/* The mean of x - most. */
CBI_MATH double ROWS(mean)(int64_t classes, const REAL *x, REAL most) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < classes; c++)
        sum += (double)(x[c] - most);
    return sum / (double)classes;
}

/* l = log sum exp(x - m) - (1 - s) (x_target - m) - s mean(x - m), m the largest: less it, the
   digits are kept which large logits have in common. */
CBI_MATH void ROWS(panel)(const rows_job *job, int64_t first, int64_t rows) {
    const int64_t classes = job->classes;
    const REAL *logits = (const REAL *)job->logits + first * classes;
    const int64_t *target = job->target + first;
    REAL *terms = (REAL *)job->out + first, most[PANEL];
    double sum[PANEL], term[PANEL];
    for (int64_t i = 0; i < rows; i++) {
        most[i] = ROWS(most)(classes, logits + i * classes);
        sum[i] = ROWS(sum)(classes, logits + i * classes, most[i]);
    }
    for (int64_t i = 0; i < rows; i++)
        term[i] = cbi_log_f64(sum[i]);
    for (int64_t i = 0; i < rows; i++) {
        const REAL *x = logits + i * classes;
        if (target[i] == IGNORED) {
            terms[i] = 0;
            continue;
        }
        term[i] -= (1 - job->smoothing) * (double)(x[target[i]] - most[i]);
        if (job->smoothing > 0)
            term[i] -= job->smoothing * ROWS(mean)(classes, x, most[i]);
        terms[i] = (REAL)term[i];
    }
    REAL *statistics = (REAL *)job->statistics + 2 * first;
    for (int64_t i = 0; i < rows && job->statistics != NULL; i++) {
        statistics[2 * i] = most[i];
        statistics[2 * i + 1] = (REAL)(1 / sum[i]);
    }
}

/* Of panels begin..end-1. */
CBI_MULTIVERSION static void ROWS(terms)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    for (int64_t p = begin; p < end; p++) {
        int64_t first = p * PANEL, rest = job->rows - first;
        ROWS(panel)(job, first, rest < PANEL ? rest : PANEL);
    }
}

/* dx = g (exp(x - m) / sum - (1 - s) onehot(target) - s / C); an ignored row's is 0. Of rows
   begin..end-1. */
CBI_MULTIVERSION static void ROWS(gradient)(void *context, int64_t begin, int64_t end) {
    const rows_job *job = context;
    const int64_t classes = job->classes;
    const REAL *statistics = job->statistics;
    for (int64_t i = begin; i < end; i++) {
        const REAL *restrict x = (const REAL *)job->logits + i * classes;
        REAL *restrict dx = (REAL *)job->out + i * classes;
        if (job->target[i] == IGNORED) {
            memset(dx, 0, sizeof(REAL) * (size_t)classes);
            continue;
        }
        const REAL g = ((const REAL *)job->g)[i * job->g_step];
        const REAL most = statistics[2 * i], scale = g * statistics[2 * i + 1];
        const REAL spread = g * (REAL)(job->smoothing / (double)classes);
        ROWS(exponentials)(classes, x, most, scale, spread, dx);
        dx[job->target[i]] -= g * (REAL)(1 - job->smoothing);
    }
}
