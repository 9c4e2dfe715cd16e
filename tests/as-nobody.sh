#!/bin/sh
# Runs a test program as the user nobody: PROGRAM [ARGUMENTS]. Root only.
#
# Where nobody may not enter the folders above this repository (/root, mostly), they are
# covered by an empty one with only the repository in it, in a mount namespace of our own.
set -eu
cwd=$PWD
here=$(cd "$(dirname "$0")/.." && pwd)
nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --'

if [ "${1:-}" = --covered ]; then
    shift
    top=/$(echo "$here" | cut -d/ -f2)
    keep=$(mktemp -d -p /run)
    mount --bind "$here" "$keep"
    mount -t tmpfs -o mode=0755 cover "$top"
    mkdir -p "$here"
    mount --move "$keep" "$here"
    rmdir "$keep"
    cd "$cwd"
    exec $nobody env HOME=/nonexistent "$@"
fi
if $nobody test -r "$here/Cargo.toml"; then
    exec $nobody env HOME=/nonexistent "$@"
fi
exec unshare --mount --propagation private "$0" --covered "$@"
