/* Random elements, in f64 first, so that f32 gets the same ones rounded. */
#include "data.h"

cb_tensor *drawn(cb_dtype dtype, uint64_t seed, double bound, int rank, const int64_t *shape) {
    cb_random random = cb_random_seed(seed);
    cb_tensor *exact = cb_tensor_new(CB_F64, rank, shape);
    if (exact == NULL)
        return NULL;
    cb_random_uniform_f64(&random, cb_tensor_count(exact), exact->data, -bound, bound);
    cb_tensor *t = cb_tensor_copy(exact, dtype);
    cb_tensor_free(exact);
    return t;
}

cb_tensor *drawn_below(cb_dtype dtype, uint64_t seed, int64_t below, int rank,
                       const int64_t *shape) {
    cb_random random = cb_random_seed(seed);
    cb_tensor *exact = cb_tensor_new(CB_I64, rank, shape);
    if (exact == NULL)
        return NULL;
    for (int64_t i = 0; i < cb_tensor_count(exact); i++)
        ((int64_t *)exact->data)[i] = (int64_t)cb_random_below(&random, (uint64_t)below);
    cb_tensor *t = cb_tensor_copy(exact, dtype);
    cb_tensor_free(exact);
    return t;
}
