/* strtod alone accepts more than tables hold (hexadecimal, "nan(7)") and no decimal comma. A file
   keeps to one decimal mark: where another comes up, one of the two separates thousands. */
#include "csv_number.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_NUMBER = 400 };

static const char digits[] = "0123456789";

static bool is_one_of(const char *text, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* The length of a number at text, 0 if there is none; *at_mark is where its decimal mark is. */
static size_t number_length(const char *text, bool comma_allowed, size_t *at_mark) {
    size_t at = strspn(text, "+-") > 0 ? 1 : 0;
    size_t whole = strspn(text + at, digits);
    size_t fraction = 0;
    *at_mark = 0;
    at += whole;
    if (text[at] == '.' || (text[at] == ',' && comma_allowed)) {
        *at_mark = at;
        fraction = strspn(text + at + 1, digits);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return 0;
    if (text[at] == 'e' || text[at] == 'E') {
        size_t sign = text[at + 1] == '+' || text[at + 1] == '-' ? 1 : 0;
        size_t exponent = strspn(text + at + 1 + sign, digits);
        at += exponent == 0 ? 0 : 1 + sign + exponent;
    }
    return at;
}

csv_content csv_parse_number(const char *field, bool comma_allowed, char *mark, double *value) {
    static const char *const missing[] = {"nan",  "+nan", "-nan", "na", "<na>", "n/a",
                                          "#n/a", "none", "null", "-",  "--"};
    static const char *const infinite[] = {"inf",       "infinity", "+inf",
                                           "+infinity", "-inf",     "-infinity"};
    char copy[LONGEST_NUMBER];
    size_t at_mark;
    *value = NAN;
    if (*field == '\0')
        return CSV_BLANK;
    size_t length = number_length(field, comma_allowed, &at_mark);
    if (length == 0 || field[length] != '\0' || length >= sizeof copy) {
        if (is_one_of(field, infinite, sizeof infinite / sizeof *infinite)) {
            *value = *field == '-' ? -INFINITY : INFINITY;
            return CSV_NUMBER;
        }
        return is_one_of(field, missing, sizeof missing / sizeof *missing) ? CSV_MISSING : CSV_TEXT;
    }
    memcpy(copy, field, length + 1);
    if (at_mark > 0 || *field == '.' || *field == ',') {
        if (*mark != '\0' && *mark != copy[at_mark])
            return CSV_OTHER_MARK;
        *mark = copy[at_mark];
        copy[at_mark] = '.';
    }
    *value = strtod(copy, NULL);
    return CSV_NUMBER;
}
