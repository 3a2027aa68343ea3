/* Compiling: the trace is split, each part lowered with the gradients that a run wants, rewritten
   by the passes and planned. The sequence's graph comes first, as it says which gradients it needs
   of the step; the step's first through the passes, as it says which elements it reads of what it
   is given. */
#include "autograd/compiler/compile.h"

#include "autograd/compiler/join_boundary.h"
#include "autograd/compiler/verify.h"
#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

enum { MANY_VARIANTS = 32 };

static void refuse(cbi_compilation *c, const char *reason) {
    if (c->reason[0] == '\0')
        snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

/* ---- The step -------------------------------------------------------------------------------- */

static void add_captured(cbi_compilation *c, const cbi_part *part) {
    for (int i = 0; i < part->captured_count; i++) {
        int k = 0;
        while (k < c->captured_count && c->captured[k] != part->captured[i])
            k++;
        if (k == c->captured_count)
            c->captured[c->captured_count++] = part->captured[i];
    }
}

cbi_compilation *cbi_compilation_new(const cbi_signature *signature, int64_t only_batch) {
    cbi_compilation *c = cbi_allocate(sizeof(*c));
    if (c == NULL)
        return NULL;
    cbi_traced *traced = cbi_traced_new(signature, only_batch);
    if (traced == NULL) {
        cbi_free(c);
        return NULL;
    }
    if (traced->no_memory) {
        cbi_traced_free(traced);
        cbi_free(c);
        return NULL;
    }
    if (traced->reason[0] != '\0') {
        refuse(c, traced->reason);
        c->varies = traced->varies;
        cbi_traced_free(traced);
        return c;
    }
    c->split = cbi_split_new(traced);
    if (c->split == NULL) {
        cbi_traced_free(traced);
        cbi_free(c);
        return NULL;
    }
    if (c->split->no_memory) {
        cbi_compilation_free(c);
        return NULL;
    }
    refuse(c, c->split->reason);
    /* Of a gradient that depends on it there is one for each number. */
    c->varies = c->reason[0] != '\0' && traced->varies && only_batch == 0;
    size_t most = (size_t)(c->split->step.captured_count + c->split->sequence.captured_count);
    c->captured = cbi_allocate(sizeof(int) * (most + 1));
    if (c->captured == NULL) {
        cbi_compilation_free(c);
        return NULL;
    }
    add_captured(c, &c->split->sequence);
    add_captured(c, &c->split->step);
    return c;
}

void cbi_compiled_free(cbi_compiled *compiled) {
    if (compiled == NULL)
        return;
    cbi_plan_free(compiled->sequence);
    cbi_plan_free(compiled->step);
    cbi_free(compiled->of_sequence);
    cbi_free((void *)(uintptr_t)compiled->variant.captured);
    cbi_free(compiled);
}

static void free_variants(cbi_compilation *c) {
    while (c->variant_count > 0)
        cbi_compiled_free(c->variants[--c->variant_count]);
}

void cbi_compilation_free(cbi_compilation *c) {
    if (c == NULL)
        return;
    free_variants(c);
    cbi_free(c->variants);
    cbi_free(c->captured);
    cbi_split_free(c->split);
    cbi_free(c);
}

bool cbi_is_boundary_x(const cbi_split *split, int k) {
    return split->boundary[k] == split->traced->side[0].x->node->index;
}

/* ---- A kind of run --------------------------------------------------------------------------- */

/* While plans for a kind of run are made. */
typedef struct making {
    cbi_compilation *c;
    const cbi_variant *variant;
    cbi_graph *sequence, *step;
    cbi_pass_watch *watch;
    void *context;
    char bug[256];
} making;

/* Whether the sequence has anything to compute: else the step is given x as it is. */
static bool has_sequence(const cbi_split *split) {
    for (int k = 0; k < split->boundary_count; k++)
        if (!cbi_is_boundary_x(split, k))
            return true;
    return false;
}

static int place_of(const cbi_compilation *c, int node) {
    int k = 0;
    while (c->captured[k] != node)
        k++;
    return k;
}

static bool lower(making *m) {
    cbi_split *split = m->c->split;
    size_t nodes = (size_t)cbi_traced_count(split->traced) + 1;
    bool *wanted = cbi_allocate(nodes), *of_boundary = cbi_allocate(nodes);
    const cbi_variant *v = m->variant;
    cbi_needs needs = {v->gradients, v->x, v->captured != NULL ? wanted : NULL};
    bool good = wanted != NULL && of_boundary != NULL;
    for (int i = 0; good && v->captured != NULL && i < m->c->captured_count; i++)
        wanted[m->c->captured[i]] = v->captured[i];
    if (good)
        m->sequence = cbi_split_lower_sequence(split, &needs, of_boundary);
    if (m->sequence != NULL)
        m->step = cbi_split_lower_step(split, &needs, of_boundary);
    cbi_free(wanted);
    cbi_free(of_boundary);
    refuse(m->c, split->reason);
    return m->step != NULL;
}

static bool run_passes(making *m, cbi_graph *graph, bool looked_up) {
    return cbi_run_passes(graph, looked_up, m->watch, m->context, m->bug, sizeof(m->bug));
}

static cbi_compiled *plan(making *m) {
    cbi_compilation *c = m->c;
    cbi_compiled *compiled = cbi_allocate(sizeof(*compiled));
    size_t count = (size_t)(m->step->captured_count + m->sequence->captured_count + 1);
    if (compiled == NULL || (compiled->of_sequence = cbi_allocate(sizeof(int) * count)) == NULL) {
        cbi_free(compiled);
        return NULL;
    }
    compiled->of_step = compiled->of_sequence + m->sequence->captured_count;
    for (int i = 0; i < m->sequence->captured_count; i++)
        compiled->of_sequence[i] = place_of(c, m->sequence->captured[i].node);
    for (int i = 0; i < m->step->captured_count; i++)
        compiled->of_step[i] = place_of(c, m->step->captured[i].node);
    compiled->step = cbi_plan_new(m->step, m->variant->looked_up, m->bug, sizeof(m->bug));
    m->step = NULL;
    if (compiled->step != NULL && has_sequence(c->split)) {
        compiled->sequence = cbi_plan_new(m->sequence, false, m->bug, sizeof(m->bug));
        m->sequence = NULL;
    }
    if (compiled->step == NULL || (has_sequence(c->split) && compiled->sequence == NULL)) {
        cbi_compiled_free(compiled);
        return NULL;
    }
    return compiled;
}

cbi_compiled *cbi_compile_watched(cbi_compilation *c, const cbi_variant *variant,
                                  cbi_pass_watch *watch, void *context) {
    making m = {.c = c, .variant = variant, .watch = watch, .context = context};
    cbi_compiled *compiled = NULL;
    if (c->reason[0] != '\0')
        return NULL;
    if (lower(&m) && cbi_join_boundary(m.sequence, m.step) &&
        run_passes(&m, m.step, variant->looked_up) && run_passes(&m, m.sequence, false))
        compiled = plan(&m);
    cbi_graph_free(m.step);
    cbi_graph_free(m.sequence);
    if (m.bug[0] != '\0')
        snprintf(c->reason, sizeof(c->reason), "the compiler has a bug: %s", m.bug);
    if (compiled == NULL)
        return NULL;
    compiled->variant = *variant;
    if (variant->captured != NULL) {
        bool *copy = cbi_allocate((size_t)c->captured_count + 1);
        compiled->variant.captured = copy;
        if (copy == NULL) {
            cbi_compiled_free(compiled);
            return NULL;
        }
        memcpy(copy, variant->captured, (size_t)c->captured_count);
    }
    return compiled;
}

static bool same_variant(const cbi_compilation *c, const cbi_variant *a, const cbi_variant *b) {
    bool same = a->looked_up == b->looked_up && a->gradients == b->gradients && a->x == b->x;
    for (int i = 0; same && a->gradients && i < c->captured_count; i++)
        same = (a->captured == NULL || a->captured[i]) == (b->captured == NULL || b->captured[i]);
    return same;
}

cbi_compiled *cbi_compile(cbi_compilation *c, const cbi_variant *variant) {
    for (int i = 0; i < c->variant_count; i++)
        if (same_variant(c, &c->variants[i]->variant, variant))
            return c->variants[i];
    if (c->variant_count >= MANY_VARIANTS && c->holders <= 1) /* that of this run */
        free_variants(c);
    if (!cbi_grow(&c->variants, &c->variant_room, c->variant_count + 1, sizeof(*c->variants)))
        return NULL;
    cbi_compiled *compiled = cbi_compile_watched(c, variant, NULL, NULL);
    if (compiled != NULL)
        c->variants[c->variant_count++] = compiled;
    return compiled;
}
