#!/bin/sh
# Runs the built command as a user would: `command.sh PATH/TO/cerebra`.
# shellcheck disable=SC2154,SC2086 # what helpers.sh sets; lists of words
set -u
# shellcheck source=tests/apps/helpers.sh
. "$(dirname "$0")/helpers.sh"

# ---- Data that cannot be trained on
: >empty.txt
printf 'abc\000def' >binary.txt
printf 'abc\377def, long enough' >latin1.txt
refuse 1 'missing.txt: No such file' train --data missing.txt $tiny $keep
refuse 1 'empty.txt: the file is empty' train --data empty.txt $tiny $keep
refuse 1 'binary.txt: a binary file.*offset 3, line 1' train --data binary.txt $tiny $keep
refuse 1 'latin1.txt: not valid UTF-8.*offset 3, line 1' train --data latin1.txt $tiny $keep
refuse 1 'fewer than a window' train --data short.txt $tiny $keep
refuse 1 'Is a directory' train --data . $tiny $keep
refuse 1 'batch of 100000 is larger than the data' train --data text.txt --seq-len 10 --quiet --batch 100000 $keep
refuse 1 'standard input: the file is empty' train --data - $tiny $keep

# ---- Command lines that make no sense
refuse 2 'did you mean cerebral-lstm' train --data text.txt --cell cerebral-lstn $keep
refuse 2 'no "transformer"' train --data text.txt --cell transformer $keep
for option in hidden embedding layers seq-len batch epochs seeds; do
    for value in 0 -5 12x 99999999999999999999 ''; do
        refuse 2 "--$option must be a whole number" train --data text.txt --$option "$value" $keep
    done
done
refuse 2 '--steps-per-epoch must be a whole number from 0' train --data text.txt --steps-per-epoch -1 $keep
refuse 2 '--lr must be a number greater than 0' train --data text.txt --lr 0 $keep
refuse 2 '--lr must be a number' train --data text.txt --lr nan $keep
refuse 2 '--recompute must be a whole number from 0' train --data text.txt --recompute -1 $keep
refuse 2 '--dropout must be' train --data text.txt --dropout 1 $keep
refuse 2 '--held-out must be' train --data text.txt --held-out -0.1 $keep
refuse 2 'did you mean --epochs' train --epoch5 3
refuse 2 'did you mean adagrad' train --optimizer adagrd
refuse 2 'means nothing to the optimizer adam' train --optimizer adam --initial-accumulator 1
refuse 2 '--momentum means nothing to the optimizer adagrad' train --momentum 0.5
refuse 2 '--momentum must be a number' train --optimizer sgd --momentum 1
refuse 2 'did you mean glorot-uniform' train --init glorot-unifrom
refuse 2 'name the same file' train --data text.txt --log a --checkpoint a
refuse 2 'would be overwritten' train --data precious.csv --log precious.csv
refuse 2 'did you mean train' trian
refuse 2 'unexpected argument' bench lstm
refuse 2 '--checkpoint FILE is needed' sample
refuse 2 '--checkpoint FILE is needed' eval
refuse 2 '--out DIR is needed' reproduce
refuse 2 '--protocol' reproduce --out new --protocol publised
refuse 2 '--models' reproduce --out new --models gru
refuse 2 'did you mean cerebral-lstm' bench --cell cerebral-lstn
refuse 2 'did you mean bench' bnech
refuse 2 'did you mean --warmup' bench --warmpu 3
refuse 2 'did you mean training' bench --step trainign
refuse 2 '--dtype: there is no "f16"' bench --dtype f16
refuse 2 '--layers means nothing without --cell' bench --layers 2
for option in batch hidden time symbols layers steps; do
    for value in 0 -5 12x 99999999999999999999 ''; do
        refuse 2 "--$option must be a whole number from 1" bench --cell lstm --$option "$value"
    done
