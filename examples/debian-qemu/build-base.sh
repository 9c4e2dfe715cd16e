#!/bin/sh
# Builds a bootable Debian disk image from Debian's own packages, as people leave
# such images before they capture them: passwords, keys, histories, tokens.
#
#   build-base.sh [--suite bookworm|trixie|sid] [--sudo nopasswd|password] [--output DIR]
#
# Result in DIR (default build/debian-SUITE-SUDO below the repository):
#   base.qcow2      boots under plain QEMU with BIOS; console on ttyS0
#   planted.json    every secret inside, its path and its value (random for each build)
#   builder.json    how to log in: user, password, private key file
#   tree.tar        the same tree unpacked, for tests without a virtual machine
#
# Needs neither loop devices nor KVM, but root for the owners in the tree: it asks sudo when
# it is not root. The unpacked packages are kept in build/cache; a finished DIR that these
# scripts have made is taken as it is.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
suite=bookworm sudo_rule=nopasswd output='' size=2G

[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"

die() { echo "build-base.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "option $1 wants a value"
    case $1 in
        --suite) suite=$2 ;;
        --sudo) sudo_rule=$2 ;;
        --output) output=$2 ;;
        *) die "unknown option $1" ;;
    esac
    shift 2
done
case $suite in bookworm|trixie|sid) ;; *) die "suite $suite: only bookworm, trixie and sid are tried" ;; esac
case $sudo_rule in nopasswd|password) ;; *) die "--sudo wants nopasswd or password" ;; esac
: "${output:=$repository/build/debian-$suite-$sudo_rule}"
cache=$repository/build/cache

PATH=$PATH:/usr/sbin:/sbin
for tool in mmdebstrap mke2fs sfdisk grub-mkimage qemu-img; do
    command -v "$tool" >/dev/null || die "$tool is missing; tests/setup.sh installs it"
done

packages=linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,dbus,udev,libpam-systemd,kmod
packages=$packages,openssh-server,cloud-init,sudo,iproute2,netbase,procps,e2fsprogs,acl,attr,curl

# Unpacked packages, nothing dirty yet. Named after what goes in, so a change makes a new one.
make_packages_tar() {
    sources=$("$here/sources.sh" "$suite")
    name=$(printf '%s' "$suite $packages $sources" | cat - "$here/customise.sh" | sha256sum | cut -c1-16)
    packages_tar=$cache/debian-$suite-$name.tar
    [ ! -s "$packages_tar" ] || return 0
    set -- --variant=minbase --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --customize-hook="$here/customise.sh \"\$1\"" \
        --skip=cleanup/reproducible "$suite" "$packages_tar.part" --format=tar
    if [ -n "$sources" ]; then
        printf '%s\n' "$sources" >"$packages_tar.sources"
        mmdebstrap "$@" - <"$packages_tar.sources"
    else
        mmdebstrap "$@" </dev/null
    fi
    mv "$packages_tar.part" "$packages_tar"
}

# One partition at 1 MiB, GRUB in the gap before it: boot.img looks for its second
# stage in sector 1, which is where grub-mkimage expects it, so nothing needs patching.
make_disk() {
    tree=$1 disk=$2
    rm -f "$disk"
    truncate -s "$size" "$disk"
    echo 'start=1MiB, type=83, bootable' | sfdisk -q --label dos "$disk"
    mke2fs -q -t ext4 -L base -m 1 -E offset=1048576,lazy_itable_init=0,lazy_journal_init=0 \
        -d "$tree" "$disk" "$(( $(stat -c %s "$disk") / 1024 - 1024 ))k"
    grub=/usr/lib/grub/i386-pc
    grub-mkimage -O i386-pc -d "$grub" -p '(hd0,msdos1)/boot/grub' -o "$disk.core" \
        biosdisk part_msdos ext2 linux normal configfile
    [ "$(stat -c %s "$disk.core")" -le $((2047 * 512)) ] || die "GRUB does not fit before the partition"
    dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$disk.core" of="$disk" bs=512 seek=1 conv=notrunc status=none
    rm -f "$disk.core"
}

made_from=$(cat "$here/build-base.sh" "$here/customise.sh" "$here/plant.sh" | sha256sum | cut -c1-64)
take_finished() {
    [ "$(cat "$output/made-from" 2>/dev/null)" = "$made_from" ] || return 0
    echo "$output/base.qcow2"
    exit 0
}
take_finished
# Two runs at once would write into the same files; the second finds what the first has made.
mkdir -p "$cache"
exec 9>"$cache/$suite.lock"
flock 9
take_finished
make_packages_tar
rm -rf "$output"
mkdir -p "$output"
work=$(mktemp -d "$output/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
tar -C "$work/tree" --numeric-owner --xattrs --xattrs-include='*' -xpf "$packages_tar"
"$here/plant.sh" "$work/tree" "$output" "$suite" "$sudo_rule"
tar -C "$work/tree" --numeric-owner --xattrs -cf "$output/tree.tar" .
make_disk "$work/tree" "$work/base.raw"
qemu-img convert -f raw -O qcow2 "$work/base.raw" "$output/base.qcow2"
echo "$made_from" >"$output/made-from"
# Whoever asked through sudo goes on without it.
[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-0}" "$output"
echo "$output/base.qcow2"
