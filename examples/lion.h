/* Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms"), an optimizer that the
   library does not have:
     c = beta1 m + (1 - beta1) g;  theta -= lr (sign(c) + weight_decay theta);
     m = beta2 m + (1 - beta2) g.  Default lr 1e-4, beta1 0.9, beta2 0.99.
   With own[0] = s, not 0, tanh(s c) in place of the sign. */
#ifndef LION_H
#define LION_H

#include <cerebra/optim.h>

extern const cb_optimizer_rule lion_rule;
#define lion_new(params, ...)                                                                      \
    cb_optimizer_new_rule(&lion_rule, params, CB_OPTIMIZER_OPTIONS(__VA_ARGS__))

#endif
