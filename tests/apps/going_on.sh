#!/bin/sh
# Training that ends before its time and goes on: `going_on.sh PATH/TO/cerebra`.
# shellcheck disable=SC2154,SC2086 # what helpers.sh sets; lists of words
set -u
# shellcheck source=tests/apps/helpers.sh
. "$(dirname "$0")/helpers.sh"
# What $tiny has, where the command gives the rest itself.
sizes="--hidden 16 --embedding 8 --seq-len 10 --batch 4 --quiet"
steps="--steps-per-epoch 3"

# ---- Divergence keeps the last good checkpoint; SIGINT saves one
refuse 3 'diverged in epoch 0' train --data text.txt $sizes $steps --optimizer sgd --lr 1e300 --epochs 9 $keep
# Weights grow by a factor of 2 a step: after some epochs the loss is far above a guess.
expect 3 "$cerebra" train --data text.txt $sizes $steps --optimizer sgd --lr 1 --weight-decay 3 --epochs 50 \
    --log grown.csv --checkpoint grown.safetensors
contains err 'diverged in epoch .*the last good weights are in grown.safetensors'
[ "$(wc -l <err)" -eq 1 ] || complain "divergence: $(cat err)"
grep -Eq 'nan|inf' grown.csv && complain "the log has a loss that is no number: $(cat grown.csv)"
expect 0 "$cerebra" eval --checkpoint grown.safetensors --data text.txt
for signal in INT=130 TERM=143 HUP=129; do
    rm -f stopped.safetensors
    # Where this script was started with nohup, SIGHUP would stay ignored.
    env --default-signal=HUP "$cerebra" train --data text.txt $sizes $steps --epochs 1000000 \
        --checkpoint stopped.safetensors >out 2>err &
    process=$!
    wait_for stopped.safetensors
    kill -"${signal%=*}" $process
    wait $process
    code=$?
    [ $code -eq "${signal#*=}" ] || complain "exit code $code after SIG${signal%=*}"
    contains err 'interrupted; stopped.safetensors has all that training goes on with'
    expect 0 "$cerebra" sample --checkpoint stopped.safetensors --length 5
done

# ---- Going on: the same files as without a stop, to the byte, but for the time
whole() {
    expect 0 "$cerebra" train --data text.txt $sizes $steps --epochs 4 --dropout 0.2 --held-out 0.2 \
        --optimizer adam --log whole.csv --checkpoint whole.safetensors
}
timeless() {
    cut -d, -f1,2,4- "$1"
}
whole
timeless whole.csv >whole.timeless
expect 0 "$cerebra" train --data text.txt $sizes $steps --epochs 2 --dropout 0.2 --held-out 0.2 \
    --optimizer adam --log half.csv --checkpoint half.safetensors
expect 0 "$cerebra" train --resume half.safetensors --log half.csv --epochs 4 --quiet
timeless half.csv >half.timeless
same whole.timeless half.timeless
same whole.safetensors half.safetensors
# A finished run has nothing left to do, and its log is made again where it is gone.
rm half.csv
expect 0 "$cerebra" train --resume half.safetensors --log half.csv --quiet
timeless half.csv >half.timeless
same whole.timeless half.timeless
same whole.safetensors half.safetensors
refuse 2 'half.safetensors was made with --dropout 0.2' train --resume half.safetensors --dropout 0.3
refuse 2 'half.safetensors was made with --hidden 16, not 32' train --resume half.safetensors --hidden 32
refuse 2 'was made with --optimizer "adam", not "sgd"' train --resume half.safetensors --optimizer sgd
refuse 2 'half.safetensors was made with --lr its default' train --resume half.safetensors --lr 0.1
refuse 1 'further than the 3' train --resume half.safetensors --epochs 3
refuse 1 'trained on another text than other.txt' train --resume half.safetensors --data other.txt
refuse 1 'no-such-file' train --resume no-such-file
tr a-z b-za <text.txt >shifted.txt
refuse 1 'trained on another text than shifted.txt' train --resume half.safetensors --data shifted.txt
refuse 2 'overwrite the checkpoint to go on from' train --resume half.safetensors \
    --checkpoint other.safetensors --log half.safetensors
expect 0 "$cerebra" train --resume half.safetensors --checkpoint moved.safetensors --quiet
same whole.safetensors moved.safetensors
# From another directory: the log is the one beside the checkpoint.
mkdir elsewhere away
"$cerebra" train --data text.txt $sizes $steps --epochs 1000000 --log elsewhere/run.csv \
    --checkpoint elsewhere/run.safetensors >out 2>err &
