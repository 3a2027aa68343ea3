/* Tick positions are integers times an exact step, computed afresh for each tick, so that no
   rounding accumulates and 0.3 is not 0.30000000000000004. The steps 1, 2, 5 are the usual choice
   of charting programs; that of at most `most` ticks is the finest whose count fits. */
#include "ticks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST_PLAIN_EXPONENT = 5, SMALLEST_PLAIN_EXPONENT = -3 };

/* Ends of the axis are compared with this tolerance, relative to the step. */
static const double END_TOLERANCE = 1e-9;

double axis_fraction(const axis_scale *scale, double value) {
    if (scale->logarithmic) {
        double start = log10(scale->minimum);
        return (log10(value) - start) / (log10(scale->maximum) - start);
    }
    return (value - scale->minimum) / (scale->maximum - scale->minimum);
}

/* mantissa * 10^exponent, rounded once: a power of ten below 1 has no exact value. */
static double scaled(double mantissa, int exponent) {
    return exponent >= 0 ? mantissa * pow(10, exponent) : mantissa / pow(10, -exponent);
}

/* The decimal exponent of a positive number: 1 <= value / 10^exponent < 10. */
static int decimal_exponent(double value) {
    int exponent = (int)floor(log10(value));
    return scaled(1, exponent + 1) <= value ? exponent + 1 : exponent;
}

/* Appends exponent in Unicode superscripts. */
static void append_superscript(char *label, size_t size, int exponent) {
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", exponent);
    for (const char *c = plain; *c != '\0'; c++) {
        size_t length = strlen(label);
        snprintf(label + length, size - length, "%s", *c == '-' ? "⁻" : digits[*c - '0']);
    }
}

/* value with so many decimals and a typographic minus; "-0.0" loses its sign. */
static void format_plain(char *label, size_t size, double value, int decimals) {
    char digits[40];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(value));
    bool zero = strspn(digits, "0.") == strlen(digits);
    snprintf(label, size, "%s%s", value < 0 && !zero ? "−" : "", digits);
}

/* value as mantissa×10ⁿ. */
static void format_scientific(char *label, size_t size, double value, int exponent, int decimals) {
    double mantissa = exponent >= 0 ? value / pow(10, exponent) : value * pow(10, -exponent);
    format_plain(label, size, mantissa, decimals);
    size_t length = strlen(label);
    snprintf(label + length, size - length, "×10");
    append_superscript(label, size, exponent);
}

static tick *append(tick_list *ticks, double value, bool major) {
    if (ticks->count == TICKS_CAPACITY)
        return NULL;
    tick *added = &ticks->items[ticks->count++];
    *added = (tick){.value = value, .major = major};
    return added;
}

/* A step of mantissa * 10^exponent. */
typedef struct step {
    int mantissa; /* 1, 2 or 5 */
    int exponent;
    double value;
} step;

/* The finest step with at most `most` ticks between minimum and maximum. */
static step choose_step(const axis_scale *scale, size_t most) {
    static const int mantissas[] = {1, 2, 5};
    double span = scale->maximum - scale->minimum;
    int first = decimal_exponent(span / (double)most) - 1;
    if (scale->integer && first < 0)
        first = 0;
    for (int exponent = first;; exponent++) {
        for (size_t i = 0; i < 3; i++) {
            double value = scaled(mantissas[i], exponent);
            double count = floor(scale->maximum / value + END_TOLERANCE) -
                           ceil(scale->minimum / value - END_TOLERANCE) + 1;
            if (count <= (double)most)
                return (step){mantissas[i], exponent, value};
        }
    }
}

static void format_linear(tick *item, const axis_scale *scale, const step *major) {
    double largest = fmax(fabs(scale->minimum), fabs(scale->maximum));
    int largest_exponent = decimal_exponent(fmax(largest, major->value));
    int decimals = major->exponent < 0 ? -major->exponent : 0;
    if (largest_exponent <= LARGEST_PLAIN_EXPONENT && major->exponent >= -9 &&
        largest_exponent >= SMALLEST_PLAIN_EXPONENT) {
        format_plain(item->label, sizeof item->label, item->value, decimals);
    } else if (item->value == 0) {
        snprintf(item->label, sizeof item->label, "0");
    } else {
        decimals = largest_exponent - major->exponent;
        format_scientific(item->label, sizeof item->label, item->value, largest_exponent,
                          decimals > 12 ? 12 : decimals);
    }
}

