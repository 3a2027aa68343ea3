/* Comparing a compiled recurrence with its step run op by op: the check of each plan at first use,
   and cb_scan_check.

   Both runs have the same small random problem. Their results may differ by rounding, and rounding
   may be amplified: by a kink, by cancellation, by a chaotic step. So where a difference is too
   large, the step is run op by op once more, with noise in the last bits of what each op gives, and
   what that changes is allowed as well; and what still differs must do so for several draws. */
#include "autograd/scan/check_internal.h"

#include "autograd/trace.h"
#include "tensor/format.h"
#include "tensor/memory.h"

#include <stdio.h>

enum { DRAWS = 3 };

/* ---- What a step has of the program's -------------------------------------------------------- */

/* The generators that a step draws from, as they were, and where the gradients of its own variables
   are added. */
typedef struct surroundings {
    int draw_count, gradient_count;
    cbi_trace_draw *draws;
    cb_tensor **gradients;
} surroundings;

static bool is_listed(const surroundings *s, const cb_tensor *gradient) {
    for (int i = 0; i < s->gradient_count; i++)
        if (s->gradients[i]->data == gradient->data &&
            cb_tensor_same_shape(s->gradients[i], gradient))
            return true;
    return false;
}

static bool note(surroundings *s, const cbi_trace *trace) {
    s->draws = cbi_allocate(sizeof(*s->draws) * (size_t)(trace->draw_count + 1));
    s->gradients = cbi_allocate(sizeof(*s->gradients) * (size_t)(trace->count + 1));
    if (s->draws == NULL || s->gradients == NULL)
        return false;
    for (int i = 0; i < trace->draw_count; i++)
        s->draws[s->draw_count++] = trace->draws[i];
    for (int i = 0; i < trace->count; i++) {
        cb_tensor *gradient = trace->nodes[i]->op == NULL ? trace->nodes[i]->sink : NULL;
        if (gradient != NULL && !is_listed(s, gradient))
            s->gradients[s->gradient_count++] = gradient;
    }
    return true;
}

static bool surroundings_find(surroundings *s, const cb_scan *scan, const cbi_check_form *form) {
    cb_tape *tape = cbi_tape_new_symbolic();
    cbi_signature signature = scan->signature;
    signature.evaluating = form->evaluating;
    cbi_side side;
    bool good = tape != NULL;
    *s = (surroundings){.draw_count = 0};
    if (good && cbi_trace_once(&signature, tape, form->batch, &side) == NULL)
        good = note(s, tape->trace);
    cb_tape_free(tape);
    return good;
}

