/* The element types that files have: how each is called, and what it is widened to. A table
   (element_type.c) has one row for each type of safetensors and of NumPy that holds numbers. */
#ifndef CEREBRA_TENSOR_IO_ELEMENT_TYPE_H
#define CEREBRA_TENSOR_IO_ELEMENT_TYPE_H

#include <cerebra/tensor.h>

/* A type of elements in a file. Those of less than a byte lie in a stream of bits, the first
   element in the lowest bits of the first byte. */
typedef struct cbi_element_type {
    const char *safetensors; /* its name in safetensors, such as "BF16"; NULL: not there */
    const char *npy;         /* kind and size in .npy, such as "f2"; NULL: not there */
    int bits;                /* of an element */
    bool is_float;
    /* The first dtype of f32, f64, i32 and i64 that holds every value; of U64, i64. */
    cb_dtype dtype;
    const char *objection; /* why no cb_tensor holds such elements; NULL: one does */
    /* Widens count elements of little-endian bytes to the dtype above. Returns how many it could:
       fewer than count when the next one is a value that the dtype does not hold. NULL: the bytes
       are elements of the dtype as they are. */
    int64_t (*widen)(const struct cbi_element_type *type, const unsigned char *bytes, int64_t count,
                     void *elements);
    /* Of floats of up to eight bits: the fields' widths, the exponent's bias, and which codes are
       no finite numbers. */
    struct {
        int exponent, mantissa, bias;
        enum { CBI_ALL_FINITE, CBI_IEEE, CBI_LAST_IS_NAN, CBI_NEGATIVE_ZERO_IS_NAN } specials;
    } small;
} cbi_element_type;

/* The type of that name in safetensors; of that kind and size in .npy. NULL: there is none. */
const cbi_element_type *cbi_element_type_safetensors(const char *name);
const cbi_element_type *cbi_element_type_npy(const char *name);
/* The type that has a dtype's elements as they are in memory. */
const cbi_element_type *cbi_element_type_of(cb_dtype dtype);

/* Casts count elements between dtypes. Returns how many it could: fewer than count when the next
   one is a value that the target does not hold, which is a finite number that overflows f32, or for
   integers a fraction, a number out of range, or NaN. Floats are rounded to the nearest. */
int64_t cbi_cast_elements(cb_dtype from, const void *source, int64_t count, cb_dtype to,
                          void *target);

#endif
