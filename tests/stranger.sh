#!/bin/sh
# What README says of building and installing, done by a stranger: with an empty environment, into a folder
# that the loader does not know, the library a subproject of his: `stranger.sh MESON SOURCE`.
set -eu
meson=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
    echo "FAILED: $*"
    exit 1
}

# alone COMMAND ...: runs it with nothing in its environment.
alone() {
    env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$work" LC_ALL=C.UTF-8 "$@"
}

mkdir -p "$work/program/subprojects/cerebra"
(cd "$source" && tar c meson.build meson_options.txt include tensor autograd nn optim) |
    tar x -C "$work/program/subprojects/cerebra"
cd "$work/program"
cp "$source/examples/xor.c" model.c
cat >subprojects/cerebra.wrap <<'END'
[wrap-file]
directory = cerebra

[provide]
dependency_names = cerebra
END
cat >meson.build <<'END'
project('program', 'c')
executable('model', 'model.c', dependencies: dependency('cerebra'), install: true)
END
# Without optimisation, for the time.
alone "$meson" setup "$work/build" --prefix="$prefix" --buildtype=debug --force-fallback-for=cerebra \
    -Dcerebra:c_args=-DCBI_NO_MULTIVERSION >setup.out || fail "setup: $(cat setup.out)"
build() {
    alone ninja -C "$work/build" >ninja.out || fail "build: $(tail ninja.out)"
    alone "$work/build/model" >model.out || fail "the program of the subproject"
}
build
alone "$meson" install -C "$work/build" --no-rebuild --quiet

# From the folder that it is installed in, shared and static. A static libgomp has a dlopen that ld warns of.
pc=$(dirname "$(find "$prefix" -name cerebra.pc)")
flags() {
    alone PKG_CONFIG_PATH="$pc" pkg-config "$@" --cflags --libs cerebra
}
cat >model.cc <<'END'
#include <cerebra/cerebra.h>
int main() {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(4, 2), 1);
    const bool good = cb_item(cb_sum(cb_matmul(x, cb_transpose(x, 0, 1)), CB_AXES(0, 1), false)) == 32;
    cb_tape_free(tape);
    return good ? 0 : 1;
}
END
# shellcheck disable=SC2046
for file in model.c model.cc; do
    compiler=$([ $file = model.c ] && echo cc || echo c++)
    command -v $compiler >/dev/null || continue
    alone $compiler $file $(flags) -o found || fail "$compiler $file"
    alone ./found >found.out || fail "$file does not find the library"
    ldd found | grep -q "libcerebra.*$prefix" || fail "$file is not linked with the shared library"
    alone $compiler -static $file $(flags --static) -o static 2>static.err || fail "static: $(cat static.err)"
    ! ldd static >ldd.out 2>&1 || fail "$file is not static: $(cat ldd.out)"
    alone ./static >static.out || fail "the static $file"
    cmp found.out static.out
    [ $file = model.cc ] || cmp found.out model.out
done
# The subproject within the program.
alone "$meson" configure "$work/build" -Ddefault_library=static -Dcerebra:default_library=static
build
! ldd "$work/build/model" | grep libcerebra || fail "the static subproject is shared"
echo "a stranger's programs are built, and run"
