/* The parameter set: an array of parameters in order of creation, and a chain of memory blocks for
   modules, all freed together.

   Each parameter is initialised from a random stream of its own, numbered by the FNV-1a hash of its
   name (Fowler, Noll & Vo), so that its first values depend on the seed and the name alone: adding
   a layer to a model changes no other layer. Names are looked up by a linear search, which for the
   hundreds of parameters that a large model has costs less than one of its matrix products. */
#include "nn/params_internal.h"

#include "autograd/tape_internal.h"
#include "tensor/format.h"
#include "tensor/hash.h"
#include "tensor/memory.h"

#include <cerebra/nn.h>
#include <stdarg.h>
#include <string.h>

/* In front of memory from cb_params_allocate; padded so that what follows stays aligned. */
typedef union block {
    struct {
        union block *next;
        void (*end)(void *object); /* called with object before the block is freed; NULL: nothing */
        void *object;
    };
    char padding[64];
} block;

struct cb_params {
    uint64_t seed;
    cb_dtype dtype;
    cb_error error;
    cb_random random; /* what dropout modules draw from */
    cb_param *
        *items; /* each allocated with its name behind it, so that pointers to them stay good */
    int count, capacity;
    block *blocks;
};

/* The stream that a name selects. */
static cb_random stream(uint64_t seed, const char *name) {
    cb_random parent = cb_random_seed(seed);
    return cb_random_split(&parent, cbi_hash_bytes(CBI_HASH_OF_NOTHING, name, strlen(name)));
}

cb_params *cb_params_new(uint64_t seed) {
    return cb_params_new_dtype(seed, CB_F32);
}

cb_params *cb_params_new_dtype(uint64_t seed, cb_dtype dtype) {
    cb_params *params = cb_dtype_is_float(dtype) ? cbi_allocate(sizeof *params) : NULL;
    if (params == NULL)
        return NULL;
    params->seed = seed;
    params->dtype = dtype;
    /* No parameter has an empty name, so this stream is free. */
    params->random = stream(seed, "");
    return params;
}

static void param_free(cb_param *param) {
    if (param != NULL) {
        cb_tensor_free(param->value);
        cb_tensor_free(param->gradient);
        cbi_free(param);
    }
}

void cb_params_free(cb_params *params) {
    if (params == NULL)
        return;
    for (int i = 0; i < params->count; i++)
        param_free(params->items[i]);
    cbi_free(params->items);
    for (block *b = params->blocks, *next; b != NULL; b = next) {
        next = b->next;
        if (b->end != NULL)
            b->end(b->object);
        cbi_free(b);
    }
    cbi_free(params);
}

cb_status cb_params_status(const cb_params *params) {
    return params == NULL ? CB_ERROR_MEMORY : params->error.status;
}

const char *cb_params_error(const cb_params *params) {
    return params == NULL ? "there is no parameter set" : params->error.message;
}

void cb_params_clear_error(cb_params *params) {
    if (params != NULL)
        params->error = (cb_error){CB_OK, ""};
}

cb_dtype cb_params_dtype(const cb_params *params) {
    return params == NULL ? CB_F32 : params->dtype;
}

void cbi_params_fail(cb_params *params, cb_status status, const char *format, ...) {
    if (params == NULL || params->error.status != CB_OK)
        return;
    params->error.status = status;
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(params->error.message, sizeof params->error.message, format, arguments);
    va_end(arguments);
}

void *cb_params_allocate(cb_params *params, size_t bytes) {
    if (params == NULL)
        return NULL;
    block *b = bytes > SIZE_MAX - sizeof *b ? NULL : cbi_allocate(sizeof *b + bytes);
    if (b == NULL) {
        cbi_params_fail(params, CB_ERROR_MEMORY, "no memory for %zu bytes of a module", bytes);
        return NULL;
    }
    b->next = params->blocks;
    params->blocks = b;
    return b + 1;
}

bool cbi_params_own(cb_params *params, void *object, void (*end)(void *object)) {
    void *memory = object == NULL ? NULL : cb_params_allocate(params, 0);
    if (memory == NULL)
        return false;
    params->blocks->end = end;
    params->blocks->object = object;
    return true;
}

cb_random *cb_params_random(cb_params *params) {
    return params == NULL ? NULL : &params->random;
}

/* ---- Adding a parameter ---------------------------------------------------------------------- */

/* Whether the arguments of cb_params_add are good; records what is not. */
static bool arguments_good(cb_params *params, const char *name, int rank, const int64_t *shape,
                           int64_t blocks, const cb_init *init) {
    if (name == NULL || *name == '\0') {
        cbi_params_fail(params, CB_ERROR_VALUE, "a parameter needs a name");
        return false;
    }
    if (rank < 1 || rank > CB_MAX_RANK || shape == NULL) {
        cbi_params_fail(params, CB_ERROR_SHAPE, "parameter %s: rank %d is outside 1..%d", name,
                        rank, CB_MAX_RANK);
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 1) {
            cbi_params_fail(params, CB_ERROR_SHAPE,
                            "parameter %s: extent %lld of axis %d is below 1", name,
                            (long long)shape[i], i);
            return false;
        }
    }
    if (blocks < 1 || shape[0] % blocks != 0) {
        cbi_params_fail(params, CB_ERROR_VALUE,
                        "parameter %s: %lld rows are not a multiple of %lld blocks", name,
                        (long long)shape[0], (long long)blocks);
        return false;
    }
    const char *fault = cbi_init_fault(init, rank);
    if (fault != NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "parameter %s: %s", name, fault);
        return false;
    }
    if (cb_params_find(params, name) != NULL) {
        cbi_params_fail(params, CB_ERROR_VALUE, "parameter %s: the name is in use", name);
        return false;
    }
    return true;
}

