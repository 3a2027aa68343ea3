/* States are copied out of the tape after each piece, and enter the next one as inputs without a
   gradient. */
#include "carried_state.h"

#include "apps/cli/failure.h"

#include <stdlib.h>

bool carried_state_make(const model *m, int64_t batch, carried_state *made, char *error) {
    size_t states = (size_t)cb_rnn_state_count(m->rnn);
    *made = (carried_state){.fresh = true};
    made->kept = calloc(states, sizeof(cb_tensor *));
    made->spare = calloc(states, sizeof(cb_tensor *));
    made->initial = calloc(states, sizeof(cb_tensor *));
    made->last = calloc(states, sizeof(cb_tensor *));
    bool ok =
        made->kept != NULL && made->spare != NULL && made->initial != NULL && made->last != NULL;
    for (; ok && made->count < (int)states; made->count++) {
        int64_t size = cb_rnn_state_size(m->rnn, made->count);
        made->kept[made->count] = cb_tensor_new(CB_F32, CB_SHAPE(batch, size));
        made->spare[made->count] = cb_tensor_new(CB_F32, CB_SHAPE(batch, size));
        ok = made->kept[made->count] != NULL && made->spare[made->count] != NULL;
    }
    if (!ok)
        carried_state_free(made);
    return ok || failure(error, FAILURE_SIZE, "out of memory");
}

void carried_state_free(carried_state *carried) {
    for (int i = 0; i < carried->count; i++) {
        cb_tensor_free(carried->kept[i]);
        cb_tensor_free(carried->spare[i]);
    }
    free(carried->kept);
    free(carried->spare);
    free(carried->initial);
    free(carried->last);
    *carried = (carried_state){0};
}

cb_rnn_io carried_state_begin(carried_state *carried, cb_tape *tape) {
    for (int i = 0; i < carried->count; i++)
        carried->initial[i] = cb_input(tape, carried->kept[i]);
    return (cb_rnn_io){.initial = carried->fresh ? NULL : carried->initial, .final = carried->last};
}

bool carried_state_end(carried_state *carried, char *error) {
    for (int i = 0; i < carried->count; i++)
        if (cb_tensor_assign(carried->spare[i], carried->last[i]) != CB_OK)
            return failure(error, FAILURE_SIZE, "a state changed its shape");
    cb_tensor **before = carried->kept;
    carried->kept = carried->spare;
    carried->spare = before;
    carried->fresh = false;
    return true;
}
