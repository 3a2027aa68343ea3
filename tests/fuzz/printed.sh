#!/bin/sh
# Builds steps that fuzz_steps prints as programs, without a warning, and runs them: they must find
# what the fuzzer finds.
#   printed.sh FUZZ_STEPS SOURCE_ROOT BUILD_ROOT COMPILER...
set -eu
fuzz_steps=$1 source=$2 build=$3
shift 3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export LD_LIBRARY_PATH="$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

for seed in 1 2 3 5 8 13 21 34 55; do
    expected=0
    found=$("$fuzz_steps" --seed $seed --count 1 --jobs 1 --reductions 0) || expected=1
    case $found in *"crash: "* | *"hang: "*) continue ;; esac
    "$fuzz_steps" --show $seed >"$directory/step.c"
    "$@" -std=c11 -Wall -Wextra -Werror -I"$source" -I"$source/include" -I"$build/include" \
        "$directory/step.c" "$source/tests/fuzz/own_ops.c" -L"$build" -lcerebra -lm \
        -o "$directory/step"
    status=0
    said=$("$directory/step") || status=$?
    if [ $status -ne $expected ]; then
        echo "seed $seed: the program exits with $status, the fuzzer with $expected" >&2
        printf '%s\n%s\n' "$found" "$said" >&2
        exit 1
    fi
done
