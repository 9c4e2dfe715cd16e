#!/bin/sh
# Plants secrets in a running guest, in every way in which a file system keeps them, and deletes
# most of them. Run as root in the guest by the test's Packer build.
#
#   plant-in-guest.sh VALUES     lines of "CLASS VALUE"
set -eu
values=$1
PATH=$PATH:/usr/sbin:/sbin
top=/srv/work
esp=/boot/efi

mkdir -p $top $esp /root/.ssh /root/.aws
modprobe vfat
mount /dev/disk/by-label/EFI $esp
echo 'LABEL=EFI /boot/efi vfat umask=0077 0 1' >>/etc/fstab

repeat() { yes "$1" | head -n "$2"; }

number=0
while read -r class value; do
    number=$((number + 1))
    file=$top/$number
    case $class in
        small|edited|truncated) echo "password = $value" >"$file" ;;
        large) repeat "$value" 3000 >"$file" ;;
        attribute) echo x >"$file"; setfattr -n user.note -v "$value" "$file" ;;
        target) ln -s "/$value/where/it/points" "$file" ;;
        name) mkdir "$file"; echo x >"$file/$value" ;;
        prealloc) repeat "$value" 6000 >"$file" ;;
        esp) echo "password = $value" >"$esp/$number" ;;
        history) echo "mysql -uroot -p$value" >>/root/.bash_history ;;
        key) printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n' "$value" >"/root/.ssh/id_$number" ;;
        cloud) echo "aws_secret_access_key = $value" >>/root/.aws/credentials ;;
        tmp) echo "$value" >"/var/tmp/$number" ;;
        swap) swapped="${swapped:-} $value" ;;
        held) held=$value ;;
    esac
    # The living lie between the dead.
    echo "$number $number $number" >"$top/live-$number"
done <"$values"
sync

# Pages of memory in an active swap file.
fallocate -l 32M /swapfile
chmod 600 /swapfile
mkswap -q /swapfile 2>/dev/null || mkswap /swapfile >/dev/null
page=16
for value in $swapped; do
    printf %s "$value" | dd of=/swapfile bs=4096 seek=$page conv=notrunc status=none
    page=$((page + 7))
done
sync
swapon /swapfile
echo '/swapfile none swap sw 0 0' >>/etc/fstab

# Deleted, and still open in a process that outlives this script.
repeat "$held" 500 >$top/held
sync
systemd-run --quiet --unit=holds sh -c "exec 3<$top/held; rm $top/held; exec sleep 100000"

number=0
while read -r class value; do
    number=$((number + 1))
    file=$top/$number
    case $class in
        edited) echo 'password = none' >"$file.new"; mv "$file.new" "$file" ;;
        truncated) : >"$file" ;;
        small|large|attribute|target|prealloc) rm "$file" ;;
        name) rm -r "$file" ;;
        esp) rm "$esp/$number" ;;
    esac
done <"$values"
sync
# What a service preallocates takes over what deleted files have left. It is not journald's own
# file: that one grows while we look.
fallocate -l 24M /var/tmp/preallocated
sync
echo 'planted and synced'
