/* Convolution, max pooling and batch norm of random shapes, strides, margins, dilations and groups
   against their definitions in plain ops in f64: values, gradients, gradients of gradients, with
   elements that are not finite, and the same bits with one thread, two and three. */
#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <time.h>

enum { CASES = 100, INPUTS = 3 };

typedef enum what { CONVOLUTION, MAX_POOL, BATCH_NORM, KINDS } what;

typedef struct shape {
    int rank;
    int64_t extent[4];
} shape;

typedef struct problem {
    what kind;
    uint64_t seed;
    cb_dtype dtype;
    int axes, count; /* of images; inputs */
    shape of[INPUTS];
    bool transposed[INPUTS], biased, weighted;
    int64_t size[2], stride[2], padding[2], dilation[2], groups;
    double odd; /* an element of x; 0: none is odd */
} problem;

static int64_t below(cb_random *random, int64_t n) {
    return (int64_t)cb_random_below(random, (uint64_t)n);
}

static void draw_windows(problem *p, cb_random *random) {
    for (int k = 0; k < p->axes; k++) {
        p->size[k] = 1 + below(random, 4);
        p->dilation[k] = 1 + below(random, 2);
        p->stride[k] = 1 + below(random, 3);
        p->padding[k] = below(random, p->size[k] / 2 + 1);
        int64_t span = p->dilation[k] * (p->size[k] - 1) + 1;
        p->of[0].extent[2 + k] = span + below(random, below(random, 3) == 0 ? 25 : 8);
    }
    bool usual = below(random, 3) == 0; /* as in most networks */
    for (int k = 0; k < p->axes && usual; k++) {
        p->size[k] = p->kind == CONVOLUTION ? 3 : 2;
        p->stride[k] = p->kind == CONVOLUTION ? 1 : 2;
        p->padding[k] = p->kind == CONVOLUTION;
        p->dilation[k] = 1;
        p->of[0].extent[2 + k] = 2 + 2 * below(random, 20);
    }
}

static problem draw(what kind, uint64_t seed) {
    cb_random random = cb_random_seed(seed);
    problem p = {.kind = kind, .seed = seed, .groups = 1};
    p.dtype = below(&random, 2) == 0 ? CB_F32 : CB_F64;
    p.axes = 1 + (int)below(&random, 2);
    p.of[0] = (shape){p.axes + 2, {1 + below(&random, 9), 1 + below(&random, 4)}};
    if (below(&random, 8) == 0) /* several blocks of images in what is added up at once */
        p.of[0].extent[0] = 17 + below(&random, 30);
    p.biased = below(&random, 3) > 0;
    p.weighted = below(&random, 3) > 0;
    for (int i = 0; i < INPUTS; i++)
        p.transposed[i] = below(&random, 3) == 0;
    draw_windows(&p, &random);
    int64_t channels = p.of[0].extent[1];
    p.count = 1;
    if (kind == CONVOLUTION) {
        p.groups = 1 + below(&random, 2);
        p.of[0].extent[1] = channels * p.groups;
        p.of[1] = (shape){p.axes + 2, {p.groups * (1 + below(&random, 9)), channels}};
        for (int k = 0; k < p.axes; k++)
            p.of[1].extent[2 + k] = p.size[k];
        p.of[2] = (shape){1, {p.of[1].extent[0]}};
        p.count = 2 + p.biased;
    } else if (kind == BATCH_NORM) {
        p.of[1] = p.of[2] = (shape){1, {channels}};
        if (below(&random, 4) == 0) { /* rows longer than a block of sums, and few of them */
            p.of[0].extent[0] = 1 + below(&random, 2);
            p.of[0].extent[2] = 300 + below(&random, 500);
            p.of[0].extent[3] = 1 + below(&random, 3);
        }
        p.of[0].extent[0] += 1;
        p.count = 1 + p.weighted + p.biased;
    }
    return p;
}

