/* Memory that is not to be read: where the elements of a trace's tensors would be.

   A trace has no elements. A step that looks at some is not one that can be compiled, and must
   be found out rather than crash: so a trace's tensors point to a large range of addresses that
   takes no memory, reads as zeros, and knows whether it has been read. */
#ifndef CEREBRA_AUTOGRAD_UNREAD_H
#define CEREBRA_AUTOGRAD_UNREAD_H

#include <stdbool.h>

/* NULL when there is no such range to be had. Ends with cbi_unread_free. */
void *cbi_unread_new(void);
void cbi_unread_free(void *memory);
/* Whether anything in it has been read. */
bool cbi_unread_was_read(const void *memory);

#endif
