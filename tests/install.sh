#!/bin/sh
# Installs the library into a temporary place and uses it from there as a user would, with nothing
# but a compiler and pkg-config: `install.sh MESON BUILD SOURCE CC [CFLAG ...]`. The flags are those
# without which the library does not link (sanitizers).
set -eu
meson=$1
build=$2
source=$3
cc=$4
shift 4
cxx=${CXX:-g++}
warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}

"$meson" install -C "$build" --no-rebuild --quiet --destdir "$work/root"
pc=$(find "$work/root" -name cerebra.pc)
[ -n "$pc" ] || fail "there is no cerebra.pc"
prefix=$work/root$(sed -n 's/^prefix=//p' "$pc")
flags() {
    PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --define-variable=prefix="$prefix" "$@" cerebra
}
env -i "$prefix/bin/cerebra" --version >/dev/null || fail "the command does not start by itself"
[ -f "$prefix/share/cerebra/valgrind.supp" ] || fail "there is no valgrind.supp"
LD_LIBRARY_PATH=$(flags --variable=libdir)
OMP_NUM_THREADS=1
export LD_LIBRARY_PATH OMP_NUM_THREADS
cp -r "$source"/examples/*.[ch] "$source"/examples/cookbook "$work"
cd "$work"

# What is not declared for users is hidden. Sanitizers have names of their own.
nm -D --defined-only "$LD_LIBRARY_PATH"/libcerebra.so | awk '{ print $3 }' | grep -v '^cb_' >hidden || true
[ ! -s hidden ] || [ $# -gt 0 ] || fail "the library exports $(head -n 3 hidden)"

# $warnings and what pkg-config prints are lists of words.
# shellcheck disable=SC2046,SC2086
for sources in [0-9]*.c missing_values.c "train_custom_cell.c custom_cell.c" "train_lion.c lion.c" xor.c; do
    "$cc" "$@" $sources -o "${sources%%.c*}" $(flags --cflags --libs) -lm
    "$cc" "$@" -std=c11 $warnings -c $sources $(flags --cflags)
done

for example in 01_tensors 06_own_op; do
    python3 "$source/tests/examples.py" "$example" "$source/examples/$example.c" "$source/examples" ||
        fail "$example.c"
done
./xor >xor.out || fail "xor.c"
./train_lion >train_lion.out || fail "train_lion.c: $(cat train_lion.out)"
./missing_values cookbook/decay.cell >missing_values.out || fail "missing_values.c"
awk '{ sub(",", "", $4); print "loss", $4 }' missing_values.out >missing_values_loss.out

# Loaded, used on two threads and unloaded, again and again: neither threads nor memory become more.
cat >reload.c <<'EOF'
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Pages in memory, or threads. */
static long status(const char *key) {
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            sscanf(line + strlen(key), ": %ld", &value);
    if (file != NULL)
        fclose(file);
    return value;
}

static int use(const char *path) {
    const int64_t shape[2] = {512, 512};
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return fprintf(stderr, "%s\n", dlerror());
    union { void *object; void (*function)(int); } set_threads = {dlsym(library, "cb_set_threads")};
    union { void *object; void *(*function)(void); } tape_new = {dlsym(library, "cb_tape_new")};
    union { void *object; void (*function)(void *); } tape_free = {dlsym(library, "cb_tape_free")};
    union { void *object; void *(*function)(void *, int, int, const int64_t *, double); } full = {
        dlsym(library, "cb_full")};
    union { void *object; void *(*function)(void *, void *); } matmul = {dlsym(library, "cb_matmul")};
    union { void *object; double (*function)(void *, const int64_t *); } get = {
        dlsym(library, "cb_tensor_get")};
    set_threads.function(2);
    void *tape = tape_new.function();
    void *a = full.function(tape, 0, 2, shape, 1);
    double found = get.function(matmul.function(a, a), (int64_t[]){3, 5});
    tape_free.function(tape);
    return dlclose(library) != 0 || found != 512;
}

