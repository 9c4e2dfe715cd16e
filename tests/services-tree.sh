#!/bin/sh
# Builds a Debian tree with nginx and PostgreSQL, documentation and all, as build/debian-services.tar,
# or takes the one that an earlier call made. Root only. Nothing in it is secret.
set -eu
cd "$(dirname "$0")/.."
tar=build/debian-services.tar
[ ! -s $tar ] || exit 0

packages=nginx,postgresql,openssh-server,cloud-init,systemd-sysv,dbus,ca-certificates,python3,perl,git
packages=$packages,man-db,vim,gnupg,openssl,curl,rsyslog,cron,postfix,golang-src
mkdir -p build
examples/debian-qemu/sources.sh bookworm >build/services.sources
set -- --quiet --variant=minbase --include=$packages --format=tar bookworm $tar.part
if [ -s build/services.sources ]; then
    mmdebstrap "$@" - <build/services.sources
else
    mmdebstrap "$@" </dev/null
fi
mv $tar.part $tar
