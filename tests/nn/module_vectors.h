/* Modules against PyTorch's. */
#ifndef CEREBRA_TESTS_NN_MODULE_VECTORS_H
#define CEREBRA_TESTS_NN_MODULE_VECTORS_H

#include <cerebra/nn.h>

/* That the module's output for the file's input, and the gradients of sum(projection * output), are
   the file's, tests/reference/NAME.safetensors; and buffers after it. The set is the module's
   alone, has so many parameters, buffers included, of which "m.weight" is the file's "weight", and
   is freed. A buffer "m.b" is the file's "before.b" first. On a tape that evaluates, or trains. */
void cbt_expect_module(const char *name, cb_params *params, const cb_module *module,
                       int parameters);
void cbt_expect_evaluation(const char *name, cb_params *params, const cb_module *module,
                           int parameters);

#endif
