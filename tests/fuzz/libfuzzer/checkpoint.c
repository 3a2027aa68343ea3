/* Any bytes as a checkpoint. The checksum would refuse nearly all of them, so that those of version
   1, which has none, are what gets far; the seeds are of both versions. */
#include "apps/model/checkpoint.h"
#include "apps/cli/failure.h"
#include "target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char error[FAILURE_SIZE] = "";
    checkpoint loaded;
    if (checkpoint_read(fuzz_file(data, size), &loaded, error)) {
        fuzz_expect(loaded.characters.count == loaded.model.config.vocabulary,
                    "the vocabulary is the configuration's");
        fuzz_expect(model_is_finite(&loaded.model), "weights are finite");
        checkpoint_free(&loaded);
    } else {
        fuzz_expect(strlen(error) > 0, "a failure has a message");
    }
    return 0;
}
