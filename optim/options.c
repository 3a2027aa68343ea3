/* The options of a group: the table of their names and ranges, how those that are not given are
   filled in, and their JSON text in a file's settings. A new option is a member of
   cb_optimizer_options and a row here. */
#include "optim/options.h"

#include "nn/params_internal.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct option {
    const char *name;
    size_t offset;
    bool flag;         /* a bool; else a double in [low, limit], or [low, limit) where open */
    double low, limit; /* of doubles */
    bool open;
    bool late; /* files of versions before it do not have it: it is 0 there */
} option;

static const option table[] = {
#define ANY .low = -DBL_MAX, .limit = HUGE_VAL, .open = true
#define NUMBER(field, ...)                                                                         \
    { .name = #field, .offset = offsetof(cb_optimizer_options, field), __VA_ARGS__ }
#define FLAG(field, ...)                                                                           \
    { .name = #field, .offset = offsetof(cb_optimizer_options, field), .flag = true, __VA_ARGS__ }
    NUMBER(lr, .limit = HUGE_VAL, .open = true),
    NUMBER(initial_lr, .limit = HUGE_VAL, .open = true, .late = true),
    NUMBER(weight_decay, .limit = HUGE_VAL, .open = true),
    NUMBER(momentum, .limit = HUGE_VAL, .open = true),
    NUMBER(dampening, .limit = 1),
    FLAG(nesterov, .late = false),
    NUMBER(lr_decay, .limit = HUGE_VAL, .open = true),
    NUMBER(beta1, .limit = 1, .open = true),
    NUMBER(initial_accumulator, .limit = HUGE_VAL, .open = true),
    NUMBER(beta2, .limit = 1, .open = true),
    NUMBER(alpha, .limit = 1, .open = true),
    NUMBER(epsilon, .limit = HUGE_VAL, .open = true),
    FLAG(amsgrad, .late = false),
    FLAG(centered, .late = false),
    NUMBER(clip_norm, .limit = HUGE_VAL),
    FLAG(lazy_rows, .late = true),
    NUMBER(own[0], ANY, .late = true),
    NUMBER(own[1], ANY, .late = true),
    NUMBER(own[2], ANY, .late = true),
    NUMBER(own[3], ANY, .late = true),
#undef ANY
#undef NUMBER
#undef FLAG
};
#define OPTION_COUNT (sizeof table / sizeof table[0])

static double get(const cb_optimizer_options *options, const option *o) {
    const char *at = (const char *)options + o->offset;
    return o->flag ? *(const bool *)at : *(const double *)(const void *)at;
}

static void set(cb_optimizer_options *options, const option *o, double number) {
    char *at = (char *)options + o->offset;
    if (o->flag)
        *(bool *)at = number != 0;
    else
        *(double *)(void *)at = number;
}

/* ---- Which are given ------------------------------------------------------------------------- */

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Behind the item of a list that ends with a comma outside of brackets, or with the text. */
static const char *item_end(const char *text) {
    int depth = 0;
    for (; *text != '\0' && (depth > 0 || *text != ','); text++) {
        depth += strchr("([{", *text) != NULL;
        depth -= strchr(")]}", *text) != NULL;
    }
    return text;
}

/* The next ".name" that begins an item of the text; moves *text behind its item. False at the end;
   a length of 0 where the item begins with something else. */
static bool next_name(const char **text, const char **name, size_t *length) {
    const char *at = *text + strspn(*text, " \t\r\n,");
    if (*at == '\0')
        return false;
    *length = 0;
    if (*at == '.') {
        *name = at + 1 + strspn(at + 1, " ");
        while (is_name((*name)[*length]))
            (*length)++;
    }
    *text = item_end(at);
    return true;
}

/* Whether this is the option's name; of an array's entries, the array's. */
static bool is_called(const option *o, const char *name, size_t length) {
    return strcspn(o->name, "[") == length && memcmp(o->name, name, length) == 0;
}

static const option *find(const char *name, size_t length) {
    for (const option *o = table; o < table + OPTION_COUNT; o++)
        if (is_called(o, name, length))
            return o;
    return NULL;
}

static bool is_given(const cb_optimizer_options *options, const option *o) {
    const char *text = options->named == NULL ? "" : options->named, *name = NULL;
    size_t length = 0;
    bool given = get(options, o) != 0;
    while (!given && next_name(&text, &name, &length))
        given = is_called(o, name, length);
    return given;
}

/* Whether every name in options->named is one of an option; records the first that is not. */
static bool names_good(const char *rule, cb_params *params, const cb_optimizer_options *options) {
    const char *text = options->named == NULL ? "" : options->named, *name = NULL;
    size_t length = 0;
    while (next_name(&text, &name, &length)) {
        if (length > 0 && find(name, length) == NULL) {
            cbi_params_fail(params, CB_ERROR_VALUE, "%s: there is no option %.*s", rule,
                            (int)length, name);
            return false;
        }
    }
    return true;
}

bool cbi_options_fill(const char *rule, cb_params *params, const cb_optimizer_options *defaults,
                      const cb_optimizer_options *given, cb_optimizer_options *filled) {
    cb_optimizer_options none = {0};
    if (given == NULL)
        given = &none;
    if (!names_good(rule, params, given))
        return false;
    *filled = *defaults;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (is_given(given, &table[i]))
            set(filled, &table[i], get(given, &table[i]));
    const option *rate = find("lr", 2), *initial = find("initial_lr", 10);
    if (!is_given(given, initial) && (is_given(given, rate) || filled->initial_lr == 0))
        filled->initial_lr = filled->lr;
    filled->named = NULL;
    return true;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

bool cbi_options_in_range(const char *rule, cb_params *params,
                          const cb_optimizer_options *options) {
    for (const option *o = table; o < table + OPTION_COUNT; o++) {
        double value = get(options, o);
        bool good =
            o->flag || (value >= o->low && (o->open ? value < o->limit : value <= o->limit));
        if (!good) {
            cbi_params_fail(params, CB_ERROR_VALUE, "%s: %s %g is outside [%g, %g%c", rule, o->name,
                            value, o->low, o->limit, o->open ? ')' : ']');
            return false;
        }
    }
    return true;
}

/* ---- As text --------------------------------------------------------------------------------- */

double cbi_finite(double number) {
    return number > DBL_MAX ? DBL_MAX : number < -DBL_MAX ? -DBL_MAX : number;
}

double cbi_infinite(double number) {
    return number == DBL_MAX ? (double)INFINITY : number == -DBL_MAX ? (double)-INFINITY : number;
}

size_t cbi_text_copy(char *text, char *buffer, size_t size) {
    size_t length = text == NULL ? 0 : strlen(text);
    if (size > 0)
        snprintf(buffer, size, "%s", text == NULL ? "" : text);
    free(text);
    return length;
}

json_t *cbi_options_json(const cb_optimizer_options *options) {
    json_t *object = json_object();
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < OPTION_COUNT; i++) {
        double number = get(options, &table[i]);
        json_t *value = json_real(cbi_finite(number));
        ok = json_object_set_new(object, table[i].name, value) == 0;
    }
    if (!ok)
        json_decref(object);
    return ok ? object : NULL;
}

bool cbi_options_read(const json_t *object, cb_optimizer_options *options) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const json_t *value = json_object_get(object, table[i].name);
        double number = json_number_value(value);
        if (!json_is_number(value) && !(table[i].late && value == NULL))
            return false;
        set(options, &table[i], cbi_infinite(number));
    }
    if (json_object_get(object, "initial_lr") == NULL)
        options->initial_lr = options->lr;
    return true;
}
