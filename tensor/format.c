/* Text in the locale "C": in others 0.5 may be written "0,5". */
#include "tensor/format.h"

#include <locale.h>
#include <stdio.h>

int cbi_vformat(char *text, size_t size, const char *format, va_list arguments) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = (locale_t)0;
    if (c != (locale_t)0) /* else there is no memory: the program's locale has to do */
        before = uselocale(c);
    int length = vsnprintf(text, size, format, arguments);
    if (c != (locale_t)0) {
        uselocale(before);
        freelocale(c);
    }
    return length;
}

int cbi_format(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = cbi_vformat(text, size, format, arguments);
    va_end(arguments);
    return length;
}
