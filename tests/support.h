/* What the tests share: stored reference vectors, comparison of tensors, directories to write in.
   Functions that cannot do what they say fail the running test. */
#ifndef CEREBRA_TESTS_SUPPORT_H
#define CEREBRA_TESTS_SUPPORT_H

#include <cerebra/files.h>
#include <cerebra/op.h>
#include <cerebra/rnn.h>
#include <cerebra/tensor.h>
#include <criterion/criterion.h>

/* The path of a file of the project, such as "tests/reference/npy/f4_matrix.npy". The root is the
   environment variable CB_TEST_SOURCE_DIR or else the macro of that name, which the build sets. The
   text is valid until the next call. */
const char *cbt_source_path(const char *relative);

/* Opens tests/reference/NAME.safetensors. The caller ends it with cb_safetensors_free. */
cb_safetensors *cbt_reference(const char *name);
/* A tensor or metadata string that the file must have; both belong to the file. */
const cb_tensor *cbt_find(const cb_safetensors *file, const char *name);
const char *cbt_metadata(const cb_safetensors *file, const char *key);

/* Whether `actual` has the shape of `expected` and |actual - expected| <= tolerance * max(1,
   largest |expected|) at every element. Floats of both dtypes may be compared; two integer tensors
   must be equal. Infinities are close to themselves, NaN to nothing. Logs what differs first. Use
   it as cr_assert(cbt_close(y, cbt_find(file, "output"), 1e-6)). */
bool cbt_close(const cb_tensor *actual, const cb_tensor *expected, double tolerance);

/* Expects that an op has failed on the tape, with a message that has `part` in it; resets the tape.
 */
void cbt_expect_failure(cb_tape *tape, cb_status status, const char *part);

/* A new empty directory, and its end with all files in it (not directories). */
enum { CBT_PATH_SIZE = 512 };
void cbt_directory_make(char directory[CBT_PATH_SIZE]);
void cbt_directory_remove(const char *directory);
/* How many files there are in it, hidden ones too. */
int cbt_directory_count(const char *directory);
/* "DIRECTORY/NAME" in path; returns path. */
const char *cbt_join(char path[CBT_PATH_SIZE], const char *directory, const char *name);

/* Writes size bytes to a file, and reads a whole file: malloc'd, the caller's. */
void cbt_write_file(const char *path, const void *bytes, size_t size);
unsigned char *cbt_read_file(const char *path, size_t *size);

/* What ops of a test's own compute, of tensors of any strides: y = x, and y_r = (r + 1) x_r, r
   being the row of the tensor that the op is given, which is a part of the batch where it says that
   it is row by row. */
cb_status cbt_copy_forward(const cb_call *call);
cb_status cbt_number_forward(const cb_call *call);

/* Hyperparameters with which a cell of the library is as small as the tests' networks; NULL: those
   that it has. */
const cb_setting *cbt_small(const cb_cell *cell);

#endif
