#!/bin/sh
# After an installation: programs find the shared library in a folder of the system's once it is in the
# loader's cache, which root may write. (Programs find it elsewhere by the path in cerebra.pc.)
PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" -ne 0 ] || ! command -v ldconfig >/dev/null || ldconfig
