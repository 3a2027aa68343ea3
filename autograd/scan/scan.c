/* A recurrence: compiled when it is first needed, and again when its step has changed. */
#include "autograd/scan/scan_internal.h"

#include "autograd/trace.h"
#include "tensor/format.h"
#include "tensor/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Making one ------------------------------------------------------------------------------ */

static bool refuse(cb_error *error, cb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(cb_error *error, cb_status status, const char *format, ...) {
    va_list arguments;
    if (error == NULL)
        return false;
    error->status = status;
    va_start(arguments, format);
    cbi_vformat(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return false;
}

static bool check_options(cb_scan_step *step, const cb_scan_options *o, cb_error *error) {
    if (o == NULL || (step == NULL && o->context_step == NULL))
        return refuse(error, CB_ERROR_VALUE, "scan: the %s NULL",
                      o == NULL ? "options are" : "step is");
    const char *name = o->name != NULL ? o->name : "step";
    if (step != NULL && o->context_step != NULL)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": two steps are given", name);
    if (cb_dtype_size(o->dtype) == 0)
        return refuse(error, CB_ERROR_DTYPE, "scan \"%s\": there is no dtype %d", name,
                      (int)o->dtype);
    if (o->input < 0)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": an input of %lld features", name,
                      (long long)o->input);
    if (o->state_count < 1)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": %d states; there must be at least 1",
                      name, o->state_count);
    if (o->state_size == NULL)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": the states' sizes are NULL", name);
    for (int i = 0; i < o->state_count; i++)
        if (o->state_size[i] < 0)
            return refuse(error, CB_ERROR_VALUE, "scan \"%s\": state %d has a size of %lld", name,
                          i, (long long)o->state_size[i]);
    if (o->weight_count < 0)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": %d weights", name, o->weight_count);
    if (o->weights == NULL && o->weight_count > 0)
        return refuse(error, CB_ERROR_VALUE, "scan \"%s\": the %d weights are NULL", name,
                      o->weight_count);
    return true;
}

/* Copies of what the options point to, in one block behind the scan. */
static cb_scan *allocate(const cb_scan_options *o) {
    const char *name = o->name != NULL ? o->name : "step";
    size_t sizes = sizeof(int64_t) * (size_t)o->state_count;
    size_t pointers = sizeof(cb_tensor *) * (size_t)(o->weight_count + 1);
    size_t shapes = sizeof(cb_tensor) * (size_t)o->weight_count;
    cb_scan *scan = cbi_allocate(sizeof(*scan) + sizes + pointers + shapes + strlen(name) + 1);
    if (scan == NULL)
        return NULL;
    char *at = (char *)(scan + 1);
    cb_tensor *shape = (cb_tensor *)(void *)at;
    const cb_tensor **weights = (const cb_tensor **)(void *)(at + shapes);
    scan->signature.weights = weights;
    scan->signature.state_size = memcpy(at + shapes + pointers, o->state_size, sizes);
    scan->name = strcpy(at + shapes + pointers + sizes, name);
    for (int i = 0; i < o->weight_count; i++)
        if (o->weights[i] != NULL) {
            shape[i] = *o->weights[i];
            shape[i].data = NULL;
            shape[i].node = NULL;
            weights[i] = &shape[i];
        }
    return scan;
}

cb_scan *cb_scan_new_with(cb_scan_step *step, const cb_scan_options *options, cb_error *error) {
    if (error != NULL)
        *error = (cb_error){.status = CB_OK};
    if (!check_options(step, options, error))
        return NULL;
    cb_scan *scan = allocate(options);
    if (scan == NULL) {
        refuse(error, CB_ERROR_MEMORY, "scan: out of memory");
        return NULL;
    }
    scan->signature.step = step;
    scan->signature.context_step = options->context_step;
    scan->signature.context = options->context;
    scan->signature.dtype = options->dtype;
    scan->signature.input = options->input;
    scan->signature.state_count = options->state_count;
    scan->signature.weight_count = options->weight_count;
    scan->eager = options->eager || !cb_dtype_is_float(options->dtype);
    scan->unchecked = options->unchecked;
    if (scan->eager)
        snprintf(scan->reason, sizeof(scan->reason), "%s",
                 options->eager ? "it was asked for" : "only f32 and f64 are compiled");
    scan->holders = 1;
    pthread_mutex_init(&scan->lock, NULL);
    return scan;
}

