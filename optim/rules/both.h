/* Compiles the loops of a rule for both float types. A rule is one file, which reads itself twice
   through this header, with

       REAL        float or double
       SQRT(x)     the root of a REAL
       RULE(name)  the function's name, which must be unique in the program (multiversion.h)

   so that a loop is written once. The file has this form:

       #ifndef REAL
       #define CBI_RULE_FILE "optim/rules/NAME.c"
       #include "optim/rules/both.h"
       ... the rule itself: const cb_optimizer_rule cbi_NAME_rule = {..., CBI_RULE(NAME)};
       #else
       ... the loops: CBI_MULTIVERSION static void RULE(NAME)(const cb_optimizer_update *u)
       #endif

   Everything in a loop that depends on the step alone is computed in double before it. A loop reads
   the gradient and leaves it zero in the same pass over memory. Loops that some option makes longer
   take it as a constant argument of a function that is always inlined, so that none has a branch in
   it and all vectorise. */
#include "optim/rules/list.h"
#include "tensor/multiversion.h"

#include <math.h>

#ifdef __GNUC__
#define CBI_INLINE inline __attribute__((always_inline))
#else
#define CBI_INLINE inline
#endif

/* The members of a rule that its name says. */
#define CBI_RULE(rule)                                                                             \
    .name = #rule, .update_f32 = optimizer_##rule##_f32, .update_f64 = optimizer_##rule##_f64

#define REAL       float
#define SQRT       sqrtf
#define RULE(name) optimizer_##name##_f32
#include CBI_RULE_FILE
#undef REAL
#undef SQRT
#undef RULE

#define REAL       double
#define SQRT       sqrt
#define RULE(name) optimizer_##name##_f64
#include CBI_RULE_FILE
#undef REAL
#undef SQRT
#undef RULE