done
refuse 2 'did you mean cerebral-lstm' explain --cell cerebral-lstn
refuse 2 'no "transformer"' explain --cell transformer
refuse 2 'did you mean explain' expalin
refuse 2 'did you mean --symbols' explain --symbolz 3
refuse 2 '--dtype: there is no "f16"' explain --dtype f16
refuse 2 'unexpected argument' explain lstm
for option in input hidden batch time; do
    for value in 0 -5 12x 65537 99999999999999999999 ''; do
        refuse 2 "--$option must be a whole number from 1" explain --cell lstm --$option "$value"
    done
done
refuse 2 '--symbols must be a whole number from 0' explain --symbols -1
for option in batch time symbols; do
    refuse 2 "--$option means nothing without --cell" explain --$option 3
done
refuse 2 '--warmup must be a whole number from 0' bench --warmup -1
refuse 2 '--threads must be a whole number from 0' bench --threads -1
expect 2 "$cerebra"

# ---- Outputs that cannot be written are found before training
refuse 1 'nowhere/log.csv' train --data text.txt $tiny --log nowhere/log.csv --checkpoint precious.safetensors
refuse 1 'nowhere/model' train --data text.txt $tiny --log precious.csv --checkpoint nowhere/model
refuse 1 'Is a directory' train --data text.txt $tiny --log . --checkpoint precious.safetensors
refuse 1 'not a regular file' train --data text.txt $tiny --log precious.csv --checkpoint /dev/null
refuse 1 'cannot create the directory' reproduce --data text.txt --batch 4 --out precious.csv
refuse 1 'cannot create the directory' reproduce --data text.txt --batch 4 --out precious.csv/below
refuse 1 'empty.txt: the file is empty' reproduce --data empty.txt --out new
refuse 1 'is larger than the data' reproduce --data text.txt --batch 100000 --out new
refuse 1 'single_lstm.txt' reproduce --data text.txt --batch 4 --logs nowhere --out new

# ---- Training, twice the same
expect 0 "$cerebra" train --data text.txt $tiny --log log.csv --checkpoint model.safetensors
[ "$(head -n 1 log.csv)" = epoch,loss,seconds ] || complain "columns: $(head -n 1 log.csv)"
[ "$(wc -l <log.csv)" -eq 3 ] || complain "rows: $(cat log.csv)"
sed -n 2p log.csv | grep -Eq '^0,[0-9]\.[0-9]{5},[0-9]+\.[0-9]{3}$' || complain "form: $(cat log.csv)"
[ -s err ] && complain "--quiet is not quiet: $(cat err)"
"$cerebra" train --data - $tiny --threads 1 --log again.csv <text.txt || complain "standard input"
[ "$(cut -d, -f1,2 log.csv)" = "$(cut -d, -f1,2 again.csv)" ] || complain "the same seed, other losses"
expect 0 "$cerebra" train --data text.txt $tiny --recompute 4 --log other.csv
[ "$(cut -d, -f1,2 log.csv | cut -c1-6)" = "$(cut -d, -f1,2 other.csv | cut -c1-6)" ] || complain "--recompute: other losses"
expect 0 "$cerebra" train --data text.txt $tiny --seed 2 --log other.csv
[ "$(cut -d, -f1,2 log.csv)" != "$(cut -d, -f1,2 other.csv)" ] || complain "--seed does nothing"
expect 0 "$cerebra" train --data text.txt $tiny --optimizer sgd --lr 0.5 --log other.csv
expect 0 "$cerebra" train --data text.txt $tiny --optimizer sgd --lr 0.5 --momentum 0.9 --log again.csv
[ "$(cut -d, -f2 other.csv)" != "$(cut -d, -f2 again.csv)" ] || complain "--momentum does nothing"
expect 0 "$cerebra" train --data text.txt $tiny --held-out 0.2 --log -
contains out '^epoch,loss,seconds,held_out_loss$'
for optimizer in sgd adam adamw rmsprop; do
    expect 0 "$cerebra" train --data text.txt $tiny --optimizer $optimizer --cell gru --layers 2 --dropout 0.1 --clip-norm 1
