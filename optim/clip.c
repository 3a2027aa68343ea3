/* Gradient clipping.

   The norm is summed in double over a number of pieces that the number of elements alone decides,
   and the pieces' sums are added in order, so that it does not depend on the number of threads.

   cb_clip_gradient_norm reads all gradients, and reads and writes them again where it has to scale
   them. An optimizer with clip_norm saves the second pass: it scales what it is about to use. */
#include "optim/flat.h"
#include "optim/optimizer_internal.h"

#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <math.h>

#define PIECES 256
/* Partial sums that do not wait for each other, as many as fill the widest vector registers twice.
 */
#define LANES 16

typedef struct squares {
    const cb_params *params;
    int parameters;
    int64_t count, piece; /* elements in all and in a piece */
    double scale;         /* of the elements, before they are squared */
    double sum[PIECES];
} squares;

#define SUM_LOOP(type)                                                                             \
    do {                                                                                           \
        const type *x = t->data;                                                                   \
        for (; i + LANES <= end; i += LANES) {                                                     \
            for (int k = 0; k < LANES; k++) {                                                      \
                double scaled = (double)x[i + k] * scale;                                          \
                lane[k] += scaled * scaled;                                                        \
            }                                                                                      \
        }                                                                                          \
        for (; i < end; i++) {                                                                     \
            double scaled = (double)x[i] * scale;                                                  \
            lane[0] += scaled * scaled;                                                            \
        }                                                                                          \
    } while (0)

CBI_MULTIVERSION static double sum_of_squares(const cb_tensor *t, double scale, int64_t i,
                                              int64_t end) {
    double lane[LANES] = {0};
    if (t->dtype == CB_F64)
        SUM_LOOP(double);
    else
        SUM_LOOP(float);
    double sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* What is visited to form one piece's sum. */
typedef struct piece_sum {
    const cb_params *params;
    double scale, sum;
} piece_sum;

static void add_part(void *context, int i, int64_t first, int64_t last) {
    piece_sum *piece = context;
    piece->sum +=
        sum_of_squares(cb_params_at(piece->params, i)->gradient, piece->scale, first, last);
}

static void sum_pieces(void *context, int64_t begin, int64_t end) {
    squares *s = context;
    for (int64_t p = begin; p < end; p++) {
        int64_t first = p * s->piece, last = first + s->piece;
        piece_sum piece = {.params = s->params, .scale = s->scale};
        cbi_flat_walk(s->params, s->parameters, first, last < s->count ? last : s->count, add_part,
                      &piece);
        s->sum[p] = piece.sum;
    }
}

/* The square root of the sum of all squares of the elements, scaled by a power of 2 meanwhile. */
static double scaled_norm(const cb_params *params, int count, double scale) {
    squares s = {.params = params,
                 .parameters = count,
                 .count = cbi_flat_count(params, count),
                 .scale = scale};
    int64_t piece = (s.count + PIECES - 1) / PIECES;
    s.piece = piece < CBI_GRAIN ? CBI_GRAIN : piece;
    int64_t pieces = (s.count + s.piece - 1) / s.piece;
    cbi_parallel_for(pieces, 1, sum_pieces, &s);
    double sum = 0;
    for (int64_t p = 0; p < pieces; p++)
        sum += s.sum[p];
    return sqrt(sum) / scale;
}

double cbi_gradient_norm(const cb_params *params, int count) {
    double norm = scaled_norm(params, count, 1);
    /* The square of an f64 above 1e154 overflows and that of one below 1e-154 loses digits. */
    if (cb_params_dtype(params) != CB_F64 || isnan(norm) || (norm > 0x1p-450 && norm < 0x1p500))
        return norm;
    return scaled_norm(params, count, norm > 1 ? 0x1p-600 : 0x1p600);
}

double cbi_clip_scale(double norm, double max_norm) {
    double scale = max_norm / (norm + 1e-6);
    return isfinite(norm) && scale >= 0 && scale < 1 ? scale : 1;
}

CBI_MULTIVERSION static void scale_elements(const cb_tensor *t, double by, int64_t begin,
                                            int64_t end) {
    if (t->dtype == CB_F64) {
        double *x = t->data;
        for (int64_t i = begin; i < end; i++)
            x[i] *= by;
    } else {
        float *x = t->data, scale = (float)by;
        for (int64_t i = begin; i < end; i++)
            x[i] *= scale;
    }
}

CBI_MULTIVERSION static void limit_elements(const cb_tensor *t, double to, int64_t begin,
                                            int64_t end) {
    if (t->dtype == CB_F64) {
        double *x = t->data, limit = to;
        for (int64_t i = begin; i < end; i++)
            x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
    } else {
        float *x = t->data, limit = (float)to;
        for (int64_t i = begin; i < end; i++)
            x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
    }
}

void cbi_clip_scale_elements(const cb_tensor *gradient, double scale, int64_t begin, int64_t end) {
    scale_elements(gradient, scale, begin, end);
}

/* What is done to the gradients of a set: scaled by a number, or limited to it. */
typedef struct change {
    const cb_params *params;
    double number;
} change;

static void scale_part(void *context, int i, int64_t first, int64_t last) {
    const change *c = context;
    scale_elements(cb_params_at(c->params, i)->gradient, c->number, first, last);
}

static void limit_part(void *context, int i, int64_t first, int64_t last) {
    const change *c = context;
    limit_elements(cb_params_at(c->params, i)->gradient, c->number, first, last);
}

double cb_clip_gradient_norm(cb_params *params, double max_norm) {
    int count = cb_params_count(params);
    double norm = cbi_gradient_norm(params, count);
    change c = {params, cbi_clip_scale(norm, max_norm)};
    if (c.number != 1)
        cbi_flat_for(params, count, scale_part, &c);
    return norm;
}

void cb_clip_gradient_value(cb_params *params, double limit) {
    change c = {params, limit};
    if (limit >= 0)
        cbi_flat_for(params, cb_params_count(params), limit_part, &c);
}
