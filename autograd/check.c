/* The gradient checker. Differences are central and extrapolated (Richardson), so that their error
   is of order h^4. */
#include <cerebra/check.h>
#include <cerebra/ops.h>

#include "autograd/tape_internal.h"
#include "tensor/format.h"
#include "tensor/memory.h"

#include <math.h>
#include <string.h>

#define STEP      0x1p-12
#define TOLERANCE 1e-7
#define MOST      16 /* inputs */

typedef struct check {
    cb_check_function *f;
    void *context;
    int count;
    cb_tensor *inputs[MOST]; /* copies, which the differences disturb */
    cb_tensor *projection;   /* of the output */
    cb_tensor *seeds[MOST];  /* second order: of each input's gradient; NULL: none */
    int order;
    cb_tape *tape;
    double tolerance, step;
    double largest; /* |s| seen: what the differences' rounding errors are relative to */
    cb_check_report *report;
} check;

static bool fail(check *c, const char *message) {
    c->report->passed = false;
    cbi_format(c->report->message, sizeof(c->report->message), "%s", message);
    return false;
}

static bool is_smooth(const cb_tensor *t) {
    return t != NULL && t->dtype == CB_F64;
}

/* The inputs on the tape, as variables where they have a gradient. */
static void enter(check *c, cb_tensor **on_tape) {
    for (int i = 0; i < c->count; i++)
        on_tape[i] = is_smooth(c->inputs[i]) ? cb_variable(c->tape, c->inputs[i])
                                             : cb_input(c->tape, c->inputs[i]);
}

/* The scalar whose gradient is checked: the projected output, or for the second order the projected
   gradients of that. */
static cb_tensor *scalar(check *c, cb_tensor **on_tape) {
    cb_tensor *y = c->f(on_tape, c->context);
    cb_tensor *s = cb_sum(cb_mul(y, cb_input(c->tape, c->projection)), CB_ALL_AXES, false);
    if (c->order == 1 || !cb_requires_grad(s))
        return s;
    cb_tensor *smooth[MOST], *gradients[MOST], *total = NULL;
    int chosen[MOST], count = 0;
    for (int i = 0; i < c->count; i++)
        if (c->seeds[i] != NULL) {
            smooth[count] = on_tape[i];
            chosen[count++] = i;
        }
    cb_grad(s, NULL, true, count, smooth, gradients);
    for (int k = 0; k < count; k++) {
        cb_tensor *seed = cb_input(c->tape, c->seeds[chosen[k]]);
        cb_tensor *term = cb_sum(cb_mul(gradients[k], seed), CB_ALL_AXES, false);
        total = total == NULL ? term : cb_add(total, term);
    }
    return total;
}

static bool evaluate(check *c, double *value) {
    cb_tensor *on_tape[MOST];
    cb_tape_reset(c->tape);
    enter(c, on_tape);
    *value = cb_item(scalar(c, on_tape));
    c->largest = fabs(*value) > c->largest ? fabs(*value) : c->largest;
    return cb_tape_status(c->tape) == CB_OK ? true : fail(c, cb_tape_error(c->tape));
}

/* (4 D(h/2) - D(h)) / 3, D(h) the central difference, for one element. */
static bool difference(check *c, double *element, double *derivative) {
    double at = *element, d[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        double h = c->step / (k + 1), above, below;
        *element = at + h;
        bool ok = evaluate(c, &above);
        *element = at - h;
        ok = ok && evaluate(c, &below);
        *element = at;
        if (!ok)
            return false;
        d[k] = (above - below) / (2 * h);
    }
    *derivative = (4 * d[1] - d[0]) / 3;
    return true;
}

/* Compares the analytic gradient of input i, row-major in analytic, with differences. */
static bool compare_input(check *c, int i, const double *analytic, double *numeric) {
    cb_tensor *x = c->inputs[i];
    int64_t count = cb_tensor_count(x);
    double scale = 0;
    c->largest = 1;
    for (int64_t k = 0; k < count; k++) {
        if (!difference(c, (double *)x->data + k, &numeric[k]))
            return false;
        scale = fabs(numeric[k]) > scale ? fabs(numeric[k]) : scale;
    }
    scale = scale > 1e-3 * c->largest ? scale : 1e-3 * c->largest;
    for (int64_t k = 0; k < count; k++) {
        double error = fabs(analytic[k] - numeric[k]) / scale;
        c->report->compared++;
        if (!(error <= c->report->worst)) {
            c->report->worst = error;
            c->report->order = c->order;
            c->report->input = i;
            c->report->element = k;
            c->report->analytic = analytic[k];
            c->report->numeric = numeric[k];
        }
        if (!(error <= c->tolerance)) {
            c->report->passed = false;
            cbi_format(
                c->report->message, sizeof(c->report->message),
                "order %d, input %d, element %lld: the gradient is %.12g, differences give %.12g",
                c->order, i, (long long)k, analytic[k], numeric[k]);
            return false;
        }
    }
    return true;
}

