/* Faults that a test puts back into the compiler, to see that the verifier and the check of plans
   at first use find them. Only a build for that test has them: elsewhere they are false. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_FAULTS_H
#define CEREBRA_AUTOGRAD_COMPILER_FAULTS_H

enum {
    CBI_FAULT_UNVERIFIED,   /* graphs and plans are taken as they are */
    CBI_FAULT_GIVEN_PIECE,  /* a cotangent is given a place in a concatenation: nothing writes it */
    CBI_FAULT_PACKED_PLACE, /* what is packed is known by its place, and not by its extents */
    CBI_FAULT_NARROW_CONSTANT,  /* a constant in a concatenation is one element wide */
    CBI_FAULT_ZERO_GRADIENT,    /* a gradient that is a number is not left anywhere */
    CBI_FAULT_PASSING_OPERAND,  /* an operand that is gone after the loop is read then */
    CBI_FAULT_STRIDED_WEIGHT,   /* a weight's strides are taken for those of the trace */
    CBI_FAULT_REGISTER_OF_STAGE /* a register is read after its stage is over */
};

#ifdef CBI_FAULTS
extern unsigned cbi_faults; /* of the test: bit n puts fault n in */
#define CBI_FAULT(n) ((cbi_faults >> (n)&1u) != 0)
#else
#define CBI_FAULT(n) false
#endif

#endif
