#!/bin/sh
# What the scripts that run the command share: sourced with the path of `cerebra` as $1. Each case
# names what it expects: exit code, one line on standard error, and files that may not change.
set -u
cerebra=$(realpath "$1")
# shellcheck disable=SC2034 # used by the scripts
project=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# Under AddressSanitizer: fontconfig keeps what it has read until the process ends.
echo 'leak:libfontconfig' >"$work/.suppressions"
export LSAN_OPTIONS="suppressions=$work/.suppressions:print_suppressions=0"
failures=0

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect CODE COMMAND ...: runs it; output in out and err.
expect() {
    wanted=$1
    shift
    "$@" >out 2>err </dev/null
    code=$?
    [ "$code" -eq "$wanted" ] || complain "exit code $code instead of $wanted: $* ($(head -c 300 err))"
}

# refuse CODE PATTERN ARGUMENT ...: fails with that code and exactly one line that matches; the files
# precious.* are as they were, and none is left over.
refuse() {
    wanted=$1
    pattern=$2
    shift 2
    before=$(ls -A; cat precious.*)
    expect "$wanted" "$cerebra" "$@"
    [ "$(wc -l <err)" -eq 1 ] || complain "$(wc -l <err) lines on standard error: $* ($(head -c 300 err))"
    grep -q -- "$pattern" err || complain "\"$pattern\" is not in the message of $*: $(cat err)"
    [ -s out ] && complain "printed something: $*"
    [ "$before" = "$(ls -A; cat precious.*)" ] || complain "files changed: $*"
}

contains() {
    grep -q -- "$2" "$1" || complain "$1 lacks \"$2\": $(head -c 300 "$1")"
}

# wait_for FILE: until it is there and has something in it.
wait_for() {
    tries=0
    while [ ! -s "$1" ] && [ $tries -lt 300 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

# same A B: two files that are alike, byte for byte.
same() {
    cmp "$1" "$2" >/dev/null 2>&1 || complain "$1 and $2 differ: $(cmp "$1" "$2" 2>&1)"
}

# shellcheck disable=SC2034 # read by who sources this
tiny="--hidden 16 --embedding 8 --seq-len 10 --batch 4 --steps-per-epoch 3 --epochs 2 --quiet"

i=0
while [ $i -lt 40 ]; do
    echo "Zoë_Ferreira: line $i, the kettle (BOILING) again."
    i=$((i + 1))
done >text.txt
printf 'a log of mine\n' >precious.csv
printf 'a model of mine\n' >precious.safetensors
touch out err
printf 'short' >short.txt
sed 's/kettle/pot/' text.txt >other.txt
# shellcheck disable=SC2034 # read by who sources this
keep="--log precious.csv --checkpoint precious.safetensors"

# The scripts' last command.
finish() {
    [ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
    echo "all passed"
}
