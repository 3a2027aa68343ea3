/* Where texts come from. The bundled script is looked for where it is installed (CB_DATA_DIR) and
   then in the source tree (CB_SOURCE_DATA_DIR), so that an uninstalled build works too. */
#include "corpus.h"

#include "apps/cli/failure.h"
#include "apps/cli/text.h"

#include <inttypes.h>
#include <stdio.h>
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

/* Takes over the bytes. */
static bool make(text_bytes *bytes, const corpus_source *source, corpus *loaded, char *error) {
    bool own = source->characters == NULL;
    loaded->text = malloc(sizeof *loaded->text);
    if (loaded->text == NULL) {
        text_bytes_close(bytes);
        return failure(error, FAILURE_SIZE, "out of memory");
    }
    if (!numbered_text_make(bytes, source->form, source->characters,
                            own ? UNKNOWN_ADD : source->unknown,
                            source->most == 0 ? CORPUS_MOST : source->most, loaded->text, error)) {
        free(loaded->text);
        loaded->text = NULL;
        return false;
    }
    loaded->characters = loaded->text->characters;
    loaded->numbers = loaded->text->numbers;
    loaded->count = loaded->text->count;
    loaded->facts = loaded->text->facts;
    loaded->training = loaded->count - (int64_t)(source->held_out * (double)loaded->count);
    return true;
}

bool corpus_load(const corpus_source *source, corpus *loaded, char *error) {
    bool bundled = source->path == NULL;
    const char *path = bundled ? corpus_bundled_path() : source->path;
    text_bytes bytes;
    *loaded = (corpus){0};
    if (path == NULL) {
        return failure(error, FAILURE_SIZE,
                       "the bundled text is not installed (%s/tideline.txt); use --data FILE",
                       CB_DATA_DIR);
    }
    const char *name = text_display_name(path);
    bool ok = text_bytes_open(path, &bytes, error) && make(&bytes, source, loaded, error);
    if (ok && loaded->count == 0) {
        ok = failure(error, FAILURE_SIZE,
                     loaded->facts.unknown == 0
                         ? "%s: the file is empty"
                         : "%s: none of its characters is in the model's vocabulary",
                     name);
    }
    if (ok && source->held_out > 0 && loaded->count - loaded->training < 2)
        ok = failure(error, FAILURE_SIZE, "%s: too short to hold out a part of it", name);
    if (ok) {
        loaded->name = strdup(bundled ? "tideline.txt (bundled)" : name);
        ok = loaded->name != NULL || failure(error, FAILURE_SIZE, "out of memory");
    }
    if (!ok)
        corpus_free(loaded);
    return ok;
}

bool corpus_load_known(const char *path, text_form form, const vocabulary *known, corpus *loaded,
                       char *error) {
    const corpus_source source = {.path = path, .form = form, .characters = known};
    if (!corpus_load(&source, loaded, error))
        return false;
    loaded->training = 0;
    if (loaded->count >= 2)
        return true;
    failure(error, FAILURE_SIZE, "%s: too short to be measured on", loaded->name);
    corpus_free(loaded);
    return false;
}

bool corpus_of_string(const char *string, const char *name, const corpus_source *source,
                      corpus *loaded, char *error) {
    text_bytes bytes;
    *loaded = (corpus){.name = strdup(name)};
    bool ok = loaded->name != NULL || failure(error, FAILURE_SIZE, "out of memory");
    ok = ok && text_bytes_of_string(string, name, &bytes, error) &&
         make(&bytes, source, loaded, error);
    if (!ok)
        corpus_free(loaded);
    return ok;
}

void corpus_free(corpus *loaded) {
    if (loaded->text != NULL)
        numbered_text_free(loaded->text);
    free(loaded->text);
    free(loaded->name);
    *loaded = (corpus){0};
}

void corpus_tell(const corpus *loaded, const corpus_source *source, const char *command,
                 bool offer) {
    const text_facts *facts = &loaded->facts;
    if (facts->has_mark) {
        fprintf(stderr, "cerebra %s: %s: the byte order mark at its beginning is left out\n",
                command, loaded->name);
    }
    if (offer && facts->carriage_returns > 0) {
        fprintf(stderr,
                "cerebra %s: %s has %" PRId64 " carriage returns (line ends of CR LF?), which are "
                "characters like others; --newlines lf makes line feeds of them\n",
                command, loaded->name, facts->carriage_returns);
    }
    if (offer && facts->uncomposed_line > 0) {
        fprintf(stderr,
                "cerebra %s: %s, line %" PRIu64 ", is not in Unicode's normalisation form C; "
                "--normalize nfc puts it in that form\n",
                command, loaded->name, facts->uncomposed_line);
    }
    if (source->characters != NULL && facts->unknown > 0) {
        fprintf(stderr,
                "cerebra %s: %s: %" PRId64
                " of its characters, which the model does not know, %s\n",
                command, loaded->name, facts->unknown,
                source->unknown == UNKNOWN_SKIP ? "skipped" : "replaced");
    }
}

passage passage_of_array(const int32_t *numbers) {
    return (passage){.numbers = numbers};
}

passage passage_of_corpus(const corpus *text, int64_t first) {
    return (passage){.numbers = text->numbers == NULL ? NULL : text->numbers + first,
                     .text = text,
                     .first = first};
}

passage passage_after(passage p, int64_t characters) {
    p.numbers = p.numbers == NULL ? NULL : p.numbers + characters;
    p.first += characters;
    return p;
}

const int32_t *passage_read(passage p, int64_t at, int64_t count, int32_t *room, char *error) {
    if (p.numbers != NULL)
        return p.numbers + at;
    return numbered_text_read(p.text->text, p.first + at, count, room, error) ? room : NULL;
}