done

# ---- Sampling
expect 0 "$cerebra" sample --checkpoint model.safetensors --length 50 --prompt 'Zoë_F' --seed 3
[ "$(LC_ALL=C.UTF-8 wc -m <out)" -eq 55 ] || complain "length: $(LC_ALL=C.UTF-8 wc -m <out)"
contains out '^Zoë_F'
cp out first
expect 0 "$cerebra" sample --checkpoint model.safetensors --length 50 --prompt 'Zoë_F' --seed 3
cmp -s out first || complain "the same seed, another text"
expect 0 "$cerebra" sample --checkpoint model.safetensors --length 0
expect 0 "$cerebra" sample --checkpoint model.safetensors --length 30 --temperature 0
"$cerebra" sample --checkpoint model.safetensors --length 1000000 2>err | head -c 20 >out
[ -s err ] && complain "a closed pipe: $(cat err)"
rm -f first out err; touch out err
refuse 1 "'q' (U+0071) at position 3" sample --checkpoint model.safetensors --prompt Zoq
refuse 2 '--temperature' sample --checkpoint model.safetensors --temperature -1
refuse 1 'No such file' sample --checkpoint nothing.safetensors
refuse 1 'text.txt' sample --checkpoint text.txt
head -c 3000 model.safetensors >cut.safetensors
refuse 1 'cut.safetensors' sample --checkpoint cut.safetensors
refuse 1 'cut.safetensors' eval --checkpoint cut.safetensors --data text.txt
if [ -w /dev/full ]; then
    "$cerebra" sample --checkpoint model.safetensors --length 5 >/dev/full 2>err && complain "a full disk is no error"
    [ "$(wc -l <err)" -eq 1 ] || complain "a full disk: $(cat err)"
fi

# ---- Evaluation
expect 0 "$cerebra" eval --checkpoint model.safetensors --data text.txt
contains out '^cross entropy .*nats per character'
contains out '^bits per character'
contains out '^perplexity'
expect 0 "$cerebra" eval --checkpoint model.safetensors --data text.txt --carry
printf 'Zoë_Q' >unknown.txt
refuse 1 "unknown.txt: character 'Q' (U+0051) at position 5" eval --checkpoint model.safetensors --data unknown.txt
refuse 1 'empty.txt' eval --checkpoint model.safetensors --data empty.txt
expect 0 "$cerebra" eval --checkpoint model.safetensors --data unknown.txt --unknown skip
contains out '^unknown  *1$'
contains out '^characters  *3$'
contains err 'unknown.txt: 1 of its characters, which the model does not know, skipped'
refuse 1 "neither U+FFFD nor '?'" eval --checkpoint model.safetensors --data unknown.txt --unknown replace
refuse 2 'did you mean skip' eval --checkpoint model.safetensors --data unknown.txt --unknown skpi
refuse 2 'did you mean skip' sample --checkpoint model.safetensors --prompt Q --unknown skpi
refuse 1 "character 'Q'" sample --checkpoint model.safetensors --prompt ZoQ --length 5
expect 0 "$cerebra" sample --checkpoint model.safetensors --prompt ZoQ --length 5 --unknown skip
contains out '^Zo'
contains err '1 of its characters, which the model does not know, skipped'
expect 0 "$cerebra" eval --checkpoint model.safetensors --data text.txt
nats=$(sed -n 's/^cross entropy *\([0-9.]*\) .*/\1/p' out)
expect 0 "$cerebra" eval --checkpoint model.safetensors --data text.txt --json
python3 - "$nats" out <<'END' || complain "eval --json: $(cat out)"
import json, math, sys
said = json.load(open(sys.argv[2]))
assert sorted(said) == ['bits', 'characters', 'nats', 'perplexity', 'text', 'unknown']
assert abs(said['nats'] - float(sys.argv[1])) < 1e-5
assert abs(said['bits'] * math.log(2) - said['nats']) < 1e-12
assert abs(math.log(said['perplexity']) - said['nats']) < 1e-12
assert said['text'] == 'text.txt' and said['unknown'] == 0
END
refuse 1 'was trained without --held-out' eval --checkpoint model.safetensors --held-out
refuse 2 'unknown means nothing with --held-out' eval --checkpoint model.safetensors --held-out --unknown skip

