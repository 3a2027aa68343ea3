/* The windows of an image as columns of a matrix, and their adjoint (im2col and col2im), written
   once for both float types; convolution.c includes this file twice with

       REAL        float or double
       ROWS(name)  the function's name, which must be unique in the program (multiversion.h)

   A row of the matrix is what one tap, an element of the filter, sees of a channel: the channel
   itself, moved, without what the move takes beyond its end, and with zeros where it sees the
   margin. Where places are as many as elements of a row and lie one apart, a move is one copy of
   the whole channel, and what has come from the neighbouring row is cut afterwards. */

#include "autograd/ops/row_total.h"

/* Zeros outside of what the tap sees, where a whole channel has been moved. */
CBI_MATH void ROWS(cut_margins)(const conv_job *job, const reach *row, const reach *column,
                                REAL *places) {
    const int64_t width = job->places[1];
    for (int64_t h = row->first; h < row->last; h++) {
        for (int64_t w = 0; w < column->first; w++)
            places[h * width + w] = 0;
        for (int64_t w = column->last; w < width; w++)
            places[h * width + w] = 0;
    }
}

CBI_MATH void ROWS(fill)(REAL *first, REAL *last) {
    for (; first < last; first++)
        *first = 0;
}

/* What a tap sees of a channel. */
CBI_MATH void ROWS(see)(const conv_job *job, int64_t tap, const REAL *x, REAL *places) {
    const reach row = reach_of(job, 0, tap / job->size[1]);
    const reach column = reach_of(job, 1, tap % job->size[1]);
    const int64_t width = job->places[1], stride = job->stride[1];
    if (job->moved) {
        range whole = moved_range(job, &row, &column);
        ROWS(fill)(places, places + whole.begin);
        for (int64_t q = whole.begin; q < whole.end; q++)
            places[q] = x[q + whole.shift];
        ROWS(fill)(places + whole.end, places + job->area);
        ROWS(cut_margins)(job, &row, &column, places);
        return;
    }
    ROWS(fill)(places, places + row.first * width);
    for (int64_t h = row.first; h < row.last; h++) {
        REAL *to = places + h * width;
        const REAL *from = x + (h * job->stride[0] + row.shift) * job->extent[1] + column.shift;
        ROWS(fill)(to, to + column.first);
        if (stride == 1)
            for (int64_t w = column.first; w < column.last; w++)
                to[w] = from[w];
        else
            for (int64_t w = column.first; w < column.last; w++)
                to[w] = from[w * stride];
        ROWS(fill)(to + column.last, to + width);
    }
    ROWS(fill)(places + row.last * width, places + job->area);
}

/* Adds to a channel what a tap has seen of it; what is beyond the channel is lost. */
CBI_MATH void ROWS(give_back)(const conv_job *job, int64_t tap, REAL *restrict places,
                              REAL *restrict x) {
    const reach row = reach_of(job, 0, tap / job->size[1]);
    const reach column = reach_of(job, 1, tap % job->size[1]);
    const int64_t width = job->places[1], stride = job->stride[1];
    if (job->moved) {
        range whole = moved_range(job, &row, &column);
        ROWS(cut_margins)(job, &row, &column, places);
        for (int64_t q = whole.begin; q < whole.end; q++)
            x[q + whole.shift] += places[q];
        return;
    }
    for (int64_t h = row.first; h < row.last; h++) {
        const REAL *from = places + h * width;
        REAL *to = x + (h * job->stride[0] + row.shift) * job->extent[1] + column.shift;
        if (stride == 1)
            for (int64_t w = column.first; w < column.last; w++)
                to[w] += from[w];
        else
            for (int64_t w = column.first; w < column.last; w++)
                to[w * stride] += from[w];
    }
}

/* The rows of some channels of a block of images. */
CBI_MULTIVERSION static void ROWS(columns)(void *context, int64_t begin, int64_t end) {
    const conv_block *block = context;
    const conv_job *job = block->job;
    for (int64_t c = begin; c < end; c++)
        for (int64_t tap = 0; tap < job->taps; tap++)
            for (int64_t i = 0; i < block->images; i++)
                ROWS(see)
    (job, tap, channel_of(block, job->x, i, c),
     (REAL *)block->columns + (c * job->taps + tap) * block->width + i * job->area);
}

/* The gradient of some channels, from that of their rows, which are written over. */
CBI_MULTIVERSION static void ROWS(overlap)(void *context, int64_t begin, int64_t end) {
    const conv_block *block = context;
    const conv_job *job = block->job;
    for (int64_t c = begin; c < end; c++)
        for (int64_t i = 0; i < block->images; i++) {
            REAL *dx = channel_of(block, job->dx, i, c);
            ROWS(fill)(dx, dx + job->plane);
            for (int64_t tap = 0; tap < job->taps; tap++)
                ROWS(give_back)
            (job, tap,
             (REAL *)block->columns + (c * job->taps + tap) * block->width + i * job->area, dx);
        }
}

/* The results of some filters: taken to where they belong, if the product is not there, with the
   bias. */
CBI_MULTIVERSION static void ROWS(results)(void *context, int64_t begin, int64_t end) {
    const conv_block *block = context;
    const conv_job *job = block->job;
    const REAL *bias = (const REAL *)job->bias;
    for (int64_t o = begin; o < end; o++) {
        const REAL add = bias != NULL ? bias[block->group * job->out + o] : 0;
        for (int64_t i = 0; i < block->images; i++) {
            const REAL *from = (const REAL *)block->results + o * block->width + i * job->area;
            REAL *y = filter_of(block, job->y, i, o);
            for (int64_t p = 0; p < job->area; p++)
                y[p] = from[p] + add;
        }
    }
}

/* Adds to the gradient of the bias of some filters. */
CBI_MULTIVERSION static void ROWS(add_bias)(void *context, int64_t begin, int64_t end) {
    const conv_block *block = context;
    REAL *sum = block->dbias;
    for (int64_t o = begin; o < end; o++)
        sum[o] += (REAL)ROWS(total)(block->width, (const REAL *)block->results + o * block->width);
}
