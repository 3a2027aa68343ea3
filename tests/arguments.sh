#!/bin/sh
# The macros that write arguments in place, in C and in each standard of C++, with warnings as errors:
# `arguments.sh BUILD SOURCE [CFLAG ...]`. The flags are those without which the library does not link
# (sanitizers); other compilers than the build's have not all of them, so that with them nothing is run.
set -eu
build=$1
source=$2
shift 2
warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LD_LIBRARY_PATH=$build
OMP_NUM_THREADS=1
export LD_LIBRARY_PATH OMP_NUM_THREADS

fail() {
    echo "FAILED: $*"
    exit 1
}

# What the headers leave defined, the program uses.
for macro in $(sed -nE 's/^#define ((CB|cb)_[A-Za-z_]+)\(.*/\1/p' "$source"/include/cerebra/*.h); do
    grep -q "^#undef $macro\$" "$source"/include/cerebra/*.h || grep -q "$macro" "$source/tests/arguments.c" ||
        fail "arguments.c does not use $macro"
done

# try FILE COMPILER FLAG ...: compiles the program and runs it.
try() {
    echo "$*"
    file=$1
    compiler=$2
    shift 2
    # shellcheck disable=SC2086 # a list of words
    "$compiler" "$@" $warnings -I"$source/include" -I"$build/include" -c "$source/tests/$file" \
        -o "$work/arguments.o" || fail "$compiler $*"
    [ -z "$link" ] || {
        "$compiler" "$work/arguments.o" -o "$work/arguments" -L"$build" -lcerebra -lm &&
            "$work/arguments" || fail "what $compiler $* made"
    }
}
link=$([ $# -gt 0 ] || echo yes)
for compiler in gcc clang; do
    ! command -v $compiler >/dev/null || try arguments.c $compiler -std=c11 -Wstrict-prototypes
done
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || continue
    for standard in 11 14 17 20 2b; do # 23, by the name that older compilers know as well
        try arguments.c $compiler -std=c++$standard -Wold-style-cast -x c++
        try arguments_in_class.cc $compiler -std=c++$standard -Wold-style-cast
    done
done

# One member more than can be set is an error, and not left out.
ones=$(seq 33 | sed 's/.*/.lr = 1/' | paste -sd,)
printf '#include <cerebra/optim.h>\nvoid f(cb_params *p) { cb_optimizer_group(0, "", CB_STRUCT(cb_optimizer_options, %s)); (void)p; }\n' \
    "$ones" >"$work/many.cc"
if command -v g++ >/dev/null; then
    ! g++ -I"$source/include" -fsyntax-only "$work/many.cc" 2>/dev/null || fail "33 members are taken"
    sed 's/, .lr = 1));\|,.lr = 1));/));/' "$work/many.cc" >"$work/most.cc"
    g++ -I"$source/include" -fsyntax-only "$work/most.cc" || fail "32 members are not taken"
fi