/* A plain tensor of whole numbers of 1/8 in [-1, 1): few, so that elements tie. */
static cb_tensor *filled(const problem *p, int i) {
    const shape *s = &p->of[i];
    cb_random random = cb_random_seed(p->seed + 100 + (uint64_t)i);
    cb_tensor *t = cb_tensor_new(p->dtype, s->rank, s->extent);
    int64_t at[4] = {0}, count = cb_tensor_count(t), odd = below(&random, count);
    for (int64_t n = 0; n < count; n++) {
        double value = (double)(below(&random, 16) - 8) / 8;
        cb_tensor_set(t, at, i == 0 && p->odd != 0 && n == odd ? p->odd : value);
        for (int k = s->rank - 1; k >= 0 && ++at[k] == s->extent[k]; k--)
            at[k] = 0;
    }
    return t;
}

/* ---- The definitions ------------------------------------------------------------------------- */

static cb_tensor *margin(const problem *p, cb_tensor *x, double value) {
    int64_t zeros[4] = {0};
    for (int k = 0; k < p->axes; k++)
        zeros[2 + k] = p->padding[k];
    return cb_pad(x, zeros, zeros, value);
}

/* For each group: the products of windows [size.., N, C, places..] with a filter [C, size..],
   added up over its axes. */
static cb_tensor *convolution(const problem *p, cb_tensor *const *in) {
    cb_tensor *group[2], *x = margin(p, in[0], 0);
    int64_t channels = in[1]->shape[1], filters = in[1]->shape[0] / p->groups;
    for (int64_t g = 0; g < p->groups; g++) {
        cb_tensor *part = cb_slice(x, 1, g * channels, (g + 1) * channels, 1);
        cb_tensor *w = cb_slice(in[1], 0, g * filters, (g + 1) * filters, 1);
        cb_tensor *windows = cb_windows(part, p->axes, p->size, p->stride, p->dilation);
        int64_t images = part->shape[0], places = 1, taps = 1;
        int64_t whole[4] = {images, filters, windows->shape[p->axes + 2],
                            windows->shape[windows->rank - 1]};
        for (int k = 0; k < p->axes; k++) {
            places *= windows->shape[p->axes + 2 + k];
            taps *= p->size[k];
        }
        windows = cb_reshape(windows, CB_SHAPE(taps, images, channels, places));
        windows = cb_permute(windows, 4, (const int[]){1, 2, 0, 3});
        windows = cb_reshape(windows, CB_SHAPE(images, 1, channels * taps, places));
        w = cb_reshape(w, CB_SHAPE(filters, channels * taps, 1));
        cb_tensor *y = cb_sum(cb_mul(windows, w), CB_AXES(2), false);
        group[g] = cb_reshape(y, p->axes + 2, whole);
    }
    cb_tensor *y = p->groups == 1 ? group[0] : cb_concat(2, group, 1);
    return p->biased ? cb_add(y, cb_reshape(in[2], p->axes + 1, (int64_t[]){in[2]->shape[0], 1, 1}))
                     : y;
}

static cb_tensor *batch_norm(const problem *p, cb_tensor *const *in) {
    int axes[] = {0, 2, 3}, count = p->axes + 1, at = 1;
    int64_t channels[] = {in[0]->shape[1], 1, 1};
    cb_tensor *z = cb_sub(in[0], cb_mean(in[0], count, axes, true));
    cb_tensor *variance = cb_mean(cb_mul(z, z), count, axes, true);
    z = cb_div(z, cb_sqrt(cb_shift(variance, 0.1)));
    if (p->weighted)
        z = cb_mul(z, cb_reshape(in[at++], count, channels));
    return p->biased ? cb_add(z, cb_reshape(in[at], count, channels)) : z;
}

static cb_tensor *defined(const problem *p, cb_tensor *const *in) {
    if (p->kind == CONVOLUTION)
        return convolution(p, in);
    if (p->kind == BATCH_NORM)
        return batch_norm(p, in);
    cb_tensor *windows =
        cb_windows(margin(p, in[0], -HUGE_VAL), p->axes, p->size, p->stride, p->dilation);
    return cb_max(windows, p->axes, (const int[]){0, 1}, false);
}

