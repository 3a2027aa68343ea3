/* Text that grows as it is written. */
#ifndef CEREBRA_AUTOGRAD_SCAN_DESCRIBE_TEXT_H
#define CEREBRA_AUTOGRAD_SCAN_DESCRIBE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cbi_text {
    char *memory; /* ended by a zero once anything has been written */
    size_t length, room;
    size_t line; /* where the last line begins */
    bool failed; /* out of memory: the text is not whole */
} cbi_text;

void cbi_text_free(cbi_text *text);
void cbi_write(cbi_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds another text; failed if that is. */
void cbi_write_text(cbi_text *text, const cbi_text *other);
/* Fills the line with spaces up to a column, one at least. */
void cbi_write_pad(cbi_text *text, size_t column);
/* A number of bytes, or of operations, with a unit: "1.5 MB". */
void cbi_write_amount(cbi_text *text, double amount, const char *unit);

#endif
