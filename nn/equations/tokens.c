/* Tokens: names, numbers, signs and ends of lines.

   An equation goes on in the next line within brackets, after an operator or a comma, and where the
   next line begins with one; but a line that is an equation or a declaration itself ends what a
   bracket or an operator leaves open. What follows # is a comment. Signs that papers use stand for
   those of ASCII: ⊙ ∘ · ⋅ ∙ × ∗ for *, − and – for -, ′ and ’ for ', ᵀ and ⊤ for ^T. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Characters ------------------------------------------------------------------------------ */

int32_t cbi_character_at(const char *text, int *bytes) {
    const unsigned char *c = (const unsigned char *)text;
    int count = c[0] < 0x80   ? 1
                : c[0] < 0xC2 ? 0
                : c[0] < 0xE0 ? 2
                : c[0] < 0xF0 ? 3
                : c[0] < 0xF5 ? 4
                              : 0;
    int32_t code = count == 1 ? c[0] : c[0] & (0x7F >> count);
    *bytes = 1;
    for (int i = 1; i < count; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return -1;
        code = code << 6 | (c[i] & 0x3F);
    }
    bool overlong = (count == 3 && code < 0x800) || (count == 4 && code < 0x10000);
    if (count == 0 || overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF)
        return -1;
    *bytes = count;
    return code;
}

static bool is_digit(int32_t c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(int32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7) || /* Latin */
           c == 0xB5 || (c >= 0x1E00 && c <= 0x1EFF) ||           /* the sign for micro, and ẋ */
           (c >= 0x370 && c <= 0x3FF && c != 0x37E &&
            c != 0x387) ||             /* Greek, without its ; and · */
           (c >= 0x400 && c <= 0x4FF); /* Cyrillic */
}

/* What may stand in a name behind its first letter. */
static bool is_in_name(int32_t c) {
    return is_letter(c) || is_digit(c) || (c >= 0x300 && c <= 0x36F) ||  /* accents */
           (c >= 0x2080 && c <= 0x209C) || (c >= 0x1D62 && c <= 0x1D6A); /* subscripts */
}

static bool is_blank(int32_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool cbi_is_capital(const char *name) {
    int bytes;
    int32_t c = cbi_character_at(name, &bytes);
    if (c >= 0x1E00 && c <= 0x1EFF) /* in pairs but for a few, which are small but ẞ */
        return c >= 0x1E96 && c <= 0x1E9F ? c == 0x1E9E : c % 2 == 0;
    if (c < 0x100 || c >= 0x370)
        return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE) || (c >= 0x386 && c <= 0x38F) ||
               (c >= 0x391 && c <= 0x3AB) || (c >= 0x400 && c <= 0x42F);
    /* Further Latin letters stand in pairs, the capital first: Ā ā, Ĺ ĺ, Ź ź. */
    bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
    return c == 0x178 || (c <= 0x17E && c % 2 == (odd ? 1 : 0));
}

/* The sign that a character is or stands for; 0: none. */
static char sign_of(int32_t c) {
    static const struct {
        int32_t code;
        char sign;
    } others[] = {{0x2299, '*'},  {0x2218, '*'},  {0xB7, '*'},   {0x387, '*'},  {0x22C5, '*'},
                  {0x2219, '*'},  {0xD7, '*'},    {0x2217, '*'}, {0x2212, '-'}, {0x2013, '-'},
                  {0x2032, '\''}, {0x2019, '\''}, {0x1D40, 'T'}, {0x22A4, 'T'}};
    if (c > 0 && c < 0x80 && strchr("=+-*/^()[],'", c) != NULL)
        return (char)c;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i].code == c)
            return others[i].sign;
    return 0;
}

