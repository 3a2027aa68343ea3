/* Every measurement of `cerebra bench` has a process of its own: the peak memory of a process only
   grows, and a model should not be measured on a heap that another has left behind. The child sends
   its result through a pipe. Forking is sound only as long as no thread has been started, so the
   parent computes nothing itself. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_all(int file, const void *data, size_t size) {
    const char *bytes = data;
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

static bool read_all(int file, void *data, size_t size) {
    char *bytes = data;
    while (size > 0) {
        ssize_t got = read(file, bytes, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

/* Waits for the child; says how it ended when that was not in good order. */
static bool ended_well(pid_t child, char *error) {
    int status;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0)
        return failure(error, FAILURE_SIZE, "cannot wait for a process: %s", strerror(errno));
    if (WIFSIGNALED(status)) {
        return failure(error, FAILURE_SIZE, "the measuring process was ended by signal %d",
                       WTERMSIG(status));
    }
    return WEXITSTATUS(status) == EXIT_SUCCESS ||
           failure(error, FAILURE_SIZE, "the measuring process ended with status %d",
                   WEXITSTATUS(status));
}

static _Noreturn void measure(int to_parent, const bench_sizes *sizes, const bench_model *model,
                              bench_step step) {
    bench_result result;
    bench_measure_steps(sizes, model, step, &result);
    exit(write_all(to_parent, &result, sizeof result) ? EXIT_SUCCESS : EXIT_FAILURE);
}

void bench_in_process(const bench_sizes *sizes, const bench_model *model, bench_step step,
                      bench_result *result) {
    int ends[2];
    *result = (bench_result){0};
    if (pipe(ends) != 0) {
        failure(result->error, FAILURE_SIZE, "cannot make a pipe: %s", strerror(errno));
        return;
    }
    fflush(NULL); /* or the child would write what is still buffered once more */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        measure(ends[1], sizes, model, step);
    }
    int reason = errno;
    close(ends[1]);
    if (child < 0) {
        failure(result->error, FAILURE_SIZE, "cannot start a process: %s", strerror(reason));
    } else {
        bool complete = read_all(ends[0], result, sizeof *result);
        char error[FAILURE_SIZE];
        if (!ended_well(child, error) ||
            (!complete && !failure(error, FAILURE_SIZE, "the measuring process sent no result"))) {
            *result = (bench_result){0};
            failure(result->error, FAILURE_SIZE, "%s", error);
        }
    }
    close(ends[0]);
}
