/* Steps as C: each value by the text of its form. What is read once is written where it is read. */
#include "print.h"

#include "execute.h"
#include "forms.h"
#include "step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments ------------------------------------------------------------------------------- */

void print_number(FILE *stream, double x) {
    char text[40];
    snprintf(text, sizeof(text), "%.6g", x);
    if (strtod(text, NULL) != x)
        snprintf(text, sizeof(text), "%.17g", x);
    fputs(text, stream);
}

static void print_whole(FILE *stream, int64_t n) {
    if (n == CB_END)
        fputs("CB_END", stream);
    else
        fprintf(stream, "%" PRId64, n);
}

void print_shape(FILE *stream, const extents *shape, const char *batch) {
    if (shape->rank == 0) {
        fputs("CB_SCALAR", stream);
        return;
    }
    for (int i = 0; i < shape->rank; i++) {
        extent e = shape->at[i];
        fputs(i == 0 ? "CB_SHAPE(" : ", ", stream);
        if (!e.batch || e.times != 1)
            fprintf(stream, "%" PRId64 "%s", e.times, e.batch ? " * " : "");
        fputs(e.batch ? batch : "", stream);
    }
    fputs(")", stream);
}

static void print_axes(FILE *stream, const value *v, bool permutation) {
    if (permutation)
        fprintf(stream, "%d, (const int[]){", v->axis_count);
    else
        fputs("CB_AXES(", stream);
    for (int i = 0; i < v->axis_count; i++)
        fprintf(stream, "%s%d", i > 0 ? ", " : "", v->axes[i]);
    fputs(permutation ? "}" : ")", stream);
}

static void print_numbers(FILE *stream, const int64_t *numbers, int count) {
    fputs("(const int64_t[]){", stream);
    for (int i = 0; i < count; i++)
        fprintf(stream, "%s%" PRId64, i > 0 ? ", " : "", numbers[i]);
    fputs("}", stream);
}

static const char *dtype_text(cb_dtype dtype) {
    static const char *const texts[] = {
        [CB_F32] = "CB_F32", [CB_F64] = "CB_F64", [CB_I32] = "CB_I32", [CB_I64] = "CB_I64"};
    return texts[dtype];
}

/* ---- Values ---------------------------------------------------------------------------------- */

typedef struct printing {
    FILE *stream;
    const program *p;
    int uses[MOST_VALUES]; /* by other values, and as what a state becomes */
    bool nested[MOST_VALUES];
} printing;

static void print_call(printing *q, int i);

static void print_input(printing *q, int i) {
    if (i == NO_VALUE)
        fputs("NULL", q->stream);
    else if (form_is_leaf(q->p->values[i].form) || q->nested[i])
        print_call(q, i);
    else
        fprintf(q->stream, "v%d", i);
}

static void print_inputs(printing *q, const value *v) {
    for (int k = 0; k < v->count; k++) {
        fputs(k > 0 ? ", " : "", q->stream);
        print_input(q, v->in[k]);
    }
}

/* Where a code stands among those that follow each other; -1: it does not. */
static int place_among(const char *codes, char code) {
    const char *at = strchr(codes, code);
    return at != NULL ? (int)(at - codes) : -1;
}

/* Arguments that are one number; false for others. */
static bool print_one_number(FILE *stream, const value *v, char code) {
    int number = place_among("ijk", code), parameter = place_among("pq", code);
    int axis = place_among("xy", code);
    if (number >= 0)
        print_whole(stream, v->number[number]);
    else if (parameter >= 0)
        print_number(stream, v->parameter[parameter]);
    else if (axis >= 0)
        fprintf(stream, "%d", v->axes[axis]);
    return number >= 0 || parameter >= 0 || axis >= 0;
}

/* Arguments that are several; false for others. */
static bool print_list_of(printing *q, const value *v, char code) {
    FILE *f = q->stream;
    if (code == '*')
        print_inputs(q, v);
    else if (code == 'a' || code == 'A')
        print_axes(f, v, code == 'A');
    else if (code == 's')
        print_shape(f, &v->shape, "B");
    else if (code == 'b' || code == 'e')
        print_numbers(f, v->number + (code == 'e' ? MOST_RANK : 0), v->type.shape.rank);
    else
        return false;
    return true;
}

static void print_argument(printing *q, int i, char code) {
    const value *v = &q->p->values[i];
    FILE *f = q->stream;
    if (print_one_number(f, v, code) || print_list_of(q, v, code))
        return;
    if (code == '#')
        fprintf(f, "%d", v->count);
    else if (code == 'v')
        fprintf(f, "%d", i);
    else if (code == 'd')
        fputs(dtype_text(v->dtype), f);
    else if (code == 'f')
        fputs(v->flag ? "true" : "false", f);
    else if (code == 't')
        fputs("cb_tape_of(x)", f);
    else
        print_input(q, v->in[code - '0']);
}

static void print_call(printing *q, int i) {
    for (const char *c = q->p->values[i].form->text; *c != '\0'; c++)
        if (*c == '$')
            print_argument(q, i, *++c);
        else
            fputc(*c, q->stream);
}

/* A value that one other reads is nested there, if that does not get too deep, and if the order of
   evaluation does not matter, as it does for random numbers. */
