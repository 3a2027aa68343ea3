/* Tokens: names, numbers, signs and ends of lines.

   An equation goes on in the next line within brackets, after an operator, and where the next line
   begins with one. What follows # is a comment. Signs that papers use stand for those of ASCII:
   ⊙ ∘ · ⋅ × ∗ for *, − for -, ′ and ’ for ', ᵀ and ⊤ for ^T. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Characters ------------------------------------------------------------------------------ */

/* The code point at a byte, and how many bytes it has; -1 when it is not UTF-8. */
static int32_t character_at(const char *text, int *bytes) {
    const unsigned char *c = (const unsigned char *)text;
    int count = c[0] < 0x80   ? 1
                : c[0] < 0xC2 ? 0
                : c[0] < 0xE0 ? 2
                : c[0] < 0xF0 ? 3
                : c[0] < 0xF5 ? 4
                              : 0;
    int32_t code = count == 1 ? c[0] : c[0] & (0x7F >> count);
    for (int i = 1; i < count; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return -1;
        code = code << 6 | (c[i] & 0x3F);
    }
    *bytes = count;
    bool overlong = (count == 3 && code < 0x800) || (count == 4 && code < 0x10000);
    return count == 0 || overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? -1
                                                                                          : code;
}

static bool is_digit(int32_t c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(int32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7) || /* Latin */
           (c >= 0x370 && c <= 0x3FF) ||                          /* Greek */
           (c >= 0x400 && c <= 0x4FF);                            /* Cyrillic */
}

/* What may stand in a name behind its first letter. */
static bool is_in_name(int32_t c) {
    return is_letter(c) || is_digit(c) || (c >= 0x300 && c <= 0x36F) ||  /* accents */
           (c >= 0x2080 && c <= 0x209C) || (c >= 0x1D62 && c <= 0x1D6A); /* subscripts */
}

bool cbi_is_capital(const char *name) {
    int bytes;
    int32_t c = character_at(name, &bytes);
    return (c >= 'A' && c <= 'Z') || (c >= 0x391 && c <= 0x3A9);
}

/* The sign that a character is or stands for; 0: none. */
static char sign_of(int32_t c) {
    static const struct {
        int32_t code;
        char sign;
    } others[] = {{0x2299, '*'},  {0x2218, '*'}, {0xB7, '*'},   {0x22C5, '*'},
                  {0xD7, '*'},    {0x2217, '*'}, {0x2212, '-'}, {0x2032, '\''},
                  {0x2019, '\''}, {0x1D40, 'T'}, {0x22A4, 'T'}};
    if (c > 0 && c < 0x80 && strchr("=+-*/^()[],'", c) != NULL)
        return (char)c;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i].code == c)
            return others[i].sign;
    return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool add(cbi_equations *e, cbi_token token) {
    if (!cbi_grow(&e->tokens, &e->token_room, e->token_count + 1, sizeof(*e->tokens)))
        return cbi_equations_no_memory(e);
    e->tokens[e->token_count++] = token;
    return true;
}

static bool goes_on_after(const cbi_token *t) {
    return t->kind == CBI_TOKEN_SIGN && strchr("=+-*/^([,", t->sign) != NULL;
}

/* Whether the line behind a byte, its end, is an equation: then a bracket was left open before. */
static bool equation_follows(const char *text, int at) {
    size_t length = strcspn(text + at + 1, "#\n");
    return text[at] == '\n' && memchr(text + at + 1, '=', length) != NULL;
}

static bool add_line(cbi_equations *e, int at, int *depth) {
    const cbi_token *last = e->token_count > 0 ? &e->tokens[e->token_count - 1] : NULL;
    bool open = *depth > 0 && !equation_follows(e->text, at);
    if (last == NULL || last->kind == CBI_TOKEN_LINE || open || goes_on_after(last))
        return true;
    *depth = 0;
    return add(e, (cbi_token){.kind = CBI_TOKEN_LINE, .start = at, .end = at});
}

/* A line that begins with an operator goes on with the one before. */
static bool add_sign(cbi_equations *e, int start, int end, char sign, int *depth) {
    bool joins = e->token_count > 0 && e->tokens[e->token_count - 1].kind == CBI_TOKEN_LINE &&
                 strchr("+-*/^)],", sign) != NULL;
    e->token_count -= joins ? 1 : 0;
    *depth += (sign == '(' || sign == '[') - ((sign == ')' || sign == ']') && *depth > 0);
    return add(e, (cbi_token){.kind = CBI_TOKEN_SIGN, .start = start, .end = end, .sign = sign});
}

/* The value of digits, whatever the locale's decimal point is. */
static double value_of(const char *digits, int length) {
    char copy[64];
    const char *point = localeconv()->decimal_point;
    size_t count = 0, width = strlen(point);
    for (int i = 0; i < length && count + width + 1 < sizeof(copy); i++) {
        if (digits[i] == '.') {
            memcpy(copy + count, point, width);
            count += width;
        } else {
            copy[count++] = digits[i];
        }
    }
    copy[count] = '\0';
    return strtod(copy, NULL);
}