cb_scan *cb_scan_new(cb_scan_step *step, const cb_scan_options *options) {
    return cb_scan_new_with(step, options, NULL);
}

void cbi_scan_own(cb_scan *scan, void *context, void (*end)(void *context)) {
    scan->owned = context;
    scan->end_owned = end;
}

/* A run's hold on the scan, or the owner's, ends; with the last one, so does the scan. */
static void let_go(cb_scan *scan, cbi_compilation *of_run) {
    pthread_mutex_lock(&scan->lock);
    if (of_run != NULL)
        of_run->holders--;
    bool last = --scan->holders == 0;
    pthread_mutex_unlock(&scan->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&scan->lock);
    for (int i = 0; i < scan->compilation_count; i++)
        cbi_compilation_free(scan->compilations[i]);
    for (int i = 0; i < scan->tape_count; i++)
        cbi_call_tapes_free(scan->tapes[i]);
    cbi_free(scan->tapes);
    if (scan->end_owned != NULL)
        scan->end_owned(scan->owned);
    cbi_free(scan);
}

void cb_scan_free(cb_scan *scan) {
    if (scan != NULL)
        let_go(scan, NULL);
}

/* What a run keeps alive, until its tape is reset, for its gradient: its plans, and the scan. */
typedef struct held {
    cb_scan *scan; /* NULL: nothing is held */
    cbi_compilation *compilation;
} held;

static void end_hold(void *of_run) {
    const held *h = of_run;
    if (h->scan != NULL)
        let_go(h->scan, h->compilation);
}

/* Holds nothing yet; NULL, recorded, when there is no memory. */
static held *hold_on(cb_tape *tape) {
    held *h = cbi_tape_lasting(tape, sizeof(*h));
    if (h == NULL)
        return NULL;
    *h = (held){NULL, NULL};
    return cbi_tape_hold(tape, end_hold, h) ? h : NULL;
}

/* With the scan's lock held. */
static void hold(held *h, cb_scan *scan, cbi_compilation *compilation) {
    *h = (held){scan, compilation};
    scan->holders++;
    compilation->holders++;
}

/* ---- Tapes for ops that are applied as they are ---------------------------------------------- */

cbi_call_tapes *cbi_take_tapes(cb_scan *scan, int threads) {
    cbi_call_tapes *tapes = NULL;
    pthread_mutex_lock(&scan->lock);
    for (int i = 0; i < scan->tape_count && tapes == NULL; i++)
        if (scan->tapes[i]->count >= threads) {
            tapes = scan->tapes[i];
            scan->tapes[i] = scan->tapes[--scan->tape_count];
        }
    pthread_mutex_unlock(&scan->lock);
    return tapes != NULL ? tapes : cbi_call_tapes_new(threads);
}

void cbi_give_tapes(cb_scan *scan, cbi_call_tapes *tapes) {
    if (tapes == NULL)
        return;
    tapes->status = CB_OK;
    pthread_mutex_lock(&scan->lock);
    bool kept = cbi_grow(&scan->tapes, &scan->tape_room, scan->tape_count + 1, sizeof(tapes));
    if (kept)
        scan->tapes[scan->tape_count++] = tapes;
    pthread_mutex_unlock(&scan->lock);
    if (!kept)
        cbi_call_tapes_free(tapes);
}

/* ---- Compiling ------------------------------------------------------------------------------- */

static const char changing[] =
    "the step is not the same from run to run, or depends on the number of sequences";
/* Steps that look at extents may find that what broadcasts over sequences does not have to. */
static const char alone[] = "with one sequence the step does other ops than with more";

