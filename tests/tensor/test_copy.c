/* Copies between any two layouts against one element at a time; other shapes with each run. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static cb_random fresh_random(void) {
    uint64_t seed = (uint64_t)time(NULL);
    cr_log_info("seed %llu", (unsigned long long)seed);
    return cb_random_seed(seed);
}

/* Different numbers, so that no element passes for another. */
static void number(cb_tensor *memory) {
    for (int64_t i = 0; i < cb_tensor_count(memory); i++)
        cbi_store(memory->dtype, (char *)memory->data + i * (int64_t)cb_dtype_size(memory->dtype),
                  (double)i);
}

static void one_round(cb_random *random, int round) {
    int64_t shape[CB_MAX_RANK], index[CB_MAX_RANK] = {0}, outside = 0;
    int rank = random_shape(random, 5, round % 8 == 0 ? 60000 : 800, shape);
    cb_dtype from = (cb_dtype)below(random, 4);
    cb_dtype to = below(random, 4) == 0 ? (cb_dtype)below(random, 4) : from;
    cb_tensor *memory[2];
    cb_tensor source = random_strides(random, from, rank, shape, true, &memory[0]);
    cb_tensor target = random_strides(random, to, rank, shape, false, &memory[1]);
    number(memory[0]);
    cb_tensor_fill(memory[1], -7);
    cb_set_threads(1 + round % 3);
    cbi_copy(&target, &source);
    for (int64_t i = 0; i < cb_tensor_count(&target); i++, next_index(&target, index))
        cr_assert_eq(cb_tensor_get(&target, index), cb_tensor_get(&source, index), "round %d",
                     round);
    for (int64_t i = 0; i < cb_tensor_count(memory[1]); i++)
        outside += cb_tensor_get(memory[1], &i) == -7;
    cr_assert_eq(outside, cb_tensor_count(memory[1]) - cb_tensor_count(&target), "round %d", round);
    cb_tensor_free(memory[0]), cb_tensor_free(memory[1]);
}

Test(copy, any_layouts) {
    cb_random random = fresh_random();
    for (int round = 0; round < 600; round++)
        one_round(&random, round);
}

/* Axes in any order, of extents around those of tiles and blocks. */
static void permuted_round(cb_random *random, int round) {
    static const int64_t around[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 130, 255, 256, 257};
    int64_t order[3], shape[3], given[3], index[3] = {0};
    int rank = 2 + (round % 3 == 0), large = (int)below(random, rank);
    cb_random_permutation(random, rank, order);
    for (int i = 0; i < rank; i++)
        given[i] = around[below(random, rank == 3 && i != large ? 9 : 16)];
    if (round % 10 == 0 && rank == 2) /* blocks of the other size */
        given[0] = 1400 + below(random, 40), given[1] = 380 + below(random, 40);
    cb_tensor *plain = cb_tensor_new((cb_dtype)below(random, 4), rank, given);
    number(plain);
    cb_tensor source = *plain;
    for (int i = 0; i < rank; i++) {
        source.shape[i] = shape[i] = plain->shape[order[i]];
        source.stride[i] = plain->stride[order[i]];
    }
    cb_tensor *target = cb_tensor_new(plain->dtype, rank, shape);
    cb_set_threads(1 + round % 3);
    cbi_copy(target, &source);
    for (int64_t i = 0; i < cb_tensor_count(target); i++, next_index(target, index))
        cr_assert_eq(cb_tensor_get(target, index), cb_tensor_get(&source, index), "round %d",
                     round);
    cb_tensor_free(plain), cb_tensor_free(target);
}

Test(copy, permuted_axes) {
    cb_random random = fresh_random();
    for (int round = 0; round < 400; round++)
        permuted_round(&random, round);
}
