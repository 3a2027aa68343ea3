/* Table 3: what the trained models write, side by side. The paper says neither how many characters
   it took nor how they were drawn; here they are drawn at temperature SAMPLE_TEMPERATURE, all
   models with the same seed. */
#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"
#include "apps/model/checkpoint.h"
#include "apps/model/predict.h"
#include "reproduce.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { SAMPLE_LENGTH = 400 };
static const double sample_temperature = 0.8;

/* A character inside a cell of a Markdown table: its structure must not be disturbed. */
static void write_character(FILE *stream, int32_t code_point) {
    utf8proc_uint8_t bytes[4];
    if (code_point == '\n') {
        fputs("<br>", stream);
    } else if (code_point == '&') {
        fputs("&amp;", stream);
    } else if (code_point == '<') {
        fputs("&lt;", stream);
    } else if (code_point < ' ') {
        fputc(' ', stream);
    } else {
        if (code_point < 0x80 && strchr("|\\`*_[]>#~", code_point) != NULL)
            fputc('\\', stream);
        fwrite(bytes, 1, (size_t)utf8proc_encode_char(code_point, bytes), stream);
    }
}

static bool write_sample(const reproduction *run, const checkpoint *trained, FILE *stream,
                         char *error) {
    int32_t line_end = vocabulary_find(&trained->characters, '\n');
    int32_t next = line_end < 0 ? 0 : line_end;
    cb_random random = cb_random_seed(run->asked->training.seed);
    reader *r = reader_new(&trained->model, error);
    bool ok = r != NULL;
    for (int i = 0; ok && i < SAMPLE_LENGTH; i++) {
        const cb_tensor *logits = reader_feed(r, &next, 1, error);
        ok = logits != NULL;
        if (ok) {
            next = reader_pick(logits, sample_temperature, &random);
            write_character(stream, trained->characters.code_points[next]);
        }
    }
    reader_free(r);
    return ok;
}

static bool write_table(const reproduction *run, FILE *stream, char *error) {
    fprintf(stream,
            "# Table 3: text written by the trained models\n\n"
            "%d characters each, drawn at temperature %g with seed %llu, starting after a line's "
            "end.\n\n|",
            SAMPLE_LENGTH, sample_temperature, (unsigned long long)run->asked->training.seed);
    int columns = 0;
    for (int i = 0; i < REPRODUCE_EQUAL_HALVES; i++) {
        if (run->models[i].curve.count > 0) {
            fprintf(stream, " %s |", reproduce_names[i].title);
            columns++;
        }
    }
    fputs("\n|", stream);
    for (int i = 0; i < columns; i++)
        fputs(" --- |", stream);
    fputs("\n|", stream);
    for (int i = 0; i < REPRODUCE_EQUAL_HALVES; i++) {
        checkpoint trained;
        if (run->models[i].curve.count == 0)
            continue;
        if (!checkpoint_read(run->models[i].checkpoint, &trained, error))
            return false;
        fputc(' ', stream);
        bool ok = write_sample(run, &trained, stream, error);
        checkpoint_free(&trained);
        if (!ok)
            return false;
        fputs(" |", stream);
    }
    fputc('\n', stream);
    return true;
}

bool reproduce_write_samples(const reproduction *run, char *error) {
    char path[REPRODUCE_PATH_SIZE];
    replacement file;
    if (!reproduce_path(run, "table-3.md", path, error) ||
        !replacement_open(&file, path, error, FAILURE_SIZE))
        return false;
    if (!write_table(run, file.stream, error)) {
        replacement_abandon(&file);
        return false;
    }
    return replacement_commit(&file, error, FAILURE_SIZE);
}
