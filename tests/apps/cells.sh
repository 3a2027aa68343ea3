#!/bin/sh
# Cells as files of equations and in shared libraries, as a user meets them: checked, trained,
# gone on with, sampled from, explained and timed; and what is said of wrong ones.
# Usage: cells.sh CEREBRA LIBRARY (examples/cell_library.c, built)
# shellcheck disable=SC2154,SC2086 # what helpers.sh sets; lists of words
library=$(realpath "$2")
# shellcheck source=tests/apps/helpers.sh
. "$(dirname "$0")/helpers.sh"
small='--hidden 12 --embedding 8 --batch 4 --seq-len 6 --steps-per-epoch 4 --threads 1 --quiet'
for i in 1 2 3 4 5 6 7 8; do echo "the waves went out and the waves came in $i"; done >text.txt

# A cell that is in no list: an LSTM whose forget gate sees a learned average of the last two cell
# states.
cat >averaging.cell <<'END'
# averaging: an LSTM whose forget gate sees an average of the last two cell states
let steady = 1
a  = sigmoid(w_a)
m  = a * c + (1 - a) * d
i  = sigmoid(W_i x + U_i h + b_i)
f  = sigmoid(W_f x + U_f h + V_f m + b_f)
g  = tanh(W_g x + U_g h + b_g)
o  = sigmoid(W_o x + U_o h + b_o)
c' = f * c + i * g * steady
d' = c
h' = o * tanh(c')
init b_f = 1
END

# Checked and shown as it was read.
expect 0 "$cerebra" cells averaging.cell --hidden 4 --input 3
contains out '^averaging$'
contains out 'an LSTM whose forget gate sees'
contains out "c' = f \* c + i \* g \* steady .*\[hidden\]"
contains out 'W_f \[hidden, input\] .*input weight'
contains out 'V_f \[hidden, hidden\] .*recurrent weight'
contains out 'w_a \[hidden\] .*unit weight'
contains out '148 parameters with input 3 and hidden 4'
expect 0 "$cerebra" cells averaging.cell lstm mgu --names
[ "$(tr '\n' ' ' <out)" = 'averaging lstm mgu ' ] || complain "names: $(cat out)"
expect 0 "$cerebra" cells --json averaging.cell
contains out '"name": "averaging"'

# Trained and gone on with, bit for bit as if it had not stopped, whatever becomes of the file.
expect 0 "$cerebra" train --data text.txt --cell averaging.cell --epochs 4 $small --checkpoint whole.st
expect 0 "$cerebra" train --data text.txt --cell ./averaging.cell --epochs 2 $small --checkpoint part.st
mv averaging.cell kept.cell
printf 'h'"'"' = W x\n' >averaging.cell
expect 0 "$cerebra" train --resume part.st --epochs 4 --quiet
expect 0 "$cerebra" sample --checkpoint whole.st --length 40 --seed 3
cp out whole.txt
expect 0 "$cerebra" sample --checkpoint part.st --length 40 --seed 3
same out whole.txt
# A file that is named again has to say what the checkpoint says, wherever it is.
again='train --resume part.st --epochs 4 --quiet'
for file in averaging.cell ./averaging.cell; do
    refuse 2 "the equations of $file differ from those that part.st was trained with" $again --cell $file
    contains err 'without --cell, those in the checkpoint go on'
done
rm averaging.cell
expect 0 "$cerebra" eval --checkpoint part.st --data text.txt
contains out 'nats per character'
mkdir folder
cp kept.cell folder/other.cell
{ echo '# written anew'; sed 's/ \* /*/; s/^init/\n&/' kept.cell; } >folder/spaced.cell
for file in kept.cell ./kept.cell folder/other.cell folder/../kept.cell folder/spaced.cell; do
    expect 0 "$cerebra" $again --cell $file
done
for change in 's/sigmoid(w_a)/sigmoid(2 * w_a)/' 's/b_f = 1/b_f = 2/' 's/steady = 1/steady = 2/'; do
    sed "$change" kept.cell >folder/changed.cell
    refuse 2 'the equations of folder/changed.cell differ' $again --cell folder/changed.cell
done
refuse 2 'part.st was made with --cell "./averaging.cell", not "lstm"' $again --cell lstm
mv kept.cell averaging.cell

# Hyperparameters that are given again: compared by name and value, with defaults for the others.
printf 'let a = 1\nlet b = 2\nsize p = 4\nstate m[p]\nm'"'"' = W x\nh'"'"' = tanh(a * V m + b * U h)\n' >several.cell
expect 0 "$cerebra" train --data text.txt --cell several.cell --set a=0.5,p=6 --epochs 1 $small --checkpoint several.st
cp several.st as-made.st
again='train --resume several.st --quiet'
for set in a=0.5,p=6 p=6,a=5e-1 b=2,a=0.50,p=6; do
    expect 0 "$cerebra" $again --set $set
    expect 0 "$cerebra" $again --cell several.cell --set $set
