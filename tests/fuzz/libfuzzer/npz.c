/* Any bytes as an .npz file. */
#include "target.h"

#include <cerebra/files.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cb_error error = {.status = CB_OK};
    cb_npz *file = cb_npz_open(fuzz_file(data, size), &error);
    fuzz_expect((file == NULL) == (error.status != CB_OK), "a failure has a status");
    for (int i = 0; file != NULL && i < cb_npz_count(file); i++) {
        cb_stored_tensor stored = cb_npz_stored(file, i);
        cb_tensor *t = cb_npz_load(file, stored.name, &error);
        fuzz_expect((t == NULL) == (error.status != CB_OK), "a failure has a status");
        cb_tensor_free(t);
    }
    cb_npz_free(file);
    return 0;
}
