/* Elementwise functions of all kinds. */
#include "drawing.h"

#include <math.h>

/* A random form of so many operands that this program may have. */
static const form *pick_form(drawing *d, int arity) {
    const form *chosen = NULL;
    int64_t count = 0;
    for (int i = 0; all_forms[i] != NULL; i++)
        if (all_forms[i]->arity == arity && (!all_forms[i]->kink || allows(d, KINKS)) &&
            below(d, ++count) == 0)
            chosen = all_forms[i];
    return chosen;
}

static void draw_parameters(drawing *d, value *v, bool whole) {
    const form *f = v->form;
    for (int i = 0; i < f->parameters; i++) {
        v->parameter[i] = uniform(d, f->parameter_low[i], f->parameter_high[i]);
        if (whole)
            v->parameter[i] = floor(v->parameter[i]);
    }
}

static int draw_unary(drawing *d) {
    int x = pick_float(d);
    const form *f = pick_form(d, 1);
    if (f->low != 0 || f->high != 0)
        x = tame(d, x, f->low, f->high);
    value v = {.form = f, .count = 1, .in = {x}};
    draw_parameters(d, &v, false);
    return emit(d, &v);
}

static int binary(drawing *d, const form *f, int a, int b) {
    if (chance(d, 30)) {
        int other = a;
        a = b;
        b = other;
    }
    if (f == &form_pow) {
        a = tame(d, a, f->low, f->high);
        b = tame(d, b, -3, 3);
    } else if (f->low != 0 || f->high != 0) {
        b = tame(d, b, f->low, f->high);
    }
    int y = MAKE(d, *f, a, b);
    if (y != FAILED)
        return y;
    a = tame(d, a, -4, 4);
    b = tame(d, b, -4, 4);
    return MAKE(d, *f, a, b);
}

static int draw_binary(drawing *d) {
    int a = pick_float(d), b = companion(d, a);
    return binary(d, chance(d, 50) ? pick_form(d, 2) : chance(d, 50) ? &form_add : &form_mul, a, b);
}

/* The step of so many cells: g a + (1 - g) b */
static int draw_interpolation(drawing *d) {
    int a = tame(d, pick_float(d), -4, 4), b = tame(d, companion(d, a), -4, 4);
    int g = MAKE(d, form_sigmoid, companion(d, a));
    int left = MAKE(d, form_mul, g, a), right = MAKE(d, form_mul, make_affine(d, g, -1, 1), b);
    return MAKE(d, form_add, left, right);
}

/* Where one value is greater than another, in any dtype. */
static int draw_mask(drawing *d, int like) {
    static const cb_dtype dtypes[] = {CB_F32, CB_F64, CB_I32, CB_I64};
    int c = companion(d, like);
    int mask = MAKE(d, form_greater, c, companion(d, c));
    return allows(d, CASTS) && chance(d, 50) ? make_cast(d, mask, dtypes[below(d, 4)]) : mask;
}

static int draw_where(drawing *d) {
    int a = pick_float(d), b = companion(d, a);
    return MAKE(d, form_where, draw_mask(d, a), a, b);
}

static int draw_masked_fill(drawing *d) {
    int x = pick_float(d), mask = draw_mask(d, x);
    return emit(d, &(value){.form = &form_masked_fill,
                            .count = 2,
                            .in = {x, mask},
                            .parameter = {uniform(d, -1, 1)}});
}

/* Of each row's own matrix, or of a weight. */
static int draw_tril(drawing *d) {
    int x = pick_float(d);
    int64_t diagonal = between(d, -2, 2);
    return emit(d, &(value){.form = &form_tril, .count = 1, .in = {x}, .number = {diagonal}});
}

/* Straight through a step: x + stop_gradient(f(x) - x) */
static int draw_straight_through(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4);
    int y = MAKE(d, form_positive, x);
    return MAKE(d, form_add, x, MAKE(d, form_stop_gradient, MAKE(d, form_sub, y, x)));
}

/* ---- Integers -------------------------------------------------------------------------------- */

static int draw_integers(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4);
    return make_cast(d, make_scale(d, x, 4), chance(d, 50) ? CB_I32 : CB_I64);
}

static int draw_integer_function(drawing *d) {
    int x = pick(d, &(wanted){.rank = ANY_RANK, .kind = INTEGER});
    const form *f = pick_form(d, chance(d, 50) ? 1 : 2);
    if (!f->any)
        return FAILED;
    value v = {.form = f, .count = f->arity, .in = {x, x == FAILED ? x : companion(d, x)}};
    draw_parameters(d, &v, true);
    return emit(d, &v);
}

static int draw_cast(drawing *d) {
    const cb_dtype real[] = {CB_F32, CB_F64};
    int x = chance(d, 60) ? pick_float(d) : pick(d, &(wanted){.rank = ANY_RANK, .kind = INTEGER});
    return make_cast(d, x, chance(d, 60) ? d->p->dtype : real[below(d, 2)]);
}

static int draw_dropout(drawing *d) {
    return emit(d, &(value){.form = &form_dropout,
                            .count = 1,
                            .in = {tame(d, pick_float(d), -4, 4)},
                            .parameter = {0.25}});
}

static int draw_normal(drawing *d) {
    return emit(
        d, &(value){
               .form = &form_normal_like, .count = 1, .in = {pick_float(d)}, .parameter = {0.25}});
}

static int draw_checkpoint(drawing *d) {
    int a = tame(d, pick_float(d), -4, 4);
    return MAKE(d, form_checkpoint, a, tame(d, companion(d, a), -4, 4));
}

const proposal elementwise_proposals[] = {
    {ALWAYS, 30, draw_unary},          {ALWAYS, 40, draw_binary},
    {ALWAYS, 8, draw_interpolation},   {KINKS, 6, draw_where},
    {KINKS, 3, draw_straight_through}, {CASTS, 4, draw_integers},
    {CASTS, 6, draw_integer_function}, {CASTS, 14, draw_cast},
    {KINKS, 3, draw_masked_fill},      {HEADS, 4, draw_tril},
    {RANDOM, 8, draw_dropout},         {RANDOM, 8, draw_normal},
    {RANDOM, 5, draw_checkpoint},      {0, 0, NULL},
};
