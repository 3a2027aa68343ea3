/* The handler only notes: everything that must be saved is saved by the training loop, which asks
   after every step. */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { BY_SIGNAL = 128 };

static volatile sig_atomic_t interrupted_by;

static void note(int signal_number) {
    if (interrupted_by != 0)
        _exit(BY_SIGNAL + signal_number);
    interrupted_by = signal_number;
}

void interrupt_watch(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigemptyset(&action.sa_mask);
    sigemptyset(&ignore.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        bool nohup = signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 &&
                     before.sa_handler == SIG_IGN;
        if (!nohup)
            (void)sigaction(signals[i], &action, NULL);
    }
    (void)sigaction(SIGXFSZ, &ignore, NULL);
}

bool interrupt_requested(void) {
    return interrupted_by != 0;
}

int interrupt_exit_code(void) {
    return BY_SIGNAL + (int)interrupted_by;
}
