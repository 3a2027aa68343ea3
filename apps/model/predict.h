/* Running a trained model without gradients: over a text to measure it, and one character after the
   other to make new text. */
#ifndef CEREBRA_APPS_MODEL_PREDICT_H
#define CEREBRA_APPS_MODEL_PREDICT_H

#include "corpus.h"
#include "model.h"

/* Mean cross entropy in nats of `count` characters, each but the first
   of a window predicted from those before it. The text is cut into consecutive windows of the
   model's seq_len, the state zero at the start of each, as in training; what is left at the end is
   a shorter window. Fails, with one line in error, on fewer than 2 characters or a library failure.
 */
bool predict_windows(const model *m, passage characters, int64_t count, double *loss, char *error);

/* The same, but the state is carried from beginning to end. */
bool predict_carried(const model *m, passage characters, int64_t count, double *loss, char *error);

/* The same, much faster: the text is cut into predict_part_count consecutive parts, which are read
   side by side, the state carried from the beginning of each to its end. At the end of the text, as
   many characters as make the parts equal are left out: less than 1 in 32. */
bool predict_parts(const model *m, passage characters, int64_t count, double *loss, char *error);
/* Parts of a text of so many characters: 1 to 32, of about 1024 characters or more. */
int64_t predict_part_count(int64_t count);

/* A model that reads character after character. */
typedef struct reader reader;

/* The model must outlive it. NULL, and error, when there is no memory. End it with reader_free. */
reader *reader_new(const model *m, char *error);
void reader_free(reader *r);

/* Reads `time` characters and returns the logits [time, 1, vocabulary] of each one's successor,
   which live until the next call; NULL on failure. */
const cb_tensor *reader_feed(reader *r, const int32_t *characters, int64_t time, char *error);

/* Draws a character number from softmax(logits / temperature) of the last of the rows; temperature
   0 takes the likeliest one. */
int32_t reader_pick(const cb_tensor *logits, double temperature, cb_random *random);

#endif
