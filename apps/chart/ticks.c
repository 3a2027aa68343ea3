/* A tick is a whole number of steps, and a step 1, 2 or 5 times a power of ten, the usual choice of
   charting programs; of these the finest is taken that gives no more ticks than wanted. Values are
   rounded once, from these whole numbers, so that 0.3 is not 0.30000000000000004, and no tick lies
   outside the axis by a rounding error. */
#include "ticks.h"

#include "tick_label.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_PLAIN_DIGITS = 7,      /* of a label, where it has no power of ten */
    MOST_SCIENTIFIC_DIGITS = 4, /* and where it has one; those with more get an offset */
    FEWEST_NUMBERS = 512,       /* on an axis, for ticks that are multiples of a step: these are
                                   then fewer than 2^53, up to which doubles can be counted */
};

double axis_fraction(const axis_scale *scale, double value) {
    double above = value - scale->minimum;
    double span = scale->maximum - scale->minimum;
    if (!scale->logarithmic)
        return above / span;
    /* Of numbers that are close together the logarithms have too few digits that differ. */
    if (scale->maximum / scale->minimum < 2)
        return log1p(above / scale->minimum) / log1p(span / scale->minimum);
    double start = log10(scale->minimum);
    return (log10(value) - start) / (log10(scale->maximum) - start);
}

static tick *append(tick_list *ticks, double value, bool major) {
    if (ticks->count == TICKS_CAPACITY)
        return NULL;
    tick *added = &ticks->items[ticks->count++];
    *added = (tick){.value = value, .major = major};
    return added;
}

/* The multiples first .. last of mantissa * 10^exponent: those inside an interval. */
typedef struct multiples {
    int mantissa; /* 1, 2 or 5 */
    int exponent;
    double first, last;
    bool ends_only; /* more than are wanted: only the first and the last have labels */
} multiples;

static decimal multiple(const multiples *of, double k) {
    return (decimal){k * of->mantissa, of->exponent};
}

static double count_of(const multiples *of) {
    return of->last - of->first + 1;
}

/* Finds first and last. Quotients are within a few of the true ones; what is inside decides. */
static multiples inside(double minimum, double maximum, int mantissa, int exponent) {
    multiples found = {.mantissa = mantissa, .exponent = exponent};
    /* The smallest steps are subnormal and have few digits: all is divided 10^22 times as large. */
    int raised = exponent < -280 ? 22 : 0;
    double unit = raised > 0 ? 1e22 : 1;
    double step = decimal_value((decimal){mantissa, exponent + raised});
    found.first = ceil(minimum * unit / step) - 2;
    found.last = floor(maximum * unit / step) + 2;
    for (int i = 0; i < 4 && decimal_value(multiple(&found, found.first)) < minimum; i++)
        found.first++;
    for (int i = 0; i < 4 && decimal_value(multiple(&found, found.last)) > maximum; i++)
        found.last--;
    return found;
}

/* The finest step of which at most `most` multiples are inside; where that has fewer than two, the
   one before it. Steps are whole numbers if `integer`. */
static multiples choose_step(double minimum, double maximum, size_t most, bool integer) {
    static const int mantissas[] = {1, 2, 5};
    int first = decimal_exponent((maximum - minimum) / (double)most) - 1;
    multiples before = {0};
    if (integer && first < 0)
        first = 0;
    for (int exponent = first;; exponent++) {
        for (size_t i = 0; i < 3; i++) {
            multiples found = inside(minimum, maximum, mantissas[i], exponent);
            if (count_of(&found) <= (double)most) {
                if (count_of(&found) >= 2 || before.mantissa == 0)
                    return found;
                before.ends_only = true;
                return before;
            }
            before = found;
        }
    }
}

static bool has_label(const multiples *of, double k) {
    return !of->ends_only || k == of->first || k == of->last;
}

/* ---- Linear axes ---------------------------------------------------------------------------- */

/* How the labels of an axis are written. */
typedef struct style {
    bool plain;
    int largest_exponent;
    double offset; /* in units of 10^exponent of the ticks */
} style;

/* What digits the labels would have in common is an offset: a multiple of a power of ten that is
   not less than ten times what is left. */
