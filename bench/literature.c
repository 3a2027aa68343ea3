/* Cells from the literature, checked and timed.

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
#include "bench/cells/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct request {
    const char *cell;
    int64_t input, hidden, batch, time, steps;
    int threads;
    cb_dtype dtype;
    bool eager, plain, list, check, real, explain, values;
} request;

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *numbers, int64_t count) {
    qsort(numbers, (size_t)count, sizeof(*numbers), compare_numbers);
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

static void *need(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "literature: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* ---- A cell's tensors ------------------------------------------------------------------------ */

/* A cell at some size, with weights, x and the states that it starts from. */
typedef struct subject {
    const literature_cell *cell;
    literature_sizes sizes;
    int64_t input;
    cb_scan *scan;
    cb_tensor *weights[LITERATURE_MOST_WEIGHTS], *x, *states[LITERATURE_MOST_STATES], *projection;
} subject;

/* Numbers in [low, high) that any program can make again: the number of the tensor and the place of
   the element are all they depend on. */
static cb_tensor *filled(cb_dtype dtype, int number, int rank, const int64_t *shape, double low,
                         double high) {
    cb_tensor *t = need(cb_tensor_new(dtype, rank, shape));
    for (int64_t i = 0; i < cb_tensor_count(t); i++) {
        double part = (double)((i * 7919 + number * 104729) % 65537) / 65537;
        if (dtype == CB_F32)
            ((float *)t->data)[i] = (float)(low + (high - low) * part);
        else
            ((double *)t->data)[i] = low + (high - low) * part;
    }
    return t;
}

enum { NUMBER_OF_X = 100, NUMBER_OF_PROJECTION = 101 };

static void start(subject *s, const literature_cell *cell, const request *asked) {
    *s = (subject){.cell = cell, .input = asked->input};
    cell->sizes(asked->input, asked->hidden, &s->sizes);
    for (int i = 0; i < s->sizes.weight_count; i++)
        s->weights[i] = filled(asked->dtype, i, s->sizes.weight[i].rank, s->sizes.weight[i].shape,
                               s->sizes.weight[i].low, s->sizes.weight[i].high);
    s->x =
        filled(asked->dtype, NUMBER_OF_X, CB_SHAPE(asked->time, asked->batch, asked->input), -1, 1);
    for (int i = 0; i < s->sizes.state_count; i++)
        s->states[i] = filled(asked->dtype, 0, CB_SHAPE(asked->batch, s->sizes.state[i]), 0.5, 0.5);
    s->projection = filled(asked->dtype, NUMBER_OF_PROJECTION,
                           CB_SHAPE(asked->time, asked->batch, s->sizes.state[0]), -1, 1);
    s->scan = need(cb_scan_new(cell->step, &(cb_scan_options){.name = cell->name,
                                                              .dtype = asked->dtype,
                                                              .input = asked->input,
                                                              .state_count = s->sizes.state_count,
                                                              .state_size = s->sizes.state,
                                                              .weight_count = s->sizes.weight_count,
                                                              .weights = s->weights,
                                                              .eager = asked->eager}));
}

