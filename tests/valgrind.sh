#!/bin/sh
# Programs of a user's under valgrind: no error, and nothing left of the library's own when they end, with
# the suppressions that are installed: `valgrind.sh VALGRIND BUILD SOURCE CC`.
set -eu
valgrind=$1
build=$2
source=$3
cc=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LD_LIBRARY_PATH=$build
OMP_NUM_THREADS=2
export LD_LIBRARY_PATH OMP_NUM_THREADS
cd "$work"

# watched PROGRAM: with any memory that is not freed an error.
watched() {
    "$valgrind" --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
        --suppressions="$source/scripts/valgrind.supp" "./$1" >"$1.out" 2>"$1.err"
}

# A product that takes scratch memory and threads, a tape that is freed, and one that is not.
cat >kept.c <<'END'
#include <cerebra/cerebra.h>
int main(void) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *a = cb_full(tape, CB_F32, CB_SHAPE(200, 300), 1);
    cb_tensor *b = cb_full(tape, CB_F32, CB_SHAPE(300, 200), 1);
    bool good = cb_item(cb_sum(cb_matmul(a, b), CB_ALL_AXES, false)) == 200.0 * 200 * 300;
    if (FREED)
        cb_tape_free(tape);
    return !good;
}
END
"$cc" -g -DFREED=1 -I"$source/include" -I"$build/include" kept.c -o freed -L"$build" -lcerebra
"$cc" -g -DFREED=0 -I"$source/include" -I"$build/include" kept.c -o kept -L"$build" -lcerebra
"$cc" -g -I"$source/include" -I"$build/include" "$source/tests/arguments.c" -o arguments -L"$build" -lcerebra -lm
for program in freed arguments; do
    watched $program || {
        echo "FAILED: valgrind on $program"
        cat "$program.err"
        exit 1
    }
done
if watched kept || ! grep -q 'cb_tape_new' kept.err; then
    echo "FAILED: a tape that is not freed is not reported"
    cat kept.err
    exit 1
fi
