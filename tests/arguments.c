/* C and C++ at once: every macro of the public headers that writes an argument in place, and what
   the library makes of it. arguments.sh compiles it as each standard of both, and runs it. */
#include <cerebra/cerebra.h>
#include <math.h>
#include <stdio.h>

static int failed;

static void expect(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        failed = 1;
    }
}

#define EXPECT(good)        expect(good, #good)
#define EXPECT_NEAR(a, b)   expect(fabs((a) - (b)) < 1e-6, #a " is " #b)
#define EXPECT_STATUS(tape) expect(cb_tape_status(tape) == CB_OK, cb_tape_error(tape))

/* ---- Arrays ---------------------------------------------------------------------------------- */

static int rank_of(int rank, const int64_t *shape) {
    (void)shape;
    return rank;
}

static int64_t product(int rank, const int64_t *shape) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    return count;
}

static void arrays(void) {
    int64_t rows = 2;
    int columns = 3; /* an extent may be of any integer type */
    cb_tape *tape = cb_tape_new();
    EXPECT(product(CB_SHAPE(rows, columns, 4)) == 24);
    EXPECT(rank_of(CB_SHAPE(1, 2, 3, 4, 5, 6, 7, 8)) == CB_MAX_RANK);
    EXPECT(rank_of(CB_SHAPE(columns++)) == 1 && columns == 4);
    cb_tensor *ones = cb_full(tape, CB_F64, CB_SHAPE(2, 3), 1);
    EXPECT_NEAR(cb_item(cb_full(tape, CB_F64, CB_SCALAR, 5)), 5);
    EXPECT_NEAR(cb_item(cb_sum(ones, CB_AXES(0, -1), false)), 6);
    EXPECT_NEAR(cb_item(cb_sum(ones, CB_ALL_AXES, false)), 6);
    cb_tensor *rest = cb_slice(cb_sum(ones, CB_AXES(0), true), -1, 1, CB_END, 1);
    EXPECT(rest->rank == 2 && rest->shape[0] == 1 && rest->shape[1] == 2);
    EXPECT_NEAR(cb_item(cb_sum(cb_permute(ones, CB_AXES(1, 0)), CB_AXES(0, 1), false)), 6);
    EXPECT_STATUS(tape);
    cb_tape_free(tape);
}

/* ---- Modules and losses ---------------------------------------------------------------------- */

static void modules(void) {
    const int64_t width = 4;
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F64, CB_SHAPE(1, 3), 2);
    cb_module *plain = cb_linear_new(params, "plain", 3, 2);
    cb_module *sums = cb_linear_new(params, "sums", 3, width, .no_bias = true,
                                    .weight_init.kind = CB_INIT_CONSTANT, .weight_init.a = 0.5);
    EXPECT(cb_params_count(params) == 3);
    EXPECT(cb_forward(plain, x)->shape[1] == 2);
    EXPECT_NEAR(cb_item(cb_mean(cb_forward(sums, x), CB_ALL_AXES, false)), 3);

    cb_module *rows = cb_embedding_new(params, "rows", 5, 2, .weight_init.kind = CB_INIT_ZEROS);
    cb_tensor *index = cb_full(tape, CB_I32, CB_SHAPE(1), 4);
    EXPECT_NEAR(cb_item(cb_sum(cb_forward(rows, index), CB_ALL_AXES, false)), 0);
    cb_module *norm = cb_layer_norm_new(params, "norm", 3, .no_affine = true, .epsilon = 1);
    EXPECT_NEAR(cb_item(cb_sum(cb_forward(norm, x), CB_ALL_AXES, false)), 0);
    EXPECT(cb_params_find(params, "norm.weight") == NULL);

    /* softmax(0, ln 3) = (1/4, 3/4), and so is q where half of the target is smoothed away. */
    double values[] = {0, log(3.0)};
    cb_tensor logits = cb_tensor_wrap(CB_F64, CB_SHAPE(1, 2), values);
    cb_tensor *target = cb_full(tape, CB_I64, CB_SHAPE(1), 1);
    cb_tensor *l = cb_input(tape, &logits);
    EXPECT_NEAR(cb_item(cb_cross_entropy(l, target)), log(4.0 / 3));
    EXPECT_NEAR(cb_item(cb_cross_entropy(l, target, .label_smoothing = 0.5)),
                -0.25 * log(0.25) - 0.75 * log(0.75));
    EXPECT_NEAR(cb_item(cb_cross_entropy(l, target, .reduction = CB_REDUCE_SUM, .ignore = true,
                                         .ignore_index = 1)),
                0);
    EXPECT_STATUS(tape);
    EXPECT(cb_params_status(params) == CB_OK);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* An array within a struct is given element by element, which C and C++ both take. */
