#!/bin/sh
# Prints the machine's own Debian mirrors as one-line sources for SUITE: a mirror that serves
# one suite serves them all. Prints nothing where apt knows no Debian.
#
#   sources.sh bookworm|trixie|sid
set -eu
# shellcheck disable=SC2016 # apt expands these, not the shell
apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' -v suite="$1" '
        $1 != "Debian" || seen[$3]++ { next }
        $2 == "Debian" && !archive++ {
            # A mirror that stands still must not keep sid from being tried.
            print "deb " (suite == "sid" ? "[check-valid-until=no] " : "") $3 " " suite " main"
            if (suite != "sid") print "deb " $3 " " suite "-updates main" }
        suite != "sid" && $2 == "Debian-Security" && !security++ { print "deb " $3 " " suite "-security main" }'