static bool run_eagerly(cb_scan *scan, const char *reason) {
    snprintf(scan->reason, sizeof(scan->reason), "%s", reason);
    return false;
}

/* Where a new compilation goes: after the last one, or, once the list is full, in the place of the
   one that was not used for the longest time, by no run that may still want its gradient. A step
   that changes in every run is not worth it: one of the last runs has to have had it, too. */
static cbi_compilation **place_for(cb_scan *scan, bool again) {
    cbi_compilation **oldest = NULL;
    if (scan->compilation_count < CBI_MOST_COMPILATIONS)
        return &scan->compilations[scan->compilation_count];
    for (int i = 0; i < scan->compilation_count && again; i++) {
        cbi_compilation **c = &scan->compilations[i];
        if ((*c)->holders == 0 && (oldest == NULL || (*c)->used < (*oldest)->used))
            oldest = c;
    }
    return oldest;
}

/* Compiles for any number of sequences, 0, or for one, into a place of the list. NULL, recorded,
   when there is no memory; NULL, with a reason, when there is no place. */
static cbi_compilation *compile_into(cbi_compilation **place, cbi_scan_run *run,
                                     int64_t only_batch) {
    cb_scan *scan = run->scan;
    if (place == NULL) {
        snprintf(scan->reason, sizeof(scan->reason),
                 "the step is not the same from run to run: %d forms of it are compiled",
                 CBI_MOST_COMPILATIONS);
        return NULL;
    }
    cbi_signature signature = cbi_signature_on(scan, run->tape);
    cbi_compilation *c = cbi_compilation_new(&signature, only_batch);
    if (c == NULL) {
        cbi_tape_fail(run->tape, CB_ERROR_MEMORY, "scan \"%s\": out of memory", scan->name);
        return NULL;
    }
    if (place == &scan->compilations[scan->compilation_count])
        scan->compilation_count++;
    else
        cbi_compilation_free(*place);
    c->used = c->made = scan->runs;
    c->step = scan->last_steps[scan->runs % CBI_LAST_STEPS];
    return *place = c;
}

/* Whether what was compiled, or could not be, is for a step that does what this one does. */
static bool is_for(const cbi_compilation *c, const cbi_side *side) {
    if (c->split == NULL)
        return !c->varies && c->step == cbi_side_hash(side);
    return !c->varies && cbi_traced_matches(c->split->traced, side);
}

/* Notes what the step does in this run; whether it did so in one of the last ones. */
static bool note_step(cb_scan *scan, const cbi_side *side) {
    uint64_t hash = cbi_side_hash(side);
    bool again = false;
    for (int i = 0; i < CBI_LAST_STEPS; i++)
        again = again || scan->last_steps[i] == hash;
    scan->last_steps[scan->runs % CBI_LAST_STEPS] = hash;
    return again;
}

/* A step that could not be compiled may have been in the middle of a change, or have done something
   at its first calls alone: it is tried again after 1, 2, 4, 8, ... runs. */
static bool is_due(const cb_scan *scan, const cbi_compilation *c) {
    uint64_t since = scan->runs - c->made;
    return c->split == NULL && c->holders == 0 && since > 0 && (since & (since - 1)) == 0;
}

/* Whether the step is one that was compiled for any number of sequences, but does other ops where
   there is one only. */
static bool differs_alone(const cbi_scan_run *run) {
    const cb_scan *scan = run->scan;
    cbi_signature signature = cbi_signature_on(scan, run->tape);
    cb_tape *tape = cbi_tape_new_symbolic();
    cbi_side more;
    bool differs = false;
    bool traced = tape != NULL && cbi_trace_once(&signature, tape, CBI_SOME_BATCH, &more) == NULL;
    for (int i = 0; traced && i < scan->compilation_count; i++) {
        const cbi_compilation *c = scan->compilations[i];
        differs = differs ||
                  (c->reason[0] == '\0' && c->split->traced->only_batch == 0 && is_for(c, &more));
    }
    cb_tape_free(tape);
    return differs;
}

