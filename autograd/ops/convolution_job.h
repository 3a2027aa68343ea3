/* What the loops of a convolution are given, and where its windows lie. */
#ifndef CEREBRA_AUTOGRAD_OPS_CONVOLUTION_JOB_H
#define CEREBRA_AUTOGRAD_OPS_CONVOLUTION_JOB_H

#include <cerebra/tensor.h>

/* Of one axis the first entry of each pair is that of an axis of extent 1. */
typedef struct conv_job {
    cb_dtype dtype;
    int64_t bytes; /* of an element */
    int64_t images, groups;
    int64_t in, out; /* channels and filters of a group */
    int64_t extent[2], size[2], stride[2], padding[2], dilation[2], places[2];
    int64_t plane, area; /* elements of a channel; places of an image */
    int64_t taps, inner; /* elements of a filter: of a channel, and of all */
    bool moved;          /* what a tap sees of a channel is the channel, moved */
    bool as_is;          /* and the columns of an image are x as it lies */
    int64_t block, blocks;
    const char *x, *weight, *bias, *g;
    char *y, *dx, *dweight, *dbias; /* gradients that are not wanted: NULL */
    int64_t chunks, parts;          /* parts that have memory of their own */
    char *memory;
    int64_t columns_bytes, part_bytes;
} conv_job;

/* Some images of a group of channels. */
typedef struct conv_block {
    const conv_job *job;
    int64_t group, first, images, width;
    char *columns; /* [inner, width] */
    char *results; /* [out, width]: y, or its gradient */
    void *dbias;   /* [out] */
} conv_block;

/* Places of an axis at which a tap is within x: there it sees element place * stride + shift. */
typedef struct reach {
    int64_t first, last, shift;
} reach;

static inline reach reach_of(const conv_job *job, int axis, int64_t tap) {
    const int64_t stride = job->stride[axis], extent = job->extent[axis];
    reach r = {0, 0, tap * job->dilation[axis] - job->padding[axis]};
    r.last = extent > r.shift ? (extent - 1 - r.shift) / stride + 1 : 0;
    r.last = r.last < job->places[axis] ? r.last : job->places[axis];
    r.first = r.shift < 0 ? (stride - 1 - r.shift) / stride : 0;
    r.first = r.first < r.last ? r.first : r.last;
    return r;
}

/* Places of an image, in a row, that are elements of a channel so many before or behind. */
typedef struct range {
    int64_t begin, end, shift;
} range;

static inline range moved_range(const conv_job *job, const reach *row, const reach *column) {
    const int64_t width = job->places[1];
    range r = {row->first * width, row->last * width, row->shift * width + column->shift};
    r.begin = r.begin + r.shift < 0 ? -r.shift : r.begin;
    r.end = r.end + r.shift > job->plane ? job->plane - r.shift : r.end;
    r.begin = r.begin < row->last * width ? r.begin : row->last * width;
    r.end = r.end > r.begin ? r.end : r.begin;
    return r;
}

static inline void *channel_of(const conv_block *block, const char *x, int64_t i, int64_t c) {
    const conv_job *job = block->job;
    int64_t image = (block->first + i) * job->groups + block->group;
    return (char *)(uintptr_t)x + (image * job->in + c) * job->plane * job->bytes;
}

static inline void *filter_of(const conv_block *block, const char *y, int64_t i, int64_t o) {
    const conv_job *job = block->job;
    int64_t image = (block->first + i) * job->groups + block->group;
    return (char *)(uintptr_t)y + (image * job->out + o) * job->area * job->bytes;
}

#endif
