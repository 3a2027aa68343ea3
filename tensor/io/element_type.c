/* Widening is exact. Formats of the small floats: OCP 8-bit Floating Point Specification (E4M3 and
   E5M2), OCP Microscaling Formats (E8M0, FP6, FP4), and for FNUZ https://arxiv.org/abs/2206.02915,
   which have no negative zero and no infinity. */
#include "tensor/io/element_type.h"

#include <math.h>
#include <string.h>

/* ---- Integers -------------------------------------------------------------------------------- */

#define WIDEN_INTEGER(name, narrow, wide)                                                          \
    static int64_t name(const cbi_element_type *type, const unsigned char *bytes, int64_t count,   \
                        void *elements) {                                                          \
        (void)type;                                                                                \
        wide *out = elements;                                                                      \
        for (int64_t i = 0; i < count; i++) {                                                      \
            narrow value;                                                                          \
            memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value);                        \
            out[i] = (wide)value;                                                                  \
        }                                                                                          \
        return count;                                                                              \
    }

WIDEN_INTEGER(widen_u8, uint8_t, int32_t)
WIDEN_INTEGER(widen_i8, int8_t, int32_t)
WIDEN_INTEGER(widen_u16, uint16_t, int32_t)
WIDEN_INTEGER(widen_i16, int16_t, int32_t)
WIDEN_INTEGER(widen_u32, uint32_t, int64_t)

static int64_t widen_bool(const cbi_element_type *type, const unsigned char *bytes, int64_t count,
                          void *elements) {
    (void)type;
    int32_t *out = elements;
    for (int64_t i = 0; i < count; i++)
        out[i] = bytes[i] != 0;
    return count;
}

static int64_t widen_u64(const cbi_element_type *type, const unsigned char *bytes, int64_t count,
                         void *elements) {
    (void)type;
    int64_t *out = elements;
    for (int64_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value);
        if (value > INT64_MAX)
            return i;
        out[i] = (int64_t)value;
    }
    return count;
}

/* ---- Floats ---------------------------------------------------------------------------------- */

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t u16_at(const unsigned char *bytes, int64_t i) {
    uint16_t value;
    memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value);
    return value;
}

static int64_t widen_bf16(const cbi_element_type *type, const unsigned char *bytes, int64_t count,
                          void *elements) {
    (void)type;
    float *out = elements;
    for (int64_t i = 0; i < count; i++)
        out[i] = float_of_bits((uint32_t)u16_at(bytes, i) << 16);
    return count;
}

static int64_t widen_f16(const cbi_element_type *type, const unsigned char *bytes, int64_t count,
                         void *elements) {
    (void)type;
    float *out = elements;
    for (int64_t i = 0; i < count; i++) {
        uint32_t half = u16_at(bytes, i), sign = (half & 0x8000U) << 16, rest = half & 0x7fffU;
        float subnormal = (float)rest * 0x1p-24F;
        uint32_t bits;
        if (rest < 0x400)
            memcpy(&bits, &subnormal, sizeof bits);
        else
            bits = (rest << 13) + ((rest < 0x7c00 ? 127U - 15U : 255U - 31U) << 23);
        out[i] = float_of_bits(bits | sign);
    }
    return count;
}

/* The value of a code of at most eight bits. */
static float small_float(const cbi_element_type *type, unsigned code) {
    int mantissa_bits = type->small.mantissa, exponent_bits = type->small.exponent;
    unsigned magnitude = code & ((1U << (mantissa_bits + exponent_bits)) - 1);
    bool negative = code != magnitude;
    int exponent = (int)(magnitude >> mantissa_bits), last = (1 << exponent_bits) - 1;
    int mantissa = (int)(magnitude & ((1U << mantissa_bits) - 1));
    bool all_ones = magnitude == (1U << (mantissa_bits + exponent_bits)) - 1;
    if (type->small.specials == CBI_IEEE && exponent == last)
        return mantissa != 0 ? NAN : negative ? -INFINITY : INFINITY;
    if ((type->small.specials == CBI_LAST_IS_NAN && all_ones) ||
        (type->small.specials == CBI_NEGATIVE_ZERO_IS_NAN && negative && magnitude == 0))
        return NAN;
    /* A scale (E8M0) has no mantissa, and no subnormal numbers. */
    bool subnormal = exponent == 0 && mantissa_bits > 0;
    float value = ldexpf((float)(subnormal ? mantissa : mantissa + (1 << mantissa_bits)),
                         (subnormal ? 1 : exponent) - type->small.bias - mantissa_bits);
    return negative ? -value : value;
}

static int64_t widen_small(const cbi_element_type *type, const unsigned char *bytes, int64_t count,
                           void *elements) {
    float values[256], *out = elements;
    unsigned codes = 1U << type->bits;
    for (unsigned code = 0; code < codes; code++)
        values[code] = small_float(type, code);
    for (int64_t i = 0; i < count; i++) {
        int64_t bit = i * type->bits;
        unsigned shift = (unsigned)(bit % 8), pair = bytes[bit / 8];
        if (shift + (unsigned)type->bits > 8)
            pair |= (unsigned)bytes[bit / 8 + 1] << 8;
        out[i] = values[(pair >> shift) & (codes - 1)];
    }
    return count;
}

/* ---- The table ------------------------------------------------------------------------------- */

static const char complex_numbers[] = "complex numbers: no tensor here holds them";

