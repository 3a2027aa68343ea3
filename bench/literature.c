/* Cells from the literature, checked and timed: texts (cells/), cells of bench/cells/, and cells of
   the library with the driver's options.

     literature --list
     literature --check [--real]        every cell compiled against its step op by op, in f64, at
                                        a small size; --real: at the size it is timed with, too
     literature --cell NAME [--input N] [--hidden N] [--batch N] [--time N] [--steps N]
                            [--threads N] [--dtype f32|f64] [--eager] [--plain]
     literature --explain --cell NAME ...  what the compiler makes of it
     literature --values --cell NAME ...   sizes, loss and sums of squared gradients, as JSON

   A timed step is a run over a sequence and its gradient with respect to x and all weights. Prints
   one line: the median of the steps in milliseconds; the time of the cell's products alone, forward
   and in the gradient; that of the bytes that have to be moved once; and the step's share of the
   two together, see limit below. --plain leaves these out. */
#include "bench/cells.h"
#include "bench/timing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The cells ------------------------------------------------------------------------------- */

static const cb_setting half[] = {{"projection", 256}, {NULL, 0}};
static const cb_setting small[] = {{"small", 64}, {NULL, 0}};

static const struct entry {
    const char *name;
    const cb_cell *cell;    /* NULL: the text cells/NAME.cell */
    int64_t size;           /* hidden and input size that it is timed with; 0: 512 */
    cb_rnn_options options; /* of a text, settings are what it is read with */
} entries[] = {
    {.name = "indrnn"},
    {.name = "sru"},
    {.name = "qrnn"},
    {.name = "mingru"},
    {.name = "minlstm"},
    {.name = "lru"},
    {.name = "unicornn"},
    {.name = "scrn"},
    {"projected-lstm", &cb_projected_lstm, .options = {.settings = half}},
    {.name = "phased-lstm"},
    {.name = "hyper-lstm", .options = {.settings = small}},
    {.name = "rhn"},
    {.name = "block-gru"},
    {"gru-zoneout", &cb_gru, .options = {.zoneout = 0.1}},
    {"gru-variational", &cb_gru, .options = {.recurrent_dropout = 0.1}},
    {.name = "clockwork"},
    {.name = "slstm"},
    {"mlstm", &bench_mlstm, .size = 64},
    {"delta-net", &bench_delta_net, .size = 64},
    {"memory-slots", &bench_memory_slots, .size = 64},
    {"s6", &bench_s6, .size = 512},
    {"lmu", &bench_lmu, .size = 512},
    {"ltc", &bench_ltc, .size = 16},
};
enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

typedef struct request {
    const char *cell;
    int64_t input, hidden, batch, time, steps;
    int threads;
    cb_dtype dtype;
    bool eager, plain, list, check, real, explain, values;
} request;

/* ---- A cell's tensors ------------------------------------------------------------------------ */

/* A cell at some size: a layer of it with weights, and x. */
typedef struct subject {
    cb_cell *text; /* NULL: it is none */
    const cb_cell *cell;
    cb_params *params;
    cb_rnn *rnn;
    cb_tensor *x, *projection;
    struct {
        double low, high;
    } range[CB_CELL_MAX_PARAMS]; /* of each parameter's elements */
} subject;

/* Numbers in [low, high) that any program can make again: the number of the tensor and the place of
   the element are all they depend on. */
static void fill(cb_tensor *t, int number, double low, double high) {
    for (int64_t i = 0; i < cb_tensor_count(t); i++) {
        double part = (double)((i * 7919 + number * 104729) % 65537) / 65537;
        if (t->dtype == CB_F32)
            ((float *)t->data)[i] = (float)(low + (high - low) * part);
        else
            ((double *)t->data)[i] = low + (high - low) * part;
    }
}

static double element(const cb_tensor *t, int64_t i) {
    return t->dtype == CB_F32 ? (double)((float *)t->data)[i] : ((double *)t->data)[i];
}

/* Fills a parameter with such numbers, from the lowest of its first values to the highest; where
   they are all the same, with numbers around them. */
