/* .npz files: what the command needs beside the public functions. */
#ifndef CEREBRA_TENSOR_IO_NPZ_H
#define CEREBRA_TENSOR_IO_NPZ_H

#include "tensor/io/elements.h"

/* Gives the elements of the i-th array to a visitor, in the file's order. */
cb_status cbi_npz_visit(const cb_npz *file, int i, cbi_element_visitor *visit, void *context,
                        cb_error *error);

#endif