static style choose_style(const multiples *major, char offset[TICKS_LABEL_SIZE]) {
    double low = major->first * major->mantissa;
    double high = major->last * major->mantissa;
    double largest = fmax(fmax(fabs(low), fabs(high)), 1);
    int exponent = decimal_exponent(largest) + major->exponent;
    int digits = exponent - major->exponent + 1;
    style chosen = {decimal_is_plain(exponent), exponent, 0};
    offset[0] = '\0';
    if (digits <= (chosen.plain ? MOST_PLAIN_DIGITS : MOST_SCIENTIFIC_DIGITS))
        return chosen;
    double power = pow(10, decimal_exponent(fmax(high - low, 1)) + 1);
    chosen.offset = floor(low / power) * power;
    if (chosen.offset == 0)
        return chosen;
    decimal shortest = {fabs(chosen.offset), major->exponent};
    while (fmod(shortest.count, 10) == 0) {
        shortest.count /= 10;
        shortest.exponent++;
    }
    int offset_exponent = decimal_exponent(shortest.count) + shortest.exponent;
    bool plain = offset_exponent < 15 && offset_exponent >= -3;
    snprintf(offset, TICKS_LABEL_SIZE, "%s ", chosen.offset < 0 ? "−" : "+");
    size_t length = strlen(offset);
    decimal_format(offset + length, TICKS_LABEL_SIZE - length, shortest, plain, offset_exponent);
    chosen.largest_exponent = decimal_exponent(high - chosen.offset) + major->exponent;
    chosen.plain = decimal_is_plain(chosen.largest_exponent);
    return chosen;
}

/* Between a step's ticks stand those of a part of it: 1 = 5 * 0.2, 2 = 4 * 0.5, 5 = 5 * 1. */
static multiples minor_of(const multiples *major, const axis_scale *scale) {
    int mantissa = major->mantissa == 1 ? 2 : major->mantissa == 2 ? 5 : 1;
    int exponent = major->mantissa == 5 ? major->exponent : major->exponent - 1;
    return inside(scale->minimum, scale->maximum, mantissa, exponent);
}

static void append_multiples(const multiples *major, tick_list *ticks) {
    style chosen = choose_style(major, ticks->offset);
    for (double k = major->first; k <= major->last; k++) {
        decimal at = multiple(major, k);
        bool labelled = has_label(major, k);
        tick *item = append(ticks, decimal_value(at), labelled);
        at.count -= chosen.offset;
        if (item != NULL && labelled)
            decimal_format(item->label, sizeof item->label, at, chosen.plain,
                           chosen.largest_exponent);
    }
}

/* The distance between the numbers at the end of the axis where it is larger. */
static double number_gap(const axis_scale *scale) {
    double largest = fmax(fabs(scale->minimum), fabs(scale->maximum));
    return largest - nextafter(largest, 0);
}

/* Ticks at some of the few numbers that there are, about equally far from each other. */
static void neighbour_ticks(const axis_scale *scale, size_t most, tick_list *ticks) {
    double span = scale->maximum - scale->minimum;
    double steps = fmax(1, fmin((double)most - 1, floor(span / number_gap(scale))));
    for (double i = 0; i <= steps; i++) {
        double value = i == steps ? scale->maximum : scale->minimum + i * (span / steps);
        tick *item = append(ticks, value, true);
        decimal_format_exactly(item->label, sizeof item->label, value);
    }
}

static bool has_few_numbers(const axis_scale *scale) {
    return scale->maximum - scale->minimum < FEWEST_NUMBERS * number_gap(scale);
}

static void linear_ticks(const axis_scale *scale, size_t most, tick_list *ticks) {
    if (has_few_numbers(scale)) {
        neighbour_ticks(scale, most, ticks);
        return;
    }
    bool integer = scale->integer && floor(scale->maximum) - ceil(scale->minimum) >= 1;
    multiples major = choose_step(scale->minimum, scale->maximum, most, integer);
    append_multiples(&major, ticks);
    multiples minor = minor_of(&major, scale);
    if (major.ends_only || (integer && minor.exponent < 0))
        return;
    int parts = major.mantissa == 2 ? 4 : 5;
    for (double k = minor.first; k <= minor.last; k++)
        if (fmod(k, parts) != 0 && append(ticks, decimal_value(multiple(&minor, k)), false) == NULL)
            return;
}

