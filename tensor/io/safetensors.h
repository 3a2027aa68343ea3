/* What the safetensors reader and writer agree on. */
#ifndef CEREBRA_TENSOR_IO_SAFETENSORS_H
#define CEREBRA_TENSOR_IO_SAFETENSORS_H

#include <cerebra/tensor.h>

/* The key of the map of strings, no tensor's name. */
#define CBI_SAFETENSORS_METADATA "__metadata__"

enum { CBI_SAFETENSORS_LARGEST_HEADER = 100000000 /* bytes, set by the format */ };

/* The format's name of a valid dtype: "F32", "F64", "I32" or "I64". */
const char *cbi_safetensors_dtype(cb_dtype dtype);

#endif
