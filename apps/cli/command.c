/* The form of an error message, the same for all subcommands. */
#include "command.h"

#include <stdio.h>
#include <string.h>

int command_fail(const char *command, int status, const char *message) {
    fprintf(stderr, "cerebra %s: ", command);
    for (const char *c = message; *c != '\0'; c++)
        fputc(((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f ? '?' : *c, stderr);
    if (status == EXIT_USAGE && strchr(message, '\n') == NULL)
        fprintf(stderr, " (see cerebra %s --help)", command);
    fputc('\n', stderr);
    return status;
}
