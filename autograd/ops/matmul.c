/* Matrix products. The work is done by BLIS (tensor/gemm/gemm.c), on operands of any strides. */
#include <cerebra/ops.h>

#include "autograd/compiler/lower.h"
#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <string.h>

static cb_status matmul_shape(const cb_call *call) {
    const cb_tensor *a = call->in[0], *b = call->in[1];
    cb_tensor *out = call->out;
    const char *fault = cbi_gemm_fault();
    if (fault != NULL)
        return cb_call_fail(call, CB_ERROR_VALUE, "%s", fault);
    if (a->dtype != b->dtype || !cb_dtype_is_float(a->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "dtypes %s and %s; both must be f32 or f64",
                            cb_dtype_name(a->dtype), cb_dtype_name(b->dtype));
    if (a->rank < 2 || b->rank < 2)
        return cb_call_fail(call, CB_ERROR_SHAPE, "ranks %d and %d; both must be at least 2",
                            a->rank, b->rank);
    int64_t inner = a->shape[a->rank - 1], other = b->shape[b->rank - 2];
    if (inner != other)
        return cb_call_fail(call, CB_ERROR_SHAPE, "inner extents %lld and %lld differ",
                            (long long)inner, (long long)other);
    out->dtype = a->dtype;
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 3; i <= out->rank; i++) {
        int64_t m = i <= a->rank ? a->shape[a->rank - i] : 1;
        int64_t n = i <= b->rank ? b->shape[b->rank - i] : 1;
        if (m != n && m != 1 && n != 1)
            return cb_call_fail(call, CB_ERROR_SHAPE,
                                "extents %lld and %lld of axis %d do not "
                                "broadcast",
                                (long long)m, (long long)n, -i);
        out->shape[out->rank - i] = m == 1 ? n : m;
    }
    out->shape[out->rank - 2] = a->shape[a->rank - 2];
    out->shape[out->rank - 1] = b->shape[b->rank - 1];
    return CB_OK;
}

static cbi_matrix matrix_of(const cb_tensor *t, int64_t offset) {
    char *data = t->data; /* NULL when there is no inner extent */
    return (cbi_matrix){data != NULL ? data + offset * (int64_t)cb_dtype_size(t->dtype) : NULL,
                        t->stride[t->rank - 2], t->stride[t->rank - 1]};
}

/* Whether the axes before the last are spaced like the rows of one tall matrix. */
static bool is_one_matrix(const cb_tensor *t) {
    for (int i = 0; i + 2 < t->rank; i++)
        if (t->stride[i] != t->stride[i + 1] * t->shape[i + 1])
            return false;
    return true;
}

static cb_status matmul_forward(const cb_call *call) {
    const cb_tensor *a = call->in[0], *b = call->in[1], *out = call->out;
    int64_t k = a->shape[a->rank - 1], n = b->shape[b->rank - 1];
    int batch_axes = out->rank - 2;
    if (cb_tensor_count(out) == 0)
        return CB_OK;
    if (b->rank == 2 && is_one_matrix(a)) {
        cbi_gemm(out->dtype, cb_tensor_count(out) / n, n, k, matrix_of(a, 0), matrix_of(b, 0),
                 false, matrix_of(out, 0));
        return CB_OK;
    }
    /* The batch's axes broadcast; those of the matrices are left as they are. */
    int64_t a_shape[CB_MAX_RANK], b_shape[CB_MAX_RANK];
    memcpy(a_shape, out->shape, sizeof(a_shape));
    memcpy(b_shape, out->shape, sizeof(b_shape));
    a_shape[batch_axes + 1] = b_shape[batch_axes] = k;
    cb_tensor wide_a = cbi_broadcast_to(a, out->rank, a_shape);
    cb_tensor wide_b = cbi_broadcast_to(b, out->rank, b_shape);
    cbi_gemm_batch(out, &wide_a, &wide_b);
    return CB_OK;
}