/* The compilation of the step as it was traced for this run, or a new one. NULL when there is none:
   recorded when there is no memory. Called with the lock held. */
static cbi_compilation *compilation_for(cbi_scan_run *run, const cbi_side *side) {
    cb_scan *scan = run->scan;
    bool varies = false, again = note_step(scan, side);
    cbi_compilation **place = NULL;
    for (int i = 0; i < scan->compilation_count; i++) {
        cbi_compilation *c = scan->compilations[i];
        varies = varies || c->varies;
        c->used = c->varies ? scan->runs : c->used;
        if (is_for(c, side) && !is_due(scan, c)) {
            c->used = scan->runs;
            return c;
        }
        place = is_for(c, side) ? &scan->compilations[i] : place;
    }
    if (run->batch == 1 && differs_alone(run)) {
        run_eagerly(scan, alone);
        return NULL;
    }
    place = place != NULL ? place : place_for(scan, again);
    cbi_compilation *c = compile_into(place, run, varies ? run->batch : 0);
    if (c != NULL && c->varies)
        c = compile_into(place_for(scan, again), run, run->batch);
    if (c == NULL || c->reason[0] != '\0' || is_for(c, side))
        return c;
    /* It may be for the next one. */
    run_eagerly(scan, run->batch == 1 ? alone : changing);
    return NULL;
}

/* The tape that steps are traced on: one for each tape of the caller's, so that nothing is
   allocated from the second run on. */
static cb_tape *tracer_of(cb_tape *tape) {
    if (tape->tracer == NULL)
        tape->tracer = cbi_tape_new_symbolic();
    if (tape->tracer == NULL)
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "scan: out of memory");
    else
        cb_tape_reset(tape->tracer);
    return tape->tracer;
}

bool cbi_scan_prepare(cbi_scan_run *run) {
    cb_scan *scan = run->scan;
    cbi_side side;
    if (scan->eager)
        return false;
    cb_tape *tracer = tracer_of(run->tape);
    held *h = hold_on(run->tape);
    if (tracer == NULL || h == NULL)
        return false;
    cbi_signature signature = cbi_signature_on(scan, run->tape);
    const char *fault = cbi_trace_once(&signature, tracer, run->batch, &side);
    run->trace = tracer->trace;
    if (tracer->status == CB_ERROR_MEMORY) {
        cbi_tape_fail(run->tape, CB_ERROR_MEMORY, "scan \"%s\": %s", scan->name, fault);
        return false;
    }
    pthread_mutex_lock(&scan->lock);
    scan->runs++;
    bool good = fault == NULL || run_eagerly(scan, fault);
    run->compilation = good ? compilation_for(run, &side) : NULL;
    good = run->compilation != NULL &&
           (run->compilation->reason[0] == '\0' || run_eagerly(scan, run->compilation->reason));
    if (good)
        hold(h, scan, run->compilation);
    pthread_mutex_unlock(&scan->lock);
    return good;
}

const char *cb_scan_reason(cb_scan *scan) {
    if (scan == NULL)
        return "there is no recurrence";
    if (scan->eager)
        return scan->reason;
    pthread_mutex_lock(&scan->lock);
    if (scan->runs == 0 && scan->compilation_count == 0) {
        cbi_compilation *c = cbi_compilation_new(&scan->signature, 0);
        if (c != NULL && c->varies) {
            cbi_compilation_free(c);
            c = cbi_compilation_new(&scan->signature, CBI_SOME_BATCH);
        }
        cbi_variant all = {.gradients = true, .x = true};
        if (c != NULL && c->reason[0] == '\0')
            cbi_compile(c, &all);
        if (c != NULL)
            scan->compilations[scan->compilation_count++] = c;
        snprintf(scan->reason, sizeof(scan->reason), "%s", c != NULL ? c->reason : "out of memory");
    }
    const char *reason = scan->reason[0] != '\0' ? scan->reason : NULL;
    pthread_mutex_unlock(&scan->lock);
    return reason;
}
