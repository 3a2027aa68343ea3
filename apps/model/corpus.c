/* Where texts come from. The bundled script is looked for where it is installed (CB_DATA_DIR) and
   then in the source tree (CB_SOURCE_DATA_DIR), so that an uninstalled build works too. */
#include "corpus.h"

#include "apps/cli/failure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CB_DATA_DIR
#define CB_DATA_DIR ""
#endif
#ifndef CB_SOURCE_DATA_DIR
#define CB_SOURCE_DATA_DIR ""
#endif

const char *corpus_bundled_path(void) {
    static const char *const places[] = {CB_DATA_DIR "/tideline.txt",
                                         CB_SOURCE_DATA_DIR "/tideline.txt"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

bool corpus_load(const char *path, double held_out, corpus *loaded, char *error) {
    text source;
    *loaded = (corpus){0};
    bool bundled = path == NULL;
    path = bundled ? corpus_bundled_path() : path;
    if (path == NULL) {
        return failure(error, FAILURE_SIZE,
                       "the bundled text is not installed (%s/tideline.txt); use --data FILE",
                       CB_DATA_DIR);
    }
    const char *name = text_display_name(path);
    if (!text_load(path, &source, error))
        return false;
    bool ok = vocabulary_of_text(&source, &loaded->characters, error);
    if (ok) {
        loaded->numbers = vocabulary_encode(&loaded->characters, &source, name, error);
        loaded->name = strdup(bundled ? "tideline.txt (bundled)" : name);
        loaded->count = (int64_t)source.count;
        loaded->training = loaded->count - (int64_t)(held_out * (double)loaded->count);
        ok = loaded->numbers != NULL;
    }
    if (ok && loaded->name == NULL)
        ok = failure(error, FAILURE_SIZE, "out of memory");
    if (ok && held_out > 0 && loaded->count - loaded->training < 2)
        ok = failure(error, FAILURE_SIZE, "%s: too short to hold out a part of it", name);
    text_free(&source);
    if (!ok)
        corpus_free(loaded);
    return ok;
}

bool corpus_load_known(const char *path, const vocabulary *known, corpus *loaded, char *error) {
    text source;
    *loaded = (corpus){0};
    const char *name = text_display_name(path);
    if (!text_load(path, &source, error))
        return false;
    bool ok =
        vocabulary_of_list(known->code_points, (size_t)known->count, &loaded->characters, error);
    if (ok) {
        loaded->numbers = vocabulary_encode(&loaded->characters, &source, name, error);
        loaded->name = strdup(name);
        loaded->count = (int64_t)source.count;
        ok = loaded->numbers != NULL;
    }
    if (ok && loaded->name == NULL)
        ok = failure(error, FAILURE_SIZE, "out of memory");
    if (ok && loaded->count < 2)
        ok = failure(error, FAILURE_SIZE, "%s: too short to be measured on", name);
    text_free(&source);
    if (!ok)
        corpus_free(loaded);
    return ok;
}

void corpus_free(corpus *loaded) {
    free(loaded->name);
    free(loaded->numbers);
    vocabulary_free(&loaded->characters);
    *loaded = (corpus){0};
}