/* ---- Logarithmic axes ----------------------------------------------------------------------- */

/* Which multiples of a power of ten carry labels, from few to many: bit m stands for m. */
static const unsigned multiple_sets[] = {1U << 1, 1U << 1 | 1U << 3, 1U << 1 | 1U << 2 | 1U << 5,
                                         0x3feU};
static const unsigned all_multiples = 0x3feU;

static bool within(const axis_scale *scale, double value) {
    return value >= scale->minimum && value <= scale->maximum;
}

static size_t count_multiples(const axis_scale *scale, int low, int high, unsigned set) {
    size_t count = 0;
    for (int exponent = low; exponent <= high; exponent++)
        for (int m = 1; m <= 9; m++)
            count += (set >> m & 1U) != 0 && within(scale, decimal_value((decimal){m, exponent}));
    return count;
}

/* Labels at some of the powers of ten low .. high, minor ticks at the others. */
static void decade_ticks(int low, int high, size_t most, bool plain, tick_list *ticks) {
    multiples major = choose_step(low, high, most, true);
    int step = (int)decimal_value((decimal){major.mantissa, major.exponent});
    bool all = high - low < TICKS_CAPACITY / 2;
    for (int exponent = low; exponent <= high; exponent++) {
        bool labelled = exponent % step == 0 && has_label(&major, exponent / step);
        if (!labelled && !all)
            continue;
        decimal at = {1, exponent};
        tick *item = append(ticks, decimal_value(at), labelled);
        if (item != NULL && labelled && plain)
            decimal_format(item->label, sizeof item->label, at, true, 0);
        else if (item != NULL && labelled)
            decimal_format_power(item->label, sizeof item->label, exponent);
    }
}

/* Labels at the multiples of the set; with ends_only only at the first and the last of all. */
static void multiple_ticks(const axis_scale *scale, int low, int high, unsigned set, bool ends_only,
                           bool plain, tick_list *ticks) {
    size_t total = count_multiples(scale, low, high, all_multiples);
    size_t i = 0;
    for (int exponent = low; exponent <= high; exponent++) {
        for (int m = 1; m <= 9; m++) {
            decimal at = {m, exponent};
            double value = decimal_value(at);
            if (!within(scale, value))
                continue;
            bool major = ends_only ? i == 0 || i == total - 1 : (set >> m & 1U) != 0;
            tick *item = append(ticks, value, major);
            i++;
            if (item == NULL || !major)
                continue;
            if (m == 1 && !plain)
                decimal_format_power(item->label, sizeof item->label, exponent);
            else
                decimal_format(item->label, sizeof item->label, at, plain, exponent);
        }
    }
}

static void logarithmic_ticks(const axis_scale *scale, size_t most, tick_list *ticks) {
    int low = decimal_exponent(scale->minimum);
    int high = decimal_exponent(scale->maximum);
    int first_power = within(scale, decimal_value((decimal){1, low})) ? low : low + 1;
    bool plain = decimal_is_plain(low) && decimal_is_plain(high);
    if (high - first_power + 1 > (int)most) {
        decade_ticks(first_power, high, most, plain, ticks);
        return;
    }
    unsigned set = multiple_sets[0];
    for (size_t i = 1; i < sizeof multiple_sets / sizeof *multiple_sets; i++)
        if (count_multiples(scale, low, high, multiple_sets[i]) <= most)
            set = multiple_sets[i];
    size_t labelled = count_multiples(scale, low, high, set);
    if (labelled >= 3 || count_multiples(scale, low, high, all_multiples) >= 6)
        multiple_ticks(scale, low, high, set, labelled < 2, plain, ticks);
    else
        linear_ticks(scale, most, ticks);
}

void ticks_make(const axis_scale *scale, size_t most, tick_list *ticks) {
    most = most < 2 ? 2 : most > TICKS_MOST ? TICKS_MOST : most;
    ticks->count = 0;
    ticks->offset[0] = '\0';
    if (scale->logarithmic)
        logarithmic_ticks(scale, most, ticks);
    else
        linear_ticks(scale, most, ticks);
}
