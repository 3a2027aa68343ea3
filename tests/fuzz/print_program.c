/* A complete program around a printed step: it does what execute.c does, over the same data. */
#include "print.h"

#include "execute.h"
#include "forms.h"
#include "step.h"

#include <inttypes.h>

/* Functions of the printed program, of which each is written as it stands here. */
static const char support[] =
    "enum { COMPILED, EAGER, THREADS, WAYS, MOST = 64 };\n"
    "static cb_tensor *kept[8 * MOST], *variables[MOST], *results[WAYS][MOST];\n"
    "static int kept_count, variable_count, result_count, errors;\n"
    "static const char *names[MOST];\n"
    "\n"
    "/* Plain tensors live until the end of the program. */\n"
    "static cb_tensor *keep(cb_tensor *t) {\n"
    "    return kept[kept_count++] = t;\n"
    "}\n"
    "\n"
    "static cb_tensor *drawn(uint64_t seed, double bound, cb_dtype dtype, int rank,\n"
    "                        const int64_t *shape) {\n"
    "    cb_random random = cb_random_seed(seed);\n"
    "    cb_tensor *exact = cb_tensor_new(CB_F64, rank, shape);\n"
    "    cb_random_uniform_f64(&random, cb_tensor_count(exact), exact->data, -bound, bound);\n"
    "    cb_tensor *t = cb_tensor_new(dtype, rank, shape);\n"
    "    cb_tensor_assign(t, exact);\n"
    "    cb_tensor_free(exact);\n"
    "    return keep(t);\n"
    "}\n"
    "\n"
    "static cb_tensor *drawn_below(uint64_t seed, int64_t below, cb_dtype dtype, int rank,\n"
    "                              const int64_t *shape) {\n"
    "    cb_random random = cb_random_seed(seed);\n"
    "    cb_tensor *exact = cb_tensor_new(CB_I64, rank, shape);\n"
    "    for (int64_t i = 0; i < cb_tensor_count(exact); i++)\n"
    "        ((int64_t *)exact->data)[i] =\n"
    "            (int64_t)cb_random_below(&random, (uint64_t)below);\n"
    "    cb_tensor *t = cb_tensor_new(dtype, rank, shape);\n"
    "    cb_tensor_assign(t, exact);\n"
    "    cb_tensor_free(exact);\n"
    "    return keep(t);\n"
    "}\n"
    "\n"
    "static cb_tensor *total(cb_tensor *t) {\n"
    "    return cb_sum(t, CB_ALL_AXES, false);\n"
    "}\n"
    "\n"
    "/* Zeros where there is no gradient. */\n"
    "static void result(int way, const char *name, const cb_tensor *t, const cb_tensor *like) {\n"
    "    cb_tensor *copy = keep(cb_tensor_new(CB_F64, like->rank, like->shape));\n"
    "    if (t != NULL)\n"
    "        cb_tensor_assign(copy, t);\n"
    "    names[result_count] = name;\n"
    "    results[way][result_count++] = copy;\n"
    "}\n"
    "\n";

static const char comparison[] =
    "/* Prints what differs; returns how many tensors do. */\n"
    "static int compare(const char *what, int way, int other, double tolerance) {\n"
    "    int wrong = 0;\n"
    "    for (int i = 0; i < result_count; i++) {\n"
    "        const double *a = results[way][i]->data, *b = results[other][i]->data;\n"
    "        int64_t count = cb_tensor_count(results[way][i]), at = -1;\n"
    "        double scale = 1;\n"
    "        for (int64_t k = 0; k < count; k++)\n"
    "            scale = fabs(b[k]) > scale ? fabs(b[k]) : scale;\n"
    "        for (int64_t k = 0; k < count; k++)\n"
    "            if (!(fabs(a[k] - b[k]) <= tolerance * scale) && (at < 0 ||\n"
    "                fabs(a[k] - b[k]) > fabs(a[at] - b[at])))\n"
    "                at = k;\n"
    "        if (at < 0)\n"
    "            continue;\n"
    "        printf(\"%s: %s, element %lld: %.9g and %.9g\\n\", what, names[i], (long long)at,\n"
    "               a[at], b[at]);\n"
    "        wrong++;\n"
    "    }\n"
    "    return wrong;\n"
    "}\n"
    "\n";

/* ---- Leaves ---------------------------------------------------------------------------------- */

static const char *dtype_text(const program *p) {
    return p->dtype == CB_F32 ? "CB_F32" : "CB_F64";
}

/* The dtype of lengths and symbols. */
static const char *index_text(const run *r) {
    return r->narrow ? "CB_I32" : "CB_I64";
}

