/* A duration is a number and one letter. */
#include "duration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool duration_parse(const char *text, double *seconds) {
    static const char letters[] = "smh";
    static const double units[] = {1, 60, 3600};
    char *end;
    size_t digits = strspn(text, "0123456789.");
    const char *letter = text[digits] == '\0' ? NULL : strchr(letters, text[digits]);
    if (digits == 0 || letter == NULL || text[digits + 1] != '\0')
        return false;
    *seconds = strtod(text, &end) * units[letter - letters];
    return end == text + digits && *seconds > 0 && isfinite(*seconds);
}
