#!/bin/sh
# Builds the released programs into build/dist: static, so that they start on any Linux of this
# architecture, with glibc, musl or no C library at all.
set -eu
cd "$(dirname "$0")/.."

# An explicit target keeps the static C library away from procedural macros, which the
# compiler loads as shared objects.
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
export RUSTFLAGS
built=${CARGO_TARGET_DIR:-target}/$target/release
dist=build/dist
mkdir -p $dist

# firstboot lies in every image: see firstboot/no-unwind.ld, and compact tables of relocations.
cargo rustc --quiet --release --target "$target" --package disinherit-firstboot --bin disinherit-firstboot -- \
    -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg="-Wl,-T,$PWD/firstboot/no-unwind.ld" \
    -C link-arg=-Wl,-z,pack-relative-relocs
cargo tree --package disinherit-firstboot --edges normal --prefix none --no-dedupe --format '{p}' |
    sed 's/ (.*//; /^$/d' | sort -u >$dist/disinherit-firstboot.crates
# A C library older than the packed relocations would leave a program that cannot start.
"$built/disinherit-firstboot" --version >/dev/null
cargo build --quiet --profile plugin --target "$target" --package packer-plugin-disinherit
install -m 0755 "$built/disinherit-firstboot" $dist/
rm -f $dist/packer-plugin-disinherit
"${built%/release}/plugin/packer-plugin-disinherit" bundle --output $dist/packer-plugin-disinherit $dist/disinherit-firstboot
for program in disinherit-firstboot packer-plugin-disinherit; do
    printf '%s: %s bytes\n' "$dist/$program" "$(stat -c %s "$dist/$program")"
done