static void fill_parameter(subject *s, int number) {
    cb_tensor *t = cb_params_at(s->params, number)->value;
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < cb_tensor_count(t); i++) {
        low = fmin(low, element(t, i));
        high = fmax(high, element(t, i));
    }
    if (low == high)
        low -= 0.1, high += 0.1;
    s->range[number].low = low;
    s->range[number].high = high;
    fill(t, number, low, high);
}

static cb_cell *load(const struct entry *entry) {
    char path[512];
    cb_error error;
    snprintf(path, sizeof(path), "%s/%s.cell", CELLS_DIR, entry->name);
    cb_cell *cell =
        cb_cell_load(path, &(cb_cell_text_options){.settings = entry->options.settings}, &error);
    if (cell == NULL) {
        fprintf(stderr, "literature: %s\n", error.message);
        exit(EXIT_FAILURE);
    }
    return cell;
}

enum { NUMBER_OF_X = 100, NUMBER_OF_PROJECTION = 101 };

static void start(subject *s, const struct entry *entry, const request *asked) {
    cb_rnn_options options = entry->options;
    *s = (subject){.cell = entry->cell};
    options.hidden = asked->hidden;
    options.eager = asked->eager;
    if (s->cell == NULL) {
        s->cell = s->text = load(entry);
        options.settings = NULL;
    }
    s->params = need(cb_params_new_dtype(1, asked->dtype));
    s->rnn = cb_rnn_new_with(s->params, "rnn", s->cell, asked->input, &options);
    if (s->rnn == NULL) {
        fprintf(stderr, "literature: %s\n", cb_params_error(s->params));
        exit(EXIT_FAILURE);
    }
    for (int i = 0; i < cb_params_count(s->params); i++)
        fill_parameter(s, i);
    s->x = need(cb_tensor_new(asked->dtype, CB_SHAPE(asked->time, asked->batch, asked->input)));
    s->projection = need(cb_tensor_new(
        asked->dtype, CB_SHAPE(asked->time, asked->batch, cb_rnn_output_size(s->rnn))));
    fill(s->x, NUMBER_OF_X, -1, 1);
    fill(s->projection, NUMBER_OF_PROJECTION, -1, 1);
}

