#!/bin/sh
# Holds tutorials to their examples: `quotes.sh SOURCE`. Every block of a page that is fenced as C
# must stand in one of the page's files, line for line and without a gap; only the indentation may
# differ. The guide names every numbered example.
set -eu
cd "$1"
failed=0

# quotes PAGE FILE ...
quotes() {
    awk '
        function finish() {
            blocks++
            if (block == "\n") missing("is empty")
            for (f = 2; f < ARGC && index(text[f], block) == 0; f++);
            if (f == ARGC) missing("is in none of its files")
        }
        function missing(why) {
            printf "FAILED: %s:%d: the quoted block %s\n", ARGV[1], start, why
            bad = 1
        }
        FNR == 1 { file++ }
        { line = $0; sub(/^[ \t]+/, "", line) }
        file > 1 { text[file] = (text[file] == "" ? "\n" : text[file]) line "\n"; next }
        { page[FNR] = line; lines = FNR }
        END {
            for (n = 1; n <= lines; n++) {
                if (inside && page[n] ~ /^```/) { finish(); inside = 0 }
                else if (inside) block = block page[n] "\n"
                else if (page[n] == "```c") { inside = 1; start = n; block = "\n" }
            }
            if (inside) missing("has no end")
            if (blocks == 0) { printf "FAILED: %s quotes nothing\n", ARGV[1]; bad = 1 }
            else printf "%s: %d blocks\n", ARGV[1], blocks
            exit bad
        }
    ' "$@" || failed=1
}

quotes docs/adding-a-cell.md examples/custom_cell.c examples/train_custom_cell.c \
    examples/cell_library.c nn/cells/peephole_cerebral_lstm.c tests/nn/test_carried_state.c \
    tests/nn/test_cell_tables.c
quotes docs/cells.md examples/missing_values.c
quotes docs/adding-an-op.md examples/06_own_op.c tests/autograd/test_adding_an_op.c \
    autograd/ops/elementwise_table.h autograd/ops/*.c
quotes docs/guide.md examples/[01]*.c
quotes docs/from-pytorch.md examples/[01]*.c
for example in examples/[01]*.c; do
    grep -q "($(echo "../$example" | sed 's/\./\\./g'))" docs/guide.md || {
        echo "FAILED: docs/guide.md does not name $example"
        failed=1
    }
done
# Names of the library's in the pages for users are declared in a public header.
for page in docs/guide.md docs/from-pytorch.md; do
    for name in $(grep -ohE '\b(cb|CB)_[A-Za-z0-9_]+' "$page" | sort -u); do
        grep -rqw "$name" include/cerebra || {
            echo "FAILED: $page: no public header has $name"
            failed=1
        }
    done
done
exit $failed
