/* The library's update rules. A new one is a file in this folder, its name in meson.build and a row
   here; its formula goes beside the others in optim.h. */
#ifndef CEREBRA_OPTIM_RULES_LIST_H
#define CEREBRA_OPTIM_RULES_LIST_H

#include <cerebra/optim.h>

#define CBI_RULE_TABLE(X)                                                                          \
    X(sgd)                                                                                         \
    X(adagrad)                                                                                     \
    X(adam)                                                                                        \
    X(adamw)                                                                                       \
    X(rmsprop)

#define CBI_RULE_DECLARATION(rule) extern const cb_optimizer_rule cbi_##rule##_rule;
CBI_RULE_TABLE(CBI_RULE_DECLARATION)
#undef CBI_RULE_DECLARATION

/* The rule of a name, or NULL. */
const cb_optimizer_rule *cbi_rule_find(const char *name);

#endif
