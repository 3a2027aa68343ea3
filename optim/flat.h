/* The elements of a set's first `count` parameters, one parameter after the other, as one range of
   numbers: loops over all parameters open one parallel region, not one for each, and share out
   elements, so that small parameters are no burden and large ones are split. */
#ifndef CEREBRA_OPTIM_FLAT_H
#define CEREBRA_OPTIM_FLAT_H

#include <cerebra/params.h>

/* Called for elements first..last-1 of parameter i. */
typedef void cbi_flat_visit(void *context, int i, int64_t first, int64_t last);

/* How many elements there are. */
int64_t cbi_flat_count(const cb_params *params, int count);
/* Visits elements begin..end-1 of the range in order, parameter by parameter. */
void cbi_flat_walk(const cb_params *params, int count, int64_t begin, int64_t end,
                   cbi_flat_visit *visit, void *context);
/* Visits all elements, from all threads; each element once. */
void cbi_flat_for(const cb_params *params, int count, cbi_flat_visit *visit, void *context);

#endif