static cb_tensor *applied(const problem *p, cb_tensor *const *in) {
    cb_conv_options conv = {.bias = p->biased ? in[2] : NULL, .groups = p->groups};
    cb_pool_options pool = {.size = {0}};
    for (int k = 0; k < p->axes; k++) {
        pool.size[k] = p->size[k];
        conv.stride[k] = pool.stride[k] = p->stride[k];
        conv.padding[k] = pool.padding[k] = p->padding[k];
        conv.dilation[k] = pool.dilation[k] = p->dilation[k];
    }
    if (p->kind == CONVOLUTION)
        return cb_conv_with(p->axes, in[0], in[1], &conv);
    if (p->kind == MAX_POOL)
        return cb_max_pool_with(p->axes, in[0], &pool);
    return cb_batch_norm(in[0], NULL, NULL, p->weighted ? in[1] : NULL,
                         p->biased ? in[1 + p->weighted] : NULL, 0.1);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static cb_tensor *exact(const cb_tensor *t) {
    cb_tensor *copy = cb_tensor_new(CB_F64, t->rank, t->shape);
    cb_tensor_assign(copy, t);
    return copy;
}

/* Times whole numbers of 1/8 from -1 to 1, whose sums are exact in f32. */
static cb_tensor *weigh(cb_tensor *y) {
    cb_tensor *w = cb_full_like(cb_stop_gradient(y), 0);
    for (int64_t i = 0; i < cb_tensor_count(w); i++) {
        double value = (double)(i % 17 - 8) / 8;
        if (w->dtype == CB_F32)
            ((float *)w->data)[i] = (float)value;
        else
            ((double *)w->data)[i] = value;
    }
    return cb_mul(y, w);
}

/* y and the gradients of all inputs; of order 2, those of the sum of the gradients' squares. */
static void run(const problem *p, bool op, int order, int threads, cb_tensor *found[INPUTS + 1]) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *plain[INPUTS], *in[INPUTS], *variable[INPUTS], *gradient[INPUTS];
    cb_set_threads(threads);
    for (int i = 0; i < p->count; i++) {
        plain[i] = filled(p, i);
        in[i] = variable[i] = cb_variable(tape, plain[i]);
        int last = in[i]->rank - 1;
        if (p->transposed[i] && last > 0)
            in[i] =
                cb_transpose(cb_contiguous(cb_transpose(in[i], last - 1, last)), last - 1, last);
    }
    cb_tensor *y = op ? applied(p, in) : defined(p, in), *loss = weigh(y);
    if (order == 2) {
        cb_grad(weigh(cb_mul(y, y)), NULL, true, p->count, variable, gradient);
        loss = cb_sum(cb_square(gradient[0]), CB_ALL_AXES, false);
        for (int i = 1; i < p->count; i++)
            loss = cb_add(loss, cb_sum(cb_square(gradient[i]), CB_ALL_AXES, false));
    }
    cb_status status = cb_grad(loss, NULL, false, p->count, variable, gradient);
    cr_assert_eq(status, CB_OK, "seed %llu: %s", (unsigned long long)p->seed, cb_tape_error(tape));
    for (int i = 0; i < p->count; i++) {
        found[i] = exact(gradient[i]);
        cb_tensor_free(plain[i]);
    }
    found[p->count] = exact(y);
    cb_tape_free(tape);
}

static void compare(const problem *p, int i, const cb_tensor *got, const cb_tensor *wanted,
                    double tolerance) {
    const double *a = got->data, *b = wanted->data;
    double most = 1;
    cr_assert(cb_tensor_same_shape(got, wanted));
    for (int64_t k = 0; k < cb_tensor_count(got); k++)
        most = isfinite(b[k]) && fabs(b[k]) > most ? fabs(b[k]) : most;
    for (int64_t k = 0; k < cb_tensor_count(got); k++) {
        bool same = (isnan(a[k]) && isnan(b[k])) || a[k] == b[k];
        cr_assert(same || fabs(a[k] - b[k]) <= tolerance * most,
                  "kind %d, seed %llu: output %d of %d, [%lld] is %.9g, not %.9g", (int)p->kind,
                  (unsigned long long)p->seed, i, p->count, (long long)k, a[k], b[k]);
    }
}

/* What a sum of so many numbers of about 1 may be off by. */
static double rounding(const problem *p, const cb_tensor *y, const cb_tensor *sums) {
    int64_t count = cb_tensor_count(sums);
    double terms = count > 0 ? (double)cb_tensor_count(y) / (double)count : 0;
    return terms * (p->dtype == CB_F32 ? 0x1p-24 : 0x1p-53);
}