int main(int argc, char **argv) {
    long before = 0;
    for (int i = 0; i < 40; i++) {
        if (argc < 2 || use(argv[1]) != 0)
            return 1;
        if (i == 9)
            before = status("VmRSS");
    }
    long after = status("VmRSS"), threads = status("Threads");
    printf("%ld threads, %ld kB after 10 times and %ld after 40\n", threads, before, after);
    return threads > 2 || after > before + 4096;
}
EOF
"$cc" "$@" reload.c -o reload -ldl || fail "reload.c"
[ $# -gt 0 ] || ./reload "$LD_LIBRARY_PATH/libcerebra.so" >reload.out || fail "reload: $(cat reload.out)"
# Stopped at any step, even in the middle of what is saved every 20 steps, it ends in the same file.
./14_resume whole 130 >whole.out || fail "14_resume.c: $(cat whole.out)"
for stop in 1 20 77; do
    rm -f stopped
    ./14_resume stopped "$stop" >/dev/null && ./14_resume stopped 130 >stopped.out || fail "14_resume.c"
    grep -q "going on after step $stop" stopped.out || fail "14_resume.c does not go on: $(cat stopped.out)"
    cmp whole stopped || fail "14_resume.c ends in another file when it was stopped at $stop"
done
./train_custom_cell train_custom_cell.c 60 >train_custom_cell.out ||
    fail "train_custom_cell.c: $(cat train_custom_cell.out)"
grep -q '^gradients: [1-9]' train_custom_cell.out || fail "train_custom_cell.c checks no gradients"
grep -q '^the cell is compiled' train_custom_cell.out || fail "custom_cell.c is not compiled"
for example in missing_values_loss xor train_custom_cell train_lion; do
    awk '/loss/ { last = $NF; if (!lines++) first = last }
        END { exit !(lines > 2 && last > 0 && last < 0.7 * first) }' "$example.out" ||
        fail "the loss of $example.c does not fall: $(cat "$example.out")"
done
if ./train_custom_cell no-such-file 2>err; then
    fail "train_custom_cell.c reads a file that is not there"
fi
for words in abc 1x -1 "1 eagre" "1 eager more"; do
    # shellcheck disable=SC2086
    ./train_custom_cell train_custom_cell.c $words >out 2>err && code=0 || code=$?
    if [ "$code" -ne 2 ] || [ -s out ] || [ "$(wc -l <err)" -ne 1 ]; then
        fail "train_custom_cell.c takes \"$words\": $(cat out err)"
    fi
done

# Every header stands alone, in C and in C++.
have_cxx=$(command -v "$cxx") || echo "skipped: there is no C++ compiler $cxx"
for header in "$prefix"/include/cerebra/*.h; do
    printf "#include <cerebra/%s>\nint main(void);\n" "$(basename "$header")" >header.c
    # shellcheck disable=SC2046,SC2086
    "$cc" -std=c11 $warnings -fsyntax-only header.c $(flags --cflags)
    # shellcheck disable=SC2046
    [ -z "$have_cxx" ] ||
        "$cxx" -Wall -Wextra -Werror -fsyntax-only -x c++ header.c $(flags --cflags)
done

cat >program.cc <<'END'
#include <cerebra/cerebra.h>
#include <cstring>
int main() {
    cb_tape *tape = cb_tape_new();
    const int64_t shape[] = {3};
    const bool good = cb_item(cb_sum(cb_full(tape, CB_F32, 1, shape, 2), -1, nullptr, false)) == 6;
    cb_tape_free(tape);
    return good && std::strcmp(cb_version(), CB_VERSION) == 0 ? 0 : 1;
}
END
if [ -n "$have_cxx" ]; then
    # shellcheck disable=SC2046
    "$cxx" "$@" -Wall -Wextra -Werror program.cc -o program $(flags --cflags --libs)
    ./program || fail "the C++ program"
fi

cat >plugin.cc <<'END'
#include <cerebra/rnn.h>
static cb_cell cells[1];
CB_CELL_LIBRARY(&cells[0])
END
if [ -n "$have_cxx" ]; then
    # shellcheck disable=SC2046
    "$cxx" -Wall -Wextra -Werror -fvisibility=hidden -fPIC -shared plugin.cc -o plugin.so $(flags --cflags)
fi
echo "the installed library compiles and runs the examples"
