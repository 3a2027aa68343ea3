/* Any bytes as an .npy file, in its own dtype and in others. */
#include "target.h"

#include <cerebra/files.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    cb_error error = {.status = CB_OK};
    cb_tensor *t = cb_npy_read(path, &error);
    fuzz_expect((t == NULL) == (error.status != CB_OK), "a failure has a status");
    for (int dtype = CB_F32; dtype <= CB_I64; dtype++) {
        cb_tensor *cast = cb_npy_read_as(path, (cb_dtype)dtype, &error);
        fuzz_expect((cast == NULL) == (error.status != CB_OK), "a failure has a status");
        fuzz_expect(t != NULL || cast == NULL, "what is read as another dtype is read as its own");
        fuzz_expect(cast == NULL || cb_tensor_same_shape(t, cast), "shapes are the same");
        cb_tensor_free(cast);
    }
    cb_tensor_free(t);
    return 0;
}
