/* Any bytes as a log: as one curve with all rows, and as two curves to draw. */
#include "target.h"

#include "apps/chart/csv.h"

#include <math.h>

enum { ERROR_SIZE = 256 };

static void check(const csv_series *series) {
    for (size_t i = 0; i < series->count; i++) {
        fuzz_expect(series->low == NULL || isnan(series->y[i]) ||
                        (series->low[i] <= series->y[i] && series->y[i] <= series->high[i]),
                    "a mean lies in its band");
        fuzz_expect(series->low == NULL || i == 0 || series->x[i - 1] < series->x[i],
                    "what is grouped is in ascending order");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    const char *names[] = {"loss", NULL};
    char error[ERROR_SIZE] = "", drawing[ERROR_SIZE] = "";
    csv_series rows, curves[2];
    bool read = csv_read_series(path, NULL, "loss", &rows, error, sizeof error);
    fuzz_expect(read == (error[0] == '\0'), "a failure has a message");
    fuzz_expect(read || (rows.x == NULL && rows.x_name == NULL), "a failure leaves nothing");
    bool drawn = csv_read_curves(path, NULL, names, 2, curves, drawing, sizeof drawing);
    fuzz_expect(drawn == (drawing[0] == '\0'), "a failure has a message");
    fuzz_expect(read || !drawn, "what has curves has rows");
    for (size_t i = 0; i < 2; i++) {
        fuzz_expect(drawn || curves[i].x == NULL, "a failure leaves nothing");
        fuzz_expect(csv_group_seeds(&curves[i]), "there is memory");
        check(&curves[i]);
        csv_free_series(&curves[i]);
    }
    csv_free_series(&rows);
    return 0;
}