/* Runs of one problem against each other; wanted in f64. */
static void hold(const problem *p, int order) {
    cb_tensor *got[INPUTS + 1], *threads[2][INPUTS + 1], *wanted[INPUTS + 1];
    problem in_f64 = *p;
    in_f64.dtype = CB_F64;
    run(p, true, order, 1, got);
    run(p, true, order, 2, threads[0]);
    run(p, true, order, 3, threads[1]);
    run(&in_f64, false, order, 1, wanted);
    for (int i = 0; i <= p->count; i++) {
        compare(p, i, threads[0][i], got[i], 0);
        compare(p, i, threads[1][i], got[i], 0);
        double tolerance = p->dtype == CB_F32 ? (order == 1 ? 3e-5 : 1e-3) : 1e-11;
        compare(p, i, got[i], wanted[i], tolerance + rounding(p, got[p->count], got[i]));
        cb_tensor_free(threads[0][i]), cb_tensor_free(threads[1][i]);
        cb_tensor_free(got[i]), cb_tensor_free(wanted[i]);
    }
}

static void hold_all(what kind, int order, double odd) {
    uint64_t first = (uint64_t)time(NULL) * 1000;
    for (uint64_t seed = first; seed < first + CASES; seed++) {
        problem p = draw(kind, seed);
        p.odd = odd;
        hold(&p, order);
    }
}

Test(images, convolution_is_its_definition) {
    hold_all(CONVOLUTION, 1, 0);
}

Test(images, convolution_is_its_definition_in_second_order) {
    hold_all(CONVOLUTION, 2, 0);
}

Test(images, max_pooling_is_its_definition) {
    hold_all(MAX_POOL, 1, 0);
}

Test(images, max_pooling_is_its_definition_in_second_order) {
    hold_all(MAX_POOL, 2, 0);
}

Test(images, batch_norm_is_its_definition) {
    hold_all(BATCH_NORM, 1, 0);
}

Test(images, batch_norm_is_its_definition_in_second_order) {
    hold_all(BATCH_NORM, 2, 0);
}

/* What is not finite goes where the definition lets it go, and nowhere else. */
Test(images, what_is_not_finite_is_as_in_the_definitions) {
    for (what kind = 0; kind < KINDS; kind++) {
        hold_all(kind, 1, (double)NAN);
        hold_all(kind, 1, INFINITY);
        hold_all(kind, 1, -INFINITY);
    }
}

/* Weights so large that all images' gradients of them are added up in one place: the gradient in
   one pass against the one in plain ops, which is recorded for second order. */
Test(images, a_convolution_with_large_weights) {
    problem p = {.kind = CONVOLUTION, .seed = (uint64_t)time(NULL), .dtype = CB_F64, .groups = 1};
    p.of[0] = (shape){4, {24, 128, 6, 6}};
    p.of[1] = (shape){4, {512, 128, 3, 3}};
    cb_tensor *plain[2] = {filled(&p, 0), filled(&p, 1)}, *first[2] = {NULL};
    for (int threads = 1; threads <= 3; threads++) {
        cb_tape *tape = cb_tape_new();
        cb_tensor *in[2], *gradient[2], *recorded[2];
        cb_set_threads(threads);
        for (int i = 0; i < 2; i++)
            in[i] = cb_variable(tape, plain[i]);
        cb_tensor *y = cb_conv_with(2, in[0], in[1], &(cb_conv_options){.padding = {1, 1}});
        cb_tensor *loss = weigh(y);
        cr_assert_eq(cb_grad(loss, NULL, false, 2, in, gradient), CB_OK, "%s", cb_tape_error(tape));
        cr_assert_eq(cb_grad(loss, NULL, true, 2, in, recorded), CB_OK, "%s", cb_tape_error(tape));
        for (int i = 0; i < 2; i++) {
            cb_tensor *got = exact(gradient[i]), *wanted = exact(recorded[i]);
            compare(&p, i, got, wanted, 1e-12);
            if (threads == 1)
                first[i] = got;
            else
                compare(&p, i, got, first[i], 0);
            cb_tensor_free(threads == 1 ? NULL : got);
            cb_tensor_free(wanted);
        }
        cb_tape_free(tape);
    }
    for (int i = 0; i < 2; i++)
        cb_tensor_free(first[i]), cb_tensor_free(plain[i]);
}