done
expect 0 "$cerebra" $again --set p=6 --set a=0.5
expect 0 "$cerebra" $again --cell ./several.cell
same several.st as-made.st
refuse 2 'several.st was made with --set a=0.5, not a=0.25 (see' $again --set a=0.25,p=6
refuse 2 'several.st was made with --set p=6, not p=8 (see' $again --set a=0.5 --set p=8
refuse 2 'several.st was made with --set b=2, not b=3 (see' $again --set a=0.5,p=6,b=3
refuse 2 'several.st was made with --set p=6; without it, p is 4 (see' $again --set a=0.5
refuse 2 'no "c" to set' $again --set c=1
refuse 2 'takes NAME=NUMBER,..., not nothing' $again --set ''
expect 0 "$cerebra" train --data text.txt --cell projected-lstm --set projection=5 --epochs 1 $small --checkpoint several.st
expect 0 "$cerebra" $again --set projection=5.0
expect 0 "$cerebra" $again --cell projected-lstm --set projection=5
refuse 2 'was made with --set projection=5, not projection=6 (see' $again --set projection=6
refuse 2 'has no hyperparameter "c"' $again --set c=1
refuse 2 'was made with --cell "projected-lstm", not "lstm"' $again --cell lstm
expect 0 "$cerebra" train --data text.txt --cell gru --epochs 1 $small --checkpoint several.st
refuse 2 'the cell gru has no hyperparameter "a"' $again --set a=1

# Hyperparameters: of a file, of a cell in C; kept with the checkpoint.
for set in 'steady=1' 'steady=0.5' 'steady=0.25'; do
    expect 0 "$cerebra" train --data text.txt --cell averaging.cell --set "$set" --epochs 2 $small \
        --checkpoint "$set.st"
    expect 0 "$cerebra" eval --checkpoint "$set.st" --data text.txt
    cp out "$set.txt"
done
cmp -s steady=1.txt steady=0.5.txt && complain "--set changes nothing"
expect 0 "$cerebra" train --data text.txt --cell projected-lstm --set projection=5 --epochs 1 $small \
    --checkpoint projected.st
expect 0 "$cerebra" sample --checkpoint projected.st --length 5
expect 0 "$cerebra" cells averaging.cell --set steady=0.125
contains out 'let steady = 0.125'
expect 0 "$cerebra" cells --json averaging.cell --set steady=0.125
contains out '"equations": "let steady = 0.125\\n'
expect 0 "$cerebra" cells projected-lstm --set projection=7 --hidden 4
contains out '^        size projection = 7$'
expect 0 "$cerebra" cells --json projected-lstm --set projection=7
contains out '"equations": "size projection = 7\\nstate h\[projection\]\\n'
refuse 2 'no "calm" to set; there are steady' cells averaging.cell --set calm=1
refuse 2 'no "calm" to set; there are steady' train --data text.txt --cell averaging.cell --set calm=1
refuse 2 'has no hyperparameter "calm"' train --data text.txt --cell lstm --set calm=1
refuse 2 'takes NAME=NUMBER, not "steady"' train --data text.txt --cell averaging.cell --set steady
refuse 2 'takes NAME=NUMBER,..., not nothing' train --data text.txt --cell averaging.cell --set ''
for set in 'steady=1,' ',steady=1' 'steady=1,,unsteady=2' ','; do
    for command in train explain bench; do
        refuse 2 "\"$set\" has a comma too many" $command --cell averaging.cell --set "$set"
    done
    refuse 2 "has a comma too many" explain --cell averaging.cell,lstm --set "$set"
    refuse 2 "has a comma too many" cells averaging.cell --set "$set"
done
refuse 2 'has a comma too many' train --data text.txt --cell averaging.cell --set steady=1 --set ''
refuse 2 'names "steady" twice' train --data text.txt --cell averaging.cell --set steady=1 --set steady=2
refuse 2 'means nothing without --cell' bench --set steady=1
refuse 2 'means nothing without CELL' cells --set steady=1

# Recurrent dropout and zoneout, kept with the checkpoint: gone on with, bit for bit the same.
masks='--cell lstm --recurrent-dropout 0.3 --zoneout 0.2 --zoneout-cell 0.1'
expect 0 "$cerebra" train --data text.txt $masks --epochs 4 $small --checkpoint masked.st
expect 0 "$cerebra" train --data text.txt $masks --epochs 2 $small --checkpoint stopped.st
expect 0 "$cerebra" train --resume stopped.st --epochs 4 --quiet
expect 0 "$cerebra" eval --checkpoint masked.st --data text.txt
cp out masked.txt
expect 0 "$cerebra" eval --checkpoint stopped.st --data text.txt
same out masked.txt
same masked.st stopped.st
refuse 2 'recurrent-dropout must be' train --data text.txt --recurrent-dropout 1
refuse 1 'zoneout_cell: no cell of it has a state beside those that recurrent weights see' \
    train --data text.txt --cell gru --zoneout-cell 0.3 $small --epochs 1