/* A parameter of zeros, or NULL when there is no memory. */
static cb_param *param_new(const char *name, cb_dtype dtype, int rank, const int64_t *shape) {
    size_t length = strlen(name) + 1;
    cb_param *param = cbi_allocate(sizeof *param + length);
    if (param == NULL)
        return NULL;
    param->name = memcpy(param + 1, name, length);
    param->value = cb_tensor_new(dtype, rank, shape);
    param->gradient = cb_tensor_new(dtype, rank, shape);
    if (param->value == NULL || param->gradient == NULL) {
        param_free(param);
        return NULL;
    }
    return param;
}

/* Makes room for one more parameter. */
static bool reserve(cb_params *params) {
    if (params->count < params->capacity)
        return true;
    int capacity = params->capacity == 0 ? 16 : 2 * params->capacity;
    cb_param **items = cbi_allocate((size_t)capacity * sizeof *items);
    if (items == NULL)
        return false;
    if (params->count > 0)
        memcpy(items, params->items, (size_t)params->count * sizeof *items);
    cbi_free(params->items);
    params->items = items;
    params->capacity = capacity;
    return true;
}

/* Fills the blocks of a value one after the other, from one stream. */
static cb_status initialise_blocks(cb_tensor *value, int64_t blocks, const cb_init *init,
                                   cb_random *random) {
    cb_tensor part = *value;
    part.shape[0] /= blocks;
    size_t bytes = cb_tensor_bytes(&part);
    cb_status status = CB_OK;
    for (int64_t i = 0; i < blocks && status == CB_OK; i++) {
        part.data = (char *)value->data + (size_t)i * bytes;
        status = cb_initialise(&part, init, random);
    }
    return status;
}

cb_param *cb_params_add(cb_params *params, const char *name, int rank, const int64_t *shape,
                        int64_t blocks, const cb_init *init) {
    if (blocks == 0)
        blocks = 1;
    if (params == NULL || !arguments_good(params, name, rank, shape, blocks, init))
        return NULL;
    cb_param *param = reserve(params) ? param_new(name, params->dtype, rank, shape) : NULL;
    if (param == NULL) {
        cbi_params_fail(params, CB_ERROR_MEMORY, "parameter %s: no memory", name);
        return NULL;
    }
    cb_random random = stream(params->seed, name);
    cb_status status = initialise_blocks(param->value, blocks, init, &random);
    if (status != CB_OK) {
        cbi_params_fail(params, status, "parameter %s: initialising: %s", name,
                        cb_status_meaning(status));
        param_free(param);
        return NULL;
    }
    params->items[params->count++] = param;
    return param;
}

cb_param *cb_params_add_buffer(cb_params *params, const char *name, int rank, const int64_t *shape,
                               const cb_init *init) {
    cb_param *param = cb_params_add(params, name, rank, shape, 1, init);
    if (param != NULL)
        param->buffer = true;
    return param;
}

/* ---- Reading the set ------------------------------------------------------------------------- */

cb_param *cb_params_find(const cb_params *params, const char *name) {
    for (int i = 0; name != NULL && i < cb_params_count(params); i++)
        if (strcmp(params->items[i]->name, name) == 0)
            return params->items[i];
    return NULL;
}

int cb_params_count(const cb_params *params) {
    return params == NULL ? 0 : params->count;
}

cb_param *cb_params_at(const cb_params *params, int i) {
    return i >= 0 && i < cb_params_count(params) ? params->items[i] : NULL;
}

int64_t cb_params_elements(const cb_params *params) {
    int64_t total = 0;
    for (int i = 0; i < cb_params_count(params); i++)
        total += params->items[i]->buffer ? 0 : cb_tensor_count(params->items[i]->value);
    return total;
}

void cb_params_zero_gradients(cb_params *params) {
    for (int i = 0; i < cb_params_count(params); i++)
        cb_tensor_fill(params->items[i]->gradient, 0);
}

/* Whether a leaf is what the parameter is now: it may have been frozen, and another parameter may
   lie where one was. */
static bool is_leaf_of(const cb_tensor *leaf, const cb_param *param) {
    bool varies = !cbi_is_fixed(param) && !leaf->node->tape->no_grad;
    return leaf->data == param->value->data && cb_requires_grad(leaf) == varies &&
           cb_tensor_same_shape(leaf, param->value) &&
           (!varies || leaf->node->sink->data == param->gradient->data);
}

/* Whether what a tape makes of parameters is not what the program asks it for: traces, checks, and
   what is computed again. */
static bool is_apart(const cb_tape *tape) {
    return tape->trace != NULL || tape->stand_ins != NULL || tape->parent != NULL ||
           tape->no_variables;
}

cb_tensor *cb_parameter(cb_tape *tape, cb_param *param) {
    if (param == NULL) {
        return cbi_tape_fail(tape, CB_ERROR_NOT_FOUND,
                             "the parameter is NULL: see cb_params_error");
    }
    if (tape != NULL && tape->detecting && tape->trace == NULL &&
        cbi_first_nan(param->value) >= 0) {
        return cbi_tape_fail(tape, CB_ERROR_VALUE, "parameter %s: element %lld is nan", param->name,
                             (long long)cbi_first_nan(param->value));
    }
    bool shared = tape != NULL && !is_apart(tape);
    cb_tensor *leaf = shared ? cbi_leaf_find(tape, param) : NULL;
    if (leaf != NULL && is_leaf_of(leaf, param))
        return leaf;
    leaf = cbi_is_fixed(param) ? cb_input(tape, param->value)
                               : cb_variable_into(tape, param->value, param->gradient);
    if (shared && !cbi_is_poisoned(leaf))
        cbi_leaf_note(tape, param, leaf);
    return leaf;
}
