#!/bin/sh
# Runs the benchmarks, or those named, as root against the released programs, and keeps what they
# print in docs/benchmarks/NAME.txt.
#
#   bench.sh [NAME...]
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin

if [ $# = 0 ]; then
    for source in tests/src/bin/bench-*.rs; do
        name=${source##*/bench-}
        set -- "$@" "${name%.rs}"
    done
fi
tests/dist.sh
mkdir -p docs/benchmarks
result=0
for name in "$@"; do
    echo "==> bench $name"
    # As the plugin is built: what a benchmark calls of core itself is to be as fast.
    cargo build --quiet --profile plugin --package disinherit-tests --bin "bench-$name"
    program=${CARGO_TARGET_DIR:-target}/plugin/bench-$name
    # No pipe: its exit status would be lost.
    if tests/as-root.sh "$program" >"docs/benchmarks/$name.part"; then
        mv "docs/benchmarks/$name.part" "docs/benchmarks/$name.txt"
        cat "docs/benchmarks/$name.txt"
    else
        cat "docs/benchmarks/$name.part"
        echo "bench $name failed" >&2
        result=1
    fi
done
exit $result
