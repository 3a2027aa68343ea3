/* Attention of random shapes, strides and masks against its definition in plain ops, in f64,
   forward and backward, with one thread and with three. */
#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CASES = 120, INPUTS = 3 };

typedef struct shape {
    int rank;
    int64_t extent[4];
} shape;

typedef struct problem {
    cb_dtype dtype;
    shape of[INPUTS], mask;
    bool transposed[INPUTS], masked, causal;
    double scale;
    uint64_t seed;
} problem;

static int64_t below(cb_random *random, int64_t n) {
    return (int64_t)cb_random_below(random, (uint64_t)n);
}

/* Extents of which some are larger than a block of rows. */
static problem draw(uint64_t seed) {
    cb_random random = cb_random_seed(seed);
    static const int64_t lengths[] = {1, 2, 5, 17, 64, 65, 130, 300};
    int64_t rows = lengths[below(&random, 8)], columns = lengths[below(&random, 8)];
    int64_t depth = 1 + below(&random, 40), width = 1 + below(&random, 40);
    int64_t batch[2] = {1 + below(&random, 3), 1 + below(&random, 3)};
    problem p = {.dtype = below(&random, 2) == 0 ? CB_F32 : CB_F64, .seed = seed};
    for (int i = 0; i < INPUTS; i++) {
        int lead = below(&random, 5) == 0 ? (int)below(&random, 3) : 2;
        p.of[i].rank = lead + 2;
        for (int k = 0; k < lead; k++) /* some keys are shared by all heads */
            p.of[i].extent[k] = below(&random, 4) == 0 ? 1 : batch[2 - lead + k];
        p.of[i].extent[lead] = i == 0 ? rows : columns;
        p.of[i].extent[lead + 1] = i == 2 ? width : depth;
        p.transposed[i] = below(&random, 2) == 0;
    }
    p.causal = below(&random, 3) == 0;
    p.masked = below(&random, 2) == 0;
    p.mask = (shape){2, {below(&random, 2) == 0 ? 1 : rows, columns}};
    p.scale = below(&random, 2) == 0 ? 0 : 0.1 + 0.1 * (double)below(&random, 9);
    return p;
}

/* A plain tensor of whole numbers of 1/8 in [-1, 1), or a mask of 0 and 1. */
static cb_tensor *filled(const problem *p, int i, bool mask) {
    const shape *s = mask ? &p->mask : &p->of[i];
    cb_random random = cb_random_seed(p->seed + 100 + (uint64_t)i);
    cb_tensor *t = cb_tensor_new(mask ? CB_I32 : p->dtype, s->rank, s->extent);
    int64_t at[4] = {0};
    for (int64_t n = cb_tensor_count(t); n > 0; n--) {
        cb_tensor_set(
            t, at, mask ? (double)(below(&random, 3) > 0) : (double)(below(&random, 16) - 8) / 8);
        for (int k = s->rank - 1; k >= 0 && ++at[k] == s->extent[k]; k--)
            at[k] = 0;
    }
    return t;
}

/* The definition. A query that sees no key gives 0. */
static cb_tensor *defined(const problem *p, cb_tensor *const *in, cb_tensor *mask) {
    cb_tape *tape = cb_tape_of(in[0]);
    int64_t rows = in[0]->shape[in[0]->rank - 2], columns = in[1]->shape[in[1]->rank - 2];
    double scale = p->scale != 0 ? p->scale : 1 / sqrt((double)in[0]->shape[in[0]->rank - 1]);
    cb_tensor *scores = cb_scale(cb_matmul(in[0], cb_transpose(in[1], -2, -1)), scale);
    cb_tensor *seen =
        mask != NULL ? cb_cast(mask, p->dtype) : cb_full(tape, p->dtype, CB_SCALAR, 1);
    if (p->causal) {
        cb_tensor *row = cb_reshape(cb_arange(tape, p->dtype, 0, 1, rows), CB_SHAPE(rows, 1));
        seen = cb_mul(seen, cb_less_equal(cb_arange(tape, p->dtype, 0, 1, columns), row));
    }
    cb_tensor *e = cb_mul(cb_exp(scores), seen);
    cb_tensor *sum = cb_sum(e, CB_AXES(-1), true);
    cb_tensor *none = cb_equal(sum, cb_full_like(sum, 0));
    return cb_matmul(cb_div(e, cb_add(sum, none)), in[2]);
}

/* The result and all gradients, as f64. */
static void run(const problem *p, bool fused, int threads, cb_tensor *found[INPUTS + 1]) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *plain[INPUTS], *in[INPUTS], *variable[INPUTS], *gradient[INPUTS];
    cb_tensor *mask = p->masked ? filled(p, INPUTS, true) : NULL;
    cb_set_threads(threads);
    for (int i = 0; i < INPUTS; i++) {
        plain[i] = filled(p, i, false);
        in[i] = variable[i] = cb_variable(tape, plain[i]);
        int r = in[i]->rank;
        if (p->transposed[i])
            in[i] = cb_transpose(cb_contiguous(cb_transpose(in[i], r - 2, r - 1)), r - 2, r - 1);
    }
    cb_tensor *m = mask != NULL ? cb_input(tape, mask) : NULL;
    cb_tensor *y =
        fused ? cb_attention(in[0], in[1], in[2], .mask = m, .causal = p->causal, .scale = p->scale)
              : defined(p, in, m);
    /* From -1 to 1 over the width, so that sums of them over a value are of the same size. */
    int64_t width = y->shape[y->rank - 1];
    double step = 2.0 / (double)(width * width);
    cb_tensor *weights = cb_arange(tape, CB_F64, -1 / (double)width, step, width);
    weights = cb_add(cb_full_like(cb_stop_gradient(y), 0), cb_cast(weights, p->dtype));
    cb_status status = cb_grad(cb_mul(y, weights), NULL, false, INPUTS, variable, gradient);
    cr_assert_eq(status, CB_OK, "seed %llu: %s", (unsigned long long)p->seed, cb_tape_error(tape));
    for (int i = 0; i <= INPUTS; i++) {
        const cb_tensor *from = i == INPUTS ? y : gradient[i];
        found[i] = cb_tensor_new(CB_F64, from->rank, from->shape);
        cb_tensor_assign(found[i], from);
    }
    for (int i = 0; i < INPUTS; i++)
        cb_tensor_free(plain[i]);
    cb_tensor_free(mask);
    cb_tape_free(tape);
}

