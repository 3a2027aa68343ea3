/* Labels are made from whole numbers and a power of ten, not from doubles: then a step's multiples
   are written as people would write them, and different ones differently, at any magnitude. */
#include "tick_label.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_PLAIN_EXPONENT = 6, SMALLEST_PLAIN_EXPONENT = -3, LONGEST = 48 };

double decimal_value(decimal number) {
    char text[LONGEST];
    /* Powers of ten up to 10^22 are doubles: one operation is then correctly rounded. */
    if (number.exponent >= 0 && number.exponent <= 22)
        return number.count * pow(10, number.exponent);
    if (number.exponent < 0 && number.exponent >= -22)
        return number.count / pow(10, -number.exponent);
    snprintf(text, sizeof text, "%.0fe%d", number.count, number.exponent);
    return strtod(text, NULL);
}

int decimal_exponent(double value) {
    int exponent = (int)floor(log10(value));
    if (decimal_value((decimal){1, exponent}) > value)
        return exponent - 1;
    return decimal_value((decimal){1, exponent + 1}) <= value ? exponent + 1 : exponent;
}

bool decimal_is_plain(int largest_exponent) {
    return largest_exponent <= LARGEST_PLAIN_EXPONENT &&
           largest_exponent >= SMALLEST_PLAIN_EXPONENT;
}

static void append(char *label, size_t size, const char *text) {
    size_t length = strlen(label);
    snprintf(label + length, size - length, "%s", text);
}

static void append_superscript(char *label, size_t size, int exponent) {
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", exponent);
    for (const char *c = plain; *c != '\0'; c++)
        append(label, size, *c == '-' ? "⁻" : digits[*c - '0']);
}

/* digits * 10^exponent as a decimal fraction; zero has no sign. */
static void write_plain(char *label, size_t size, bool negative, const char *digits, int exponent) {
    char text[LONGEST];
    size_t length = strlen(digits);
    size_t decimals = exponent < 0 ? (size_t)-exponent : 0;
    bool zero = strspn(digits, "0") == length;
    snprintf(label, size, "%s", negative && !zero ? "−" : "");
    if (length <= decimals) {
        append(label, size, "0.");
        for (size_t i = length; i < decimals; i++)
            append(label, size, "0");
        append(label, size, digits);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)(length - decimals), digits);
    append(label, size, text);
    for (int i = 0; i < exponent && !zero; i++)
        append(label, size, "0");
    append(label, size, decimals > 0 ? "." : "");
    append(label, size, digits + length - decimals);
}

void decimal_format_power(char *label, size_t size, int exponent) {
    snprintf(label, size, "10");
    append_superscript(label, size, exponent);
}

static void append_power(char *label, size_t size, int exponent) {
    append(label, size, "×10");
    append_superscript(label, size, exponent);
}

void decimal_format(char *label, size_t size, decimal number, bool plain, int largest_exponent) {
    char digits[LONGEST];
    snprintf(digits, sizeof digits, "%.0f", fabs(number.count));
    if (plain) {
        write_plain(label, size, number.count < 0, digits, number.exponent);
    } else if (number.count == 0) {
        snprintf(label, size, "0");
    } else {
        write_plain(label, size, number.count < 0, digits, number.exponent - largest_exponent);
        append_power(label, size, largest_exponent);
    }
}

void decimal_format_exactly(char *label, size_t size, double value) {
    char text[LONGEST];
    char digits[LONGEST] = "";
    snprintf(text, sizeof text, "%.16e", fabs(value)); /* d.dddddddddddddddde+dd */
    int exponent = atoi(strchr(text, 'e') + 1);
    snprintf(digits, sizeof digits, "%c%.16s", text[0], text + 2);
    if (value == 0) {
        snprintf(label, size, "0");
    } else if (decimal_is_plain(exponent)) {
        write_plain(label, size, value < 0, digits, exponent - 16);
    } else {
        write_plain(label, size, value < 0, digits, -16);
        append_power(label, size, exponent);
    }
}
