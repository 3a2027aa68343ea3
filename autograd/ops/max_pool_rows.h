/* Max pooling of channels of images, and its gradient, written once for both float types; pooling.c
   includes this file twice with

       REAL        float or double
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   A row of places is gone through tap by tap, an element of the window each. Windows of 2 x 2 that
   touch each other, the usual ones, have loops of their own, in which a window is computed at
   once. */

/* y = the larger of y and x; NaN, where there is one. */
CBI_MATH REAL ROWS(larger)(REAL y, REAL x) {
    return x > y || x != x ? x : y;
}

/* For each w of a row, do what `each` says. Rows are short, so whole vectors are computed where
   they may run over the row's end: into what is written later, or into room that is there for it.
 */
#define WHOLE(over, n, each)                                                                       \
    do {                                                                                           \
        enum { LANES = 64 / sizeof(REAL) };                                                        \
        for (int64_t at = 0; (over) && at < (n); at += LANES)                                      \
            _Pragma("omp simd") for (int64_t w = at; w < at + LANES; w++) each;                    \
        for (int64_t w = 0; !(over) && w < (n); w++)                                               \
            each;                                                                                  \
    } while (0)

/* Some rows of windows of 2 x 2, of a channel. `over`: whether what is behind x's rows may be
   read. */
CBI_MATH void ROWS(pairs)(int64_t rows, int64_t n, bool over, const REAL *restrict x,
                          REAL *restrict y) {
    REAL room[ROOM + 64 / sizeof(REAL)];
    for (int64_t h = 0; h < rows; h++) {
        const REAL *upper = x + 2 * h * n, *lower = upper + n;
        REAL *to = room + h * n;
        const bool whole = over || h + 1 < rows;
        WHOLE(whole && n >= (int64_t)(32 / sizeof(REAL)), n,
              to[w] = ROWS(larger)(upper[w], lower[w]));
    }
    for (int64_t q = 0; q < rows * n / 2; q++)
        y[q] = ROWS(larger)(room[2 * q], room[2 * q + 1]);
}

/* A row of places: from -inf on, which is what the margin is. */
CBI_MATH void ROWS(row)(const pool_job *job, int64_t h, const REAL *x, REAL *y) {
    for (int64_t w = 0; w < job->places[1]; w++)
        y[w] = -(REAL)INFINITY;
    for (int64_t i = 0; i < job->size[0]; i++) {
        const int64_t at = h * job->stride[0] + i * job->dilation[0] - job->padding[0];
        if (at < 0 || at >= job->extent[0])
            continue;
        for (int64_t j = 0; j < job->size[1]; j++) {
            const pool_reach r = pool_reach_of(job, j);
            const REAL *from = x + at * job->extent[1] + r.shift;
            if (job->stride[1] == 1)
                for (int64_t w = r.first; w < r.last; w++)
                    y[w] = ROWS(larger)(y[w], from[w]);
            else
                for (int64_t w = r.first; w < r.last; w++)
                    y[w] = ROWS(larger)(y[w], from[w * job->stride[1]]);
        }
    }
}

CBI_MULTIVERSION static void ROWS(forward)(void *context, int64_t begin, int64_t end) {
    const pool_job *job = context;
    for (int64_t c = begin; c < end; c++) {
        const REAL *x = (const REAL *)job->x + c * job->plane;
        REAL *y = (REAL *)job->y + c * job->area;
        if (!job->pairs) {
            for (int64_t h = 0; h < job->places[0]; h++)
                ROWS(row)(job, h, x, y + h * job->places[1]);
            continue;
        }
        const int64_t width = job->extent[1], most = ROOM / width;
        for (int64_t h = 0, rows; h < job->places[0]; h += rows) {
            rows = job->places[0] - h < most ? job->places[0] - h : most;
            ROWS(pairs)
            (rows, width, h + rows < job->places[0], x + 2 * h * width, y + h * job->places[1]);
        }
    }
}

/* What an element of a window gets of the window's gradient: elements that are the largest share
   it. Where none is, as where y is NaN, the share is 0 / 0. */
