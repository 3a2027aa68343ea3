/* First values of parameters.

   Orthogonal (Saxe et al. 2014): the tensor is a matrix of its first axis by all others. As many
   Gaussian vectors as its shorter side, each as long as its longer side, are orthonormalised by the
   modified Gram-Schmidt process in double; they become its rows, or its columns when it is tall.
   For Gaussian vectors this is the QR decomposition whose R has a positive diagonal, so that Q is
   uniformly distributed over the orthogonal matrices (Mezzadri 2007), and the process is accurate,
   because such vectors are far from dependent. */
#include "nn/params_internal.h"
#include "tensor/memory.h"
#include "tensor/multiversion.h"

#include <math.h>

static bool finite_pair(double a, double b) {
    return isfinite(a) && isfinite(b);
}

const char *cbi_init_fault(const cb_init *init, int rank) {
    if (init == NULL || init->kind == CB_INIT_DEFAULT)
        return "it has no initialiser";
    switch (init->kind) {
    case CB_INIT_DEFAULT:
    case CB_INIT_ZEROS:
        return NULL;
    case CB_INIT_CONSTANT:
        return isfinite(init->a) ? NULL : "the initialiser's constant is not finite";
    case CB_INIT_UNIFORM:
        return finite_pair(init->a, init->b) && init->a <= init->b && isfinite(init->b - init->a)
                   ? NULL
                   : "the initialiser's range [a, b) is not one";
    case CB_INIT_NORMAL:
        return finite_pair(init->a, init->b) && init->b >= 0
                   ? NULL
                   : "the initialiser's deviation is negative or not finite";
    case CB_INIT_GLOROT_UNIFORM:
    case CB_INIT_GLOROT_NORMAL:
    case CB_INIT_KAIMING_UNIFORM:
    case CB_INIT_KAIMING_NORMAL:
    case CB_INIT_ORTHOGONAL:
        if (!(init->gain >= 0 && init->fan_in >= 0 && init->fan_out >= 0) ||
            !isfinite(init->gain) || !finite_pair(init->fan_in, init->fan_out))
            return "the initialiser's gain or a fan is negative or not finite";
        return init->kind == CB_INIT_ORTHOGONAL && rank < 2
                   ? "an orthogonal initialiser needs at least two axes"
                   : NULL;
    }
    return "the initialiser is of no known kind";
}

/* The fans in force: the options', else the shape's. */
static void fans(const cb_tensor *t, const cb_init *init, double *fan_in, double *fan_out) {
    double extent[2] = {1, 1}, field = 1;
    for (int i = 0; i < t->rank; i++)
        if (i < 2)
            extent[i] = (double)t->shape[i];
        else
            field *= (double)t->shape[i];
    double out = extent[0] * field, in = t->rank == 1 ? out : extent[1] * field;
    *fan_in = init->fan_in > 0 ? init->fan_in : in;
    *fan_out = init->fan_out > 0 ? init->fan_out : out;
}

/* ---- Orthogonal ------------------------------------------------------------------------------ */

/* Partial sums that do not wait for each other. */
#define LANES 16

