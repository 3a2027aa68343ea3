/* What nn/ and optim/ share about a parameter set beyond its public functions. */
#ifndef CEREBRA_NN_PARAMS_INTERNAL_H
#define CEREBRA_NN_PARAMS_INTERNAL_H

#include <cerebra/nn.h>

/* Records a failure on the set, unless one is recorded already; params may be NULL. The message is
   printf's and names the parameter, module or optimizer at fault. */
void cbi_params_fail(cb_params *params, cb_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* What is wrong with an initialiser for a tensor of this rank, in a few words; NULL when it is
 * fine. */
const char *cbi_init_fault(const cb_init *init, int rank);

/* Whether a parameter is not trained. */
static inline bool cbi_is_fixed(const cb_param *param) {
    return param->frozen || param->buffer;
}

/* Adds the parameter NAME.suffix of a module, initialised by init or, where that is DEFAULT,
   otherwise. NULL, recorded, when that fails. */
cb_param *cbi_module_parameter(cb_params *params, const char *name, const char *suffix, int rank,
                               const int64_t *shape, cb_init init, cb_init otherwise);

/* A zeroed module struct of `bytes` bytes, which begins with a cb_module, with the forward function
   and a copy of the name (NULL: "") in it. It belongs to the set. NULL, recorded, when there is no
   memory. */
void *cbi_module_new(cb_params *params, const char *name, size_t bytes,
                     cb_tensor *(*forward)(const cb_module *module, cb_tensor *x));

/* Hands an object to the set: cb_params_free ends it with `end`. False, recorded, when there is no
   memory; the object, which may be NULL, then stays the caller's. */
bool cbi_params_own(cb_params *params, void *object, void (*end)(void *object));

#endif