/* Leaves the analytic gradients of all smooth inputs, one after the other, in out. */
static bool analytic_gradients(check *c, double *out) {
    cb_tensor *on_tape[MOST], *smooth[MOST], *gradients[MOST];
    int count = 0;
    cb_tape_reset(c->tape);
    enter(c, on_tape);
    cb_tensor *s = scalar(c, on_tape);
    for (int i = 0; i < c->count; i++)
        if (is_smooth(c->inputs[i]))
            smooth[count++] = on_tape[i];
    if (cb_tape_status(c->tape) == CB_OK && s != NULL && !cb_requires_grad(s)) {
        /* Constant in its inputs: a gradient of zeros, which the differences must agree with. */
        for (int k = 0; k < count; k++)
            for (int64_t e = 0; e < cb_tensor_count(smooth[k]); e++)
                *out++ = 0;
        return true;
    }
    if (s == NULL || cb_grad(s, NULL, false, count, smooth, gradients) != CB_OK)
        return fail(c, cb_tape_error(c->tape));
    for (int k = 0; k < count; k++) {
        cb_tensor target = cb_tensor_wrap(CB_F64, smooth[k]->rank, smooth[k]->shape, out);
        if (cb_tensor_assign(&target, gradients[k]) != CB_OK)
            return fail(c, "a gradient has not its input's shape");
        out += cb_tensor_count(smooth[k]);
    }
    return true;
}

static bool check_order(check *c, int order) {
    int64_t total = 1;
    c->order = order;
    for (int i = 0; i < c->count; i++)
        total += is_smooth(c->inputs[i]) ? cb_tensor_count(c->inputs[i]) : 0;
    double *analytic = cbi_allocate(sizeof(double) * (size_t)total);
    double *numeric = cbi_allocate(sizeof(double) * (size_t)total);
    bool passed = analytic != NULL && numeric != NULL ? analytic_gradients(c, analytic)
                                                      : fail(c, "out of memory");
    const double *at = analytic;
    for (int i = 0; i < c->count && passed; i++)
        if (is_smooth(c->inputs[i])) {
            passed = compare_input(c, i, at, numeric);
            at += cb_tensor_count(c->inputs[i]);
        }
    cbi_free(analytic);
    cbi_free(numeric);
    return passed;
}

/* Random numbers of magnitude 1/2 to 3/2 and either sign, so that none lets an error through. */
static cb_tensor *projection_like(const cb_tensor *t, cb_random *random) {
    cb_tensor *p = cb_tensor_new(CB_F64, t->rank, t->shape);
    if (p == NULL)
        return NULL;
    double *data = p->data;
    cb_random_uniform_f64(random, cb_tensor_count(p), data, -1, 1);
    for (int64_t i = 0; i < cb_tensor_count(p); i++)
        data[i] += data[i] < 0 ? -0.5 : 0.5;
    return p;
}

static bool prepare(check *c, cb_tensor *const *inputs, bool second_order, cb_random *random) {
    cb_tensor *on_tape[MOST];
    c->tape = cb_tape_new();
    for (int i = 0; i < c->count; i++) {
        if (inputs[i]->dtype == CB_F32)
            return fail(c, "inputs must be f64 or integers");
        c->inputs[i] = cb_tensor_copy(inputs[i], inputs[i]->dtype);
        if (c->inputs[i] == NULL)
            return fail(c, "out of memory");
        if (second_order && is_smooth(c->inputs[i])) {
            c->seeds[i] = projection_like(c->inputs[i], random);
            if (c->seeds[i] == NULL)
                return fail(c, "out of memory");
        }
    }
    enter(c, on_tape);
    cb_tensor *y = c->f(on_tape, c->context);
    if (c->tape == NULL || cb_tape_status(c->tape) != CB_OK)
        return fail(c, cb_tape_error(c->tape));
    if (y == NULL || cb_tape_of(y) != c->tape || cbi_is_poisoned(y))
        return fail(c, "the function gave no tensor of its inputs' tape");
    if (y->dtype != CB_F64)
        return fail(c, "the function's output is not f64");
    c->projection = projection_like(y, random);
    return c->projection != NULL ? true : fail(c, "out of memory");
}

