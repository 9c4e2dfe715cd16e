#!/bin/sh
# Builds a Debian tree with the programs that read what a scrub edits, as build/debian-readers, or
# takes the one that an earlier call made. Root only. Nothing in it is secret.
set -eu
cd "$(dirname "$0")/.."
tree=build/debian-readers
mkdir -p build
exec 9>build/readers.lock
flock 9
[ ! -d $tree ] || exit 0

packages=sudo,netplan.io,cloud-init,nginx-light,network-manager,wpasupplicant,git,python3-pip
packages=$packages,systemd-sysv,systemd-userdbd,openssh-server,etckeeper,ca-certificates
examples/debian-qemu/sources.sh bookworm >build/readers.sources
rm -rf $tree.part
set -- --quiet --variant=minbase --include=$packages --format=directory \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    bookworm $tree.part
if [ -s build/readers.sources ]; then
    mmdebstrap "$@" - <build/readers.sources
else
    mmdebstrap "$@" </dev/null
fi
mv $tree.part $tree
