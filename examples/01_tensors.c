/* Tensors: made from a program's memory, put on a tape, computed with, looked at, and read back.

       cc 01_tensors.c -o 01_tensors $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

static void show(const char *what, const cb_tensor *t) {
    char shape[64];
    printf("%s: %s %s\n", what, cb_dtype_name(t->dtype), cb_shape_format(t, shape, sizeof shape));
    cb_tensor_print(t, stdout);
}

int main(void) {
    /* A tensor over the program's memory: nothing is copied, and nothing is to be freed. */
    float values[] = {1, 2, 3, 4, 5, 6};
    cb_tensor matrix = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), values);
    /* A tensor with memory of its own, zeros at first. */
    cb_tensor *row = cb_tensor_new(CB_F32, CB_SHAPE(3));
    if (row == NULL)
        return fprintf(stderr, "no memory\n"), 1;
    cb_tensor_set(row, (int64_t[]){1}, 10);

    /* Ops take and return tensors that are on a tape. The tape owns what they return. */
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_input(tape, &matrix), *r = cb_input(tape, row);
    show("x + row", cb_add(x, r)); /* broadcast as in NumPy */
    show("x x'", cb_matmul(x, cb_transpose(x, 0, 1)));
    show("mean over the last axis", cb_mean(x, CB_AXES(-1), true));
    show("columns 1 and 2", cb_slice(x, 1, 1, CB_END, 1)); /* a view */
    /* A mask is numbers, 1 and 0 in the dtype of what was compared: it multiplies. */
    cb_tensor *large = cb_greater(x, cb_full(tape, CB_F32, CB_SCALAR, 2));
    show("x where it is above 2", cb_mul(x, large));
    printf("their sum: %g\n", cb_item(cb_sum(cb_mul(x, large), CB_ALL_AXES, false)));
    show("the largest of each row", cb_argmax(x, 1, false)); /* an index: i64 */

    /* A failure is recorded on the tape; what depends on it passes it on, and nothing stops. */
    cb_tensor *wrong = cb_exp(cb_matmul(x, r));
    printf("no data: %d\n%s: %s\n", wrong->data == NULL, cb_status_name(cb_tape_status(tape)),
           cb_tape_error(tape));

    /* A reset ends all tensors of the tape, and its failure. What is to stay is copied before. */
    cb_tape_reset(tape);
    cb_tensor *kept = cb_tensor_copy(cb_sqrt(cb_input(tape, &matrix)), CB_F64);
    cb_tape_free(tape);
    show("kept", kept);
    cb_tensor_free(kept);
    cb_tensor_free(row);
    return 0;
}

/* $ ./01_tensors
   x + row: f32 [2,3]
   [[ 1 12  3]
    [ 4 15  6]]
   x x': f32 [2,2]
   [[14 32]
    [32 77]]
   mean over the last axis: f32 [2,1]
   [[2]
    [5]]
   columns 1 and 2: f32 [2,2]
   [[2 3]
    [5 6]]
   x where it is above 2: f32 [2,3]
   [[0 0 3]
    [4 5 6]]
   their sum: 18
   the largest of each row: i64 [2]
   [2 2]
   no data: 1
   CB_ERROR_SHAPE: matmul: [2,3] x [3]: ranks 2 and 1; both must be at least 2 (op 12)
   kept: f64 [2,3]
   [[      1 1.41421 1.73205]
    [      2 2.23607 2.44949]] */
