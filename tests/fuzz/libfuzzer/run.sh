#!/bin/sh
# Runs fuzz targets that were built with libFuzzer, one after the other:
#
#     run.sh BUILD SECONDS [NAME ...]
#
# BUILD is a build folder configured with -Dfuzzers=true, SECONDS how long each target runs; without
# names, all run. What a target finds is in BUILD/fuzz/NAME/, beside the inputs that it grew from the
# seeds. The exit status is 1 when a target found something.
set -u
source=$(cd "$(dirname "$0")" && pwd)
build=$1
seconds=$2
shift 2
# shellcheck disable=SC2046 # the names of folders are words
[ $# -gt 0 ] || set -- $(cd "$source/seeds" && ls)
status=0
for name in "$@"; do
    work=$build/fuzz/$name
    log=$work/log
    mkdir -p "$work/corpus"
    dictionary=$source/dictionaries/$name.dict
    if [ -f "$dictionary" ]; then dictionary=-dict=$dictionary; else dictionary=; fi
    # Leaks are looked for at the end of each run of a new kind; 2 GB catch sizes that files lie about.
    if "$build/tests/fuzz/libfuzzer/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=8192 -print_final_stats=1 -artifact_prefix="$work/" ${dictionary:+"$dictionary"} \
        "$work/corpus" "$source/seeds/$name" >"$log" 2>&1; then
        echo "$name: $(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs," \
            "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1), nothing found"
    else
        echo "$name: found something"
        tail -n 60 "$log"
        status=1
    fi
done
exit $status
