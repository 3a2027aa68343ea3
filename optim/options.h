/* What optim/ does with the options of a group (options.c). */
#ifndef CEREBRA_OPTIM_OPTIONS_H
#define CEREBRA_OPTIM_OPTIONS_H

#include <cerebra/optim.h>
#include <jansson.h>

/* The options that are given (NULL: none), and the defaults for the others, in *filled; no range is
   checked. False, recorded under the rule's name, when given->named has a name that is none. */
bool cbi_options_fill(const char *rule, cb_params *params, const cb_optimizer_options *defaults,
                      const cb_optimizer_options *given, cb_optimizer_options *filled);
/* Whether each option is in its range; records the first that is not on the set, which may be NULL.
 */
bool cbi_options_in_range(const char *rule, cb_params *params, const cb_optimizer_options *options);
/* The options as an object, NULL without memory; and back, false when one is missing or no number.
 */
json_t *cbi_options_json(const cb_optimizer_options *options);
bool cbi_options_read(const json_t *object, cb_optimizer_options *options);

/* JSON has no infinity, which clip_norm and a metric may be: it is written as the largest number.
 */
double cbi_finite(double number);
double cbi_infinite(double number);
/* Writes a text from malloc, which may be NULL, into a caller's buffer as snprintf would, frees it,
   and returns its length. */
size_t cbi_text_copy(char *text, char *buffer, size_t size);

#endif
