#!/bin/sh
# Seals a disk image that no machine uses, by libguestfs.
#
#   seal.sh IMAGE [PROGRAM]
#
# PROGRAM is the released disinherit-firstboot (default build/dist/disinherit-firstboot).
set -eu
image=$1
program=${2:-$(dirname "$0")/../../build/dist/disinherit-firstboot}
guest=/usr/lib/disinherit

# One call: virt-customize does its steps in the order given, and sealing is the last one.
virt-customize --add "$image" \
    --mkdir $guest \
    --upload "$program:$guest/disinherit-firstboot" \
    --chmod 0755:$guest/disinherit-firstboot \
    --run-command "$guest/disinherit-firstboot seal"
