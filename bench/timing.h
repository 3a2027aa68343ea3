/* What the programs that time something have in common. */
#ifndef CEREBRA_BENCH_TIMING_H
#define CEREBRA_BENCH_TIMING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static inline int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts the numbers. */
static inline double median(double *numbers, int64_t count) {
    qsort(numbers, (size_t)count, sizeof(*numbers), compare_numbers);
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

enum { LEAST_RUNS = 3, MOST_RUNS = 100000 };

/* The median time of a run, in milliseconds, of those that fit into a number of milliseconds, after
   two that are not counted. */
static inline double time_runs(void (*run)(void *context), void *context, double budget) {
    static double took[MOST_RUNS];
    int count = 0;
    run(context);
    run(context);
    double begin = milliseconds(), now = begin;
    for (; count < LEAST_RUNS || (now - begin < budget && count < MOST_RUNS); count++) {
        run(context);
        double after = milliseconds();
        took[count] = after - now;
        now = after;
    }
    return median(took, count);
}

/* The memory, or the end of the program. */
static inline void *need(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

#endif