static void restore_generators(const surroundings *s) {
    for (int i = 0; i < s->draw_count; i++)
        *s->draws[i].generator = s->draws[i].start;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void write_name(char *name, size_t size, const char *what, const char *kind,
                       const char *const *names, int i) {
    if (names != NULL)
        snprintf(name, size, "%s %s", what, names[i]);
    else
        snprintf(name, size, "%s %s %d", what, kind, i);
}

static void name_result(const cbi_problem *p, int i, char *name, size_t size) {
    const cbi_check_form *f = p->form;
    int at = i - 1 - cbi_problem_states(p);
    if (i == 0) {
        snprintf(name, size, "output");
        return;
    }
    if (at < 0) {
        write_name(name, size, "last", "state", f->state_names, i - 1);
        return;
    }
    if (f->of_x && at-- == 0) {
        snprintf(name, size, "gradient of %s", f->looked_up ? "the table" : "x");
        return;
    }
    if (f->of_states && at < cbi_problem_states(p)) {
        write_name(name, size, "gradient of initial", "state", f->state_names, at);
        return;
    }
    at -= f->of_states ? cbi_problem_states(p) : 0;
    snprintf(name, size, "gradient of a variable of the step's own");
    for (int k = 0; k < cbi_problem_weights(p); k++) {
        bool wanted = (f->of_weights == NULL || f->of_weights[k]) && p->weights[k] != NULL &&
                      cb_dtype_is_float(p->weights[k]->dtype);
        if (wanted && at-- == 0)
            write_name(name, size, "gradient of", "weight", f->weight_names, k);
    }
}

static void tell(const cbi_problem *p, const cbi_outcome *compiled, const cbi_outcome *eager, int i,
                 cb_scan_check_report *report) {
    const cb_tensor *a = compiled->results[i], *b = eager->results[i];
    int64_t at = cbi_worst_place(a, b);
    char name[64] = "";
    cb_tensor flat_a = cb_tensor_wrap(a->dtype, CB_SHAPE(cb_tensor_count(a)), a->data);
    cb_tensor flat_b = cb_tensor_wrap(b->dtype, CB_SHAPE(cb_tensor_count(b)), b->data);
    name_result(p, i, name, sizeof(name));
    cbi_format(report->message, sizeof(report->message),
               "%s%s%s%s, element %lld: %.9g compiled, %.9g op by op", name,
               p->form->reverse ? ", in reverse" : "", p->form->lengths ? ", with lengths" : "",
               p->form->looked_up ? ", on rows of a table" : "", (long long)at,
               cb_tensor_get(&flat_a, &at), cb_tensor_get(&flat_b, &at));
}

/* Compares two runs, allowing what noise made; changed: NULL, or that run. Returns whether they
   agree; *finite: whether all numbers of the one op by op are finite. With lengths that one
   computes steps beyond a sequence's end, too, and has no gradient where one of those has none. */
static bool compare(const cbi_problem *p, const cbi_outcome *compiled, const cbi_outcome *eager,
                    const cbi_outcome *changed, double tolerance, cb_scan_check_report *report,
                    bool *finite) {
    enum { AMPLIFIED = 32 };
    bool good = compiled->count == eager->count;
    *finite = true;
    report->compared = 0;
    report->worst_value = report->worst_gradient = 0;
    for (int i = 0; i < eager->count && compiled->count == eager->count; i++) {
        double *worst = i <= cbi_problem_states(p) ? &report->worst_value : &report->worst_gradient;
        double error =
            cbi_difference(compiled->results[i], eager->results[i], p->form->lengths, finite);
        double allowed = tolerance;
        if (changed != NULL && changed->count == eager->count)
            allowed +=
                AMPLIFIED * cbi_difference(changed->results[i], eager->results[i], false, finite);
        report->compared += cb_tensor_count(eager->results[i]);
        *worst = error > *worst ? error : *worst;
        if (!(error <= allowed) && good) {
            good = false;
            tell(p, compiled, eager, i, report);
        }
    }
    if (compiled->count != eager->count)
        cbi_format(report->message, sizeof(report->message), "%d results compiled, %d op by op",
                   compiled->count, eager->count);
    return good;
}

/* The dtype that results are rounded to at worst: a step in f64 may compute something in f32. */
static cb_dtype coarsest(cb_scan *scan) {
    cb_dtype dtype = scan->signature.dtype;
    pthread_mutex_lock(&scan->lock);
    for (int c = 0; c < scan->compilation_count; c++) {
        const cbi_split *split = scan->compilations[c]->split;
        for (int i = 0; split != NULL && i < split->traced->step_count; i++)
            if (cbi_traced_node(split->traced, 0, i)->tensor.dtype == CB_F32)
                dtype = CB_F32;
    }
    pthread_mutex_unlock(&scan->lock);
    return dtype;
}

/* One draw. CB_OK, CB_ERROR_VALUE or CB_ERROR_MEMORY; *plain: whether the step did not fail and all
   numbers were finite. */
static cb_status check_draw(const cbi_problem *p, double tolerance, const surroundings *around,
                            cb_scan_check_report *report, bool *plain) {
    double change = 4 * (coarsest(p->scan) == CB_F32 ? 0x1p-24 : 0x1p-53);
    cbi_outcome eager = cbi_outcome_of(p, CBI_OP_BY_OP, 0), compiled = {.status = CB_OK};
    cb_status status = eager.status;
    restore_generators(around);
    *plain = false;
    if (status == CB_OK) {
        compiled = cbi_outcome_of(p, CBI_UNCHECKED, 0);
        restore_generators(around);
        status = compiled.status;
        if (status != CB_OK && status != CB_ERROR_MEMORY) {
            cbi_format(report->message, sizeof(report->message), "an error only where compiled: %s",
                       cb_tape_error(compiled.tape));
            status = CB_ERROR_VALUE;
        }
    } else if (status != CB_ERROR_MEMORY) {
        status = CB_OK; /* nothing to compare with */
        report->compared = 0;
        cbi_format(report->message, sizeof(report->message), "the step fails on random numbers: %s",
                   cb_tape_error(eager.tape));
    }
    if (status == CB_OK && eager.status == CB_OK &&
        !compare(p, &compiled, &eager, NULL, tolerance, report, plain)) {
        cbi_outcome changed = cbi_outcome_of(p, CBI_OP_BY_OP, change);
        restore_generators(around);
        bool good = changed.status == CB_OK &&
                    compare(p, &compiled, &eager, &changed, tolerance, report, plain);
        status = good                                ? CB_OK
                 : changed.status == CB_ERROR_MEMORY ? CB_ERROR_MEMORY
                                                     : CB_ERROR_VALUE;
        cbi_outcome_end(&changed);
    }
    cbi_outcome_end(&eager);
    cbi_outcome_end(&compiled);
    return status;
}

/* Several draws from one range, where one of them fails. */
static cb_status check_range(cb_scan *scan, const cbi_check_form *form, uint64_t seed,
                             double tolerance, const surroundings *around, cbi_range range,
                             cb_scan_check_report *report, bool *plain) {
    cb_status status = CB_ERROR_VALUE;
    for (int draw = 0; draw < DRAWS && status == CB_ERROR_VALUE; draw++) {
        cbi_problem p;
        bool made = cbi_problem_new(&p, scan, form, seed + (uint64_t)draw, range);
        p.gradient_count = around->gradient_count;
        p.gradients = around->gradients;
        status = made ? check_draw(&p, tolerance, around, report, plain) : CB_ERROR_MEMORY;
        cbi_problem_free(&p);
    }
    return status;
}

cb_status cbi_check_scan(cb_scan *scan, const cbi_check_form *form, uint64_t seed, double tolerance,
                         cb_scan_check_report *report) {
    cb_scan_check_report first = *report;
    surroundings around;
    bool found = surroundings_find(&around, scan, form), plain = false;
    cb_status status = found ? CB_OK : CB_ERROR_MEMORY;
    if (tolerance == 0)
        tolerance = coarsest(scan) == CB_F32 ? 1e-4 : 1e-9;
    for (int range = 0; range < CBI_RANGES && status == CB_OK && !plain; range++)
        if (range != CBI_OF_RUN || (form->run != NULL && report->compared == 0))
            status =
                check_range(scan, form, seed, tolerance, &around, (cbi_range)range, report, &plain);
    cbi_free(around.draws);
    cbi_free(around.gradients);
    report->compared += first.compared;
    if (first.worst_value > report->worst_value)
        report->worst_value = first.worst_value;
    if (first.worst_gradient > report->worst_gradient)
        report->worst_gradient = first.worst_gradient;
    return status;
}

/* ---- At first use, and for the user ---------------------------------------------------------- */

/* Whether the step has ops that are not the library's. */
static bool has_own_ops(const cbi_scan_run *run) {
    const cbi_traced *traced = run->compilation->split->traced;
    for (int i = 0; i < traced->step_count; i++) {
        const cb_op *op = cbi_traced_node(traced, 0, i)->op;
        bool known = op == NULL;
        for (const cb_op *const *of = cb_ops(); *of != NULL && !known; of++)
            known = *of == op;
        if (!known)
            return true;
    }
    return false;
}

cb_status cbi_scan_self_check(const cbi_scan_run *run, bool *compared, char *reason, size_t size) {
    cb_scan *scan = run->scan;
    const cb_scan_io *io = run->io;
    int64_t only = run->compilation->split->traced->only_batch;
    int weights = scan->signature.weight_count;
    cb_scan_check_report report = {.passed = false};
    bool *of_weights = cbi_allocate((size_t)weights + 1);
    if (of_weights == NULL)
        return CB_ERROR_MEMORY;
    cbi_check_form form = {.time = 2, /* the first step and the last */
                           .batch = only > 0          ? only
                                    : run->batch == 1 ? 1
                                                      : 5,
                           .looked_up = run->looked_up,
                           .reverse = io->reverse,
                           .lengths = io->lengths != NULL,
                           .evaluating = run->tape->evaluating,
                           .gradients = run->compiled->variant.gradients,
                           .own = run->tape->recording && !run->tape->no_variables,
                           .of_x = cb_requires_grad(run->x),
                           .of_weights = of_weights,
                           .weights = io->weights,
                           .run = run};
    for (int i = 0; i < scan->signature.state_count; i++)
        form.of_states = form.of_states || cb_requires_grad(io->initial[i]);
    for (int i = 0; i < weights; i++)
        of_weights[i] = cb_requires_grad(io->weights[i]);
    cb_status status = cbi_check_scan(scan, &form, 1, 0, &report);
    cbi_free(of_weights);
    *compared = report.compared > 0;
    if (status == CB_ERROR_VALUE)
        snprintf(reason, size, "the compiler has a bug%s: %.240s",
                 has_own_ops(run) ? ", or an op of the program's own is not what it says" : "",
                 report.message);
    return status;
}

bool cb_scan_check(cb_scan *scan, const cb_scan_check_options *options,
                   cb_scan_check_report *report) {
    static const cb_scan_check_options defaults = {.time = 0};
    cb_scan_check_report own;
    cb_scan_check_report *r = report != NULL ? report : &own;
    const cb_scan_check_options *o = options != NULL ? options : &defaults;
    *r = (cb_scan_check_report){.passed = false};
    if (scan == NULL) {
        snprintf(r->message, sizeof(r->message), "there is no recurrence");
        return false;
    }
    r->compiled = cb_scan_reason(scan) == NULL;
    bool floats = cb_dtype_is_float(scan->signature.dtype);
    cb_status status = CB_OK;
    for (int way = 0; way < 4 && status == CB_OK; way++) {
        cbi_check_form form = {.time = o->time > 0 ? o->time : 3,
                               .batch = o->batch > 0 ? o->batch : 5,
                               .reverse = way == 1,
                               .lengths = way == 2,
                               .looked_up = way == 3,
                               .gradients = floats,
                               .of_x = floats,
                               .of_states = floats,
                               .own = true,
                               .weight_names = o->weight_names,
                               .state_names = o->state_names,
                               .weights = o->weights};
        status = cbi_check_scan(scan, &form, o->seed, o->tolerance, r);
    }
    if (status == CB_ERROR_MEMORY)
        snprintf(r->message, sizeof(r->message), "out of memory");
    r->passed = status == CB_OK && r->compared > 0;
    if (status == CB_OK && r->compared == 0 && r->message[0] == '\0')
        snprintf(r->message, sizeof(r->message), "there are no numbers to compare");
    if (r->passed)
        r->message[0] = '\0';
    return r->passed;
}
