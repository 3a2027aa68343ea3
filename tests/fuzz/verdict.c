/* Comparing the compiled run with the eager one. */
#include "verdict.h"

#include "execute.h"
#include "step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool kind_is_failure(verdict_kind kind) {
#define KIND(name, text, failure) failure,
    static const bool is_failure[] = {KINDS(KIND)};
#undef KIND
    return is_failure[kind];
}

const char *kind_text(verdict_kind kind) {
#define KIND(name, text, failure) text,
    static const char *const texts[] = {KINDS(KIND)};
#undef KIND
    return texts[kind];
}

const char *phase_text(phase now) {
#define PHASE(name, text) text,
    static const char *const texts[] = {PHASES(PHASE)};
#undef PHASE
    return texts[now];
}

/* ---- Differences ----------------------------------------------------------------------------- */

/* The largest difference of two tensors, and where. Infinite where one is not a number, or shapes
   differ. */
static double difference(const cb_tensor *a, const cb_tensor *b, int64_t *place) {
    double largest = 0;
    *place = 0;
    if (a == NULL || b == NULL || !cb_tensor_same_shape(a, b))
        return INFINITY;
    const double *u = a->data, *v = b->data;
    for (int64_t i = 0; i < cb_tensor_count(a); i++) {
        double d = u[i] == v[i] || (isnan(u[i]) && isnan(v[i])) ? 0 : fabs(u[i] - v[i]);
        d = isnan(d) ? INFINITY : d;
        if (d > largest) {
            largest = d;
            *place = i;
        }
    }
    return largest;
}

static double largest_magnitude(const cb_tensor *t) {
    const double *v = t->data;
    double largest = 1;
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        largest = fabs(v[i]) > largest ? fabs(v[i]) : largest;
    return largest;
}

static bool same_bits(const cb_tensor *a, const cb_tensor *b) {
    int64_t place;
    return difference(a, b, &place) == 0;
}

static verdict_kind kind_of(const char *name) {
    return strncmp(name, "output", 6) == 0  ? WRONG_OUTPUT
           : strncmp(name, "final", 5) == 0 ? WRONG_FINAL
                                            : WRONG_GRADIENT;
}

/* ---- One draw of data ------------------------------------------------------------------------ */

enum { NOISY_RUNS = 6 };

typedef struct trial {
    const program *p;
    cb_scan *eager, *compiled;
    run_data data;
    result expected, noisy[NOISY_RUNS];
    bool has_noisy; /* they are made when they are first wanted */
    bool noise;     /* an eager run with noise stands for the compiled one */
    verdict *v;
    volatile phase *now;
} trial;

static bool failed(trial *t, verdict_kind kind, const char *what) {
    t->v->kind = kind;
    snprintf(t->v->what, sizeof(t->v->what), "%s", what);
    return false;
}

static void make_noisy(trial *t) {
    for (uint64_t k = 0; k < NOISY_RUNS; k++) {
        step_reset(true, t->p->run.data + k);
        execute(t->p, t->eager, &t->data, &t->noisy[k]);
    }
    t->has_noisy = true;
}

/* How far noise moves tensor i, with a margin: it is drawn a few times only. */
static double sensitivity(trial *t, int i) {
    double largest = 0;
    if (!t->has_noisy)
        make_noisy(t);
    for (int k = 0; k < NOISY_RUNS; k++) {
        const result *noisy = &t->noisy[k];
        int64_t place;
        double d = i < noisy->count
                       ? difference(noisy->of[i].value, t->expected.of[i].value, &place)
                       : INFINITY;
        largest = d > largest ? d : largest;
    }
    return 100 * largest;
}

/* Says in the verdict what differs most in tensor i. */
static void describe(trial *t, const result *actual, int i, int64_t place, int threads) {
    const cb_tensor *a = actual->of[i].value, *e = t->expected.of[i].value;
    if (a == NULL || e == NULL || !cb_tensor_same_shape(a, e))
        snprintf(t->v->what, sizeof(t->v->what), "%s is missing or has another shape",
                 t->expected.of[i].name);
    else
        snprintf(t->v->what, sizeof(t->v->what),
                 "%s, element %lld: %.9g compiled, %.9g op by op (threads: %d)",
                 t->expected.of[i].name, (long long)place, ((const double *)a->data)[place],
                 ((const double *)e->data)[place], threads);
}

/* A tensor that is ill-conditioned says nothing about the others. */
static bool compare(trial *t, const result *actual, int threads) {
    double tolerance = t->p->dtype == CB_F32 ? 1e-4 : 1e-10;
    bool good = true;
    for (int i = 0; i < t->expected.count; i++) {
        const cb_tensor *expected = t->expected.of[i].value;
        int64_t place;
        double d = difference(actual->of[i].value, expected, &place);
        if (d <= tolerance * largest_magnitude(expected))
            continue;
        good = false;
        describe(t, actual, i, place, threads);
        t->v->kind = d <= sensitivity(t, i) ? ILL_CONDITIONED : kind_of(t->expected.of[i].name);
        if (t->v->kind != ILL_CONDITIONED)
            break;
    }
    return good;
}