process=$!
wait_for elsewhere/run.safetensors
kill -TERM $process
wait $process
mv elsewhere away/moved
echo mine >run.csv
rows=$(wc -l <away/moved/run.csv)
"$cerebra" train --resume away/moved/run.safetensors --data text.txt --quiet >out 2>err &
process=$!
tries=0
while [ "$(wc -l <away/moved/run.csv)" -le "$rows" ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -TERM $process
wait $process
[ "$(cat run.csv)" = mine ] || complain "a log of the same name here was overwritten"
[ "$(wc -l <away/moved/run.csv)" -gt "$rows" ] || complain "the log beside the checkpoint does not go on"
refuse 2 '--checkpoint-every must be' train --data text.txt --checkpoint a --checkpoint-every 5h
refuse 2 '--checkpoint-every must be' train --data text.txt --checkpoint a --checkpoint-every 0
refuse 2 'means nothing without --checkpoint' train --data text.txt --checkpoint-every 5
head -c 2000 whole.safetensors >damaged.safetensors
refuse 1 'damaged.safetensors' train --resume damaged.safetensors
# One byte of a weight is another.
cp whole.safetensors damaged.safetensors
printf '\377' | dd of=damaged.safetensors bs=1 seek=$(($(wc -c <whole.safetensors) - 100)) conv=notrunc 2>/dev/null
refuse 1 'damaged.safetensors: its checksum is wrong' train --resume damaged.safetensors
refuse 1 'damaged.safetensors: its checksum is wrong' sample --checkpoint damaged.safetensors
refuse 1 'damaged.safetensors: its checksum is wrong' eval --checkpoint damaged.safetensors

# ---- Weights that the last update has spoilt are not saved, nor called good
echo hello >old.safetensors
for words in "--held-out 0.2" "" "--checkpoint-every 1"; do
    expect 3 "$cerebra" train --data text.txt $sizes --cell layernorm-lstm --optimizer sgd --lr 1e30 \
        --epochs 1 --steps-per-epoch 1 --log spoilt.csv --checkpoint old.safetensors $words
    contains err 'diverged in epoch 0'
    grep -q 'last good' err && complain "old.safetensors is called good: $(cat err)"
    [ "$(cat old.safetensors)" = hello ] || complain "spoilt weights were saved"
    [ ! -e spoilt.csv ] || complain "spoilt.csv: $(cat spoilt.csv)"
done

# ---- The op that gives the first NaN
expect 3 "$cerebra" train --data text.txt $sizes $steps --optimizer sgd --lr 1e39 --epochs 9 --detect-anomaly
contains err 'diverged in epoch 0, step 1: in layer "embedding": parameter embedding.weight: element [0-9]* is nan'

# ---- Two runs that write the same file
"$cerebra" train --data text.txt $sizes $steps --epochs 1000000 --log busy.csv --checkpoint busy.safetensors >out1 2>err1 &
process=$!
wait_for busy.safetensors
expect 1 "$cerebra" train --data text.txt $tiny --checkpoint busy.safetensors
contains err 'busy.safetensors is being written by another run'
expect 1 "$cerebra" train --data text.txt $tiny --log ./busy.csv
contains err 'busy.csv is being written by another run'
kill -9 $process
wait $process 2>/dev/null
# What it has left is no hindrance, and is gone afterwards.
expect 0 "$cerebra" train --data text.txt $tiny --log busy.csv --checkpoint busy.safetensors
[ -z "$(find . -name '.cerebra-*')" ] || complain "left over: $(find . -name '.cerebra-*')"

# ---- Outputs that are links, and a disk that is full
ln -s linked-to.csv dangling.csv
expect 0 "$cerebra" train --data text.txt $tiny --log dangling.csv
[ -L dangling.csv ] && [ -s linked-to.csv ] || complain "a dangling link is not followed"
ln -s linked-to.safetensors dangling.safetensors
expect 0 "$cerebra" train --data text.txt $tiny --checkpoint dangling.safetensors
[ -L dangling.safetensors ] && [ -s linked-to.safetensors ] || complain "a dangling link is not followed"
cp whole.safetensors kept.safetensors
(ulimit -f 20 && "$cerebra" train --resume kept.safetensors --epochs 6 --quiet >out 2>err)
[ $? -eq 1 ] || complain "no failure where a file may not grow"
contains err 'cannot write .*kept.safetensors: File too large'
same whole.safetensors kept.safetensors

# ---- reproduce goes on in its directory
base="--hidden 12 --batch 4 --seq-len 10 --steps-per-epoch 3 --quiet"
small="$base --epochs 2 --data text.txt"
expect 0 "$cerebra" reproduce $small --out all
for model in cerebral-lstm lstm stacked-lstm; do
    expect 0 "$cerebra" reproduce $small --out one --models $model
done
for file in all/*; do
    name=${file#all/}
    case $name in
    *.csv)
        timeless "$file" >all.timeless
        timeless "one/$name" >one.timeless
        same all.timeless one.timeless
        ;;
    report.md) ;;
    *) same "$file" "one/$name" ;;
    esac
done
[ "$(ls all)" = "$(ls one)" ] || complain "one by one there are other files: $(ls one)"
refuse 1 'lstm.safetensors is of another run: it was made with --seed "1", not "2"' reproduce $small --out one --seed 2
refuse 1 'trained on another text' reproduce $base --epochs 2 --out one --data other.txt
results=$(cat one/*.csv one/report.md)
refuse 1 'come to epoch 2, further than the 1' reproduce $base --data text.txt --out one --stacked-epochs 1 --epochs 3
[ "$results" = "$(cat one/*.csv one/report.md)" ] || complain "a run that cannot be gone on with has changed files"
"$cerebra" reproduce $base --data text.txt --out one --epochs 100000 >out1 2>err1 &
process=$!
rows=0
tries=0
while [ "$rows" -le 3 ] && [ $tries -lt 300 ]; do
    sleep 0.1
    rows=$(wc -l <one/lstm.csv)
    tries=$((tries + 1))
done
expect 1 "$cerebra" reproduce $small --out one --fresh
contains err 'report.md is being written by another run'
[ -s one/lstm.safetensors ] && [ -s one/stacked-lstm.csv ] || complain "--fresh removes what another run writes"
kill -9 $process
wait $process 2>/dev/null
expect 0 "$cerebra" reproduce $small --out one --seed 2 --fresh --models lstm
[ "$(echo one/*)" = "one/lstm.csv one/lstm.safetensors one/report.md one/table-3.md" ] ||
    complain "after --fresh there is $(echo one/*)"

# A text from standard input is not there any more.
"$cerebra" train $tiny --data - --checkpoint piped.safetensors <text.txt 2>err || complain "standard input: $(cat err)"
refuse 2 'was trained on standard input' train --resume piped.safetensors --epochs 3
expect 0 "$cerebra" train --resume piped.safetensors --epochs 3 --data text.txt --quiet

finish
