#!/bin/sh
# Files of other programs from the shell: what docs/files.md shows of import and inspect.
# Usage: files.sh CEREBRA
# shellcheck disable=SC2154 # what helpers.sh sets
# shellcheck source=tests/apps/helpers.sh
. "$(dirname "$0")/helpers.sh"
models=$project/tests/reference/import

# The page's console block, with the model that it shows.
cp "$models/lstm.safetensors" model.safetensors
cp "$models/vocabulary.json" v.json
expect 0 "$cerebra" import model.safetensors --vocabulary v.json --output imported.safetensors
grep -v '^\.\.\.' "$project/docs/files.md" | sed -n '/^\$ cerebra import/,/^\$ cerebra sample/p' | grep -v '^\$' |
    while read -r line; do
        cat out err | grep -qxF "$line" || echo "$line"
    done >lacking
[ -s lacking ] && complain "docs/files.md shows what import does not print: $(cat lacking)"
[ "$(wc -l <out)" -eq 11 ] || complain "import lists $(wc -l <out) weights"
expect 0 "$cerebra" sample --checkpoint imported.safetensors --length 20 --prompt h
expect 0 "$cerebra" eval --checkpoint imported.safetensors --data "$models/text.txt" --carry
contains out '2.49550 nats' # PyTorch's
expect 0 "$cerebra" inspect imported.safetensors
contains out 'a checkpoint of cerebra: cell lstm'
contains out 'rnn.weight_hh_l1 F32 '
refuse 1 'no settings to go on with' train --resume imported.safetensors
cp model.safetensors precious.safetensors
refuse 2 'overwrite the model to read' import precious.safetensors --vocabulary v.json --output precious.safetensors
cp v.json precious.json
refuse 2 'vocabulary would be overwritten' import model.safetensors --vocabulary precious.json --output precious.json
printf 'PK\003\004 and much more' >torch.pt
refuse 1 'as torch.save writes' import torch.pt --vocabulary v.json --output x

# Wrong usage, and files that are none.
refuse 2 'one FILE is needed' import --vocabulary v.json --output x
refuse 2 'vocabulary FILE is needed' import model.safetensors --output x
refuse 2 'output FILE is needed' import model.safetensors --vocabulary v.json
refuse 2 'without --cell' import model.safetensors --vocabulary v.json --output x --set a=1
refuse 2 'no-cell' import model.safetensors --vocabulary v.json --output x --cell no-cell
refuse 1 'shape .* in a layer of cerebral-gru' import model.safetensors --vocabulary v.json --output x --cell cerebral-gru
refuse 1 'not a safetensors file' import v.json --vocabulary v.json --output x
refuse 1 'model.safetensors, line 1' import model.safetensors --vocabulary model.safetensors --output x
refuse 1 'cannot write' import model.safetensors --vocabulary v.json --output no/x
refuse 1 'not a regular file' import /dev/zero --vocabulary v.json --output x
refuse 2 'one FILE is needed' inspect
refuse 2 'one FILE is needed' inspect a b
refuse 1 'not a regular file' inspect /dev/zero
refuse 1 'a directory' inspect .
refuse 1 'cannot open' inspect nothing
refuse 1 'not a safetensors file' inspect text.txt

# Names do not reach a terminal as they are.
python3 - <<'EOF'
import json, struct
text = json.dumps({"a\x1b[2J": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
open("odd.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + b"\7")
EOF
expect 0 "$cerebra" inspect odd.safetensors
contains out 'a?\[2J'

finish
