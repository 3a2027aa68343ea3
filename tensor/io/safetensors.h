/* What the safetensors reader's parts and the writer agree on. */
#ifndef CEREBRA_TENSOR_IO_SAFETENSORS_H
#define CEREBRA_TENSOR_IO_SAFETENSORS_H

#include "tensor/io/elements.h"

#include <jansson.h>

/* The key of the map of strings, no tensor's name. */
#define CBI_SAFETENSORS_METADATA "__metadata__"

enum { CBI_SAFETENSORS_LARGEST_HEADER = 100000000 /* bytes, set by the format */ };

/* What the header says of a tensor. */
typedef struct cbi_safetensors_entry {
    cb_stored_tensor stored; /* its name belongs to the JSON tree */
    const cbi_element_type *type;
    uint64_t begin, end; /* in the data */
    cb_tensor *tensor;   /* its elements, when they are in memory */
} cbi_safetensors_entry;

struct cb_safetensors {
    cbi_file file;                  /* its path is ours */
    json_t *header;                 /* owns names and metadata */
    uint64_t data;                  /* where the data begins */
    int64_t *shapes;                /* the extents of all tensors */
    cbi_safetensors_entry *entries; /* in the order of names */
    int count;
    cb_named_tensor *in_memory; /* in the order of names; NULL: the file is only open */
    int in_memory_count;
};

/* Reads and checks the header of an open file; fills all but what is in memory. On failure what is
   there is freed with the struct. */
cb_status cbi_safetensors_header(cb_safetensors *file, cb_error *error);

/* Gives the elements of the i-th tensor to a visitor, in the file's order. */
cb_status cbi_safetensors_visit(const cb_safetensors *file, int i, cbi_element_visitor *visit,
                                void *context, cb_error *error);

#endif
