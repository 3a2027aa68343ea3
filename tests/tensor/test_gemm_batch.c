/* Batches of products of any sizes, strides and broadcasts: the bits of the products one by one,
   whatever the number of threads; other sizes with each run. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static int64_t some_extent(cb_random *random, int round) {
    return 1 + (round % 5 == 0 && below(random, 3) == 0 ? below(random, 150) : below(random, 40));
}

static cbi_matrix matrix_at(const cb_tensor *t, const int64_t *index) {
    int64_t offset = 0;
    for (int i = 0; i + 2 < t->rank; i++)
        offset += index[i] * t->stride[i];
    return (cbi_matrix){(char *)t->data + offset * (int64_t)cb_dtype_size(t->dtype),
                        t->stride[t->rank - 2], t->stride[t->rank - 1]};
}

/* Numbers whose products and sums are rounded, for the whole numbers that were there. */
static void roughen(cb_tensor *memory) {
    for (int64_t i = 0; i < cb_tensor_count(memory); i++)
        cb_tensor_set(memory, &i, cb_tensor_get(memory, &i) / 7 + 0.013);
}

static void one_round(cb_random *random, int round) {
    int rank = 3 + round % 3;
    int64_t shape[CB_MAX_RANK], left[CB_MAX_RANK], right[CB_MAX_RANK], index[CB_MAX_RANK] = {0};
    for (int i = 0; i < rank - 2; i++)
        shape[i] = left[i] = right[i] = 1 + below(random, round % 7 == 0 ? 12 : 4);
    int64_t m = some_extent(random, round), n = some_extent(random, round);
    int64_t k = below(random, 20) == 0 ? 0 : some_extent(random, round);
    if (round % 9 == 0) /* several pieces of the depth */
        m = 5 + below(random, 10), n = 1 + below(random, 30), k = 200 + below(random, 400);
    shape[rank - 2] = left[rank - 2] = m, shape[rank - 1] = right[rank - 1] = n;
    left[rank - 1] = right[rank - 2] = k;
    cb_dtype dtype = below(random, 2) == 0 ? CB_F32 : CB_F64;
    cb_tensor *memory[3];
    cb_tensor a = random_strides(random, dtype, rank, left, true, &memory[0]);
    cb_tensor b = random_strides(random, dtype, rank, right, true, &memory[1]);
    cb_tensor c = random_strides(random, dtype, rank, shape, false, &memory[2]);
    roughen(memory[0]), roughen(memory[1]);
    cb_tensor *before = cb_tensor_copy(memory[2], dtype);
    cb_tensor expected = c;
    expected.data = (char *)before->data + ((char *)c.data - (char *)memory[2]->data);
    cb_set_threads(1 + round % 3);
    cbi_gemm_batch(&c, &a, &b);
    cb_set_threads(1);
    for (int64_t i = cb_tensor_count(&c) / (m * n); i > 0; i--) {
        cbi_gemm(dtype, m, n, k, matrix_at(&a, index), matrix_at(&b, index), false,
                 matrix_at(&expected, index));
        for (int axis = rank - 3; axis >= 0 && ++index[axis] == shape[axis]; axis--)
            index[axis] = 0;
    }
    /* Nothing beside the products is written either. */
    cr_assert_eq(memcmp(memory[2]->data, before->data, cb_tensor_bytes(before)), 0,
                 "round %d: %lld x %lld x %lld, %s", round, (long long)m, (long long)n,
                 (long long)k, cb_dtype_name(dtype));
    cb_tensor *all[] = {memory[0], memory[1], memory[2], before};
    for (int i = 0; i < 4; i++)
        cb_tensor_free(all[i]);
}

Test(gemm_batch, the_bits_of_products_one_by_one) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int round = 0; round < 400; round++)
        one_round(&random, round);
}
