/* The threads that compute. */
#ifndef CEREBRA_THREADS_H
#define CEREBRA_THREADS_H

#include <cerebra/export.h>

CB_BEGIN_DECLS

/* Number of threads that the library's loops use, the caller's included: at least 1; at first
   OMP_NUM_THREADS, or all processors that the process may run on. Results do not depend on it, bit
   for bit. Process-wide; may be set at any time by any thread: what is being computed goes on with
   what it has begun with. After fork a child computes, with threads of its own. */
CB_API void cb_set_threads(int threads);
CB_API int cb_threads(void);
/* How long a thread that waits for another looks for it before it sleeps, 2,000 microseconds at
   first. 0: it sleeps at once, which leaves most to other processes; more: it is there sooner.
   Nobody waits for a thread that has not begun, so that a busy machine costs what others take and
   little more. Process-wide. */
CB_API void cb_set_spinning(double microseconds);

CB_END_DECLS

#endif