static void print_plain_shape(FILE *f, int rank, const int64_t *shape) {
    extents e = {.rank = rank};
    for (int i = 0; i < rank; i++)
        e.at[i] = fixed(shape[i]);
    print_shape(f, &e, "");
}

/* variable(tape, drawn(...)) or cb_input(tape, drawn(...)), seen in its layout */
static void print_leaf(FILE *f, const program *p, bool constant, uint64_t seed, double bound,
                       layout l, int rank, const int64_t *shape) {
    int64_t base[CB_MAX_RANK];
    layout_base(l, rank, shape, base);
    if (rank < 1 || (rank < 2 && l == TRANSPOSED))
        l = PLAIN;
    static const char *const before[] = {"", "cb_transpose(", "cb_flip(", "cb_expand(",
                                         "cb_slice("};
    fprintf(f, "%s%s(tape, drawn(%" PRIu64 ", ", before[l], constant ? "cb_input" : "variable",
            p->run.data + seed);
    print_number(f, bound);
    fprintf(f, ", %s, ", dtype_text(p));
    print_plain_shape(f, rank, base);
    fputs("))", f);
    if (l == TRANSPOSED)
        fputs(", 0, 1)", f);
    else if (l == FLIPPED)
        fputs(", CB_AXES(0))", f);
    else if (l == SLICED)
        fprintf(f, ", %d, 1, CB_END, 2)", rank - 1);
    else if (l == EXPANDED) {
        fputs(", ", f);
        print_plain_shape(f, rank, shape);
        fputs(")", f);
    }
}

static void print_x(FILE *f, const program *p) {
    const run *r = &p->run;
    const int64_t dense[] = {r->time, r->batch, p->input}, table[] = {r->table, p->input};
    fputs("    cb_tensor *x = ", f);
    if (r->table > 0)
        print_leaf(f, p, r->constant_x, SEED_X, 1, PLAIN, 2, table);
    else
        print_leaf(f, p, r->constant_x, SEED_X, 1, r->x_layout, 3, dense);
    fputs(";\n", f);
    if (r->table > 0) {
        fprintf(f,
                "    cb_tensor *rows = cb_input(tape, drawn_below(%" PRIu64 ", %" PRId64 ", %s, ",
                r->data + SEED_SYMBOLS, r->table, index_text(r));
        print_plain_shape(f, 2, dense);
        fputs("));\n", f);
    }
    if (r->table > 0 && !r->rows)
        fputs("    x = cb_gather_rows(x, rows);\n", f);
}

static void print_weights(FILE *f, const program *p) {
    fprintf(f, "    cb_tensor *w[%d] = {NULL};\n", p->weight_count + 1);
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        int64_t shape[MOST_RANK];
        fprintf(f, "    w[%d] = ", i);
        resolve(&w->shape, 0, shape);
        if (weight_slot(p, i) != i)
            fprintf(f, "w[%d]", weight_slot(p, i));
        else
            print_leaf(f, p, w->constant, SEED_WEIGHTS + (uint64_t)i, WEIGHT_BOUND, w->layout,
                       w->shape.rank, shape);
        fputs(";\n", f);
    }
}

static void print_states(FILE *f, const program *p) {
    fprintf(f, "    cb_tensor *initial[%d], *final[2][%d];\n", p->state_count, p->state_count);
    for (int i = 0; i < p->state_count; i++) {
        origin from = origin_of(p, i);
        const int64_t shape[] = {p->run.batch, p->state_size[i]};
        fprintf(f, "    initial[%d] = ", i);
        if (from == SHARED) {
            fprintf(f, "initial[%d]", i - 1);
        } else if (from == ZEROS) {
            fprintf(f, "cb_full(tape, %s, ", dtype_text(p));
            print_plain_shape(f, 2, shape);
            fputs(", 0)", f);
        } else {
            print_leaf(f, p, from == CONSTANT, SEED_STATES + (uint64_t)i, 1,
                       from == SPREAD ? EXPANDED : PLAIN, 2, shape);
        }
        fputs(";\n", f);
    }
}

/* ---- The run --------------------------------------------------------------------------------- */

