/* The eager runs, to which compiled ones are held, against central differences: the derivative of
   the loss along a random direction of all variables at once. */
#include "data.h"
#include "draw.h"
#include "execute.h"
#include "forms.h"
#include "step.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether the loss has the derivative that its gradient says: not at corners and steps, and not
   where a gradient is stopped on purpose. */
static bool is_smooth(const program *p) {
    static const form *const others[] = {&form_stop_gradient, &form_floor, &form_argmax,
                                         &form_max,           &form_min,   &form_indices};
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        if (v->form->kink || v->type.dtype != CB_F64)
            return false;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            if (v->form == others[k])
                return false;
    }
    return p->dtype == CB_F64 && !p->run.no_gradient;
}

/* The plain tensors of the variables, in the order in which a run has their gradients. */
static int variables_of(const program *p, const run_data *data, cb_tensor **variables) {
    int count = 0;
    if (!p->run.constant_x)
        variables[count++] = data->x;
    for (int i = 0; i < p->weight_count; i++)
        if (!p->weights[i].constant && weight_slot(p, i) == i)
            variables[count++] = data->weights[i];
    for (int i = 0; i < p->state_count; i++)
        if (origin_of(p, i) == VARIABLE || origin_of(p, i) == SPREAD)
            variables[count++] = data->initial[i];
    return count;
}

typedef struct direction {
    int count;
    cb_tensor *variables[MOST_RESULTS], *along[MOST_RESULTS];
} direction;

static void move(const direction *d, double distance) {
    for (int i = 0; i < d->count; i++)
        for (int64_t k = 0; k < cb_tensor_count(d->variables[i]); k++)
            ((double *)d->variables[i]->data)[k] +=
                distance * ((const double *)d->along[i]->data)[k];
}

static double loss_at(const program *p, cb_scan *scan, const run_data *data, const direction *d,
                      double distance) {
    result r;
    move(d, distance);
    step_reset(false, 0);
    execute(p, scan, data, &r);
    move(d, -distance);
    result_free(&r);
    return r.loss;
}

static double along_gradient(const program *p, const result *r, const direction *d) {
    double sum = 0, before = p->run.into ? GRADIENT_BEFORE : 0;
    int i = 0;
    for (int n = 0; n < r->count; n++) {
        if (strncmp(r->of[n].name, "gradient", 8) != 0)
            continue;
        const double *g = r->of[n].value->data, *v = d->along[i]->data;
        for (int64_t k = 0; k < cb_tensor_count(d->along[i]); k++)
            sum += (g[k] - before) * v[k];
        i++;
    }
    cr_assert_eq(i, d->count);
    return sum;
}

/* How far the two derivatives are apart, relative to what they are made of; h: of the difference.
 */
static double disagreement(program *p, double h) {
    run_data data;
    result r;
    direction d = {.count = 0};
    p->run.sweeps = 1;
    p->run.asked = 0;
    cr_assert(step_load(p) && run_data_draw(p, &data));
    cb_scan *scan = scan_of(p, true);
    step_reset(false, 0);
    execute(p, scan, &data, &r);
    d.count = variables_of(p, &data, d.variables);
    for (int i = 0; i < d.count; i++)
        d.along[i] =
            drawn(CB_F64, 900 + (uint64_t)i, 1, d.variables[i]->rank, d.variables[i]->shape);
    double slope = along_gradient(p, &r, &d);
    double difference =
        (loss_at(p, scan, &data, &d, h) - loss_at(p, scan, &data, &d, -h)) / (2 * h);
    for (int i = 0; i < d.count; i++)
        cb_tensor_free(d.along[i]);
    result_free(&r);
    run_data_free(&data);
    cb_scan_free(scan);
    step_unload();
    return fabs(slope - difference) / fmax(1, fabs(difference));
}

/* Some recurrences are too steep for differences: few may disagree, and none that is short. */
Test(fuzz_gradients, of_eager_runs_are_those_of_differences, .timeout = 300) {
    program *p = malloc(sizeof(*p));
    int tried = 0, apart = 0;
    cr_assert_not_null(p);
    cb_set_threads(1);
    for (uint64_t seed = 0; seed < 4000; seed++) {
        program_draw(p, seed, &(draw_options){.most_ops = 24, .f64_only = true});
        if (!is_smooth(p))
            continue;
        double d = disagreement(p, 1e-5);
        if (d > 1e-4) /* steep, or wrong: what is right comes closer */
            d = fmin(d, disagreement(p, 1e-6));
        tried++;
        apart += d > 1e-4;
        cr_expect(p->run.time > 5 || d < 1e-3, "seed %llu: by %g", (unsigned long long)seed, d);
    }
    cr_expect(tried > 1000 && apart < tried / 100, "%d of %d disagree", apart, tried);
    free(p);
}
