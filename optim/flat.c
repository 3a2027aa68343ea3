/* See flat.h. A thread finds its first parameter by counting: there are few beside elements. */
#include "optim/flat.h"

#include "tensor/parallel.h"

int64_t cbi_flat_count(const cb_params *params, int count) {
    int64_t elements = 0;
    for (int i = 0; i < count; i++)
        elements += cb_tensor_count(cb_params_at(params, i)->value);
    return elements;
}

void cbi_flat_walk(const cb_params *params, int count, int64_t begin, int64_t end,
                   cbi_flat_visit *visit, void *context) {
    int64_t start = 0; /* the number of the parameter's first element */
    for (int i = 0; i < count && start < end; i++) {
        int64_t elements = cb_tensor_count(cb_params_at(params, i)->value);
        int64_t first = begin > start ? begin - start : 0;
        int64_t last = end - start < elements ? end - start : elements;
        if (first < last)
            visit(context, i, first, last);
        start += elements;
    }
}

typedef struct flat_loop {
    const cb_params *params;
    int count;
    cbi_flat_visit *visit;
    void *context;
} flat_loop;

static void walk_range(void *context, int64_t begin, int64_t end) {
    const flat_loop *loop = context;
    cbi_flat_walk(loop->params, loop->count, begin, end, loop->visit, loop->context);
}

void cbi_flat_for(const cb_params *params, int count, cbi_flat_visit *visit, void *context) {
    flat_loop loop = {params, count, visit, context};
    cbi_parallel_for(cbi_flat_count(params, count), CBI_GRAIN, walk_range, &loop);
}