static void end(subject *s) {
    cb_tensor_free(s->x);
    cb_tensor_free(s->projection);
    cb_params_free(s->params);
    cb_cell_free(s->text);
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool check_at(const struct entry *entry, const request *asked) {
    subject s;
    cb_scan_check_report report;
    start(&s, entry, asked);
    const cb_scan_check_options options = {
        .time = asked->time, .batch = asked->batch, .tolerance = 1e-12};
    bool passed = cb_rnn_check(s.rnn, 0, &options, &report) && report.compiled;
    const char *reason = cb_rnn_eager_reason(s.rnn, 0);
    passed = passed && reason == NULL;
    printf("%-16s hidden %lld, %s, %lld numbers, largest relative error of values %.1e, of "
           "gradients %.1e%s%s\n",
           entry->name, (long long)asked->hidden, reason == NULL ? "compiled" : reason,
           (long long)report.compared, report.worst_value, report.worst_gradient,
           report.message[0] != '\0' ? ": " : "", report.message);
    end(&s);
    return passed;
}

static int64_t size_of(const struct entry *entry) {
    return entry->size > 0 ? entry->size : 512;
}

/* At a small size, and, where asked, at the size that the cell is timed with. The larger batch does
   not fit in one tile of rows, nor in a whole number of them. */
static bool check(const struct entry *entry, bool real) {
    int64_t size = size_of(entry), least = size < 32 ? size : 32;
    request asked = {.input = least, .hidden = least, .batch = 6, .time = 4, .dtype = CB_F64};
    bool passed = check_at(entry, &asked);
    if (real) {
        asked.input = asked.hidden = size;
        asked.batch = 133;
        asked.time = 3;
        passed = check_at(entry, &asked) && passed;
    }
    return passed;
}

/* ---- The limit ------------------------------------------------------------------------------- */

/* A product of all rows with a matrix [k, n] that all share. */
typedef struct product {
    bool each_step; /* in the loop; else once for all time steps */
    int64_t k, n;
} product;

/* The products that a cell's table says: those of input weights are made once for all time steps,
   those of recurrent weights in the loop. Matrices that are as wide are taken for parts of one.
   Blocks on the diagonal lie one below the other in the table. */
static int products_of(const subject *s, product products[CB_CELL_MAX_PARAMS]) {
    int count = 0, number = 0;
    for (int i = 0; i < s->cell->param_count; i++) {
        cb_cell_role role = s->cell->params[i].role;
        if (role == CB_CONSTANT)
            continue;
        const cb_tensor *t = cb_params_at(s->params, number++)->value;
        if (t->rank < 2 || (role != CB_INPUT_WEIGHT && role != CB_RECURRENT_WEIGHT))
            continue;
        product p = {role == CB_RECURRENT_WEIGHT, t->shape[1], t->shape[0]};
        int at = 0;
        while (at < count && (products[at].k != p.k || products[at].each_step != p.each_step))
            at++;
        if (at < count)
            products[at].n += p.n;
        else
            products[count++] = p;
    }
    return count;
}

/* A product of [m, k] and [k, n], on operands that are there. */
static double time_product(cb_dtype dtype, int64_t m, int64_t k, int64_t n) {
    cb_tape *tape = need(cb_tape_new_no_grad());
    cb_tensor *a = cb_full(tape, dtype, CB_SHAPE(m, k), 0.5);
    cb_tensor *b = cb_full(tape, dtype, CB_SHAPE(k, n), 0.25);
    cb_matmul(a, b); /* memory for the result */
    cb_tape_reset(tape);
    a = cb_full(tape, dtype, CB_SHAPE(m, k), 0.5);
    b = cb_full(tape, dtype, CB_SHAPE(k, n), 0.25);
    double begin = milliseconds();
    cb_matmul(a, b);
    double took = milliseconds() - begin;
    cb_tape_free(tape);
    return took;
}

/* All products of a sequence: forward and the gradient of the left operand at each step or for all
   rows at once, as the cell has it, and the gradient of the matrix over all rows. */
static double time_products(const subject *s, const request *asked) {
    product products[CB_CELL_MAX_PARAMS];
    int count = products_of(s, products);
    int64_t all = asked->time * asked->batch;
    double sum = 0;
    for (int i = 0; i < count; i++) {
        const product *p = &products[i];
        int64_t rows = p->each_step ? asked->batch : all;
        double times = p->each_step ? (double)asked->time : 1;
        sum += times * time_product(asked->dtype, rows, p->k, p->n);
        sum += times * time_product(asked->dtype, rows, p->n, p->k);
        sum += time_product(asked->dtype, p->k, all, p->n);
    }
    return sum;
}

/* Bytes a millisecond, of adding two tensors that no cache holds. */
static double bandwidth(cb_tape *tape) {
    const int64_t count = 8 << 20;
    cb_tape_reset(tape);
    cb_tensor *a = cb_full(tape, CB_F32, CB_SHAPE(count), 1);
    cb_tensor *b = cb_full(tape, CB_F32, CB_SHAPE(count), 2);
    cb_add(a, b); /* memory for the result */
    cb_tape_reset(tape);
    a = cb_full(tape, CB_F32, CB_SHAPE(count), 1);
    b = cb_full(tape, CB_F32, CB_SHAPE(count), 2);
    double begin = milliseconds();
    cb_add(a, b);
    return 3 * 4 * (double)count / (milliseconds() - begin);
}

/* What has to be read and written once besides the products' own operands. Forward: what the
   products outside of the loop gave is read, states are written. Backward: both are read, the
   gradient of the output too, and the gradients of the former are written. The loss that is timed
   with it reads the output and what it is multiplied with, and writes the output's gradient. */
static double bytes_moved(const subject *s, const request *asked) {
    product products[CB_CELL_MAX_PARAMS];
    double given = 0, states = 0, output = (double)cb_rnn_output_size(s->rnn);
    for (int i = products_of(s, products) - 1; i >= 0; i--)
        if (!products[i].each_step)
            given += (double)products[i].n;
    for (int i = 0; i < cb_rnn_state_count(s->rnn); i++)
        states += (double)cb_rnn_state_size(s->rnn, i);
    double row = (given + states) + (given + states + output + given) + 3 * output;
    return row * (double)(asked->time * asked->batch) * (double)cb_dtype_size(asked->dtype);
}

/* ---- Timing ---------------------------------------------------------------------------------- */

static double sum_of_squares(const cb_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; t != NULL && i < cb_tensor_count(t); i++)
        sum += element(t, i) * element(t, i);
    return sum;
}

