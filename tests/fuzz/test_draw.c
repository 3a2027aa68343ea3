/* The generator: every program is valid, the same seed gives the same one, types are right. */
#include "draw.h"
#include "execute.h"
#include "forms.h"
#include "print.h"
#include "step.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const draw_options options = {.most_ops = 24};

static program *new_program(uint64_t seed) {
    program *p = malloc(sizeof(*p));
    cr_assert_not_null(p);
    cb_set_threads(1);
    program_draw(p, seed, &options);
    return p;
}

/* ---- Text ------------------------------------------------------------------------------------ */

static char *text_of(const program *p) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    cr_assert_not_null(stream);
    print_program(stream, p, "");
    fclose(stream);
    return text;
}

Test(fuzz_draw, gives_the_same_program_for_the_same_seed) {
    for (uint64_t seed = 0; seed < 300; seed++) {
        program *a = new_program(seed), *b = new_program(seed), *c = new_program(seed + 1);
        char *texts[3] = {text_of(a), text_of(b), text_of(c)};
        cr_expect_str_eq(texts[0], texts[1]);
        cr_expect_str_neq(texts[0], texts[2]);
        for (int i = 0; i < 3; i++)
            free(texts[i]);
        free(a);
        free(b);
        free(c);
    }
}

/* ---- Validity -------------------------------------------------------------------------------- */

static bool all_finite(const result *r) {
    for (int i = 0; i < r->count; i++)
        for (int64_t k = 0; k < cb_tensor_count(r->of[i].value); k++)
            if (!isfinite(((const double *)r->of[i].value->data)[k]))
                return false;
    return true;
}

static void check_eager(uint64_t seed) {
    program *p = new_program(seed);
    run_data data;
    result r;
    cr_assert(step_load(p));
    cb_scan *scan = scan_of(p, true);
    cr_assert(scan != NULL && run_data_draw(p, &data));
    step_reset(false, 0);
    execute(p, scan, &data, &r);
    cr_expect_eq(r.status, CB_OK, "seed %llu: %s", (unsigned long long)seed, r.message);
    cr_expect(all_finite(&r), "seed %llu: not finite", (unsigned long long)seed);
    cr_expect(program_infer(p), "seed %llu: not valid", (unsigned long long)seed);
    result_free(&r);
    run_data_free(&data);
    cb_scan_free(scan);
    step_unload();
    free(p);
}

/* The step itself compares the shape of each value with the one that was inferred. */
#define CHECK_EAGER(number)                                                                        \
    Test(fuzz_draw, every_program_runs_op_by_op_##number, .timeout = 600) {                        \
        for (uint64_t seed = (number)*5000; seed < (number)*5000 + 5000; seed++)                   \
            check_eager(seed);                                                                     \
    }
CHECK_EAGER(0)
CHECK_EAGER(1)
CHECK_EAGER(2)
CHECK_EAGER(3)

/* ---- Intervals ------------------------------------------------------------------------------- */

static const program *watched;
static double excess;

/* How far elements are outside of their values' intervals, as a step sees them. */
static void watch(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    step_call(w, x, state, next);
    for (int s = 0; s < watched->state_count; s++) {
        const type *t = &watched->values[watched->next[s]].type;
        cb_tensor *copy = cb_tensor_copy(next[s], CB_F64);
        for (int64_t k = 0; copy != NULL && k < cb_tensor_count(copy); k++) {
            double y = ((const double *)copy->data)[k];
            excess = fmax(excess, fmax(t->low - y, y - t->high));
        }
        cb_tensor_free(copy);
    }
}

Test(fuzz_draw, states_stay_in_their_intervals, .timeout = 120) {
    for (uint64_t seed = 100000; seed < 102000; seed++) {
        program *p = new_program(seed);
        run_data data;
        result r;
        cr_assert(step_load(p) && run_data_draw(p, &data));
        watched = p;
        excess = 0;
        cb_tensor *no_weights[MOST_WEIGHTS], shapes[MOST_WEIGHTS];
        for (int i = 0; i < p->weight_count; i++) {
            int64_t shape[MOST_RANK];
            resolve(&p->weights[i].shape, 0, shape);
            shapes[i] = cb_tensor_wrap(p->dtype, p->weights[i].shape.rank, shape, NULL);
            no_weights[i] = &shapes[i];
        }
        cb_scan *scan = cb_scan_new(watch, &(cb_scan_options){.dtype = p->dtype,
                                                              .input = p->input,
                                                              .state_count = p->state_count,
                                                              .state_size = p->state_size,
                                                              .weight_count = p->weight_count,
                                                              .weights = no_weights,
                                                              .eager = true});
        step_reset(false, 0);
        execute(p, scan, &data, &r);
        cr_expect_leq(excess, 1e-5, "seed %llu: by %g", (unsigned long long)seed, excess);
        result_free(&r);
        run_data_free(&data);
        cb_scan_free(scan);
        step_unload();
        free(p);
    }
}
