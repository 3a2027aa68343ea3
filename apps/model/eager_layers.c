#include "eager_layers.h"

#include <stdio.h>

void eager_layers(const cb_rnn *rnn, const char *label, char *text, size_t size) {
    size_t length = 0;
    text[0] = '\0';
    for (int layer = 0; layer < cb_rnn_layers(rnn); layer++) {
        const char *reason = cb_rnn_eager_reason(rnn, layer);
        if (reason != NULL && length < size) {
            length +=
                (size_t)snprintf(text + length, size - length,
                                 "cerebra: %s: layer %d runs op by op: %s\n", label, layer, reason);
        }
    }
}
