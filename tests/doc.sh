#!/bin/sh
# Builds the API reference, in which an undocumented declaration is an error, and looks for each function
# of the shared library in it: `doc.sh DOXYGEN DOXYFILE LIBRARY`.
set -eu
tag=$(dirname "$2")/cerebra.tag
rm -f "$tag"
"$1" "$2"
missing=$(nm -D --defined-only "$3" | awk '{ print $3 }' | grep '^cb_' | while read -r name; do
    grep -q "<name>$name</name>" "$tag" || echo "$name"
done)
[ -z "$missing" ] || {
    echo "FAILED: the reference does not have" $missing
    exit 1
}
grep -c '<member kind=' "$tag"
