/* Memory that is not to be read: where the elements of a trace's tensors would be.

   A trace has no elements. A step that looks at some is not one that can be compiled, and must
   be found out rather than crash: so a trace's tensors point to a range of addresses that takes no
   memory, reads as zeros, and knows whether it has been read. All tensors share one range, as large
   as the largest; when a larger one comes, a larger range takes its place, and the ones before it
   stay for the tensors that point there. */
#ifndef CEREBRA_AUTOGRAD_UNREAD_H
#define CEREBRA_AUTOGRAD_UNREAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cbi_unread {
    int count;
    struct {
        void *memory;
        size_t size;
    } ranges[64]; /* each at least twice as large as the one before */
} cbi_unread;

/* So many bytes that are not to be read; NULL when there are no such addresses to be had. */
void *cbi_unread_bytes(cbi_unread *unread, size_t bytes);
void cbi_unread_free(cbi_unread *unread);
/* Whether anything in it has been read. */
bool cbi_unread_was_read(const cbi_unread *unread);

#endif
