/* Verifiers: what passes rely on, checked after each of them, in every build.

   A graph or a plan that fails is not run: the step runs op by op, and says that the compiler has a
   bug. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_VERIFY_H
#define CEREBRA_AUTOGRAD_COMPILER_VERIFY_H

#include "autograd/compiler/plan.h"

/* Whether every value comes after its inputs, has the elements that its operation gives, and takes
   inputs of the right dtype and count; and whether every result is there and is what it should be.
   What is wrong is written to bug. */
bool cbi_verify_graph(const cbi_graph *graph, char *bug, size_t size);
/* Whether every operand, at each of some steps run in thought, holds the elements of the value that
   the graph says it does, wherever it lies: written before, by this step or another, and not
   written over since; and whether every result is left. */
bool cbi_verify_plan(const cbi_plan *plan, char *bug, size_t size);

#endif
