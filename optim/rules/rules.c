/* Finds update rules by name. */
#include "optim/rules/list.h"

#include <string.h>

#define RULE_ROW(rule) &cbi_##rule##_rule,
static const cb_optimizer_rule *const rules[] = {CBI_RULE_TABLE(RULE_ROW)};

#define RULE_NAME(rule) #rule,
static const char *const rule_names[] = {CBI_RULE_TABLE(RULE_NAME) NULL};

const char *const *cb_optimizer_names(void) {
    return rule_names;
}

const cb_optimizer_rule *cbi_rule_find(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rule_names[i], name) == 0)
            return rules[i];
    return NULL;
}
