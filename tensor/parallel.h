/* The one place where work is spread over threads. Loops split their outputs, never a sum, so that
   results do not depend on the number of threads. */
#ifndef CEREBRA_TENSOR_PARALLEL_H
#define CEREBRA_TENSOR_PARALLEL_H

#include <cerebra/export.h>
#include <stdint.h>

/* Calls body(context, begin, end) for disjoint ranges that cover [0, n), on as many threads as are
   set, with subnormal operands and results taken for zeros. A range has at least grain items, so
   that n < 2 grain runs on the caller's thread alone. */
void cbi_parallel_for(int64_t n, int64_t grain,
                      void (*body)(void *context, int64_t begin, int64_t end), void *context);

/* The same on up to so many threads: where memory was laid out for a number of them. */
void cbi_parallel_for_on(int threads, int64_t n, int64_t grain,
                         void (*body)(void *context, int64_t begin, int64_t end), void *context);

enum { CBI_MOST_THREADS = 1024 };

/* Elements a thread should at least have for a cheap operation to be worth splitting. */
#define CBI_GRAIN 16384
/* The same of multiplications in a product. */
#define CBI_GRAIN_MULTIPLICATIONS 400000

#endif
