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

CBI_MATH void ROWS(row_of_pairs)(int64_t n, const REAL *restrict upper, const REAL *restrict lower,
                                 REAL *restrict y) {
    for (int64_t w = 0; w < n; w++) {
        REAL top = ROWS(larger)(upper[2 * w], upper[2 * w + 1]);
        REAL bottom = ROWS(larger)(lower[2 * w], lower[2 * w + 1]);
        y[w] = ROWS(larger)(top, bottom);
    }
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
        for (int64_t h = 0; h < job->places[0]; h++, y += job->places[1])
            if (job->pairs)
                ROWS(row_of_pairs)
        (job->places[1], x + 2 * h * job->extent[1], x + (2 * h + 1) * job->extent[1], y);
        else ROWS(row)(job, h, x, y);
    }
}

/* What an element of a window gets of the window's gradient: elements that are the largest share
   it. Where none is, as where y is NaN, the share is 0 / 0. */
CBI_MATH void ROWS(gradient_of_pairs)(int64_t n, const REAL *restrict upper,
                                      const REAL *restrict lower, const REAL *restrict y,
                                      const REAL *restrict g, REAL *restrict up,
                                      REAL *restrict low) {
    for (int64_t w = 0; w < n; w++) {
        const REAL a = upper[2 * w] == y[w], b = upper[2 * w + 1] == y[w];
        const REAL c = lower[2 * w] == y[w], d = lower[2 * w + 1] == y[w];
        const REAL ties = a + b + (c + d);
        up[2 * w] = g[w] * (a / ties);
        up[2 * w + 1] = g[w] * (b / ties);
        low[2 * w] = g[w] * (c / ties);
        low[2 * w + 1] = g[w] * (d / ties);
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
            if (!job->pairs || 2 * places < width || 2 * job->places[0] < job->extent[0])
                memset(dx, 0, sizeof(REAL) * (size_t)job->plane);
            for (int64_t h = 0; h < job->places[0]; h++, y += places, g += places)
                if (job->pairs)
                    ROWS(gradient_of_pairs)
            (places, x + 2 * h * width, x + (2 * h + 1) * width, y, g, dx + 2 * h * width,
             dx + (2 * h + 1) * width);
            else ROWS(gradient_row)(job, h, x, y, g, dx, ties);
        }
    }
}