CBI_MULTIVERSION static double orthogonal_dot(const double *a, const double *b, int64_t n) {
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* a += factor b */
CBI_MULTIVERSION static void orthogonal_add(double *restrict a, double factor,
                                            const double *restrict b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        a[i] += factor * b[i];
}

/* Fills `count` rows of `length` >= count with orthonormal vectors. */
static void orthonormal_rows(double *rows, int64_t count, int64_t length, cb_random *random) {
    for (int64_t i = 0; i < count; i++) {
        double *row = rows + i * length;
        double norm;
        do {
            cb_random_normal_f64(random, length, row, 0, 1);
            for (int64_t j = 0; j < i; j++) {
                const double *earlier = rows + j * length;
                orthogonal_add(row, -orthogonal_dot(row, earlier, length), earlier, length);
            }
            norm = sqrt(orthogonal_dot(row, row, length));
            /* So little left of a vector is rounding error: draw another. */
        } while (norm < 1e-8);
        for (int64_t k = 0; k < length; k++)
            row[k] /= norm;
    }
}

static void store(cb_tensor *t, int64_t i, double value) {
    if (t->dtype == CB_F64)
        ((double *)t->data)[i] = value;
    else
        ((float *)t->data)[i] = (float)value;
}

static cb_status orthogonal(cb_tensor *t, double gain, cb_random *random) {
    int64_t rows = t->shape[0], columns = cb_tensor_count(t) / rows;
    bool tall = rows > columns;
    int64_t count = tall ? columns : rows, length = tall ? rows : columns;
    size_t elements = (size_t)cb_tensor_count(t);
    double *q = cbi_allocate(cbi_multiply(elements, sizeof *q));
    if (q == NULL)
        return CB_ERROR_MEMORY;
    orthonormal_rows(q, count, length, random);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            store(t, i * columns + j, gain * (tall ? q[j * length + i] : q[i * length + j]));
    cbi_free(q);
    return CB_OK;
}

/* ---- Distributions, in the tensor's dtype ---------------------------------------------------- */

static cb_status uniform(cb_tensor *t, double low, double high, cb_random *random) {
    if (t->dtype == CB_F64) {
        cb_random_uniform_f64(random, cb_tensor_count(t), t->data, low, high);
        return CB_OK;
    }
    if (!finite_pair((float)low, (float)high))
        return CB_ERROR_VALUE;
    cb_random_uniform_f32(random, cb_tensor_count(t), t->data, (float)low, (float)high);
    return CB_OK;
}

static cb_status normal(cb_tensor *t, double mean, double deviation, cb_random *random) {
    if (t->dtype == CB_F64) {
        cb_random_normal_f64(random, cb_tensor_count(t), t->data, mean, deviation);
        return CB_OK;
    }
    if (!finite_pair((float)mean, (float)deviation))
        return CB_ERROR_VALUE;
    cb_random_normal_f32(random, cb_tensor_count(t), t->data, (float)mean, (float)deviation);
    return CB_OK;
}

/* ---- All kinds ------------------------------------------------------------------------------- */

cb_status cb_initialise(cb_tensor *t, const cb_init *init, cb_random *random) {
    if (t == NULL || random == NULL || cbi_init_fault(init, t->rank) != NULL)
        return CB_ERROR_VALUE;
    if (!cb_dtype_is_float(t->dtype))
        return CB_ERROR_DTYPE;
    if (!cb_tensor_is_contiguous(t))
        return CB_ERROR_SHAPE;
    if (cb_tensor_count(t) == 0)
        return CB_OK;
    double fan_in, fan_out, gain = init->gain == 0 ? 1 : init->gain;
    fans(t, init, &fan_in, &fan_out);
    double glorot = gain * sqrt(2 / (fan_in + fan_out)), kaiming = gain / sqrt(fan_in);
    /* A uniform distribution over +-bound has the deviation bound / sqrt(3). */
    const double spread = sqrt(3);
    switch (init->kind) {
    case CB_INIT_CONSTANT:
        cb_tensor_fill(t, init->a);
        return CB_OK;
    case CB_INIT_UNIFORM:
        return uniform(t, init->a, init->b, random);
    case CB_INIT_NORMAL:
        return normal(t, init->a, init->b, random);
    case CB_INIT_GLOROT_UNIFORM:
        return uniform(t, -spread * glorot, spread * glorot, random);
    case CB_INIT_GLOROT_NORMAL:
        return normal(t, 0, glorot, random);
    case CB_INIT_KAIMING_UNIFORM:
        return uniform(t, -spread * kaiming, spread * kaiming, random);
    case CB_INIT_KAIMING_NORMAL:
        return normal(t, 0, kaiming, random);
    case CB_INIT_ORTHOGONAL:
        return orthogonal(t, gain, random);
    case CB_INIT_DEFAULT:
    case CB_INIT_ZEROS:
        break;
    }
    cb_tensor_fill(t, 0);
    return CB_OK;
}
