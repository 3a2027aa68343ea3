/* Text as printf makes it, with a point in numbers whatever the program's locale is. */
#ifndef CEREBRA_TENSOR_FORMAT_H
#define CEREBRA_TENSOR_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* vsnprintf and snprintf, in the locale "C". */
int cbi_vformat(char *text, size_t size, const char *format, va_list arguments);
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
int cbi_format(char *text, size_t size, const char *format, ...);

enum { CBI_NUMBER_SIZE = 32 };
/* A finite number in as few digits as are read as the same again, whole numbers below 10^15 without
   an exponent. Returns text. */
const char *cbi_format_number(char text[CBI_NUMBER_SIZE], double number);

#endif