static void end(subject *s) {
    for (int i = 0; i < s->sizes.weight_count; i++)
        cb_tensor_free(s->weights[i]);
    for (int i = 0; i < s->sizes.state_count; i++)
        cb_tensor_free(s->states[i]);
    cb_tensor_free(s->x);
    cb_tensor_free(s->projection);
    cb_scan_free(s->scan);
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool check_at(const literature_cell *cell, const request *asked) {
    subject s;
    cb_scan_check_report report;
    start(&s, cell, asked);
    const cb_scan_check_options options = {
        .time = asked->time, .batch = asked->batch, .tolerance = 1e-12, .weights = s.weights};
    bool passed = cb_scan_check(s.scan, &options, &report) && report.compiled;
    const char *reason = cb_scan_reason(s.scan);
    passed = passed && reason == NULL;
    printf("%-16s hidden %lld, %s, %lld numbers, largest relative error of values %.1e, of "
           "gradients %.1e%s%s\n",
           cell->name, (long long)asked->hidden, reason == NULL ? "compiled" : reason,
           (long long)report.compared, report.worst_value, report.worst_gradient,
           report.message[0] != '\0' ? ": " : "", report.message);
    end(&s);
    return passed;
}

/* At a small size, and, where asked, at the size that the cell is timed with. The larger batch does
   not fit in one tile of rows, nor in a whole number of them. */
static bool check(const literature_cell *cell, bool real) {
    const int64_t most = 32;
    request asked = {.input = cell->input < most ? cell->input : most,
                     .hidden = cell->hidden < most ? cell->hidden : most,
                     .batch = 6,
                     .time = 4,
                     .dtype = CB_F64};
    bool passed = check_at(cell, &asked);
    if (real) {
        asked.input = cell->input;
        asked.hidden = cell->hidden;
        asked.batch = 133;
        asked.time = 3;
        passed = check_at(cell, &asked) && passed;
    }
    return passed;
}

/* ---- The limit ------------------------------------------------------------------------------- */

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
static double time_products(const literature_sizes *s, const request *asked) {
    double sum = 0;
    int64_t all = asked->time * asked->batch;
    for (int i = 0; i < s->product_count; i++) {
        const literature_product *p = &s->product[i];
        int64_t rows = p->each_step ? asked->batch : all;
        double times = (double)p->count * (p->each_step ? (double)asked->time : 1);
        sum += times * time_product(asked->dtype, rows, p->k, p->n);
        sum += times * time_product(asked->dtype, rows, p->n, p->k);
        sum += (double)p->count * time_product(asked->dtype, p->k, all, p->n);
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
static double bytes_moved(const literature_sizes *s, const request *asked) {
    double given = 0, states = 0;
    for (int i = 0; i < s->product_count; i++)
        if (!s->product[i].each_step)
            given += (double)(s->product[i].count * s->product[i].n);
    for (int i = 0; i < s->state_count; i++)
        states += (double)s->state[i];
    double row =
        (given + states) + (given + states + (double)s->state[0] + given) + 3 * (double)s->state[0];
    return row * (double)(asked->time * asked->batch) * (double)cb_dtype_size(asked->dtype);
}

/* ---- Timing ---------------------------------------------------------------------------------- */

static double sum_of_squares(const cb_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; t != NULL && i < cb_tensor_count(t); i++) {
        double element =
            t->dtype == CB_F32 ? (double)((float *)t->data)[i] : ((double *)t->data)[i];
        sum += element * element;
    }
    return sum;
}

/* A sequence and its gradient; sums: NULL, or the loss and the sum of each gradient's squares. */
static void run_step(subject *s, cb_tape *tape, double *sums) {
    cb_tensor *weights[LITERATURE_MOST_WEIGHTS], *states[LITERATURE_MOST_STATES];
    literature_seed(2);
    for (int i = 0; i < s->sizes.weight_count; i++)
        weights[i] = cb_variable(tape, s->weights[i]);
    for (int i = 0; i < s->sizes.state_count; i++)
        states[i] = cb_input(tape, s->states[i]);
    cb_tensor *x = cb_variable(tape, s->x);
    cb_tensor *y = cb_scan_run(s->scan, x, &(cb_scan_io){.weights = weights, .initial = states});
    cb_tensor *loss = cb_sum(cb_mul(y, cb_input(tape, s->projection)), CB_ALL_AXES, false);
    if (cb_backward(loss) != CB_OK) {
        fprintf(stderr, "literature: %s\n", cb_tape_error(tape));
        exit(EXIT_FAILURE);
    }
    if (sums != NULL) {
        sums[0] = cb_item(loss);
        sums[1] = sum_of_squares(cb_gradient(x));
        for (int i = 0; i < s->sizes.weight_count; i++)
            sums[2 + i] = sum_of_squares(cb_gradient(weights[i]));
    }
    cb_tape_reset(tape);
}

/* Steps and what they are held to, in turn: the machine may be slower at one time than at another.
 */
static void time_cell(const literature_cell *cell, const request *asked) {
    subject s;
    cb_tape *tape = need(cb_tape_new()), *other = need(cb_tape_new_no_grad());
    size_t count = (size_t)asked->steps;
    double *steps = need(calloc(4 * count, sizeof(*steps)));
    double *products = steps + count, *moved = products + count, *ratios = moved + count;
    start(&s, cell, asked);
    for (int64_t i = -2; i < asked->steps; i++) {
        double begin = milliseconds();
        run_step(&s, tape, NULL);
        double took = milliseconds() - begin;
        if (i < 0)
            continue;
        steps[i] = took;
        if (!asked->plain) {
            products[i] = time_products(&s.sizes, asked);
            moved[i] = bytes_moved(&s.sizes, asked) / bandwidth(other);
            ratios[i] = steps[i] / (products[i] + moved[i]);
        }
    }
    printf("cell=%s ms=%.3f products=%.3f moved=%.3f times_limit=%.2f compiled=%d\n", cell->name,
           median(steps, asked->steps), median(products, asked->steps), median(moved, asked->steps),
           median(ratios, asked->steps), cb_scan_reason(s.scan) == NULL);
    end(&s);
    free(steps);
    cb_tape_free(tape);
    cb_tape_free(other);
}

/* What another program needs to build the same: sizes as JSON, and what comes of it. */
static void print_values(const literature_cell *cell, const request *asked) {
    subject s;
    double sums[LITERATURE_MOST_WEIGHTS + 2];
    cb_tape *tape = need(cb_tape_new());
    start(&s, cell, asked);
    run_step(&s, tape, sums);
    printf("{\"cell\": \"%s\", \"input\": %lld, \"hidden\": %lld, \"states\": [", cell->name,
           (long long)asked->input, (long long)asked->hidden);
    for (int i = 0; i < s.sizes.state_count; i++)
        printf("%s%lld", i > 0 ? ", " : "", (long long)s.sizes.state[i]);
    printf("], \"weights\": [");
    for (int i = 0; i < s.sizes.weight_count; i++) {
        printf("%s{\"low\": %.17g, \"high\": %.17g, \"shape\": [", i > 0 ? ", " : "",
               s.sizes.weight[i].low, s.sizes.weight[i].high);
        for (int k = 0; k < s.sizes.weight[i].rank; k++)
            printf("%s%lld", k > 0 ? ", " : "", (long long)s.sizes.weight[i].shape[k]);
        printf("]}");
    }
    printf("], \"sums\": [");
    for (int i = 0; i < s.sizes.weight_count + 2; i++)
        printf("%s%.17g", i > 0 ? ", " : "", sums[i]);
    printf("]}\n");
    end(&s);
    cb_tape_free(tape);
}

static void explain(const literature_cell *cell, const request *asked) {
    subject s;
    start(&s, cell, asked);
    const cb_scan_sizes sizes = {.time = asked->time, .batch = asked->batch};
    size_t length = cb_scan_describe(s.scan, &sizes, NULL, 0);
    char *text = need(malloc(length + 1));
    cb_scan_describe(s.scan, &sizes, text, length + 1);
    fputs(text, stdout);
    free(text);
    end(&s);
}

/* ---- The command line ------------------------------------------------------------------------ */

static const literature_cell *find(const char *name) {
    for (const literature_cell *cell = literature_cells; cell->name != NULL; cell++)
        if (strcmp(cell->name, name) == 0)
            return cell;
    fprintf(stderr, "literature: there is no cell \"%s\"\n", name);
    exit(EXIT_FAILURE);
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
    for (const literature_cell *cell = literature_cells; cell->name != NULL; cell++) {
        if (asked.list)
            printf("%-16s %s\n", cell->name, cell->source);
        if (asked.check)
            passed = check(cell, asked.real) && passed;
    }
    if (asked.cell != NULL) {
        const literature_cell *cell = find(asked.cell);
        asked.input = asked.input > 0 ? asked.input : cell->input;
        asked.hidden = asked.hidden > 0 ? asked.hidden : cell->hidden;
        if (asked.explain)
            explain(cell, &asked);
        else if (asked.values)
            print_values(cell, &asked);
        else
            time_cell(cell, &asked);
    }
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
