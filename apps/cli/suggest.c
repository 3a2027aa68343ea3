/* What is wrong with an option. */
#include "suggest.h"

#include "failure.h"
#include "tensor/nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 63, MOST_OPTIONS = 64 };

/* The length of "--name" in "--name=value". */
static int option_length(const char *argument) {
    return (int)strcspn(argument, "=");
}

static void unknown_option_message(const char *argument, const struct option *options,
                                   char *message, size_t message_size) {
    const char *names[MOST_OPTIONS + 1] = {NULL};
    for (size_t i = 0; i < MOST_OPTIONS && options[i].name != NULL; i++)
        names[i] = options[i].name;
    char word[LONGEST + 1];
    const char *name = argument + strspn(argument, "-");
    snprintf(word, sizeof word, "%.*s", option_length(name), name);
    const char *nearest = cbi_nearest_name(word, names);
    if (nearest != NULL) {
        snprintf(message, message_size, "unknown option %.*s (did you mean --%s?)",
                 option_length(argument), argument, nearest);
    } else {
        snprintf(message, message_size, "unknown option %.*s", option_length(argument), argument);
    }
}

void suggest_option_message(int result, const char *argument, const struct option *options,
                            char *message, size_t message_size) {
    const char *name = argument + strspn(argument, "-");
    size_t length = strcspn(name, "=");
    size_t matches = 0;
    bool is_long = strncmp(argument, "--", 2) == 0;
    for (size_t i = 0; is_long && options[i].name != NULL; i++)
        matches += strncmp(options[i].name, name, length) == 0;
    if (result == ':') {
        snprintf(message, message_size, "option %s needs a value", argument);
    } else if (matches == 0 || length == 0) {
        unknown_option_message(argument, options, message, message_size);
    } else if (name[length] == '=') {
        snprintf(message, message_size, "option %.*s takes no value", option_length(argument),
                 argument);
    } else {
        snprintf(message, message_size, "option %s could mean several options", argument);
    }
}

bool suggest_name(const char *what, const char *name, const char *const *names, char *error) {
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    const char *nearest = cbi_nearest_name(name, names);
    if (nearest != NULL) {
        return failure(error, FAILURE_SIZE, "%s: there is no \"%s\" (did you mean %s?)", what, name,
                       nearest);
    }
    char list[512] = "";
    size_t length = 0;
    for (size_t i = 0; names[i] != NULL && length < sizeof list; i++) {
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i == 0 ? "" : ", ",
                                   names[i]);
    }
    return failure(error, FAILURE_SIZE, "%s: there is no \"%s\"; there are %s", what, name, list);
}