static bool read_number(cbi_equations *e, int *at) {
    const char *text = e->text;
    int start = *at, end = start;
    while (is_digit(text[end]))
        end++;
    if (text[end] == '.')
        for (end++; is_digit(text[end]);)
            end++;
    int exponent = end;
    if (text[end] == 'e' || text[end] == 'E') {
        exponent = end + 1 + (text[end + 1] == '+' || text[end + 1] == '-');
        if (is_digit(text[exponent]))
            for (end = exponent; is_digit(text[end]);)
                end++;
    }
    if (end - start > 40)
        return cbi_equations_fail(e, start, "this number has too many digits; 40 are enough");
    cbi_token token = {.kind = CBI_TOKEN_NUMBER, .start = start, .end = end};
    token.number = value_of(text + start, end - start);
    *at = end;
    if (!isfinite(token.number))
        return cbi_equations_fail(e, start, "this number is too large");
    return add(e, token);
}

static bool read_name(cbi_equations *e, int *at) {
    int start = *at, bytes = 0;
    for (int32_t c; (c = character_at(e->text + *at, &bytes)) > 0 && is_in_name(c);)
        *at += bytes;
    return add(e, (cbi_token){.kind = CBI_TOKEN_NAME, .start = start, .end = *at});
}

/* What a character that means nothing is likely meant for. */
static const char *hint_for(int32_t c) {
    static const struct {
        int32_t code;
        const char *hint;
    } hints[] = {
        {';', "an equation ends with its line"},
        {'{', "there are no braces: write W_ix for W_{ix}, and h for h_{t-1}"},
        {'}', "there are no braces: write W_ix for W_{ix}, and h for h_{t-1}"},
        {'<', "comparisons are functions: less(a, b), less_equal(a, b)"},
        {'>', "comparisons are functions: greater(a, b), greater_equal(a, b)"},
        {'|', "the absolute value is abs(a)"},
        {'@', "a product with a matrix is W x"},
        {':', "an equation has a = alone"},
        {'\\', "names are plain: write sigma as \"sigmoid\" and other letters as themselves"},
        {'.', "a product with a matrix is W x, one unit by unit a * b"},
        {0xB2, "a square is a^2"},
        {0xB3, "a cube is a^3"},
        {0x221A, "a root is sqrt(a)"},
        {0x2211, "a sum over units is sum(a)"},
        {0x2295, "a join is [a, b]"},
        {0x2264, "comparisons are functions: less_equal(a, b)"},
        {0x2265, "comparisons are functions: greater_equal(a, b)"},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (hints[i].code == c)
            return hints[i].hint;
    return c < ' ' || c == 0x7F ? "it is a control character: remove it" : NULL;
}

static bool strange(cbi_equations *e, int at, int32_t c, int bytes) {
    const char *hint = hint_for(c);
    if (c < ' ' || c == 0x7F)
        return cbi_equations_fail(e, at, "a character means nothing here: %s", hint);
    return cbi_equations_fail(e, at, "\"%.*s\" means nothing here%s%s", bytes, e->text + at,
                              hint != NULL ? ": " : "", hint != NULL ? hint : "");
}

bool cbi_read_tokens(cbi_equations *e) {
    int depth = 0, bytes = 0;
    for (int at = 0; e->text[at] != '\0';) {
        int32_t c = character_at(e->text + at, &bytes);
        char sign = sign_of(c);
        bool good = true;
        if (c < 0)
            return cbi_equations_fail(e, at, "this is not UTF-8; save the file in that encoding");
        if (c == '#') {
            at += (int)strcspn(e->text + at, "\n");
        } else if (c == '\n') {
            good = add_line(e, at++, &depth);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == 0xA0 || (c == 0xFEFF && at == 0)) {
            at += bytes;
        } else if (is_digit(c) || (c == '.' && is_digit(e->text[at + 1]))) {
            good = read_number(e, &at);
        } else if (is_letter(c)) {
            good = read_name(e, &at);
        } else if (sign != 0) {
            good = add_sign(e, at, at + bytes, sign, &depth);
            at += bytes;
        } else {
            good = strange(e, at, c, bytes);
        }
        if (!good)
            return false;
    }
    int end = (int)strlen(e->text);
    depth = 0;
    return add_line(e, end, &depth) &&
           add(e, (cbi_token){.kind = CBI_TOKEN_END, .start = end, .end = end});
}

/* ---- Taking ---------------------------------------------------------------------------------- */

const cbi_token *cbi_peek(const cbi_equations *e, int ahead) {
    int i = e->token + ahead;
    return &e->tokens[i < e->token_count ? i : e->token_count - 1];
}

bool cbi_is_sign(const cbi_equations *e, char sign) {
    const cbi_token *t = cbi_peek(e, 0);
    return t->kind == CBI_TOKEN_SIGN && t->sign == sign;
}

bool cbi_take_sign(cbi_equations *e, char sign) {
    bool is = cbi_is_sign(e, sign);
    e->token += is ? 1 : 0;
    return is;
}

bool cbi_is_word(const cbi_equations *e, const cbi_token *t, const char *word) {
    return t->kind == CBI_TOKEN_NAME && (size_t)(t->end - t->start) == strlen(word) &&
           memcmp(e->text + t->start, word, strlen(word)) == 0;
}

bool cbi_expected(cbi_equations *e, const char *expected) {
    const cbi_token *t = cbi_peek(e, 0);
    if (t->kind == CBI_TOKEN_LINE || t->kind == CBI_TOKEN_END)
        return cbi_equations_fail(e, t->start, "%s is expected, but the %s ends here", expected,
                                  t->kind == CBI_TOKEN_LINE ? "line" : "text");
    return cbi_equations_fail(e, t->start, "%s is expected, not \"%.*s\"", expected,
                              CBI_QUOTED(e, t->start, t->end));
}

bool cbi_expect_sign(cbi_equations *e, char sign, const char *expected) {
    return cbi_take_sign(e, sign) || cbi_expected(e, expected);
}
