/* Threads that work for whoever asks: idle ones join in, and nobody waits for one that has not
   begun.

   Work is in parts. The calling thread takes one part after the other until none is left, and so do
   the threads that have joined it by then. So work is done even where there are no threads to be
   had, or all of them are busy elsewhere, and a machine that has other things to do slows it down
   by no more than what is being computed when a thread is taken away. */
#ifndef CEREBRA_TENSOR_THREAD_POOL_H
#define CEREBRA_TENSOR_THREAD_POOL_H

#include <stdbool.h>

/* Calls work(context) once for each of the parts, on the calling thread and up to parts - 1 others,
   and returns when all calls have. Work within work is done on the thread that asks. Any threads
   may ask at the same time; a child process after fork has threads of its own. */
void cbi_pool_run(int parts, void (*work)(void *context), void *context);

/* Whether the calling thread is at such work. */
bool cbi_pool_inside(void);

/* How many processors the process may run on; at least 1. */
int cbi_processors(void);

#endif
