/* Everything: tensors, ops, modules, recurrent networks, optimizers, files. */
#ifndef CEREBRA_CEREBRA_H
#define CEREBRA_CEREBRA_H

#include <cerebra/arguments.h>
#include <cerebra/check.h>
#include <cerebra/equations.h>
#include <cerebra/files.h>
#include <cerebra/nn.h>
#include <cerebra/op.h>
#include <cerebra/ops.h>
#include <cerebra/optim.h>
#include <cerebra/params.h>
#include <cerebra/random.h>
#include <cerebra/rnn.h>
#include <cerebra/scan.h>
#include <cerebra/status.h>
#include <cerebra/tape.h>
#include <cerebra/tensor.h>
#include <cerebra/threads.h>
#include <cerebra/version.h>

#endif
