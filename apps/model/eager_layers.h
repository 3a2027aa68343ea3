/* Which layers of a network are not compiled. */
#ifndef CEREBRA_APPS_MODEL_EAGER_LAYERS_H
#define CEREBRA_APPS_MODEL_EAGER_LAYERS_H

#include <cerebra/rnn.h>

/* A line for each layer that runs op by op, which is slower: "cerebra: LABEL: layer 1 runs op by
   op: WHY". text is always ended; what does not fit is cut. */
void eager_layers(const cb_rnn *rnn, const char *label, char *text, size_t size);

#endif
