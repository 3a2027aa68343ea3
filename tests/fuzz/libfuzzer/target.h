/* What fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput, which gives
   its bytes to the code under test and returns 0. A crash, a sanitizer's report, a leak, a time
   limit or a broken expectation is a finding. */
#ifndef CEREBRA_TESTS_FUZZ_LIBFUZZER_TARGET_H
#define CEREBRA_TESTS_FUZZ_LIBFUZZER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs the code under test on one input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path of a file in memory that holds these bytes; valid until the next call. The same file is
   written each time, so that nothing is left behind. */
const char *fuzz_file(const uint8_t *data, size_t size);

/* Ends the process with a message when `expected` is false: the input is then a finding. */
void fuzz_expect(bool expected, const char *message);

#endif