/* A sequence and its gradient; sums: NULL, or room for the loss and the sum of the squares of x's
   gradient. Masks of recurrent dropout are not drawn, so that any program has the same. */
static void run_step(subject *s, cb_tape *tape, double *sums) {
    cb_tensor *masks[CB_CELL_MAX_STATES], *x = cb_variable(tape, s->x);
    for (int i = 0; i < cb_rnn_mask_count(s->rnn); i++) /* of state 0 */
        masks[i] =
            cb_full(tape, s->x->dtype, CB_SHAPE(s->x->shape[1], cb_rnn_output_size(s->rnn)), 0.5);
    cb_tensor *y = cb_rnn_forward(s->rnn, x, &(cb_rnn_io){.masks = masks});
    cb_tensor *loss = cb_sum(cb_mul(y, cb_input(tape, s->projection)), CB_ALL_AXES, false);
    if (cb_backward(loss) != CB_OK) {
        fprintf(stderr, "literature: %s\n", cb_tape_error(tape));
        exit(EXIT_FAILURE);
    }
    if (sums != NULL) {
        sums[0] = cb_item(loss);
        sums[1] = sum_of_squares(cb_gradient(x));
    }
    cb_tape_reset(tape);
}

/* Steps and what they are held to, in turn: the machine may be slower at one time than at another.
 */
static void time_cell(const struct entry *entry, const request *asked) {
    subject s;
    cb_tape *tape = need(cb_tape_new()), *other = need(cb_tape_new_no_grad());
    size_t count = (size_t)asked->steps;
    double *steps = need(calloc(4 * count, sizeof(*steps)));
    double *products = steps + count, *moved = products + count, *ratios = moved + count;
    start(&s, entry, asked);
    for (int64_t i = -2; i < asked->steps; i++) {
        double begin = milliseconds();
        run_step(&s, tape, NULL);
        double took = milliseconds() - begin;
        if (i < 0)
            continue;
        steps[i] = took;
        if (!asked->plain) {
            products[i] = time_products(&s, asked);
            moved[i] = bytes_moved(&s, asked) / bandwidth(other);
            ratios[i] = steps[i] / (products[i] + moved[i]);
        }
    }
    printf("cell=%s ms=%.3f products=%.3f moved=%.3f times_limit=%.2f compiled=%d\n", entry->name,
           median(steps, asked->steps), median(products, asked->steps), median(moved, asked->steps),
           median(ratios, asked->steps), cb_rnn_eager_reason(s.rnn, 0) == NULL);
    end(&s);
    free(steps);
    cb_tape_free(tape);
    cb_tape_free(other);
}

/* What another program needs to build the same: sizes as JSON, and what comes of it. */
static void print_values(const struct entry *entry, const request *asked) {
    subject s;
    double sums[2];
    cb_tape *tape = need(cb_tape_new());
    start(&s, entry, asked);
    run_step(&s, tape, sums);
    printf("{\"cell\": \"%s\", \"input\": %lld, \"hidden\": %lld, \"states\": [", entry->name,
           (long long)asked->input, (long long)asked->hidden);
    for (int i = 0; i < cb_rnn_state_count(s.rnn); i++)
        printf("%s%lld", i > 0 ? ", " : "", (long long)cb_rnn_state_size(s.rnn, i));
    printf("], \"weights\": [");
    for (int i = 0; i < cb_params_count(s.params); i++) {
        const cb_param *p = cb_params_at(s.params, i);
        int length = (int)(strlen(p->name) - strlen("rnn._l0"));
        printf("%s{\"name\": \"%.*s\", \"low\": %.17g, \"high\": %.17g, \"shape\": [",
               i > 0 ? ", " : "", length, p->name + strlen("rnn."), s.range[i].low,
               s.range[i].high);
        for (int k = 0; k < p->value->rank; k++)
            printf("%s%lld", k > 0 ? ", " : "", (long long)p->value->shape[k]);
        printf("]}");
    }
    printf("], \"sums\": [%.17g, %.17g", sums[0], sums[1]);
    for (int i = 0; i < cb_params_count(s.params); i++)
        printf(", %.17g", sum_of_squares(cb_params_at(s.params, i)->gradient));
    printf("]}\n");
    end(&s);
    cb_tape_free(tape);
}