static bool compare_bits(trial *t, const result *one, const result *many, int threads) {
    for (int i = 0; i < one->count; i++)
        if (!same_bits(one->of[i].value, many->of[i].value)) {
            char what[200];
            snprintf(what, sizeof(what), "%s with 1 and %d threads", one->of[i].name, threads);
            return failed(t, WRONG_THREADS, what);
        }
    return true;
}

static bool run_compiled(trial *t, int threads, result *actual) {
    *t->now = threads == 1 ? COMPILED_RUN : COMPILED_THREADS;
    cb_set_threads(threads);
    step_reset(t->noise, t->p->run.data + NOISY_RUNS);
    execute(t->p, t->compiled, &t->data, actual);
    cb_set_threads(1);
    *t->now = EAGER_RUN;
    if (actual->status != CB_OK || actual->count != t->expected.count)
        return failed(t, WRONG_STATUS, actual->message);
    return true;
}

/* With one thread against the eager run, with more against that. */
static bool check_compiled(trial *t) {
    result one = {.count = 0};
    int most = t->v->reason[0] == '\0' ? 3 : 1;
    bool good = run_compiled(t, 1, &one) && compare(t, &one, 1);
    for (int threads = 2; good && threads <= most; threads++) {
        result many = {.count = 0};
        good = run_compiled(t, threads, &many) && compare_bits(t, &one, &many, threads);
        result_free(&many);
    }
    result_free(&one);
    return good;
}

/* True when all is right with this draw of data; else the verdict is set. */
static bool check_draw(trial *t) {
    *t->now = EAGER_RUN;
    if (!run_data_draw(t->p, &t->data))
        return failed(t, NO_MEMORY, "");
    step_reset(false, 0);
    execute(t->p, t->eager, &t->data, &t->expected);
    bool good =
        t->expected.status == CB_OK ? check_compiled(t) : failed(t, INVALID, t->expected.message);
    result_free(&t->expected);
    for (int k = 0; k < NOISY_RUNS && t->has_noisy; k++)
        result_free(&t->noisy[k]);
    t->has_noisy = false;
    run_data_free(&t->data);
    return good;
}

/* ---- All of them ----------------------------------------------------------------------------- */

enum { OTHER_DRAWS = 3 };

/* Whether a difference comes again with other data. */
static bool repeats(const trial *t) {
    static program other;
    for (uint64_t k = 1; k <= OTHER_DRAWS; k++) {
        verdict v = *t->v;
        trial again = *t;
        other = *t->p;
        other.run.data += k << 20;
        again.p = &other;
        again.v = &v;
        if (!check_draw(&again) && kind_is_failure(v.kind))
            return true;
    }
    return false;
}

static bool depends_on_data(verdict_kind kind) {
    return kind == WRONG_OUTPUT || kind == WRONG_FINAL || kind == WRONG_GRADIENT;
}

/* Describing compiles once more, so that it is not done for every program. */
static void check_description(trial *t) {
    const run *r = &t->p->run;
    cb_scan_sizes sizes = {
        .time = r->time > 0 ? r->time : 1, .batch = r->batch > 0 ? r->batch : 1, .table = r->table};
    *t->now = DESCRIBING;
    if (!t->noise && r->data % 16 == 0 && cb_scan_describe(t->compiled, &sizes, NULL, 0) == 0)
        failed(t, WRONG_DESCRIPTION, "");
}

/* Runs may find a reason that compiling did not. */
static void note_reason(trial *t) {
    const char *reason = cb_scan_reason(t->compiled);
    snprintf(t->v->reason, sizeof(t->v->reason), "%s", reason != NULL ? reason : "");
}

static void judge_trial(trial *t) {
    verdict *v = t->v;
    memset(v, 0, sizeof(*v));
    *t->now = EAGER_RUN;
    cb_set_threads(1);
    bool ready = step_load(t->p);
    t->eager = scan_of(t->p, true);
    t->compiled = scan_of(t->p, t->noise);
    if (ready && t->eager != NULL && t->compiled != NULL) {
        *t->now = COMPILING;
        note_reason(t);
        bool right = check_draw(t);
        note_reason(t);
        if (right && strstr(v->reason, "the compiler has a bug") != NULL)
            failed(t, FOUND_BUG, v->reason);
        else if (right)
            check_description(t);
        else if (depends_on_data(v->kind) && !repeats(t))
            v->kind = NOT_REPEATED;
    } else {
        failed(t, NO_MEMORY, "");
    }
    cb_scan_free(t->eager);
    cb_scan_free(t->compiled);
    step_unload();
}

void judge(const program *p, verdict *v, volatile phase *now) {
    trial t = {.p = p, .v = v, .now = now};
    judge_trial(&t);
}

void judge_noise(const program *p, verdict *v) {
    phase now;
    trial t = {.p = p, .v = v, .now = &now, .noise = true};
    judge_trial(&t);
}
