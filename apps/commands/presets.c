/* The table of presets. A preset is a part of a command line, read before the user's own. */
#include "presets.h"

#include <stdio.h>
#include <string.h>

typedef struct preset {
    const char *name, *purpose;
    const char *options; /* with single spaces between the words */
} preset;

static const preset presets[] = {
    {"char-rnn", "a good model of a text of about a megabyte in a minute on one core",
     "--cell gru --hidden 192 --embedding 64 --seq-len 64 --batch 32 --carry --steps-per-epoch 0 "
     "--epochs 7 --optimizer adam --lr 0.008 --clip-norm 1 --schedule cosine --warmup 100"},
};
enum { PRESETS = sizeof presets / sizeof presets[0], WORDS_MOST = 64 };

const char *const *preset_names(void) {
    static const char *names[PRESETS + 1];
    for (int i = 0; i < PRESETS; i++)
        names[i] = presets[i].name;
    return names;
}

static const preset *find(const char *name) {
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

bool preset_apply(const char *name, option_row *rows, char *error) {
    static char words[1024]; /* options keep pointers into it */
    char *argv[WORDS_MOST + 1] = {words};
    int argc = 1;
    const preset *chosen = find(name);
    if (chosen == NULL)
        return false;
    snprintf(words, sizeof words, "train %s", chosen->options);
    for (char *space = strchr(words, ' '); space != NULL && argc < WORDS_MOST;
         space = strchr(space + 1, ' ')) {
        *space = '\0';
        argv[argc++] = space + 1;
    }
    return train_parse(rows, argc, argv, error) == OPTIONS_RUN;
}

const char *preset_help(void) {
    static char help[2048];
    size_t length = 0;
    for (int i = 0; i < PRESETS && length < sizeof help; i++) {
        length += (size_t)snprintf(help + length, sizeof help - length, "  %s: %s", presets[i].name,
                                   presets[i].purpose);
        size_t column = 100; /* the first word begins a line */
        for (const char *word = presets[i].options; *word != '\0' && length < sizeof help;) {
            /* An option and its value stay together. */
            const char *next = strstr(word, " --");
            size_t size = next == NULL ? strlen(word) : (size_t)(next - word);
            bool breaks = column + 1 + size > 80;
            length += (size_t)snprintf(help + length, sizeof help - length, "%s%.*s",
                                       breaks ? "\n      " : " ", (int)size, word);
            column = (breaks ? 6 : column + 1) + size;
            word += size + (next != NULL);
        }
        if (length < sizeof help)
            length += (size_t)snprintf(help + length, sizeof help - length, "\n");
    }
    return help;
}
