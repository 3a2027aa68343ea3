/* Texts come from file names, tables and command lines, and may hold any bytes. */
#include "chart_page.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

char *chart_clean_text(const char *text, bool keep_lines) {
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text;
    char *clean = malloc(3 * strlen(text) + 1);
    char *to = clean;
    while (clean != NULL && *from != '\0') {
        utf8proc_int32_t code_point;
        utf8proc_ssize_t length = utf8proc_iterate(from, -1, &code_point);
        bool valid = length >= 1 && code_point < 0xfffe;
        valid = valid || (length >= 1 && code_point > 0xffff);
        if (!valid) {
            memcpy(to, replacement, 3);
            to += 3;
            from += length < 1 ? 1 : length;
            continue;
        }
        bool end = code_point == '\n' && keep_lines;
        bool control = (code_point < ' ' && !end) || (code_point >= 0x7f && code_point < 0xa0);
        if (control)
            *to = ' ';
        else
            memcpy(to, from, (size_t)length);
        to += control ? 1 : length;
        from += length;
    }
    if (clean != NULL)
        *to = '\0';
    return clean;
}
