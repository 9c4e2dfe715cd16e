#!/bin/bash
# What EC2 Image Builder runs on a Linux build before the capture, written anew from its user guide
# ("Security best practices", required post-build clean up; awsdocs/ec2-image-builder-user-guide at
# 50675d9). Runs in the image; the working folder of its agent is /tmp/toe.
set -u
shopt -s nullglob

gone() {
    for file in "$@"; do
        if [ -f "$file" ]; then shred -zuf "$file"; fi
    done
}
all_below() { if [ -d "$1" ]; then find "$1" -type f -exec shred -zuf {} \;; fi; }

gone /etc/sudoers.d/90-cloud-init-users /etc/locale.conf \
    /var/log/cloud-init.log /var/log/cloud-init-output.log
all_below /var/lib/cloud
rm -rf /var/lib/cloud/*

gone /etc/.updated /etc/aliases.db /etc/hostname /var/lib/misc/postfix.aliasesdb-stamp \
    /var/lib/postfix/master.lock /var/spool/postfix/pid/master.pid /var/.updated \
    /var/cache/yum/x86_64/2/.gpgkeyschecked.yum

for type in rsa ecdsa ed25519; do
    gone "/etc/ssh/ssh_host_${type}_key" "/etc/ssh/ssh_host_${type}_key.pub"
done
gone /root/.ssh/authorized_keys
for home in /home/*; do
    gone "$home/.ssh/authorized_keys"
done

gone /var/log/audit/audit.log /var/log/boot.log /var/log/dmesg /var/log/cron
for folder in /tmp/toe/TOE_* /var/log/amazon/ssm; do
    all_below "$folder"
    rm -rf "$folder"
done
gone /var/log/sa/sa* /var/lib/dhclient/dhclient*.lease
all_below /var/tmp
rm -rf /var/tmp/*
gone /var/lib/rsyslog/imjournal.state
all_below /var/log/journal
rm -rf /var/log/journal/*
touch /etc/machine-id
