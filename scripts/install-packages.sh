#!/bin/sh
# Installs the packages that cerebra needs, on Debian 12 or Ubuntu 24.04:
#
#     install-packages.sh [test] [check]
#
# Always what builds and runs the library and the command; with `test` what the test suite needs
# too, with `check` the second compiler, the formatter, Doxygen and valgrind. Packages that are there are left alone:
# when nothing is missing, neither root nor a network is needed.
set -eu

packages="build-essential pkgconf meson ninja-build libblis-openmp-dev libjansson-dev
    librandom123-dev libutf8proc-dev libcairo2-dev libfontconfig-dev libpng-dev zlib1g-dev fonts-dejavu-core"
for group in "$@"; do
    case $group in
    test) packages="$packages libcriterion-dev locales strace" ;;
    check) packages="$packages clang libclang-rt-dev clang-format shellcheck doxygen valgrind" ;;
    *)
        echo "install-packages.sh: no group \"$group\"; there are test and check" >&2
        exit 2
        ;;
    esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "install-packages.sh: this system has no apt. Install what these Debian packages hold:" >&2
    echo "$packages" | tr -s ' \n' ' ' >&2
    echo >&2
    exit 1
fi

missing=
for package in $packages; do
    # shellcheck disable=SC2016 # the format is dpkg-query's, not the shell's
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-packages.sh: neither root nor sudo. Ask an administrator for:$missing" >&2
        exit 1
    fi
    # Without a terminal nobody can type a password: fail at once instead of waiting for one.
    if [ -t 0 ]; then as_root=sudo; else as_root="sudo -n"; fi
fi

echo "Installing:$missing" >&2
# shellcheck disable=SC2086 # both are lists of words
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        $missing </dev/null
} >&2