/* A [..., m, k] as [rows, k]. */
static cb_tensor *tall(cb_tensor *t) {
    return cb_reshape(t,
                      CB_SHAPE(cb_tensor_count(t) / t->shape[t->rank - 1], t->shape[t->rank - 1]));
}

/* Whether a matrix lies column by column in memory, as a transposed weight does. */
static bool is_column_major(const cb_tensor *t) {
    return t->rank == 2 && t->stride[0] == 1 && t->stride[1] != 1;
}

/* A B, laid out in memory as `like` is: what is added to a gradient of like's layout in one run. */
static cb_tensor *product_like(cb_tensor *like, cb_tensor *a, cb_tensor *b) {
    if (is_column_major(like) && a->rank == 2 && b->rank == 2)
        return cb_transpose(cb_matmul(cb_transpose(b, 0, 1), cb_transpose(a, 0, 1)), 0, 1);
    return cb_matmul(a, b);
}

/* The gradient A B of a matrix: added where it is wanted when that is known, and NULL then. */
static cb_tensor *gradient_of(cb_tensor *like, cb_tensor *a, cb_tensor *b) {
    cb_tensor sink = cbi_sink_of(like);
    bool usable = a->rank == 2 && b->rank == 2 && sink.rank == 2 && a->shape[1] > 0 &&
                  cb_tape_status(cb_tape_of(like)) == CB_OK;
    if (sink.data == NULL || !usable)
        return product_like(like, a, b);
    cbi_gemm(sink.dtype, a->shape[0], b->shape[1], a->shape[1], matrix_of(a, 0), matrix_of(b, 0),
             true, matrix_of(&sink, 0));
    return NULL;
}

static void matmul_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *a = call->in[0], *b = call->in[1];
    if (cb_call_needs(call, 0))
        gradients[0] = gradient_of(a, g, cb_transpose(b, -2, -1));
    if (!cb_call_needs(call, 1))
        return;
    /* One product over the whole batch, where B is shared by it, instead of a sum of many. */
    bool shared = b->rank == 2 && a->rank > 2 && cb_tensor_count(a) > 0 && cb_tensor_count(g) > 0;
    gradients[1] = shared ? gradient_of(b, cb_transpose(tall(a), 0, 1), tall(g))
                          : gradient_of(b, cb_transpose(a, -2, -1), g);
}

static bool matmul_lower(cbi_lowerer *l, const cb_call *call) {
    (void)call;
    return cbi_lower_matmul(l);
}

static cb_tensor *matmul_sample(cb_tensor *const *in) {
    return cb_matmul(in[0], in[1]);
}

static cb_tensor *linear_sample(cb_tensor *const *in) {
    return cb_linear(in[0], in[1], in[2]);
}

/* An outer product costs no more than an op on each element. */
static bool is_outer(const cb_call *call) {
    return call->in[0]->shape[call->in[0]->rank - 1] == 1;
}

static const cb_sample matmul_samples[] = {
    {"plain", 2, {SHAPED(2, 3, 4), SHAPED(2, 4, 5)}, matmul_sample},
    {"strided", 2, {STRIDED(2, 3, 4), STRIDED(2, 4, 5)}, matmul_sample},
    {"shared right", 2, {SHAPED(3, 2, 3, 4), SHAPED(2, 4, 5)}, matmul_sample},
    {"shared left", 2, {SHAPED(2, 3, 4), SHAPED(3, 2, 4, 5)}, matmul_sample},
    {"batches broadcast", 2, {SHAPED(4, 2, 1, 3, 4), STRIDED(3, 3, 4, 2)}, matmul_sample},
    {"linear", 3, {SHAPED(3, 2, 3, 4), SHAPED(2, 5, 4), SHAPED(1, 5)}, linear_sample},
    {"linear of a row", 3, {SHAPED(1, 4), SHAPED(2, 5, 4), SHAPED(1, 5)}, linear_sample},
    {"no rows", 2, {SHAPED(2, 0, 4), SHAPED(2, 4, 5)}, matmul_sample},
    {"no inner extent", 2, {SHAPED(2, 3, 0), SHAPED(2, 0, 5)}, matmul_sample},
    {"no batch", 2, {SHAPED(3, 0, 3, 4), SHAPED(2, 4, 5)}, matmul_sample},
};

