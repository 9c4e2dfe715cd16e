#!/bin/sh
# All tests, part by part; prints the time of each and ends with a table.
# shellcheck disable=SC2317 # the functions are called by `part`
set -u
cd "$(dirname "$0")/.." || exit
PATH=$PWD/build/tools/bin:$PATH:/usr/sbin:/sbin:/usr/local/go/bin:$HOME/.cargo/bin
export PATH
# Debian's Go stays with its own release unless told.
export GOTOOLCHAIN="${GOTOOLCHAIN:-auto}"
table='' result=0 all=$(date +%s)

# part NAME COMMAND...: a failed part does not keep the others from running.
part() {
    name=$1 started=$(date +%s)
    shift
    echo "==> $name"
    if "$@"; then outcome=ok; else outcome=FAILED result=1; fi
    table="$table$(printf '%-40s %6d s  %s' "$name" $(($(date +%s) - started)) $outcome)
"
}

quiet_doc() { RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --all-features; }

# Every crate's tests but the end-to-end ones. Integration tests of the plugin write where
# only their builder may, so another user runs the rest.
own_tests() { cargo test --quiet --workspace --lib --bins && cargo test --quiet --workspace --exclude disinherit-tests --test '*'; }

# The unit tests as another user: cargo passes each test program to a runner.
unit_tests_through() {
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    env "CARGO_TARGET_${host}_RUNNER=$PWD/$1" cargo test --quiet --workspace --lib --bins
}

# One container at a time: where the host has no systemd, two of them share the control groups of
# their services, and one removes what the other is about to enter. Virtual machines want both
# processors for themselves.
end_to_end() {
    program=$(cargo test --package disinherit-tests --test it --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
    [ -n "$program" ] || { echo 'the end-to-end tests do not build' >&2; return 1; }
    case $1 in
        containers) tests/as-root.sh "$program" --test-threads=1 boots:: ;;
        others) tests/as-root.sh "$program" --test-threads=1 --skip boots:: ;;
    esac
}

part 'form: cargo fmt' cargo fmt --all --check
part 'form: shellcheck' shellcheck tests/*.sh tests/peers/*.sh examples/*/*.sh packaging/build.sh packaging/debian/p* .ci/run
part 'lints: clippy' cargo clippy --quiet --workspace --all-targets -- -D warnings
part 'docs: rustdoc' quiet_doc
part 'dependencies: cargo-deny' cargo deny --all-features check bans licenses sources
part 'doc tests' cargo test --quiet --workspace --doc
if [ "$(id -u)" = 0 ]; then
    part 'unit tests as nobody' unit_tests_through tests/as-nobody.sh
    part 'unit and integration tests as root' own_tests
else
    part "unit and integration tests as $(id -un)" own_tests
    part 'unit tests as root' unit_tests_through tests/as-root.sh
fi
part 'released programs: make dist' tests/dist.sh
part 'packages' packaging/build.sh
part 'end to end: first boots in containers' end_to_end containers
part 'end to end: others' end_to_end others

printf '\n%s%-40s %6d s\n' "$table" total $(($(date +%s) - all))
exit $result