static void print_scan(FILE *f, const program *p) {
    fprintf(f,
            "    cb_tensor shapes[%d], *row_major[%d];\n"
            "    for (int i = 0; i < %d; i++) {\n"
            "        shapes[i] = cb_tensor_wrap(w[i]->dtype, w[i]->rank, w[i]->shape, NULL);\n"
            "        row_major[i] = &shapes[i];\n"
            "    }\n",
            p->weight_count + 1, p->weight_count + 1, p->weight_count);
    fprintf(
        f,
        "    cb_scan *scan = cb_scan_new(step, &(cb_scan_options){.dtype = %s, .input = %" PRId64
        ",\n        .state_count = %d, .state_size = (const int64_t[]){",
        dtype_text(p), p->input, p->state_count);
    for (int i = 0; i < p->state_count; i++)
        fprintf(f, "%s%" PRId64, i > 0 ? ", " : "", p->state_size[i]);
    fprintf(f,
            "},\n        .weight_count = %d, .weights = row_major, .eager = way == EAGER});\n"
            "    if (way == COMPILED && cb_scan_reason(scan) != NULL)\n"
            "        printf(\"the step runs op by op: %%s\\n\", cb_scan_reason(scan));\n",
            p->weight_count);
    if (p->run.lengths)
        fprintf(f,
                "    cb_tensor *lengths = cb_input(tape, drawn_below(%" PRIu64 ", %" PRId64
                ", %s, CB_SHAPE(%" PRId64 ")));\n",
                p->run.data + SEED_LENGTHS, p->run.time + 1, index_text(&p->run), p->run.batch);
    if (program_draws(p))
        fprintf(f, "    step_random = cb_random_seed(%d);\n", STEP_SEED);
    for (int k = 0; k < p->run.runs; k++)
        fprintf(f,
                "    cb_tensor *y%d = cb_scan_run(scan, x, &(cb_scan_io){.weights = w, "
                ".initial = %s,\n        .final = final[%d]%s%s%s});\n",
                k, k == 0 ? "initial" : "final[0]", k, p->run.lengths ? ", .lengths = lengths" : "",
                p->run.reverse ? ", .reverse = true" : "", p->run.rows ? ", .rows = rows" : "");
}

static void print_loss_of_output(FILE *f, const program *p, int k) {
    const run *r = &p->run;
    const int64_t shape[] = {r->time, r->batch, p->state_size[0]};
    if (r->output == PROJECTED) {
        fprintf(f,
                "    loss = cb_add(loss, total(cb_mul(y%d, cb_input(tape, drawn(%" PRIu64
                ", 1, %s, ",
                k, r->data + SEED_PROJECTION, dtype_text(p));
        print_plain_shape(f, 3, shape);
        fputs(")))));\n", f);
    } else if (r->output == SINES) {
        fprintf(f, "    loss = cb_add(loss, total(cb_sin(y%d)));\n", k);
    } else if (r->output == LAST && r->time > 0) {
        fprintf(f, "    loss = cb_add(loss, total(cb_square(cb_select(y%d, 0, %" PRId64 "))));\n",
                k, r->time - 1);
    }
}

static void print_loss(FILE *f, const program *p) {
    fprintf(f,
            "    double nothing = 0;\n"
            "    cb_tensor zero = cb_tensor_wrap(CB_F64, CB_SCALAR, &nothing);\n"
            "    cb_tensor *loss = cb_cast(cb_variable(tape, &zero), %s);\n",
            dtype_text(p));
    for (int k = 0; k < p->run.runs; k++) {
        print_loss_of_output(f, p, k);
        for (int i = 0; i < p->state_count; i++)
            if (p->run.final[i])
                fprintf(f,
                        "    loss = cb_add(loss, cb_scale(total(cb_square(final[%d][%d])), %g));\n",
                        k, i, 0.1 * (i + 1));
    }
    if (p->run.asked != 0)
        fprintf(f,
                "    cb_tensor *inputs[MOST], *given[MOST];\n    int asked = 0;\n"
                "    for (int i = 0; i < variable_count; i++)\n"
                "        if (%#" PRIx64 "ull >> i %% 64 & 1)\n"
                "            inputs[asked++] = variables[i];\n",
                p->run.asked);
    for (int i = 0; i < p->run.sweeps; i++)
        fputs(
            p->run.asked != 0
                ? "    if (asked > 0)\n        cb_grad(loss, NULL, false, asked, inputs, given);\n"
                : "    cb_backward(loss);\n",
            f);
}

