/* Any bytes as a safetensors file. */
#include "target.h"

#include <cerebra/files.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cb_error error = {.status = CB_OK};
    cb_safetensors *file = cb_safetensors_read(fuzz_file(data, size), &error);
    fuzz_expect((file == NULL) == (error.status != CB_OK), "a failure has a status");
    for (int i = 0; file != NULL && i < cb_safetensors_count(file); i++) {
        cb_named_tensor entry = cb_safetensors_at(file, i);
        fuzz_expect(cb_safetensors_find(file, entry.name) == entry.tensor, "an entry is found");
    }
    cb_safetensors_free(file);
    return 0;
}