static void explain(const struct entry *entry, const request *asked) {
    subject s;
    start(&s, entry, asked);
    size_t length = cb_rnn_describe(s.rnn, 0, asked->time, asked->batch, 0, NULL, 0);
    char *text = need(malloc(length + 1));
    cb_rnn_describe(s.rnn, 0, asked->time, asked->batch, 0, text, length + 1);
    fputs(text, stdout);
    free(text);
    end(&s);
}

/* ---- The command line ------------------------------------------------------------------------ */

static const struct entry *find(const char *name) {
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    fprintf(stderr, "literature: there is no cell \"%s\"\n", name);
    exit(EXIT_FAILURE);
}

static void list(const struct entry *entry) {
    cb_cell *text = entry->cell == NULL ? load(entry) : NULL;
    printf("%-16s %s\n", entry->name, text != NULL ? text->summary : entry->cell->summary);
    cb_cell_free(text);
}

static void parse(request *asked, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--list") == 0)
            asked->list = true;
        else if (strcmp(argv[i], "--check") == 0)
            asked->check = true;
        else if (strcmp(argv[i], "--real") == 0)
            asked->real = true;
        else if (strcmp(argv[i], "--eager") == 0)
            asked->eager = true;
        else if (strcmp(argv[i], "--plain") == 0)
            asked->plain = true;
        else if (strcmp(argv[i], "--explain") == 0)
            asked->explain = true;
        else if (strcmp(argv[i], "--values") == 0)
            asked->values = true;
        else if (strcmp(argv[i], "--cell") == 0)
            asked->cell = argv[++i];
        else if (strcmp(argv[i], "--dtype") == 0)
            asked->dtype = strcmp(argv[++i], "f64") == 0 ? CB_F64 : CB_F32;
        else if (strcmp(argv[i], "--threads") == 0)
            asked->threads = atoi(value), i++;
        else if (strcmp(argv[i], "--input") == 0)
            asked->input = atoll(value), i++;
        else if (strcmp(argv[i], "--hidden") == 0)
            asked->hidden = atoll(value), i++;
        else if (strcmp(argv[i], "--batch") == 0)
            asked->batch = atoll(value), i++;
        else if (strcmp(argv[i], "--time") == 0)
            asked->time = atoll(value), i++;
        else if (strcmp(argv[i], "--steps") == 0)
            asked->steps = atoll(value), i++;
        else {
            fprintf(stderr, "literature: what is %s?\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    request asked = {.batch = 128, .time = 20, .steps = 9, .threads = 2, .dtype = CB_F32};
    parse(&asked, argc, argv);
    cb_set_threads(asked.threads);
    bool passed = true;
    for (int i = 0; i < ENTRIES; i++) {
        if (asked.list)
            list(&entries[i]);
        if (asked.check)
            passed = check(&entries[i], asked.real) && passed;
    }
    if (asked.cell != NULL) {
        const struct entry *entry = find(asked.cell);
        asked.input = asked.input > 0 ? asked.input : size_of(entry);
        asked.hidden = asked.hidden > 0 ? asked.hidden : size_of(entry);
        if (asked.explain)
            explain(entry, &asked);
        else if (asked.values)
            print_values(entry, &asked);
        else
            time_cell(entry, &asked);
    }
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
