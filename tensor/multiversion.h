/* Function multiversioning: one binary that runs on every x86-64 and uses AVX2 or AVX-512 where
   they are.

   CBI_MULTIVERSION in front of a function makes the compiler emit it once for each instruction set,
   with a resolver (a glibc ifunc) that picks one when the program is loaded. Everything inlined
   into it is compiled for each set too.

   Rules for its use, each from a defect of a compiler we support:
   - Only on static functions, called from the same file. clang 14 emits the symbol `name.ifunc` and
   no `name`, so a caller in another file does not link.
   - The name must be unique in the whole program, although static: clang 14 gives `name.resolver`
   external linkage, so the same name in two files is a multiple definition.
   - A callee is compiled for the caller's instruction set only where it is inlined; mark it
   always_inline.

   The spelling differs. gcc >= 12 takes the levels of the x86-64 psABI. clang 14 accepts
   "arch=x86-64-v4" without a word, but its resolver then compares CPU vendors and always takes the
   default; it understands single features only. Its "avx512f" includes AVX2 and FMA; its "avx2" has
   no FMA.

   Results may differ in the last place between instruction sets, because of FMA; not between two
   runs on one machine.

   Expands to nothing where there is no ifunc (other processors, other C libraries) and under
   ThreadSanitizer, which crashes in resolvers because they run before it is initialised. Define
   CBI_NO_MULTIVERSION to switch it off. */
#ifndef CBI_TENSOR_MULTIVERSION_H
#define CBI_TENSOR_MULTIVERSION_H

#include <limits.h> /* defines __GLIBC__ */
#include <stdbool.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CBI_THREAD_SANITIZER 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define CBI_THREAD_SANITIZER 1
#endif

#if !defined(CBI_NO_MULTIVERSION) && !defined(CBI_THREAD_SANITIZER) && defined(__x86_64__) &&      \
    defined(__GLIBC__)
#if !defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 12
#define CBI_MULTIVERSION                                                                           \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__has_attribute)
#if __has_attribute(target_clones)
#define CBI_MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#endif
#ifndef CBI_MULTIVERSION
#define CBI_MULTIVERSION
#define CBI_SINGLE_VERSION 1
#endif

/* Whether the CPU has AVX-512, as far as x86-64-v4 and BLIS's kernels for it need it. */
static inline bool cbi_cpu_has_avx512(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd");
#else
    return false;
#endif
}

/* Whether multiversioned functions use AVX-512 here. */
static inline bool cbi_multiversion_has_avx512(void) {
#if defined(CBI_SINGLE_VERSION) && !defined(__AVX512F__)
    return false;
#else
    return cbi_cpu_has_avx512();
#endif
}

#endif