const cb_op cbi_matmul_op = {
    .name = "matmul",
    .formula = "Y = A B;  dA = g B',  dB = A' g",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = matmul_shape,
    .forward = matmul_forward,
    .vjp = matmul_vjp,
    SAMPLES(matmul_samples),
    .lowering = &(const cbi_lowering){.lower = matmul_lower, .is_cheap = is_outer},
};

/* [a1 a2 ...] B = a1 B1 + a2 B2 + ..., with B's rows in parts as long as those of the left side. A
   step that is traced has it so: what does not depend on the states can then leave the recurrence,
   x out of [h, x]. */
static cb_tensor *matmul_parts(cb_tensor *a, cb_tensor *b) {
    cb_tensor *sum = NULL;
    int64_t at = 0;
    for (int i = 0; i < a->node->count; i++) {
        cb_tensor *part = a->node->in[i];
        int64_t end = at + part->shape[1];
        cb_tensor *product = cb_matmul(part, cb_slice(b, 0, at, end, 1));
        sum = sum == NULL ? product : cb_add(sum, product);
        at = end;
    }
    return sum;
}

static bool is_joined_while_traced(const cb_tensor *a, const cb_tensor *b) {
    const cb_node *n = a != NULL ? a->node : NULL;
    return n != NULL && n->tape != NULL && n->tape->trace != NULL && n->op == &cbi_concat_op &&
           n->count > 1 && a->rank == 2 && *(const int *)n->options == 1 && b != NULL &&
           b->rank == 2 && b->shape[0] == a->shape[1];
}

cb_tensor *cb_matmul(cb_tensor *a, cb_tensor *b) {
    if (is_joined_while_traced(a, b))
        return matmul_parts(a, b);
    return cb_apply(&cbi_matmul_op, 2, (cb_tensor *[]){a, b}, NULL);
}

/* Whether the shapes fit; records which does not. What is missing or poisoned passes: the ops after
   this say so. */
static bool linear_fits(const cb_tensor *x, const cb_tensor *weight, const cb_tensor *bias) {
    char shape[160];
    if (x == NULL || weight == NULL || cbi_is_poisoned(x) || cbi_is_poisoned(weight))
        return true;
    cb_shape_format(weight, shape, sizeof(shape));
    if (weight->rank != 2) {
        cbi_function_fail(x, "linear", CB_ERROR_SHAPE, "the weight %s must be of rank 2", shape);
        return false;
    }
    if (x->rank < 1 || x->shape[x->rank - 1] != weight->shape[1]) {
        cbi_function_fail(x, "linear", CB_ERROR_SHAPE, "a weight %s takes %lld features", shape,
                          (long long)weight->shape[1]);
        return false;
    }
    if (bias != NULL && !cbi_is_poisoned(bias) &&
        (bias->rank != 1 || bias->shape[0] != weight->shape[0])) {
        char of_bias[160];
        cbi_function_fail(x, "linear", CB_ERROR_SHAPE, "a bias %s does not fit a weight %s",
                          cb_shape_format(bias, of_bias, sizeof(of_bias)), shape);
        return false;
    }
    return true;
}

static cb_tensor *linear_in_ops(cb_tensor *x, cb_tensor *weight, cb_tensor *bias) {
    if (!linear_fits(x, weight, bias))
        return cbi_poison(cb_tape_of(x));
    bool row = x != NULL && x->rank == 1; /* one row, and none in the result */
    cb_tensor *y = cb_matmul(row ? cb_unsqueeze(x, 0) : x, cb_transpose(weight, 0, 1));
    y = row ? cb_squeeze(y, 0) : y;
    return bias != NULL ? cb_add(y, bias) : y;
}

cb_tensor *cb_linear(cb_tensor *x, cb_tensor *weight, cb_tensor *bias) {
    cbi_within f = cbi_function_begin(x, "linear");
    return cbi_function_end(f, linear_in_ops(x, weight, bias));
}
