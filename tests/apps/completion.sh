#!/bin/sh
# Bash completion: the words that are offered for a command line, as Bash cuts it.
# Usage: completion.sh CEREBRA SCRIPT (scripts/completion/cerebra.bash)
# shellcheck disable=SC2154,SC2016 # what helpers.sh sets; the quoted program is another shell's
script=$(realpath "$2")
# shellcheck source=tests/apps/helpers.sh
. "$(dirname "$0")/helpers.sh"
command -v bash >/dev/null || { echo "skipped: there is no bash"; exit 77; }

# offers EXPECTED WORD ...: the last word is the one at the cursor. "=" and ":" are words of their
# own, as in COMP_WORDBREAKS.
offers() {
    expected=$1
    shift
    offered=$(bash -c 'source "$1"; breaks=$2; shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_WORDBREAKS=$breaks
        _cerebra; [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' \
        completion "$script" "$breaks" "$cerebra" "$@" | tr '\n' ' ')
    [ "${offered% }" = "$expected" ] || complain "$*: offers \"${offered% }\", not \"$expected\""
}

mkdir cells
touch mine.cell mgx.cell cells/deep.cell mycells.so book.txt mg.txt
breaks=' =:'

offers 'train' tr
offers 'cells' ce
offers 'mgu mgx.cell' train --cell mg
offers 'mine.cell mingru minlstm' train --cell mi
offers 'indrnn' train --layers 2 --cell ind
offers './mine.cell' train --cell ./mi
offers 'cells/deep.cell' train --cell cells/
offers 'cells cerebral-gru cerebral-lstm cerebral-lstm-as-printed cerebral-three-lobes' train --cell = ce
offers 'mycells.so' train --cell my
offers 'mgu mgx.cell' train --cell = mg
offers './mgx.cell ./mine.cell ./mycells.so' train --cell = ./m
offers 'lem' train --cell = le

# Lists, where the command takes them.
for command in explain bench; do
    offers 'lstm,mgu lstm,mgx.cell' $command --cell lstm,mg
    offers 'lstm,./mine.cell' $command --cell = lstm,./mi
    offers 'lstm,./cells/' $command --cell lstm,./ce
done
offers '' train --cell lstm,mg

# The cell of a checkpoint is in the file, but for shared libraries.
for command in sample eval; do
    offers 'mycells.so' $command --cell my
    offers '' $command --cell mg
    offers 'mycells.so' $command --cell = my
done

# The operands of cells, and options.
offers 'mgu mgx.cell' cells mg
offers 'mgu mgx.cell' cells lstm --json mg
offers 'mycells.so' cells my
offers '--names' cells --na
offers 'parity' tasks pa
offers '--set' cells --se
offers '--set' train --set
offers '--cell' eval --ce
offers 'adagrad adam adamw' train --optimizer ad
offers 'adagrad adam adamw' train --optimizer = ad
offers 'mg.txt mgx.cell' train --data mg
offers 'mg.txt mgx.cell' train --validation mg
offers 'constant cosine' train --schedule co
offers 'char-rnn' train --preset ''
offers 'precious.csv precious.safetensors' plot prec
offers 'f32 f64' explain --cell mine.cell --dtype f

# Where a word is not cut, the reply is the whole of it.
breaks=' '
offers '--cell=mgu --cell=mgx.cell' train --cell=mg
offers '--cell=lstm,mgu --cell=lstm,mgx.cell' bench --cell=lstm,mg
offers '--optimizer=adam --optimizer=adamw' train --optimizer=adam

finish
