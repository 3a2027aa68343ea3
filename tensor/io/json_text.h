/* JSON as text. */
#ifndef CEREBRA_TENSOR_IO_JSON_TEXT_H
#define CEREBRA_TENSOR_IO_JSON_TEXT_H

#include <jansson.h>

/* The text of a value, compact and with keys sorted, which the caller frees with free(); NULL
   without memory. Takes over the reference, which may be NULL. */
char *cbi_json_text(json_t *value);

#endif
