/* Status codes. Every library function that can fail returns one, or records one on its tape
   (tape.h) or parameter set (params.h) together with a message that names the op, the shapes, the
   file or the line. The library never aborts, exits or prints. */
#ifndef CEREBRA_STATUS_H
#define CEREBRA_STATUS_H

#include <cerebra/export.h>

CB_BEGIN_DECLS

/* One row per status: enumerator, what it means. */
#define CB_STATUS_TABLE(X)                                                                         \
    X(CB_OK, "ok")                                                                                 \
    X(CB_ERROR_SHAPE, "shapes, ranks, axes or sizes do not fit")                                   \
    X(CB_ERROR_DTYPE, "dtype not accepted, or dtypes differ")                                      \
    X(CB_ERROR_VALUE, "an argument is outside its documented range")                               \
    X(CB_ERROR_INDEX, "an index is outside the table it points into")                              \
    X(CB_ERROR_TAPE, "tensors of two tapes, no tape, or no gradient to be had")                    \
    X(CB_ERROR_MEMORY, "out of memory")                                                            \
    X(CB_ERROR_FILE, "a file cannot be opened, read or written")                                   \
    X(CB_ERROR_FORMAT, "a file is not what it claims to be")                                       \
    X(CB_ERROR_NOT_FOUND, "no parameter, cell or entry of that name")

/* What a function that can fail returns or records: the rows of the table. */
typedef enum cb_status {
#define CB_STATUS_ENUMERATOR(name, meaning) name,
    CB_STATUS_TABLE(CB_STATUS_ENUMERATOR)
#undef CB_STATUS_ENUMERATOR
} cb_status;

/* The enumerator's name ("CB_ERROR_SHAPE") and its meaning in a few words; static strings, never
   NULL, "unknown status" for a value that is none. */
CB_API const char *cb_status_name(cb_status status);
CB_API const char *cb_status_meaning(cb_status status);

/* A status with its message, filled by functions that work on files and other things that have no
   tape to record on. The caller owns it (usually on its stack); message is "" when all is well. */
typedef struct cb_error {
    cb_status status;  /* CB_OK when all is well */
    char message[512]; /* what is wrong, and where */
} cb_error;

CB_END_DECLS

#endif