# ---- The part that was held out
expect 0 "$cerebra" train --data text.txt $tiny --held-out 0.2 --checkpoint part.safetensors --log part.csv
expect 0 "$cerebra" eval --checkpoint part.safetensors --held-out
logged=$(tail -1 part.csv | cut -d, -f4)
contains out "^cross entropy *$logged"
cp text.txt moved.txt
expect 0 "$cerebra" eval --checkpoint part.safetensors --held-out --data moved.txt
contains out "^cross entropy *$logged"
refuse 1 'part.safetensors: it was trained on another text than other.txt' \
    eval --checkpoint part.safetensors --held-out --data other.txt

# ---- Texts with a byte order mark, CR LF and letters in two parts
{ printf '\357\273\277'; sed 's/$/\r/; s/Zoë/Zoe\xcc\x88/' text.txt; } >foreign.txt
expect 0 "$cerebra" train --data foreign.txt $tiny --checkpoint foreign.safetensors
contains err 'foreign.txt: the byte order mark at its beginning is left out'
contains err 'foreign.txt has 40 carriage returns'
contains err 'foreign.txt, line 1, is not in Unicode'
expect 0 "$cerebra" train --data foreign.txt $tiny --newlines lf --normalize nfc --checkpoint foreign.safetensors
[ "$(wc -l <err)" -eq 1 ] || complain "the same once it is done: $(cat err)"
expect 0 "$cerebra" train --data text.txt $tiny --checkpoint plain.safetensors
expect 0 "$cerebra" eval --checkpoint plain.safetensors --data text.txt
cp out plain.out
for file in text.txt foreign.txt; do
    expect 0 "$cerebra" eval --checkpoint foreign.safetensors --data $file
    same plain.out out
done
expect 1 "$cerebra" eval --checkpoint plain.safetensors --data foreign.txt
contains err 'foreign.txt: character '
expect 0 "$cerebra" sample --checkpoint foreign.safetensors --prompt "$(printf 'Zoe\314\210')" --length 0
[ "$(cat out)" = Zoë ] || complain "a prompt is read as the text was: $(cat out)"
refuse 2 'was made with --normalize "nfc", not its default' \
    train --resume foreign.safetensors --epochs 3 --normalize none
refuse 2 'was made with --newlines its default, not "lf"' \
    train --resume plain.safetensors --epochs 3 --newlines lf
expect 0 "$cerebra" train --resume plain.safetensors --epochs 3 --newlines keep --normalize none --quiet
refuse 2 'did you mean nfc' train --data text.txt --normalize nfd

# ---- A text may come by a pipe, a fifo or /dev/stdin
"$cerebra" train --data text.txt $tiny --checkpoint file.safetensors
mkfifo fifo
cat text.txt >fifo &
"$cerebra" train --data fifo $tiny --checkpoint fifo.safetensors || complain "a fifo"
cat text.txt | "$cerebra" train --data /dev/stdin $tiny --checkpoint pipe.safetensors || complain "a pipe"
"$cerebra" train --data /dev/stdin $tiny --checkpoint stdin.safetensors <text.txt || complain "/dev/stdin"
"$cerebra" train --data - $tiny --checkpoint dash.safetensors <text.txt || complain "-"
for file in fifo pipe stdin dash; do
    for kept in file $file; do
        "$cerebra" eval --checkpoint $kept.safetensors --data text.txt >$kept.out
    done
    same file.out $file.out
done
rm fifo