static void images(void) {
    cb_params *params = cb_params_new(1);
    cb_tape *tape = cb_tape_new();
    cb_tensor *line = cb_full(tape, CB_F32, CB_SHAPE(1, 2, 4), 1);
    cb_tensor *image = cb_full(tape, CB_F32, CB_SHAPE(1, 2, 4, 4), 1);
    cb_tensor *kernel = cb_full(tape, CB_F32, CB_SHAPE(1, 2, 3), 1);
    cb_tensor *square = cb_full(tape, CB_F32, CB_SHAPE(1, 2, 2, 2), 1);
    EXPECT(cb_conv1d(line, kernel, NULL)->shape[2] == 2);
    EXPECT(cb_conv2d(image, square, NULL, .stride[0] = 2, .stride[1] = 1)->shape[2] == 2);
    EXPECT(cb_max_pool1d(line, .size[0] = 2)->shape[2] == 2);
    EXPECT(cb_avg_pool1d(line, .size[0] = 4)->shape[2] == 1);
    EXPECT(cb_max_pool2d(image, .size[0] = 2, .size[1] = 4)->shape[3] == 1);
    EXPECT_NEAR(
        cb_item(cb_sum(cb_avg_pool2d(image, .size[0] = 4, .size[1] = 4), CB_ALL_AXES, false)), 2);
    cb_module *layers[] = {cb_conv2d_new(params, "conv", 2, 3, .size[0] = 3, .size[1] = 3),
                           cb_batch_norm_new(params, "norm", 3, .momentum = 0.5),
                           cb_max_pool2d_new(params, "largest", .size[0] = 2, .size[1] = 1),
                           cb_avg_pool2d_new(params, "average", .size[0] = 1, .size[1] = 2)};
    cb_tensor *y = cb_forward(cb_sequential_new(params, "all", 4, layers), image);
    EXPECT(y->shape[1] == 3 && y->shape[2] == 1 && y->shape[3] == 1);
    cb_module *lines[] = {cb_conv1d_new(params, "line", 2, 3, .size[0] = 1),
                          cb_max_pool1d_new(params, "largest1", .size[0] = 2),
                          cb_avg_pool1d_new(params, "average1", .size[0] = 2)};
    EXPECT(cb_forward(cb_sequential_new(params, "lines", 3, lines), line)->shape[2] == 1);
    cb_tensor *q = cb_full(tape, CB_F32, CB_SHAPE(3, 4), 1);
    EXPECT_NEAR(cb_item(cb_mean(cb_attention(q, q, q, .causal = true), CB_ALL_AXES, false)), 1);
    EXPECT_STATUS(tape);
    EXPECT(cb_params_status(params) == CB_OK);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* ---- Optimizers ------------------------------------------------------------------------------ */

static void expect_options(cb_optimizer *optimizer, double lr, double momentum) {
    const cb_optimizer_options *options = cb_optimizer_group_options(optimizer, 0);
    EXPECT(options != NULL);
    EXPECT_NEAR(options->lr, lr);
    EXPECT_NEAR(options->momentum, momentum);
    cb_optimizer_free(optimizer);
}

static void optimizers(void) {
    cb_params *params = cb_params_new(1);
    (void)cb_linear_new(params, "layer", 2, 2);
    expect_options(cb_sgd_new(params), 1e-3, 0);
    expect_options(cb_adagrad_new(params), 1e-2, 0);
    expect_options(cb_adam_new(params), 1e-3, 0);
    expect_options(cb_adamw_new(params), 1e-3, 0);
    expect_options(cb_rmsprop_new(params), 1e-2, 0);
    expect_options(cb_sgd_new(params, .lr = 0.5), 0.5, 0);
    /* All members but one, in an order of the caller's. */
    expect_options(cb_sgd_new(params, .momentum = 0.25, .lr = 0.5, .weight_decay = 1, .beta1 = 0.5,
                              .beta2 = 0.5, .alpha = 0.5, .epsilon = 1, .initial_accumulator = 1,
                              .lr_decay = 1, .nesterov = true, .amsgrad = true, .centered = true,
                              .clip_norm = 1),
                   0.5, 0.25);
    expect_options(cb_adagrad_new(params, .lr_decay = 0.5), 1e-2, 0);
    expect_options(cb_adam_new(params, .amsgrad = true, .lr = 2), 2, 0);
    expect_options(cb_adamw_new(params, .weight_decay = 0), 1e-3, 0);
    expect_options(cb_rmsprop_new(params, .momentum = 0.5, .centered = true), 1e-2, 0.5);

    cb_optimizer *groups = cb_adamw_new(params, .lr = 0.5);
    int group = cb_optimizer_group_where(groups, cb_param_is_vector, NULL,
                                         CB_OPTIMIZER_OPTIONS(.weight_decay = 0));
    EXPECT(group == 1 && cb_optimizer_group_options(groups, 1)->weight_decay == 0);
    cb_optimizer_free(groups);
    EXPECT(cb_params_status(params) == CB_OK);
    cb_params_free(params);
}

/* ---- Recurrent networks ---------------------------------------------------------------------- */

static void networks(void) {
    cb_params *params = cb_params_new(1);
    cb_tape *tape = cb_tape_new();
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_gru, 2, 3, .layers = 2, .bidirectional = true,
                             .bias_init.kind = CB_INIT_ZEROS, .recompute = 2);
    EXPECT(cb_rnn_layers(rnn) == 2 && cb_rnn_output_size(rnn) == 6);
    EXPECT(cb_rnn_layers(cb_rnn_new(params, "plain", &cb_lstm, 2, 3)) == 1);
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(4, 1, 2), 1);
    cb_tensor *lengths = cb_full(tape, CB_I32, CB_SHAPE(1), 0);
    cb_tensor *y = cb_rnn_forward(rnn, x, CB_STRUCT(cb_rnn_io, .lengths = lengths));
    EXPECT(cb_item(cb_sum(y, CB_ALL_AXES, false)) == 0);
    EXPECT_STATUS(tape);
    EXPECT(cb_params_status(params) == CB_OK);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* In the file of a shared library of cells. */
CB_CELL_LIBRARY(&cb_lstm, &cb_gru)

/* ---- An op of one's own ---------------------------------------------------------------------- */

typedef struct shift_options {
    int64_t by[2];
    double scale;
} shift_options;

static const cb_option shift_members[] = {
    CB_OPTIONS(shift_options, by, CB_OPTION_EXTENT),
    CB_OPTION(shift_options, scale, CB_OPTION_REAL),
};

static void tables(void) {
    EXPECT(shift_members[0].count == 2 && shift_members[0].size == sizeof(int64_t));
    EXPECT(shift_members[1].count == 1 && shift_members[1].offset == 2 * sizeof(int64_t));
    EXPECT(cerebra_cells.cells[1] == &cb_gru && cerebra_cells.cells[2] == NULL);
#define COUNT(name, meaning) +1
    EXPECT((0 CB_STATUS_TABLE(COUNT)) == CB_ERROR_NOT_FOUND + 1);
}

int main(void) {
    arrays();
    modules();
    images();
    optimizers();
    networks();
    tables();
    return failed;
}
