/* SIGINT, SIGTERM and SIGHUP during training: the first asks to stop, the second stops. */
#ifndef CEREBRA_APPS_CLI_INTERRUPT_H
#define CEREBRA_APPS_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on these signals are noted, but for those that the process was started to ignore
   (nohup); a second one ends the process at once, with the exit code of the second. Writing more
   than a file may hold (ulimit -f) is an error of the write, no signal. */
void interrupt_watch(void);
/* Whether there has been one. */
bool interrupt_requested(void);
/* The exit code that tells of it: 128 and the signal's number, 130 for SIGINT. */
int interrupt_exit_code(void);

#endif
