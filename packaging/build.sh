#!/bin/sh
# Packs build/dist/disinherit-firstboot into build/packages: .deb with dpkg-deb, .rpm with rpmbuild
# where that is installed. The same program gives the same bytes.
set -eu
cd "$(dirname "$0")/.."

name=disinherit-firstboot
program=build/dist/$name
[ -x $program ] || { echo "$program is missing: make dist" >&2; exit 1; }
version=$($program --version)
packages=$PWD/build/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022
mkdir -p "$packages"

# What every package has.
tree=$work/tree
doc=$tree/usr/share/doc/$name
man=$tree/usr/share/man/man8
mkdir -p "$tree/usr/lib/disinherit" "$tree/usr/sbin" "$doc" "$man"
install -m 0755 $program "$tree/usr/lib/disinherit/"
ln -s ../lib/disinherit/$name "$tree/usr/sbin/$name"
install -m 0644 docs/firstboot.md LICENSE-APACHE LICENSE-MIT "$doc/"
gzip -9nc docs/man/$name.8 >"$man/$name.8.gz"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

deb() {
    architecture=$(dpkg --print-architecture)
    debian=$work/deb
    cp -a "$tree" "$debian"
    install -m 0644 packaging/debian/copyright "$debian/usr/share/doc/$name/"
    gzip -9nc CHANGELOG.md >"$debian/usr/share/doc/$name/changelog.gz"
    mkdir "$debian/DEBIAN"
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
        -e "s/@SIZE@/$(du -sk "$tree" | cut -f1)/" packaging/debian/control >"$debian/DEBIAN/control"
    for script in postinst prerm postrm; do
        install -m 0755 packaging/debian/$script "$debian/DEBIAN/"
    done
    (cd "$debian" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k2) >"$debian/DEBIAN/md5sums"
    dpkg-deb --root-owner-group -Zxz --build "$debian" "$packages/${name}_${version}_$architecture.deb"
}

rpm() {
    rpmbuild --quiet -bb --define "_topdir $work/rpm" --define "_rpmdir $packages" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        --define "version_of_program $version" --define "tree $tree" \
        --define 'use_source_date_epoch_as_buildtime 1' --define '_buildhost localhost' \
        packaging/rpm/$name.spec
}

if command -v dpkg-deb >/dev/null; then deb; fi
if command -v rpmbuild >/dev/null; then rpm; else echo 'no .rpm: rpmbuild is not installed' >&2; fi
ls -l "$packages"
