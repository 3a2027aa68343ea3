/* Any bytes as a safetensors file: open and read in parts, and read whole. */
#include "target.h"

#include <cerebra/files.h>

/* Reads a tensor from the open file, as each dtype, and holds it to what is in memory. */
static void load(const cb_safetensors *file, const cb_safetensors *whole, const char *name) {
    const cb_tensor *in_memory = cb_safetensors_find(whole, name);
    cb_error error;
    cb_tensor *t = cb_safetensors_load(file, name, &error);
    fuzz_expect((t == NULL) == (error.status != CB_OK), "a failure has a status");
    fuzz_expect((t == NULL) == (in_memory == NULL), "both ways to read agree");
    fuzz_expect(t == NULL || cb_tensor_same_shape(t, in_memory), "shapes are the same");
    for (int dtype = CB_F32; dtype <= CB_I64; dtype++) {
        cb_tensor *cast = cb_safetensors_load_as(whole, name, (cb_dtype)dtype, &error);
        fuzz_expect((cast == NULL) == (error.status != CB_OK), "a failure has a status");
        cb_tensor_free(cast);
    }
    cb_tensor_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    cb_error error = {.status = CB_OK}, reading = {.status = CB_OK};
    cb_safetensors *file = cb_safetensors_open(path, &error);
    cb_safetensors *whole = cb_safetensors_read(path, &reading);
    fuzz_expect((file == NULL) == (error.status != CB_OK), "a failure has a status");
    fuzz_expect(error.status == reading.status, "both ways to open agree");
    for (int i = 0; file != NULL && i < cb_safetensors_stored_count(file); i++) {
        cb_stored_tensor stored = cb_safetensors_stored(file, i);
        fuzz_expect(cb_safetensors_stored_find(file, stored.name) == i, "an entry is found");
        load(file, whole, stored.name);
    }
    for (int i = 0; file != NULL && i < cb_safetensors_metadata_count(file); i++) {
        cb_metadata entry = cb_safetensors_metadata_at(file, i);
        fuzz_expect(cb_safetensors_metadata(file, entry.key) == entry.value, "metadata is found");
    }
    cb_safetensors_free(file);
    cb_safetensors_free(whole);
    return 0;
}
