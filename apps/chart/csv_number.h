/* What a field of a table says: a number, that there is none, or something else. */
#ifndef CEREBRA_APPS_CHART_CSV_NUMBER_H
#define CEREBRA_APPS_CHART_CSV_NUMBER_H

#include <stdbool.h>

typedef enum csv_content {
    CSV_NUMBER,
    CSV_MISSING,    /* a word that says so: NA, N/A, nan, None, null or -, in any case of letters */
    CSV_BLANK,      /* nothing at all */
    CSV_OTHER_MARK, /* a number with the other decimal mark than those before */
    CSV_TEXT,
} csv_content;

/* Reads a whole field: decimal digits with a point or, where comma_allowed, a comma; a sign; an
   exponent; inf or infinity. *mark is the file's decimal mark, 0 until the first number that has
   one. *value is NaN where there is no number. */
csv_content csv_parse_number(const char *field, bool comma_allowed, char *mark, double *value);

#endif
