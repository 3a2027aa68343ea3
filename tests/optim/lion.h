/* An optimizer that the library does not have, as a user adds one: Lion (Chen et al. 2023),
   c = beta1 m + (1 - beta1) g;  theta -= lr (sign(c) own[0] + weight_decay theta);
   m = beta2 m + (1 - beta2) g. own[0], by default 1, is there to try options of one's own. */
#ifndef CEREBRA_TESTS_OPTIM_LION_H
#define CEREBRA_TESTS_OPTIM_LION_H

#include <cerebra/optim.h>

extern const cb_optimizer_rule lion_rule;

#endif