# ---- What BLIS would abort on is refused
for value in 99 -1 abc 2; do
    BLIS_ARCH_TYPE=$value "$cerebra" train --data text.txt $tiny >out 2>err
    [ $? -eq 1 ] || complain "BLIS_ARCH_TYPE=$value"
    contains err "BLIS_ARCH_TYPE is \"$value\", which is no configuration of BLIS"
done

# ---- Charts: a letter is a <use>, a curve a path in its colour
printf 'epoch,loss,minutes\n0,3.5,1\n10,2.5,4\n20,2,9\n' >curve.csv
draw() {
    expect 0 "$cerebra" plot curve.csv --quiet --out chart.svg "$@"
}
letters() {
    grep -c '<use ' chart.svg
}
start_of_curve() {
    sed -n 's/.*rgb(0%,44.7%,69.8%).* d="M \([0-9]*\).*/\1/p' chart.svg | head -n 1
}
draw
letters=$(letters)
start=$(start_of_curve)
contains chart.svg '^Line chart of loss over epoch\.'
contains chart.svg 'width="1600pt" height="1000pt"'
draw --x minutes
contains chart.svg '^Line chart of loss over minutes\.'
draw --xlabel ten_things
contains chart.svg '^Line chart of loss over ten_things\.'
[ "$(letters)" -eq $((letters + 5)) ] || complain "--xlabel: $(letters) letters, $letters with \"epoch\""
draw --ylabel ten_things
contains chart.svg '^Line chart of ten_things over epoch\.'
[ "$(letters)" -eq $((letters + 6)) ] || complain "--ylabel: $(letters) letters, $letters with \"loss\""
draw --xmin -10
[ "$(start_of_curve)" -gt $((start + 300)) ] || complain "--xmin -10: the curve starts at $(start_of_curve), not $start"
draw --height 333
contains chart.svg 'width="1600pt" height="333pt"'
refuse 1 'no column named "steps"' plot curve.csv --x steps --out new.svg
refuse 2 '--height must be a whole number' plot curve.csv --height 99 --out new.svg
refuse 2 '--xmin must be a number' plot curve.csv --xmin left --out new.svg
# As docs/charts.md says it.
printf 'epoch,loss,held_out_loss\n0,3.5,\n10,2.5,2.75\n20,2,2.5\n' >loss.csv
printf 'Epoch;loss\n0;3,5\n1;NA\n2;3\n' >other.csv
expect 0 "$cerebra" plot loss.csv --out loss.pdf
expect 0 "$cerebra" plot loss.csv --y loss --y held_out_loss --out both.svg
contains both.svg 'loss (3 points), held_out_loss (2 points)'
expect 0 "$cerebra" plot loss.csv other.csv --log-y --smooth 9 --label ours --label theirs --out two.png
rm -f curve.csv chart.svg loss.csv other.csv loss.pdf both.svg two.png

# ---- The rest
expect 0 "$cerebra" --help
contains out reproduce
expect 0 "$cerebra" --version
contains out '^cerebra [0-9]'
for subcommand in train sample eval reproduce plot cells explain bench; do
    expect 0 "$cerebra" $subcommand --help
    contains out "^Usage: cerebra $subcommand"
done
expect 0 "$cerebra" cells
contains out '^cerebral-lstm$'
contains out 'parameters with input 512 and hidden 512'
expect 0 "$cerebra" cells --json --hidden 8
contains out '"parameters"'

# ---- What the compiler makes of each cell
expect 0 "$cerebra" explain
cp out list
for cell in $("$cerebra" cells | grep -E '^[a-z]'); do
    grep -Eq "^$cell +compiled$" list || complain "explain has not compiled $cell: $(cat list)"
    for options in '' '--symbols 89 --dtype f64' '--no-bias --input 3 --hidden 8 --batch 1 --time 1'; do
        expect 0 "$cerebra" explain --cell "$cell" $options
        contains out "^$cell, "
        grep -Eq "^  [a-z][a-z_0-9]*' = v" out || complain "no state in $(head -c 300 out)"
        contains out '^  merge '
        contains out ' product .* (M N K); b'
        contains out '^  a sequence, both '
        [ -s err ] && complain "explain $cell $options: $(cat err)"
        # Traced tensors stand for a batch of this size.
        grep -qw 1009 out && complain "explain $cell $options names the trace's batch"
    done
