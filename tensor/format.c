/* Text in the locale "C": in others 0.5 may be written "0,5". */
#include "tensor/format.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The thread's locale becomes "C" until it is set back. */
typedef struct borrowed {
    locale_t c, before;
} borrowed;

static borrowed borrow(void) {
    borrowed b = {.c = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    if (b.c != (locale_t)0) /* else there is no memory: the program's locale has to do */
        b.before = uselocale(b.c);
    return b;
}

static void give_back(borrowed b) {
    if (b.c != (locale_t)0) {
        uselocale(b.before);
        freelocale(b.c);
    }
}

int cbi_vformat(char *text, size_t size, const char *format, va_list arguments) {
    borrowed b = borrow();
    int length = vsnprintf(text, size, format, arguments);
    give_back(b);
    return length;
}

const char *cbi_format_number(char text[CBI_NUMBER_SIZE], double number) {
    enum { ALWAYS_ENOUGH = 17 };
    int saved_errno = errno; /* strtod reports underflow there, which is no failure here */
    borrowed b = borrow();
    if (fabs(number) < 1e15 && floor(number) == number) {
        snprintf(text, CBI_NUMBER_SIZE, "%.0f", number);
    } else {
        int digits = 1;
        do
            snprintf(text, CBI_NUMBER_SIZE, "%.*g", digits, number);
        while (strtod(text, NULL) != number && digits++ < ALWAYS_ENOUGH);
    }
    give_back(b);
    errno = saved_errno;
    return text;
}

int cbi_format(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = cbi_vformat(text, size, format, arguments);
    va_end(arguments);
    return length;
}
