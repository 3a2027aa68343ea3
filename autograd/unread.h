/* Memory that reads as zeros and knows whether it was read or written: what the tensors of a
   symbolic tape point to. A step that looks at an element, or sets one, is found out, and does not
   crash. */
#ifndef CEREBRA_AUTOGRAD_UNREAD_H
#define CEREBRA_AUTOGRAD_UNREAD_H

#include <stdbool.h>
#include <stddef.h>

enum { CBI_UNREAD_RANGES = 32 }; /* each at least twice as large as the one before */

typedef struct cbi_unread {
    bool blind; /* the system says of fresh memory that it was read */
    int count;
    struct {
        void *memory;
        size_t size;
    } ranges[CBI_UNREAD_RANGES];
} cbi_unread;

/* Memory for at least so many bytes, shared by all who ask. It takes addresses and no pages. NULL
 * when there are no addresses left. */
void *cbi_unread_memory(cbi_unread *unread, size_t bytes);
/* Whether any of it was touched since it was made. False, too, where the system cannot tell. */
bool cbi_unread_was_touched(const cbi_unread *unread);
void cbi_unread_free(cbi_unread *unread);

#endif