done
# 2560 rows of products with 2048 x 512 weights, forward and twice that backward; 89 rows of the table.
expect 0 "$cerebra" explain --cell lstm --symbols 89
contains out '^lstm, f32: batch 128, 20 time steps, x \[512\], h \[512\], c \[512\], x rows of a table of 89$'
contains out '^  a sequence, both *16.67 GFLOP'
expect 0 "$cerebra" explain --cell lstm --time 65536 --batch 65536 --input 65536 --hidden 65536
expect 0 "$cerebra" explain --check --hidden 16 --input 8
[ "$(grep -c 'compiled, [1-9][0-9]* numbers compared, largest relative error' out)" -eq \
    "$("$cerebra" cells | grep -Ec '^[a-z]')" ] || complain "explain --check: $(cat out)"
expect 0 "$cerebra" explain --check --cell lstm --dtype f64 --hidden 8 --time 7 --batch 2
contains out '^lstm .* of values [0-9.]*e-1[4-7], of gradients [0-9.]*e-1[4-7]$'
refuse 2 '--symbols means nothing with --check' explain --check --cell lstm --symbols 3
if [ -w /dev/full ]; then
    "$cerebra" explain --cell lstm >/dev/full 2>err && complain "explain: a full disk is no error"
    [ "$(wc -l <err)" -eq 1 ] || complain "explain, a full disk: $(cat err)"
fi
rm -f list

# ---- Timing
small="--batch 4 --hidden 16 --time 5 --symbols 11 --steps 2 --warmup 1"
expect 0 "$cerebra" bench $small --quiet
[ -s err ] && complain "--quiet is not quiet: $(cat err)"
contains out '^batch 4, hidden 16, 5 time steps, 11 symbols, f32, '
contains out '^a 2048-cubed product after each step: [0-9.]* to [0-9.]* GFLOP/s$'
for model in lstm stacked-lstm cerebral-lstm; do
    for step in forward training; do
        grep -Eq "^$model +$step( +[0-9.e+-]+){3} +[0-9.]+%( +[0-9.e+-]+){4}$" out ||
            complain "no row of $model, $step: $(cat out)"
    done
done
expect 0 "$cerebra" bench $small --cell gru --layers 2 --step training --dtype f64 --threads 1 --json
contains err '^cerebra bench: gru, training$'
cp out bench.json
cat >check.py <<'END'
import json
run = json.load(open("bench.json"))
assert (run["dtype"], run["threads"], run["batch"], run["symbols"]) == ("f64", 1, 4, 11), run
low, high = (run["gemm"][name + "_gflop_per_second"] for name in ("lowest", "highest"))
assert 0 < low <= high, run
(model,) = run["models"]
assert (model["name"], model["cell"], model["layers"]) == ("gru", "gru", 2), model
assert "forward" not in model, model
step = model["training"]
ms = step["milliseconds"]
assert 0 < ms["minimum"] <= ms["lower_quartile"] <= ms["median"] <= ms["upper_quartile"], ms
# 11 rows of the table, then 20 rows in three products with 3 x 16 x 16 weights; the head.
gflop = 6e-9 * (11 * 768 + 3 * 20 * 768 + 20 * 16 * 11)
rate = gflop / (ms["median"] / 1e3)
for name, expected in (("gflop", gflop), ("gflop_per_second", rate), ("share", 1 / step["ratio"])):
    assert abs(step[name] / expected - 1) < 1e-4, (name, step[name], expected)