/* A dot, which between a matrix and a vector is their product. */
static bool is_dot(int32_t c) {
    return c == 0xB7 || c == 0x387 || c == 0x22C5 || c == 0x2219;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

typedef struct reader {
    cbi_equations *e;
    int at;        /* the next byte */
    int depth;     /* of open brackets */
    bool new_line; /* a line has ended since the last token */
} reader;

static bool add(cbi_equations *e, cbi_token token) {
    if (!cbi_grow(&e->tokens, &e->token_room, e->token_count + 1, sizeof(*e->tokens)))
        return cbi_equations_no_memory(e);
    e->tokens[e->token_count++] = token;
    return true;
}

static bool goes_on_after(const cbi_token *t) {
    return t->kind == CBI_TOKEN_SIGN && strchr("=+-*/^([,", t->sign) != NULL;
}

static bool is_comma(const cbi_token *t) {
    return t->kind == CBI_TOKEN_SIGN && t->sign == ',';
}

static bool is_statement(const char *line) {
    return memchr(line, '=', strcspn(line, "#\n")) != NULL || cbi_is_declaration(line);
}

/* Ends the line of the tokens so far, behind the last one. */
static bool add_line(reader *r) {
    cbi_equations *e = r->e;
    int end = e->token_count > 0 ? e->tokens[e->token_count - 1].end : 0;
    r->depth = 0;
    return e->token_count == 0 ||
           add(e, (cbi_token){.kind = CBI_TOKEN_LINE, .start = end, .end = end});
}

/* Adds a token up to a byte. If it is the first one of a line, that line may go on with the one
   before. */
static bool add_token(reader *r, int end, cbi_token token) {
    const cbi_equations *e = r->e;
    bool joins = token.kind == CBI_TOKEN_SIGN && strchr("+-*/^)],", token.sign) != NULL;
    bool line = r->new_line && e->token_count > 0 && !joins;
    if (line && is_comma(&e->tokens[e->token_count - 1]) && r->depth == 0)
        line = false; /* a, */
    else if (line && (r->depth > 0 || goes_on_after(&e->tokens[e->token_count - 1])))
        line = is_statement(e->text + r->at);
    if (line && !add_line(r))
        return false;
    token.start = r->at;
    token.end = r->at = end;
    r->new_line = false;
    return add(r->e, token);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_sign(reader *r, int bytes, int32_t c) {
    cbi_token token = {.kind = CBI_TOKEN_SIGN, .sign = sign_of(c), .dot = is_dot(c)};
    bool opens = token.sign == '(' || token.sign == '[';
    bool closes = (token.sign == ')' || token.sign == ']') && r->depth > 0;
    if (!add_token(r, r->at + bytes, token))
        return false;
    r->depth += opens ? 1 : closes ? -1 : 0;
    return true;
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

/* The end of a number. */
static int end_of_number(const char *text, int at) {
    int end = at;
    while (is_digit(text[end]))
        end++;
    if (text[end] == '.')
        for (end++; is_digit(text[end]);)
            end++;
    if (text[end] != 'e' && text[end] != 'E')
        return end;
    int exponent = end + 1 + (text[end + 1] == '+' || text[end + 1] == '-');
    if (!is_digit(text[exponent]))
        return end;
    while (is_digit(text[exponent]))
        exponent++;
    return exponent;
}

static bool read_number(reader *r) {
    int start = r->at, end = end_of_number(r->e->text, start);
    if (end - start > 40)
        return cbi_equations_fail(r->e, start, "this number has too many digits; 40 are enough");
    double number = value_of(r->e->text + start, end - start);
    if (!isfinite(number))
        return cbi_equations_fail(r->e, start, "this number is too large");
    return add_token(r, end, (cbi_token){.kind = CBI_TOKEN_NUMBER, .number = number});
}

static bool read_name(reader *r) {
    int end = r->at, bytes = 0;
    while (is_in_name(cbi_character_at(r->e->text + end, &bytes)))
        end += bytes;
    if (end - r->at > CBI_LONGEST_NAME)
        return cbi_equations_fail(r->e, r->at, "this name is longer than %d bytes",
                                  CBI_LONGEST_NAME);
    return add_token(r, end, (cbi_token){.kind = CBI_TOKEN_NAME});
}

static bool not_utf8(reader *r) {
    return cbi_equations_fail(r->e, r->at, "this is not UTF-8; save the file in that encoding");
}

static bool skip_comment(reader *r) {
    int bytes;
    for (int32_t c; (c = cbi_character_at(r->e->text + r->at, &bytes)) != '\n' && c != 0;) {
        if (c < 0)
            return not_utf8(r);
        r->at += bytes;
    }
    return true;
}

/* ---- Other characters ------------------------------------------------------------------------ */

/* What a character that means nothing is likely meant for. */
static const char *hint_for(int32_t c) {
    static const struct {
        int32_t code;
        const char *hint;
    } hints[] = {
        {';', "an equation ends with its line"},
        {0x37E, "an equation ends with its line"},
        {'{', "there are no braces: write W_ix for W_{ix}, and h for h_{t-1}"},
        {'}', "there are no braces: write W_ix for W_{ix}, and h for h_{t-1}"},
        {'<', "comparisons are functions: less(a, b), less_equal(a, b)"},
        {'>', "comparisons are functions: greater(a, b), greater_equal(a, b)"},
        {'!', "comparisons are functions: not_equal(a, b)"},
        {0x2264, "comparisons are functions: less_equal(a, b)"},
        {0x2265, "comparisons are functions: greater_equal(a, b)"},
        {0x2260, "comparisons are functions: not_equal(a, b)"},
        {'?', "a choice is where(condition, a, b)"},
        {'&', "both of two conditions is their product, a * b"},
        {'|', "the absolute value is abs(a)"},
        {'@', "a product with a matrix is W x"},
        {':', "an equation has a = alone"},
        {0x2190, "an equation has a = alone"},
        {0x2254, "an equation has a = alone"},
        {'\\', "names are plain: write sigma as \"sigmoid\" and other letters as themselves"},
        {'$', "equations have no $ around them"},
        {'%', "a comment begins with #"},
        {'~', "a tilde is a part of a name: c_tilde"},
        {'"', "names have no quotation marks"},
        {'`', "what a state becomes is h', with an apostrophe"},
        {0xB4, "what a state becomes is h', with an apostrophe"},
        {0x2018, "what a state becomes is h', with an apostrophe"},
        {'.', "a product with a matrix is W x, one unit by unit a * b"},
        {0x2297, "a product with a matrix is W x, one unit by unit a * b"},
        {0xF7, "a quotient is a / b"},
        {0xB2, "a square is a^2"},
        {0xB3, "a cube is a^3"},
        {0x207B, "a power is a^-1"},
        {0x221A, "a root is sqrt(a)"},
        {0x2211, "a sum over units is sum(a)"},
        {0x2295, "a join is [a, b]"},
        {0x2016, "a join is [a, b]"},
        {0x2225, "a join is [a, b]"},
        {0x2208, "the size of a state is declared: state m[16]"},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (hints[i].code == c)
            return hints[i].hint;
    bool letter = (c >= 0x1D400 && c <= 0x1D7FF) || (c >= 0x2100 && c <= 0x214F);
    return letter ? "write plain letters and digits, not those of formulas" : NULL;
}

static bool is_invisible(int32_t c) {
    return c == 0xAD || c == 0xFEFF || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F);
}

static bool strange(reader *r, int32_t c, int bytes) {
    const char *hint = hint_for(c);
    if (c < ' ' || (c >= 0x7F && c < 0xA0) || is_invisible(c))
        return cbi_equations_fail(r->e, r->at,
                                  "%s character, U+%04X, means nothing here: remove it",
                                  is_invisible(c) ? "an invisible" : "a control", (unsigned)c);
    return cbi_equations_fail(r->e, r->at, "\"%.*s\" means nothing here%s%s", bytes,
                              r->e->text + r->at, hint != NULL ? ": " : "",
                              hint != NULL ? hint : "");
}

/* Reads what is next; false when it means nothing. */
static bool read_next(reader *r) {
    const char *text = r->e->text + r->at;
    int bytes;
    int32_t c = cbi_character_at(text, &bytes);
    if (c < 0)
        return not_utf8(r);
    if (c == '#')
        return skip_comment(r);
    if (is_digit(c) || (c == '.' && is_digit(text[1])))
        return read_number(r);
    if (is_letter(c))
        return read_name(r);
    if (sign_of(c) != 0)
        return read_sign(r, bytes, c);
    if (c != '\n' && !is_blank(c) && (c != 0xFEFF || r->at > 0))
        return strange(r, c, bytes);
    r->new_line = r->new_line || c == '\n';
    r->at += bytes;
    return true;
}

bool cbi_read_tokens(cbi_equations *e) {
    reader r = {.e = e};
    while (e->text[r.at] != '\0')
        if (!read_next(&r))
            return false;
    return add_line(&r) && add(e, (cbi_token){.kind = CBI_TOKEN_END, .start = r.at, .end = r.at});
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

/* What a sign is likely meant for that stands at a wrong place. */
static const char *hint_for_sign(const cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0), *before = e->token > 0 ? t - 1 : t,
                    *after = cbi_peek(e, 1);
    bool twice =
        before->kind == CBI_TOKEN_SIGN && before->sign == t->sign && before->end == t->start;
    bool again = after->kind == CBI_TOKEN_SIGN && after->sign == t->sign && t->end == after->start;
    if (t->kind != CBI_TOKEN_SIGN)
        return "";
    if (t->sign == '=' && (twice || again))
        return "; comparisons are functions: equal(a, b)";
    if (t->sign == '*' && twice)
        return "; a power is a^2";
    return t->sign == '\'' && twice ? "; one ' is enough" : "";
}

bool cbi_expected(cbi_equations *e, const char *expected) {
    const cbi_token *t = cbi_peek(e, 0);
    if (t->kind == CBI_TOKEN_LINE)
        return cbi_equations_fail(e, t->start, "%s is expected, but the line ends here", expected);
    return cbi_equations_fail(e, t->start, "%s is expected, not \"%s\"%s", expected,
                              CBI_QUOTE(e, t->start, t->end), hint_for_sign(e));
}

bool cbi_expect_sign(cbi_equations *e, char sign, const char *expected) {
    return cbi_take_sign(e, sign) || cbi_expected(e, expected);
}
