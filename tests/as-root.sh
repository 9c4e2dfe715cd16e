#!/bin/sh
# Runs a command as root, with the caller's PATH and settings.
set -eu
if [ "$(id -u)" = 0 ]; then exec "$@"; fi
exec sudo --preserve-env env "PATH=$PATH" "$@"
