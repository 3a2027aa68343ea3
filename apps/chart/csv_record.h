/* The bytes of a table in text, one record of fields at a time. What fields mean is csv.c's. */
#ifndef CEREBRA_APPS_CHART_CSV_RECORD_H
#define CEREBRA_APPS_CHART_CSV_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Neither a line without an end nor a quotation mark that is never closed takes more memory. */
enum { CSV_LONGEST_RECORD = 1 << 20 };

typedef struct csv_reader {
    const char *path; /* for messages */
    FILE *stream;
    char *error; /* where failures leave their line */
    size_t error_size;
    char separator; /* 0 until it is known: a quoted field may then follow any of the three */
    char *record;   /* the current record, blanks at its start included */
    size_t length, room;
    size_t line;      /* of the record's beginning, from 1 */
    size_t next_line; /* the line that the stream is at, less 1 */
    char **fields;    /* after csv_split; they point into record */
    size_t field_count, field_room;
    bool last_quoted; /* the last field had quotation marks */
} csv_reader;

/* Moves to the next record that is neither blank nor a comment: a line, or several where a quoted
   field holds their ends. Lines end in LF, CR LF or CR. Returns 1, 0 at the end, -1 after a failure
   (a read error, bytes that no text has, a record that is too long, an open quotation mark). */
int csv_next_record(csv_reader *in);

/* Which of tab, semicolon and comma separates the record's fields: the most frequent one outside
   quotation marks, of equals the first. */
char csv_find_separator(const char *record);

/* Cuts the record into fields, in place, without the blanks and quotation marks around them. */
bool csv_split(csv_reader *in);

/* Leaves "PATH:LINE: whatdetail" as the error. Always false. */
bool csv_record_failure(const csv_reader *in, const char *what, const char *detail);

/* Frees what the reader owns; the stream is its caller's. */
void csv_reader_free(csv_reader *in);

#endif