static void compare(const problem *p, int i, const cb_tensor *got, const cb_tensor *wanted,
                    double tolerance) {
    static const char *const names[] = {"dq", "dk", "dv", "y"};
    const double *a = got->data, *b = wanted->data;
    double most = 1;
    cr_assert(cb_tensor_same_shape(got, wanted));
    for (int64_t k = 0; k < cb_tensor_count(got); k++)
        most = fabs(b[k]) > most ? fabs(b[k]) : most;
    for (int64_t k = 0; k < cb_tensor_count(got); k++)
        cr_assert(fabs(a[k] - b[k]) <= tolerance * most, "seed %llu: %s[%lld] is %.9g, not %.9g",
                  (unsigned long long)p->seed, names[i], (long long)k, a[k], b[k]);
}

Test(attention, is_its_definition) {
    uint64_t first = (uint64_t)time(NULL) * 1000;
    for (uint64_t seed = first; seed < first + CASES; seed++) {
        problem p = draw(seed);
        cb_tensor *fused[INPUTS + 1], *threads[INPUTS + 1], *wanted[INPUTS + 1];
        run(&p, true, 1, fused);
        run(&p, true, 3, threads);
        problem exact = p;
        exact.dtype = CB_F64;
        run(&exact, false, 1, wanted);
        for (int i = 0; i <= INPUTS; i++) {
            compare(&p, i, threads[i], fused[i], 0);
            compare(&p, i, fused[i], wanted[i], p.dtype == CB_F32 ? 2e-5 : 1e-12);
            cb_tensor_free(fused[i]), cb_tensor_free(threads[i]), cb_tensor_free(wanted[i]);
        }
    }
}

Test(attention, what_does_not_fit_is_said) {
    static float zeros[24];
    cb_tensor a = cb_tensor_wrap(CB_F32, CB_SHAPE(3, 4), zeros);
    cb_tensor b = cb_tensor_wrap(CB_F32, CB_SHAPE(3, 5), zeros);
    cb_tensor c = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 4), zeros);
    cb_tensor d = cb_tensor_wrap(CB_F64, CB_SHAPE(1, 2), (double[2]){0});
    struct {
        const cb_tensor *q, *k, *v, *mask;
        const char *message;
    } wrong[] = {
        {&a, &b, &b, NULL, "queries of 4 numbers and keys of 5"},
        {&a, &a, &c, NULL, "3 keys and 2 values"},
        {&a, &a, &a, &c, "the mask does not broadcast to scores of [..., 3, 3]"},
        {&a, &a, &d, NULL, "must all be f32, or all f64"},
        {&a, &a, NULL, NULL, "attention"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cb_tape *tape = cb_tape_new();
        cb_tensor *v = wrong[i].v != NULL ? cb_input(tape, wrong[i].v) : NULL;
        cb_tensor *mask = wrong[i].mask != NULL ? cb_input(tape, wrong[i].mask) : NULL;
        cb_attention(cb_input(tape, wrong[i].q), cb_input(tape, wrong[i].k), v, .mask = mask);
        cr_expect_neq(cb_tape_status(tape), CB_OK);
        cr_expect_not_null(strstr(cb_tape_error(tape), wrong[i].message), "%s",
                           cb_tape_error(tape));
        cb_tape_free(tape);
    }
}

/* Queries and keys of no numbers see all values alike. */
Test(attention, of_no_numbers_is_the_mean) {
    double values[] = {1, 2, 3, 5};
    const cb_tensor nothing = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 0), NULL);
    const cb_tensor v = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 2), values);
    cb_tape *tape = cb_tape_new();
    cb_tensor *in[] = {cb_variable(tape, &nothing), cb_variable(tape, &nothing),
                       cb_variable(tape, &v)};
    cb_tensor *y = cb_attention(in[0], in[1], in[2]), *gradients[INPUTS];
    cr_assert_eq(cb_grad(y, NULL, false, INPUTS, in, gradients), CB_OK, "%s", cb_tape_error(tape));
    for (int64_t i = 0; i < 2; i++)
        for (int64_t k = 0; k < 2; k++) {
            cr_expect_eq(cb_tensor_get(y, (int64_t[]){i, k}), k == 0 ? 2 : 3.5);
            cr_expect_eq(cb_tensor_get(gradients[2], (int64_t[]){i, k}), 1);
        }
    cb_attention_with(in[0], in[1], NULL);
    cr_expect_not_null(strstr(cb_tape_error(tape), "the options are NULL"));
    cb_tape_free(tape);
}
