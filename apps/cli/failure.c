/* One line of error message into the caller's buffer; see failure.h. */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

bool failure(char *error, size_t error_size, const char *format, ...) {
    if (error != NULL && error_size > 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error, error_size, format, arguments);
        va_end(arguments);
    }
    return false;
}
