/* Linked into each program of Criterion's. LeakSanitizer looks at what tests leave, in the
   processes that they are run in, and not at the runner, whose memory is Criterion's: some of it is
   left now and then. Suppressing Criterion as such would suppress the tests, which it calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void) {
    return strcmp(program_invocation_short_name, "boxfort-worker") != 0;
}