CBI_MATH void ROWS(gradient_of_pairs)(int64_t rows, int64_t n, bool over, const REAL *restrict x,
                                      const REAL *restrict y, const REAL *restrict g,
                                      REAL *restrict dx) {
    enum { SIZE = ROOM + 64 / sizeof(REAL) };
    REAL largest[SIZE], ties[SIZE], share[SIZE], rest[SIZE];
    for (int64_t q = 0; q < rows * n / 2; q++)
        largest[2 * q] = largest[2 * q + 1] = y[q];
    for (int64_t h = 0; h < rows; h++) {
        const REAL *upper = x + 2 * h * n, *lower = upper + n, *of = largest + h * n;
        REAL *to = ties + h * n;
        const bool whole = (over || h + 1 < rows) && n >= (int64_t)(32 / sizeof(REAL));
        WHOLE(whole, n, to[w] = (REAL)(upper[w] == of[w]) + (REAL)(lower[w] == of[w]));
    }
    for (int64_t q = 0; q < rows * n / 2; q++) {
        const REAL both = ties[2 * q] + ties[2 * q + 1];
        share[2 * q] = share[2 * q + 1] = g[q] * (1 / both);
        rest[2 * q] = rest[2 * q + 1] = g[q] * (0 / both);
    }
    for (int64_t r = 0; r < 2 * rows; r++) {
        const REAL *from = x + r * n, *of = largest + r / 2 * n;
        const REAL *one = share + r / 2 * n, *other = rest + r / 2 * n;
        REAL *to = dx + r * n;
        const bool whole = (over || r + 2 < 2 * rows) && n >= (int64_t)(32 / sizeof(REAL));
        WHOLE(whole, n, to[w] = from[w] == of[w] ? one[w] : other[w]);
    }
}

/* The same for any window. ties: room for a row of places. */
CBI_MATH void ROWS(gradient_row)(const pool_job *job, int64_t h, const REAL *x, const REAL *y,
                                 const REAL *g, REAL *restrict dx, REAL *restrict ties) {
    const REAL lowest = -(REAL)INFINITY;
    for (int64_t w = 0; w < job->places[1]; w++)
        ties[w] = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < job->size[0]; i++) {
            const int64_t at = h * job->stride[0] + i * job->dilation[0] - job->padding[0];
            const bool outside = at < 0 || at >= job->extent[0];
            for (int64_t j = 0; j < job->size[1]; j++) {
                const pool_reach r = pool_reach_of(job, j);
                const int64_t first = outside ? job->places[1] : r.first;
                const int64_t last = outside ? job->places[1] : r.last;
                const int64_t offset = at * job->extent[1] + r.shift, stride = job->stride[1];
                for (int64_t w = 0; pass == 0 && w < first; w++)
                    ties[w] += y[w] == lowest;
                for (int64_t w = first; pass == 0 && w < last; w++)
                    ties[w] += x[offset + w * stride] == y[w];
                for (int64_t w = last; pass == 0 && w < job->places[1]; w++)
                    ties[w] += y[w] == lowest;
                for (int64_t w = first; pass == 1 && w < last; w++)
                    dx[offset + w * stride] +=
                        g[w] * ((REAL)(x[offset + w * stride] == y[w]) / ties[w]);
            }
        }
}

CBI_MULTIVERSION static void ROWS(gradient)(void *context, int64_t begin, int64_t end) {
    const pool_job *job = context;
    const int64_t width = job->extent[1], places = job->places[1];
    for (int64_t part = begin; part < end; part++) {
        REAL *ties = (REAL *)job->ties + part * places;
        const int64_t last = job->channels * (part + 1) / job->parts;
        for (int64_t c = job->channels * part / job->parts; c < last; c++) {
            const REAL *x = (const REAL *)job->x + c * job->plane;
            const REAL *y = (const REAL *)job->y + c * job->area;
            const REAL *g = (const REAL *)job->g + c * job->area;
            REAL *dx = (REAL *)job->dx + c * job->plane;
            for (int64_t h = 0, rows; job->pairs && h < job->places[0]; h += rows) {
                rows = job->places[0] - h < ROOM / width ? job->places[0] - h : ROOM / width;
                ROWS(gradient_of_pairs)
                (rows, width, h + rows < job->places[0], x + 2 * h * width, y + h * places,
                 g + h * places, dx + 2 * h * width);
            }
            if (job->pairs)
                continue;
            memset(dx, 0, sizeof(REAL) * (size_t)job->plane);
            for (int64_t h = 0; h < job->places[0]; h++, y += places, g += places)
                ROWS(gradient_row)(job, h, x, y, g, dx, ties);
        }
    }
}

#undef WHOLE
