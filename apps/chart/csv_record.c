/* Records are read byte by byte, because where one ends depends on quotation marks, and because a
   bound on their length keeps a device or a binary file from filling the memory. */
#include "csv_record.h"

#include "apps/cli/failure.h"
#include "apps/cli/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char separators[] = "\t;,";

bool csv_record_failure(const csv_reader *in, const char *what, const char *detail) {
    return failure(in->error, in->error_size, "%s:%zu: %s%s", in->path, in->line, what, detail);
}

void csv_reader_free(csv_reader *in) {
    free(in->record);
    free(in->fields);
}

static bool append_byte(csv_reader *in, char byte) {
    char *grown = grow(in->record, &in->room, in->length + 1, 1);
    if (grown == NULL)
        return failure(in->error, in->error_size, "%s: out of memory", in->path);
    in->record = grown;
    in->record[in->length++] = byte;
    return true;
}

static bool is_separator(const csv_reader *in, int byte) {
    return in->separator != '\0' ? byte == in->separator : byte != 0 && strchr(separators, byte);
}

/* The next byte, with every end of a line as '\n'. */
static int next_byte(csv_reader *in) {
    int byte = getc_unlocked(in->stream);
    if (byte == '\r') {
        int next = getc_unlocked(in->stream);
        if (next != '\n' && next != EOF)
            ungetc(next, in->stream);
        byte = '\n';
    }
    in->next_line += byte == '\n';
    return byte;
}

/* What is known about the record while its bytes come in. */
typedef struct progress {
    bool begun;    /* with something other than blanks */
    bool comment;  /* where quotation marks are just that */
    bool at_start; /* of a field, where a quotation mark opens it */
    bool quoted;
} progress;

static const progress nothing_read = {.at_start = true};

static void note_byte(const csv_reader *in, progress *so_far, int byte) {
    if (!so_far->begun && byte != ' ' && byte != '\t') {
        so_far->begun = true;
        so_far->comment = byte == '#';
    }
    if (byte == '"' && !so_far->comment && (so_far->quoted || so_far->at_start))
        so_far->quoted = !so_far->quoted;
    so_far->at_start =
        !so_far->quoted && (is_separator(in, byte) || (so_far->at_start && byte == ' '));
}

static bool has_byte_order_mark(const csv_reader *in) {
    return in->line == 1 && in->length == 3 && memcmp(in->record, "\xef\xbb\xbf", 3) == 0;
}

static int end_record(csv_reader *in, bool quoted, int end) {
    if (end == EOF && ferror(in->stream))
        return failure(in->error, in->error_size, "cannot read %s: %s", in->path, strerror(errno));
    if (quoted)
        return csv_record_failure(in, "a quotation mark is out of place", "");
    return append_byte(in, '\0') ? end : 0;
}

/* Reads to the end of a record. Returns the byte that ended it, '\n' or EOF, or 0 on a failure. */
static int read_record(csv_reader *in) {
    progress so_far = nothing_read;
    in->length = 0;
    in->line = in->next_line + 1;
    for (;;) {
        errno = 0;
        int byte = next_byte(in);
        if (byte == EOF || (byte == '\n' && !so_far.quoted))
            return end_record(in, so_far.quoted, byte);
        /* Text has no other control characters; bytes of UTF-8 sequences are above them. */
        if (byte < ' ' && byte != '\t' && byte != '\n')
            return csv_record_failure(in, "this is not a text file", "");
        if (in->length >= CSV_LONGEST_RECORD) {
            return csv_record_failure(in,
                                      so_far.quoted ? "a quotation mark is out of place"
                                                    : "a line is longer than 1 MiB",
                                      "");
        }
        if (!append_byte(in, (char)byte))
            return 0;
        note_byte(in, &so_far, byte);
        if (has_byte_order_mark(in)) {
            in->length = 0;
            so_far = nothing_read;
        }
    }
}

int csv_next_record(csv_reader *in) {
    for (;;) {
        int end = read_record(in);
        if (end == 0)
            return -1;
        const char *start = in->record + strspn(in->record, " \t");
        if (*start != '\0' && *start != '#')
            return 1;
        if (end == EOF)
            return 0;
    }
}

char csv_find_separator(const char *record) {
    size_t counts[sizeof separators] = {0};
    bool quoted = false;
    for (; *record != '\0'; record++) {
        quoted ^= *record == '"';
        const char *found = quoted ? NULL : strchr(separators, *record);
        if (found != NULL)
            counts[found - separators]++;
    }
    size_t best = sizeof separators - 2; /* the comma, where there is none of them */
    for (size_t i = sizeof separators - 1; i-- > 0;)
        if (counts[i] >= counts[best] && counts[i] > 0)
            best = i;
    return separators[best];
}

static char *skip_blanks(const csv_reader *in, char *text) {
    while (*text == ' ' || (*text == '\t' && in->separator != '\t'))
        text++;
    return text;
}

static char *take_plain(csv_reader *in, char *start, char **rest) {
    char *end = strchr(start, in->separator);
    *rest = end == NULL ? NULL : end + 1;
    end = end == NULL ? start + strlen(start) : end;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return start;
}

/* Takes one field off *rest, in place, with quotes removed ("" inside quotes is a quote). *rest
   becomes NULL after the last field. Returns NULL when quotes are not closed or not at the ends. */
static char *take_field(csv_reader *in, char **rest) {
    char *start = skip_blanks(in, *rest);
    in->last_quoted = *start == '"';
    if (!in->last_quoted)
        return take_plain(in, start, rest);
    char *from = start + 1;
    char *to = start;
    while (*from != '\0' && (*from != '"' || from[1] == '"')) {
        from += *from == '"';
        *to++ = *from++;
    }
    if (*from != '"')
        return NULL;
    from = skip_blanks(in, from + 1);
    if (*from != in->separator && *from != '\0')
        return NULL;
    *rest = *from == '\0' ? NULL : from + 1;
    *to = '\0';
    return start;
}

static bool add_field(csv_reader *in, char *field) {
    char **grown = grow(in->fields, &in->field_room, in->field_count + 1, sizeof *grown);
    if (grown == NULL)
        return failure(in->error, in->error_size, "%s: out of memory", in->path);
    in->fields = grown;
    in->fields[in->field_count++] = field;
    return true;
}

bool csv_split(csv_reader *in) {
    in->field_count = 0;
    for (char *rest = in->record; rest != NULL;) {
        char *field = take_field(in, &rest);
        if (field == NULL)
            return csv_record_failure(in, "a quotation mark is out of place", "");
        if (!add_field(in, field))
            return false;
    }
    return true;
}
