/* Strings and characters for people to read, with utf8proc. */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

bool text_is_utf8(const char *string) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)string;
    while (*at != '\0') {
        utf8proc_int32_t code_point;
        utf8proc_ssize_t length = utf8proc_iterate(at, -1, &code_point);
        if (length < 1)
            return false;
        at += length;
    }
    return true;
}

const char *text_display_name(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

char *character_name(int32_t code_point, char name[CHARACTER_NAME_SIZE]) {
    utf8proc_uint8_t bytes[5] = {0};
    utf8proc_category_t category = utf8proc_category(code_point);
    bool visible = category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
                   category != UTF8PROC_CATEGORY_CN && category != UTF8PROC_CATEGORY_CS &&
                   category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP;
    if (visible && utf8proc_encode_char(code_point, bytes) > 0) {
        snprintf(name, CHARACTER_NAME_SIZE, "'%s' (U+%04X)", (const char *)bytes,
                 (unsigned)code_point);
    } else {
        snprintf(name, CHARACTER_NAME_SIZE, "U+%04X", (unsigned)code_point);
    }
    return name;
}