static const cbi_element_type types[] = {
    {"F32", "f4", 32, true, CB_F32, .widen = NULL},
    {"F64", "f8", 64, true, CB_F64, .widen = NULL},
    {"I32", "i4", 32, false, CB_I32, .widen = NULL},
    {"I64", "i8", 64, false, CB_I64, .widen = NULL},
    {"BOOL", "b1", 8, false, CB_I32, .widen = widen_bool},
    {"U8", "u1", 8, false, CB_I32, .widen = widen_u8},
    {"I8", "i1", 8, false, CB_I32, .widen = widen_i8},
    {"U16", "u2", 16, false, CB_I32, .widen = widen_u16},
    {"I16", "i2", 16, false, CB_I32, .widen = widen_i16},
    {"U32", "u4", 32, false, CB_I64, .widen = widen_u32},
    {"U64", "u8", 64, false, CB_I64, .widen = widen_u64},
    {"F16", "f2", 16, true, CB_F32, .widen = widen_f16},
    {"BF16", NULL, 16, true, CB_F32, .widen = widen_bf16},
    {"F8_E4M3", NULL, 8, true, CB_F32, .widen = widen_small, .small = {4, 3, 7, CBI_LAST_IS_NAN}},
    {"F8_E5M2", NULL, 8, true, CB_F32, .widen = widen_small, .small = {5, 2, 15, CBI_IEEE}},
    {"F8_E4M3FNUZ", NULL, 8, true, CB_F32, .widen = widen_small,
     .small = {4, 3, 8, CBI_NEGATIVE_ZERO_IS_NAN}},
    {"F8_E5M2FNUZ", NULL, 8, true, CB_F32, .widen = widen_small,
     .small = {5, 2, 16, CBI_NEGATIVE_ZERO_IS_NAN}},
    {"F8_E8M0", NULL, 8, true, CB_F32, .widen = widen_small, .small = {8, 0, 127, CBI_LAST_IS_NAN}},
    {"F6_E2M3", NULL, 6, true, CB_F32, .widen = widen_small, .small = {2, 3, 1, CBI_ALL_FINITE}},
    {"F6_E3M2", NULL, 6, true, CB_F32, .widen = widen_small, .small = {3, 2, 3, CBI_ALL_FINITE}},
    {"F4", NULL, 4, true, CB_F32, .widen = widen_small, .small = {2, 1, 1, CBI_ALL_FINITE}},
    {"C64", "c8", 64, true, CB_F32, .objection = complex_numbers},
    {NULL, "c16", 128, true, CB_F64, .objection = complex_numbers},
};

enum { TYPES = sizeof types / sizeof types[0] };

const cbi_element_type *cbi_element_type_safetensors(const char *name) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].safetensors != NULL && strcmp(types[i].safetensors, name) == 0)
            return &types[i];
    return NULL;
}

const cbi_element_type *cbi_element_type_npy(const char *name) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].npy != NULL && strcmp(types[i].npy, name) == 0)
            return &types[i];
    return NULL;
}

const cbi_element_type *cbi_element_type_of(cb_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].widen == NULL && types[i].objection == NULL && types[i].dtype == dtype)
            return &types[i];
    return NULL;
}

/* ---- Casts ----------------------------------------------------------------------------------- */

static int64_t cast_integers(cb_dtype from, const void *source, int64_t count, cb_dtype to,
                             void *target) {
    for (int64_t i = 0; i < count; i++) {
        int64_t value =
            from == CB_I32 ? ((const int32_t *)source)[i] : ((const int64_t *)source)[i];
        if (to == CB_I32 && (value < INT32_MIN || value > INT32_MAX))
            return i;
        switch (to) {
        case CB_F32:
            ((float *)target)[i] = (float)value;
            break;
        case CB_F64:
            ((double *)target)[i] = (double)value;
            break;
        case CB_I32:
            ((int32_t *)target)[i] = (int32_t)value;
            break;
        case CB_I64:
            ((int64_t *)target)[i] = value;
            break;
        }
    }
    return count;
}

/* Whether a whole number lies within the dtype's range. */
static bool is_held(double value, cb_dtype dtype) {
    double limit = dtype == CB_I32 ? 0x1p31 : 0x1p63;
    return value == trunc(value) && value >= -limit && value < limit;
}

static int64_t cast_floats(cb_dtype from, const void *source, int64_t count, cb_dtype to,
                           void *target) {
    for (int64_t i = 0; i < count; i++) {
        double value =
            from == CB_F32 ? (double)((const float *)source)[i] : ((const double *)source)[i];
        if (to == CB_F64) {
            ((double *)target)[i] = value;
        } else if (to == CB_F32) {
            float narrow = (float)value;
            if (isinf(narrow) && !isinf(value))
                return i;
            ((float *)target)[i] = narrow;
        } else if (!is_held(value, to)) {
            return i;
        } else if (to == CB_I32) {
            ((int32_t *)target)[i] = (int32_t)value;
        } else {
            ((int64_t *)target)[i] = (int64_t)value;
        }
    }
    return count;
}

int64_t cbi_cast_elements(cb_dtype from, const void *source, int64_t count, cb_dtype to,
                          void *target) {
    if (from == to) {
        memcpy(target, source, (size_t)count * cb_dtype_size(to));
        return count;
    }
    return cb_dtype_is_float(from) ? cast_floats(from, source, count, to, target)
                                   : cast_integers(from, source, count, to, target);
}
