#!/bin/sh
# From nothing to the paper's figures on the bundled corpus: installs packages, builds, trains the
# models small and short, and leaves everything in out/. Under ten minutes on two cores.
#
# Arguments go to `cerebra reproduce` and win over the defaults below. The paper's own size, which
# takes many hours:
#
#     scripts/reproduce.sh --data data.txt --hidden 512 --epochs 500 --stacked-epochs 791 \
#         --halves-epochs 500 --steps-per-epoch 100
set -eu
here=$PWD
cd "$(dirname "$0")/.."
root=$PWD
build=$root/build/release
out=$root/out

sh scripts/install-packages.sh
[ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release -Dtests=false
meson compile -C "$build"

# The results go where the last --out says.
wanted=$out
previous=
for argument in "$@"; do
    case $argument in --out=*) wanted=${argument#--out=} ;; esac
    [ "$previous" != --out ] || wanted=$argument
    previous=$argument
done

# An option may be given once: a default is left out where there is an argument.
given() {
    option=$1
    shift
    for argument in "$@"; do
        case $argument in "$option" | "$option"=*) return 0 ;; esac
    done
    return 1
}
given --out "$@" || set -- "$@" --out "$out"
given --hidden "$@" || set -- "$@" --hidden 128
given --epochs "$@" || set -- "$@" --epochs 30
given --halves-epochs "$@" || set -- "$@" --halves-epochs 10
given --steps-per-epoch "$@" || set -- "$@" --steps-per-epoch 50

cd "$here"
"$build/apps/cerebra" reproduce "$@"

echo "The results are in $wanted:"
ls "$wanted"
