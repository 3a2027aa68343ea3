/* Decimal numbers as they are written beside an axis. */
#ifndef CEREBRA_APPS_CHART_TICK_LABEL_H
#define CEREBRA_APPS_CHART_TICK_LABEL_H

#include <stdbool.h>
#include <stddef.h>

/* count * 10^exponent; count is a whole number of at most 2^53 in magnitude. */
typedef struct decimal {
    double count;
    int exponent;
} decimal;

/* The double nearest to it. */
double decimal_value(decimal number);

/* The decimal exponent of a positive number: 1 <= value / 10^exponent < 10. */
int decimal_exponent(double value);

/* Whether numbers whose largest has this decimal exponent are written without a power of ten. */
bool decimal_is_plain(int largest_exponent);

/* Writes number with a typographic minus: plain, with the decimals of its exponent, or as
   mantissa×10^largest_exponent with as many digits. */
void decimal_format(char *label, size_t size, decimal number, bool plain, int largest_exponent);

/* Writes 10^exponent with the exponent raised. */
void decimal_format_power(char *label, size_t size, int exponent);

/* Writes the double itself, with 17 digits: different doubles are different texts. */
void decimal_format_exactly(char *label, size_t size, double value);

#endif