# Explained, checked and timed beside others.
expect 0 "$cerebra" explain --cell averaging.cell --hidden 16 --input 16
contains out '^averaging, f32'
contains out '^The step is compiled.'
expect 0 "$cerebra" explain --cell averaging.cell,lstm --check --hidden 8 --input 8 --dtype f64
[ "$(grep -c 'compiled, ' out)" -eq 2 ] || complain "explain --check of two cells: $(cat out)"
expect 0 "$cerebra" bench --cell averaging.cell,lstm --hidden 8 --batch 2 --time 3 --steps 1 --warmup 0 --quiet
[ "$(grep -cE '^(averaging|lstm) +training' out)" -eq 2 ] || complain "bench of two cells: $(cat out)"

# What is wrong is said with its place.
printf '# broken\nf  = sigmoid(W x + U h\nh'"'"' = f * h\n' >broken.cell
expect 1 "$cerebra" cells broken.cell
contains err '^cerebra cells: broken.cell:2:23: a "," or a ")" is expected, but the line ends here$'
contains err "^    f  = sigmoid(W x + U h$"
contains err '^                          ^$'
for command in train explain bench; do
    expect 1 "$cerebra" $command --cell broken.cell
    contains err 'broken.cell:2:23'
    [ "$(wc -l <err)" -eq 3 ] || complain "$command: $(cat err)"
done
for command in eval sample; do
    expect 1 "$cerebra" $command --cell broken.cell --checkpoint whole.st
    contains err 'broken.cell:2:23'
done
expect 1 "$cerebra" train --resume whole.st --cell broken.cell
contains err 'broken.cell:2:23'
for command in train explain bench; do
    refuse 1 'No such file' $command --cell ./missing.cell
    refuse 1 'No such file' $command --cell missing.cell
done
refuse 1 'No such file' explain --cell lstm,missing.cell
refuse 1 'No such file' cells missing.cell
cp averaging.cell 'a,b.cell'
expect 0 "$cerebra" cells a,b.cell --names
refuse 2 'there is no "a"' explain --cell a,b.cell
refuse 2 'did you mean lstm' cells lstn
refuse 2 'did you mean the file averaging.cell' train --data text.txt --cell averaging
refuse 1 'Is a directory' train --data text.txt --cell ./
# A size that no memory holds.
printf 'size p = 4\nstate m[p]\nm'"'"' = W x\nh'"'"' = V m\n' >sized.cell
expect 2 "$cerebra" cells sized.cell --set p=1e15
contains err 'the size "p" is set to 1e+15, which is too large; the largest is 16777216'
expect 2 "$cerebra" train --cell sized.cell --set p=0.5
contains err 'no whole number of at least 1'
refuse 1 'is set to 1e+15, which is too large; the largest is 16777216' explain --cell projected-lstm --set projection=1e15
head -c 2000000 /dev/zero >zeros.cell
refuse 1 'this is no cell' cells zeros.cell
printf 'input gap[1]\nh'"'"' = tanh(W x + U h) * exp(-gap)\n' >gap.cell
refuse 1 '"gap" is not given' train --data text.txt --cell gap.cell $small --epochs 1

# A shared library.
cp "$library" mycells.so
expect 0 "$cerebra" cells ./mycells.so
contains out '^leaky$'
expect 0 "$cerebra" explain --cell mycells.so:leaky --check --hidden 8 --input 8
contains out 'leaky  *compiled'
expect 0 "$cerebra" train --data text.txt --cell ./mycells.so --set rate=0.25 --epochs 2 $small \
    --checkpoint leaky.st
refuse 1 'is from a shared library, ./mycells.so: name it with --cell' eval --checkpoint leaky.st --data text.txt
expect 0 "$cerebra" eval --checkpoint leaky.st --data text.txt --cell ./mycells.so
expect 0 "$cerebra" sample --checkpoint leaky.st --length 5 --cell ./mycells.so
refuse 1 'is from a shared library' train --resume leaky.st --epochs 3
expect 0 "$cerebra" train --resume leaky.st --epochs 3 --cell ./mycells.so --quiet
mkdir moved
cp mycells.so moved/renamed.so
for file in mycells.so moved/renamed.so ./mycells.so:leaky moved/renamed.so:leaky; do
    expect 0 "$cerebra" train --resume leaky.st --cell $file --quiet
    expect 0 "$cerebra" train --resume leaky.st --cell $file --set rate=0.250 --quiet
done
refuse 2 'leaky.st was made with --set rate=0.25, not rate=0.5 (see' train --resume leaky.st --cell mycells.so --set rate=0.5
refuse 2 'has no cell "lazy"; it has leaky' train --resume leaky.st --cell ./mycells.so:lazy
refuse 1 'leaky.st: its cell "leaky" is from a shared library, ./mycells.so' train --resume leaky.st --cell lstm
# The same library, but for the cell's name.
LC_ALL=C sed 's/leaky/leaks/g' mycells.so >others.so
refuse 1 'its cell is "leaky", from a shared library, not "leaks" of ./others.so' train --resume leaky.st --cell others.so
refuse 2 'has no cell "lazy"; it has leaky' train --data text.txt --cell ./mycells.so:lazy
refuse 1 'cannot load ./none.so' train --data text.txt --cell ./none.so
echo 'no library' >bad.so
refuse 1 'cannot load ./bad.so' train --data text.txt --cell ./bad.so

finish
