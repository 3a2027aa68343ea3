/* A network trained with an optimizer of one's own: other rates in groups, and a schedule of a
   warm-up and a cosine for all of them. */
#include "lion.h"

#include <cerebra/cerebra.h>
#include <stdio.h>

/* Learns y = x1 x2 from random points, and returns the last loss. */
static double train(cb_optimizer *optimizer, const cb_module *model, int steps) {
    const int64_t milestones[] = {20};
    cb_schedule parts[] = {{.kind = CB_SCHEDULE_WARM_UP, .period = 20, .start = 0.1},
                           {.kind = CB_SCHEDULE_COSINE, .period = steps - 20}};
    cb_schedule schedule = {.kind = CB_SCHEDULE_SEQUENCE,
                            .parts = parts,
                            .milestones = milestones,
                            .milestone_count = 1};
    cb_random random = cb_random_seed(1);
    cb_tape *tape = cb_tape_new();
    double last = 0;
    for (int step = 0; step <= steps && cb_tape_status(tape) == CB_OK; step++) {
        float points[64];
        cb_tape_reset(tape);
        cb_random_uniform_f32(&random, 64, points, -1, 1);
        const cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SHAPE(32, 2), points);
        cb_tensor *x = cb_input(tape, &plain);
        cb_tensor *product = cb_mul(cb_chunk(x, 1, 2, 0), cb_chunk(x, 1, 2, 1));
        cb_tensor *loss = cb_mse(cb_forward(model, x), product, CB_REDUCE_MEAN);
        cb_optimizer_schedule(optimizer, &schedule);
        if (cb_backward(loss) != CB_OK || cb_optimizer_step(optimizer) != CB_OK)
            fprintf(stderr, "%s\n", cb_tape_error(tape));
        cb_schedule_advance(&schedule, cb_item(loss));
        if (step % 100 == 0)
            printf("step %3d, loss %.5f\n", step, cb_item(loss));
        last = cb_item(loss);
    }
    cb_tape_free(tape);
    return last;
}

int main(void) {
    cb_params *params = cb_params_new(1);
    cb_module *layers[] = {cb_linear_new(params, "hidden", 2, 32),
                           cb_function_new(params, "tanh", cb_tanh),
                           cb_linear_new(params, "output", 32, 1)};
    cb_module *model = cb_sequential_new(params, "model", 3, layers);
    cb_optimizer *lion = lion_new(params, .lr = 0.01, .weight_decay = 0.01);
    cb_optimizer_group_where(lion, cb_param_is_vector, NULL,
                             CB_OPTIMIZER_OPTIONS(.lr = 0.003, .weight_decay = 0));
    double last = train(lion, model, 400);
    if (cb_params_status(params) != CB_OK)
        fprintf(stderr, "%s\n", cb_params_error(params));
    cb_optimizer_free(lion);
    cb_params_free(params);
    return last < 0.01 ? 0 : 1;
}
