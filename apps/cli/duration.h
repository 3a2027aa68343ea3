/* Lengths of time as options have them. */
#ifndef CEREBRA_APPS_CLI_DURATION_H
#define CEREBRA_APPS_CLI_DURATION_H

#include <stdbool.h>

/* A number greater than 0 and its unit: "90s", "30m", "1.5h". False for anything else. */
bool duration_parse(const char *text, double *seconds);

#endif