assert low <= step["product_gflop_per_second"] <= high, (step, low, high)
assert step["ratio"] > 0.999 * low * ms["minimum"] / 1e3 / gflop, (step, low)
assert step["parameter_bytes"] == 8 * (11 * 16 + 2 * (48 * 32 + 96) + 11 * 17), step
assert step["peak_bytes"] > step["tape_bytes"] > 0, step
END
python3 check.py 2>err || complain "the JSON of bench: $(tail -n 1 err)"
rm -f bench.json check.py
if [ -w /dev/full ]; then
    for json in '' --json; do
        "$cerebra" bench $small --cell rnn --step forward --quiet $json >/dev/full 2>err
        [ $? -eq 1 ] || complain "bench $json: a full disk is no error"
        [ "$(wc -l <err)" -eq 1 ] || complain "bench $json, a full disk: $(cat err)"
    done
fi

# ---- The whole reproduction, tiny
for protocol in published controlled; do
    expect 0 "$cerebra" reproduce --data text.txt --out "$protocol/run" --protocol $protocol --hidden 16 \
        --batch 4 --seq-len 10 --epochs 2 --stacked-epochs 3 --steps-per-epoch 3 --quiet
    for file in lstm.csv stacked-lstm.csv cerebral-lstm.csv halves-equal.csv figure-12.png figure-13.png \
        figure-14.png figure-4.1.png table-3.md report.md lstm.safetensors; do
        [ -s "$protocol/run/$file" ] || complain "$protocol: no $file"
    done
    contains "$protocol/run/report.md" 'after 678 epochs'
done
[ "$(wc -l <published/run/stacked-lstm.csv)" -eq 4 ] || complain "--stacked-epochs"
[ "$(wc -l <published/run/halves-equal.csv)" -eq 3 ] || complain "halves-equal.csv is not as long as --epochs"
for epochs in 0 1; do
    expect 0 "$cerebra" reproduce --data text.txt --out halves-$epochs --models cerebral-lstm --hidden 16 \
        --batch 4 --seq-len 10 --epochs 2 --halves-epochs $epochs --steps-per-epoch 3 --quiet
done
[ -e halves-0/halves-equal.csv ] && complain "--halves-epochs 0 runs equal halves"
[ "$(wc -l <halves-1/halves-equal.csv)" -eq 2 ] || complain "--halves-epochs 1: $(cat halves-1/halves-equal.csv)"
[ "$(wc -l <halves-1/cerebral-lstm.csv)" -eq 3 ] || complain "--halves-epochs changes the other model"
contains controlled/run/widened-lstm.csv held_out_loss
contains controlled/run/report.md 'Held-out'
expect 0 "$cerebra" sample --checkpoint published/run/stacked-lstm.safetensors --length 5
expect 0 "$cerebra" plot published/run/lstm.csv --out chart.svg

# ---- Tasks
refuse 2 'did you mean adding' tasks addin
refuse 2 'length must be a whole number' tasks parity:length=0
expect 0 "$cerebra" tasks copy:delay=3:count=2
contains out 'one of 9 classes at each step'

# ---- Help, and the manual page that is made of it

"$project/scripts/manual_page.sh" "$cerebra" "$project/docs/cerebra.1.in" >cerebra.1
if command -v groff >/dev/null; then
    groff -man -ww -z cerebra.1 2>warnings
    [ -s warnings ] && complain "the manual page: $(head -3 warnings)"
fi
for subcommand in $("$cerebra" --help=words); do
    expect 0 "$cerebra" "$subcommand" --help
    long=$("$cerebra" "$subcommand" --help | awk 'length > 80' | head -1)
    [ -z "$long" ] || complain "$subcommand --help: longer than 80 characters: $long"
    "$cerebra" "$subcommand" --help=words | cut -f 1 | grep '^--' | while read -r option; do
        [ "$option" = --help ] || grep -q -e "$(echo "$option" | sed 's/-/\\\\-/g')" cerebra.1 ||
            echo "$subcommand $option"
    done >missing
    [ -s missing ] && complain "not in the manual page: $(cat missing)"
done

finish