static void print_results(FILE *f, const program *p) {
    fputs("    if (cb_tape_status(tape) != CB_OK) {\n"
          "        printf(\"%s: %s\\n\", way == EAGER ? \"op by op\" : \"compiled\", "
          "cb_tape_error(tape));\n"
          "        errors++;\n    }\n    result_count = 0;\n",
          f);
    for (int k = 0; k < p->run.runs; k++) {
        const char *which = k > 0 ? " of the second run" : "";
        fprintf(f, "    result(way, \"output%s\", y%d, y%d);\n", which, k, k);
        for (int i = 0; i < p->state_count; i++)
            fprintf(f, "    result(way, \"final state %d%s\", final[%d][%d], final[%d][%d]);\n", i,
                    which, k, i, k, i);
    }
    if (!p->run.no_gradient && p->run.asked != 0)
        fprintf(f,
                "    for (int i = 0, k = 0; i < variable_count; i++)\n"
                "        if (%#" PRIx64 "ull >> i %% 64 & 1)\n"
                "            result(way, variable_names[i], given[k++], variables[i]);\n",
                p->run.asked);
    else if (!p->run.no_gradient)
        fprintf(f,
                "    for (int i = 0; i < variable_count; i++)\n"
                "        result(way, variable_names[i], %s, variables[i]);\n",
                p->run.into ? "gradients[i]" : "cb_gradient(variables[i])");
    fputs("    cb_tape_free(tape);\n    cb_scan_free(scan);\n}\n\n", f);
}

/* The order of variables is that in which leaves are printed. */
static void print_variables(FILE *f, const program *p) {
    fputs("static const char *const variable_names[] = {", f);
    if (!p->run.constant_x)
        fputs(p->run.table > 0 ? "\"gradient of the table\", " : "\"gradient of x\", ", f);
    for (int i = 0; i < p->weight_count; i++)
        if (!p->weights[i].constant && weight_slot(p, i) == i)
            fprintf(f, "\"gradient of w%d\", ", i);
    for (int i = 0; i < p->state_count; i++)
        if (origin_of(p, i) == VARIABLE || origin_of(p, i) == SPREAD)
            fprintf(f, "\"gradient of initial state %d\", ", i);
    fputs("NULL};\n", f);
    if (p->run.into)
        fprintf(f,
                "static cb_tensor *gradients[MOST];\n\n"
                "static cb_tensor *variable(cb_tape *tape, const cb_tensor *plain) {\n"
                "    cb_tensor *g = keep(cb_tensor_new(plain->dtype, plain->rank, plain->shape));\n"
                "    cb_tensor_fill(g, %g);\n"
                "    gradients[variable_count] = g;\n"
                "    return variables[variable_count++] = cb_variable_into(tape, plain, g);\n}\n\n",
                GRADIENT_BEFORE);
    else
        fputs("\nstatic cb_tensor *variable(cb_tape *tape, const cb_tensor *plain) {\n"
              "    return variables[variable_count++] = cb_variable(tape, plain);\n}\n\n",
              f);
}

void print_program(FILE *f, const program *p, const char *found) {
    bool own = program_uses(p, &form_floor) > 0 || program_uses(p, &form_running_sum) > 0 ||
               program_uses(p, &form_checkpoint) > 0;
    fprintf(f, "/* Found by tests/fuzz/fuzz_steps, seed %" PRIu64 ": %s\n", p->seed, found);
    print_run(f, p, "     ");
    fputs(" */\n#include <cerebra/cerebra.h>\n#include <math.h>\n#include <stdio.h>\n", f);
    fputs(own ? "#include \"tests/fuzz/own_ops.h\"\n\n" : "\n", f);
    print_step(f, p);
    fputs("\n", f);
    fputs(support, f);
    print_variables(f, p);
    fprintf(f,
            "static void run(int way) {\n    cb_tape *tape = %s();\n"
            "    variable_count = 0;\n"
            "    /* What is not written holds no numbers. */\n"
            "    cb_full(tape, CB_F64, CB_SHAPE(%d), NAN);\n    cb_tape_reset(tape);\n",
            p->run.no_gradient ? "cb_tape_new_no_grad" : "cb_tape_new", DIRTY);
    print_x(f, p);
    print_weights(f, p);
    print_states(f, p);
    print_scan(f, p);
    if (!p->run.no_gradient)
        print_loss(f, p);
    print_results(f, p);
    fputs(comparison, f);
    fprintf(
        f,
        "int main(void) {\n"
        "    (void)drawn, (void)drawn_below, (void)total, (void)variable, (void)variable_names;\n"
        "    for (int way = 0; way < WAYS; way++) {\n"
        "        cb_set_threads(way == THREADS ? 3 : 1);\n"
        "        run(way);\n"
        "    }\n"
        "    int wrong = errors > 0 ? 0 : compare(\"compiled and op by op\", COMPILED, EAGER, %s) +"
        "\n        compare(\"with 1 and 3 threads\", COMPILED, THREADS, 0);\n"
        "    for (int i = 0; i < kept_count; i++)\n        cb_tensor_free(kept[i]);\n"
        "    printf(\"%%d of %%d tensors differ\\n\", wrong, result_count);\n"
        "    return wrong > 0 || errors > 0;\n}\n",
        p->dtype == CB_F32 ? "1e-4" : "1e-10");
}