bool cb_check_gradient(cb_check_function *f, void *context, int count, cb_tensor *const *inputs,
                       const cb_check_options *options, cb_check_report *report) {
    cb_check_report own;
    cb_check_options defaults = {0};
    options = options != NULL ? options : &defaults;
    check c = {.f = f, .context = context, .count = count};
    c.report = report != NULL ? report : &own;
    *c.report = (cb_check_report){.passed = true};
    if (count < 0 || count > MOST)
        return fail(&c, "more than 16 inputs");
    c.tolerance = options->tolerance > 0 ? options->tolerance : TOLERANCE;
    c.step = options->step > 0 ? options->step : STEP;
    cb_random random = cb_random_seed(options->seed);
    bool passed = prepare(&c, inputs, options->second_order, &random) && check_order(&c, 1) &&
                  (!options->second_order || check_order(&c, 2));
    for (int i = 0; i < count; i++) {
        cb_tensor_free(c.inputs[i]);
        cb_tensor_free(c.seeds[i]);
    }
    cb_tensor_free(c.projection);
    cb_tape_free(c.tape);
    return passed;
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* NaN when the range leaves no room beside the kink. */
static double draw(const cb_sample_input *in, cb_random *random) {
    for (int tries = 0; tries < 1000; tries++) {
        double x;
        cb_random_uniform_f64(random, 1, &x, in->low, in->high);
        if (in->integer)
            return floor(x);
        if (fabs(fabs(x) - fabs(in->kink)) >= 0.05)
            return x;
    }
    return NAN;
}

/* A random tensor for a sample's input, the caller's to free. *room becomes false when its range
   leaves no room beside its kink. */
static cb_tensor *draw_input(const cb_sample_input *in, cb_random *random, bool *room) {
    cb_tensor *t = cb_tensor_new(in->integer ? CB_I64 : CB_F64, in->rank, in->shape);
    int64_t index[CB_MAX_RANK] = {0};
    for (int64_t i = 0; t != NULL && i < cb_tensor_count(t); i++) {
        double x = draw(in, random);
        *room = *room && x == x;
        cb_tensor_set(t, index, x);
        for (int k = t->rank - 1; k >= 0 && ++index[k] == t->shape[k]; k--)
            index[k] = 0;
    }
    return t;
}

/* Inputs that are to be strided pass through two reversals of their axes with a copy in between. */
static cb_tensor *build_sample(cb_tensor *const *inputs, void *context) {
    const cb_sample *sample = context;
    cb_tensor *in[CB_SAMPLE_INPUTS];
    for (int i = 0; i < sample->count; i++) {
        int reversed[CB_MAX_RANK];
        in[i] = inputs[i];
        for (int k = 0; k < sample->in[i].rank; k++)
            reversed[k] = sample->in[i].rank - 1 - k;
        if (sample->in[i].transposed)
            in[i] = cb_permute(cb_contiguous(cb_permute(in[i], sample->in[i].rank, reversed)),
                               sample->in[i].rank, reversed);
    }
    return sample->build(in);
}

static bool refuse(cb_check_report *report, const char *why, const cb_sample *sample) {
    if (report != NULL) {
        *report = (cb_check_report){0};
        cbi_format(report->message, sizeof(report->message), "the sample \"%s\" %s",
                   sample->name != NULL ? sample->name : "", why);
    }
    return false;
}

bool cb_check_sample(const cb_sample *sample, const cb_check_options *options,
                     cb_check_report *report) {
    cb_tensor *inputs[CB_SAMPLE_INPUTS] = {NULL};
    cb_random random = cb_random_seed((options != NULL ? options->seed : 0) + 1);
    bool drawn = true, room = true;
    if (sample->count < 0 || sample->count > CB_SAMPLE_INPUTS)
        return refuse(report, "has a bad number of inputs", sample);
    for (int i = 0; i < sample->count; i++) {
        inputs[i] = draw_input(&sample->in[i], &random, &room);
        drawn = drawn && inputs[i] != NULL;
    }
    bool passed = drawn && room &&
                  cb_check_gradient(build_sample, (void *)(uintptr_t)sample, sample->count, inputs,
                                    options, report);
    if (!drawn)
        refuse(report, "has a bad shape, or there is no memory for it", sample);
    else if (!room)
        refuse(report, "leaves no room beside its kink", sample);
    for (int i = 0; i < sample->count; i++)
        cb_tensor_free(inputs[i]);
    return passed;
}
