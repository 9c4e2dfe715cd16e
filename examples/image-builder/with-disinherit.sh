#!/bin/sh
# Prints a Packer template in JSON with the scrub as its last provisioner.
#
#   with-disinherit.sh packer.json >packer-disinherit.json
set -eu
# shellcheck disable=SC2016 # Packer expands these, not the shell
exec jq '.provisioners += [{
    "type": "disinherit",
    "sudo_password": "{{user `ssh_password`}}",
    "report_path": "disinherit-report.json"
}]' "$1"