static void plan_nesting(printing *q) {
    const program *p = q->p;
    int size[MOST_VALUES];
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        size[i] = 1;
        for (int k = 0; k < v->count; k++)
            if (v->in[k] != NO_VALUE) {
                q->uses[v->in[k]]++;
                size[i] += q->nested[v->in[k]] ? size[v->in[k]] : 0;
            }
        q->nested[i] = size[i] < 5 && !v->form->draws && !form_is_leaf(v->form);
    }
    for (int i = 0; i < p->value_count; i++)
        q->nested[i] = q->nested[i] && q->uses[i] == 1;
    for (int s = 0; s < p->state_count; s++) {
        int i = p->next[s];
        q->nested[i] =
            q->uses[i] == 0 && !form_is_leaf(p->values[i].form) && !p->values[i].form->draws;
        q->uses[i]++;
    }
}

/* A statement on as many lines as it takes. */
static void print_wrapped(FILE *stream, const char *text) {
    int column = 4;
    fputs("    ", stream);
    for (const char *c = text; *c != '\0'; c++) {
        size_t word = strcspn(c + 1, " ");
        if (*c == ' ' && column + (int)word > 96) {
            fputs("\n        ", stream);
            column = 8;
        } else {
            fputc(*c, stream);
            column++;
        }
    }
    fputs("\n", stream);
}

/* target = the value; as it is written where it is made, or by its name. */
static void print_assignment(printing *q, const char *target, int i, bool by_name) {
    FILE *stream = q->stream;
    char *text = NULL;
    size_t size;
    q->stream = open_memstream(&text, &size);
    if (q->stream != NULL) {
        fprintf(q->stream, "%s = ", target);
        if (by_name)
            print_input(q, i);
        else
            print_call(q, i);
        fputs(";", q->stream);
        fclose(q->stream);
        print_wrapped(stream, text);
    }
    free(text);
    q->stream = stream;
}

/* ---- Constants ------------------------------------------------------------------------------- */

static void print_elements(FILE *stream, const cb_tensor *t) {
    for (int64_t i = 0; i < cb_tensor_count(t); i++) {
        fputs(i > 0 ? ", " : "", stream);
        if (t->dtype == CB_F32)
            fprintf(stream, "%.9g", (double)((const float *)t->data)[i]);
        else if (t->dtype == CB_F64)
            fprintf(stream, "%.17g", ((const double *)t->data)[i]);
        else if (t->dtype == CB_I32)
            fprintf(stream, "%" PRId32, ((const int32_t *)t->data)[i]);
        else
            fprintf(stream, "%" PRId64, ((const int64_t *)t->data)[i]);
    }
}

static void print_list(FILE *stream, const char *field, const int64_t *numbers, int count) {
    fprintf(stream, ", .%s = {", field);
    for (int i = 0; i < count; i++)
        fprintf(stream, "%s%" PRId64, i > 0 ? ", " : "", numbers[i]);
    fputs("}", stream);
}

static void print_constant(FILE *stream, const program *p, int i) {
    static const char *const types[] = {
        [CB_F32] = "float", [CB_F64] = "double", [CB_I32] = "int32_t", [CB_I64] = "int64_t"};
    cb_tensor *t = step_constant(p, &p->values[i]);
    if (t == NULL)
        return;
    fprintf(stream, "static %s d%d[] = {", types[t->dtype], i);
    print_elements(stream, t);
    fprintf(stream, "};\nstatic const cb_tensor c%d = {.dtype = %s, .rank = %d", i,
            dtype_text(t->dtype), t->rank);
    if (t->rank > 0) {
        print_list(stream, "shape", t->shape, t->rank);
        print_list(stream, "stride", t->stride, t->rank);
    }
    fprintf(stream, ", .data = d%d};\n", i);
    cb_tensor_free(t);
}

/* ---- The step -------------------------------------------------------------------------------- */

void print_step(FILE *stream, const program *p) {
    printing q = {.stream = stream, .p = p};
    char target[40];
    plan_nesting(&q);
    for (int i = 0; i < p->value_count; i++)
        if (p->values[i].form == &form_constant || p->values[i].form == &form_indices)
            print_constant(stream, p, i);
    if (program_draws(p))
        fputs("static cb_random step_random;\n", stream);
    fputs("static void step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *s, "
          "cb_tensor **next) {\n    int64_t B = x->shape[0];\n    (void)w, (void)s, (void)B;\n",
          stream);
    for (int i = 0; i < p->value_count; i++) {
        if (form_is_leaf(p->values[i].form) || q.nested[i])
            continue;
        snprintf(target, sizeof(target), "cb_tensor *v%d", i);
        print_assignment(&q, target, i, false);
        if (q.uses[i] == 0)
            fprintf(stream, "    (void)v%d;\n", i);
    }
    for (int s = 0; s < p->state_count; s++) {
        snprintf(target, sizeof(target), "next[%d]", s);
        print_assignment(&q, target, p->next[s], true);
    }
    fputs("}\n", stream);
}

/* ---- Its ops --------------------------------------------------------------------------------- */

void print_ops(const program *p, char *text, size_t size) {
    const char *names[MOST_VALUES];
    int count = 0;
    bool live[MOST_VALUES];
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++) {
        if (!live[i] || form_is_leaf(p->values[i].form))
            continue;
        const char *name = p->values[i].form->name;
        int at = 0;
        while (at < count && strcmp(names[at], name) < 0)
            at++;
        if (at < count && strcmp(names[at], name) == 0)
            continue;
        memmove(names + at + 1, names + at, sizeof(*names) * (size_t)(count - at));
        names[at] = name;
        count++;
    }
    text[0] = '\0';
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), size - strlen(text), "%s%s", i > 0 ? ", " : "", names[i]);
}