static void linear_ticks(const axis_scale *scale, size_t most, tick_list *ticks) {
    step major = choose_step(scale, most);
    int parts = major.mantissa == 2 ? 4 : 5;
    /* 1 = 5 * 0.2,  2 = 4 * 0.5,  5 = 5 * 1 */
    int minor_mantissa = major.mantissa == 1 ? 2 : major.mantissa == 2 ? 5 : 1;
    int minor_exponent = major.mantissa == 5 ? major.exponent : major.exponent - 1;
    double minor = scaled(minor_mantissa, minor_exponent);
    if (scale->integer && minor_exponent < 0) {
        minor = major.value;
        parts = 1;
    }
    double first = ceil(scale->minimum / minor - END_TOLERANCE);
    double last = floor(scale->maximum / minor + END_TOLERANCE);
    for (double k = first; k <= last && ticks->count < TICKS_CAPACITY; k++) {
        bool is_major = fmod(k, parts) == 0;
        double value = parts == 1 ? k * major.value : scaled(k * minor_mantissa, minor_exponent);
        tick *item = append(ticks, value, is_major);
        if (is_major)
            format_linear(item, scale, &major);
    }
}

/* Which multiples of a power of ten carry labels, from few to many: bit m stands for m. */
static const unsigned multiple_sets[] = {1U << 1, 1U << 1 | 1U << 3, 1U << 1 | 1U << 2 | 1U << 5,
                                         0x3feU};

static bool within(const axis_scale *scale, double value) {
    double tolerance = END_TOLERANCE * value;
    return value >= scale->minimum - tolerance && value <= scale->maximum + tolerance;
}

static size_t count_multiples(const axis_scale *scale, int low, int high, unsigned set) {
    size_t count = 0;
    for (int exponent = low; exponent <= high; exponent++)
        for (int multiple = 1; multiple <= 9; multiple++)
            count += (set >> multiple & 1U) != 0 && within(scale, scaled(multiple, exponent));
    return count;
}

/* The label of multiple * 10^exponent. */
static void format_logarithmic(tick *item, int multiple, int exponent, bool plain) {
    if (plain) {
        format_plain(item->label, sizeof item->label, item->value, exponent < 0 ? -exponent : 0);
    } else if (multiple == 1) {
        snprintf(item->label, sizeof item->label, "10");
        append_superscript(item->label, sizeof item->label, exponent);
    } else {
        format_scientific(item->label, sizeof item->label, item->value, exponent, 0);
    }
}

/* Labels at every stride-th power of ten; the powers between are minor ticks. */
static void decade_ticks(const axis_scale *scale, int low, int high, size_t most, bool plain,
                         tick_list *ticks) {
    int stride = 1;
    while ((high - low) / stride + 1 > (int)most)
        stride++;
    for (int exponent = low; exponent <= high && ticks->count < TICKS_CAPACITY; exponent++) {
        double value = scaled(1, exponent);
        if (within(scale, value)) {
            bool major = exponent % stride == 0;
            tick *item = append(ticks, value, major);
            if (major)
                format_logarithmic(item, 1, exponent, plain);
        }
    }
}

static void multiple_ticks(const axis_scale *scale, int low, int high, unsigned set, bool plain,
                           tick_list *ticks) {
    for (int exponent = low; exponent <= high; exponent++) {
        for (int multiple = 1; multiple <= 9; multiple++) {
            double value = scaled(multiple, exponent);
            bool major = (set >> multiple & 1U) != 0;
            if (!within(scale, value))
                continue;
            tick *item = append(ticks, value, major);
            if (item != NULL && major)
                format_logarithmic(item, multiple, exponent, plain);
        }
    }
}

static void logarithmic_ticks(const axis_scale *scale, size_t most, tick_list *ticks) {
    int low = decimal_exponent(scale->minimum);
    int high = decimal_exponent(scale->maximum);
    bool plain = low >= SMALLEST_PLAIN_EXPONENT && high <= LARGEST_PLAIN_EXPONENT;
    if (count_multiples(scale, low, high, multiple_sets[0]) > most) {
        decade_ticks(scale, low, high, most, plain, ticks);
        return;
    }
    unsigned set = multiple_sets[0];
    for (size_t i = 1; i < sizeof multiple_sets / sizeof *multiple_sets; i++)
        if (count_multiples(scale, low, high, multiple_sets[i]) <= most)
            set = multiple_sets[i];
    if (count_multiples(scale, low, high, set) >= 3 ||
        count_multiples(scale, low, high, 0x3feU) >= 6)
        multiple_ticks(scale, low, high, set, plain, ticks);
    else
        linear_ticks(scale, most, ticks);
}

void ticks_make(const axis_scale *scale, size_t most, tick_list *ticks) {
    most = most < 2 ? 2 : most > TICKS_MOST ? TICKS_MOST : most;
    ticks->count = 0;
    if (scale->logarithmic)
        logarithmic_ticks(scale, most, ticks);
    else
        linear_ticks(scale, most, ticks);
}
