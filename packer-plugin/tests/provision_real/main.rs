//! The provisioner against what is real: Debian's Packer 1.6.6, a sshd, file systems that are full
//! or mounted noexec.
//!
//! File systems are mounted in a user namespace of this program's own, so that no root is needed.
//! What is not installed or not allowed is counted as ignored; with `DISINHERIT_REQUIRE=1` it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test fails by a panic, and shares modules that it uses in part"
)]

#[path = "../local/mod.rs"]
mod local;
mod mounts;
mod packer166;
#[path = "../wire_real/sshd.rs"]
mod sshd;
#[path = "../wire_real/tools.rs"]
mod tools;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let mut trials = packer166::trials();
    trials.extend(mounts::trials());
    if mounts::inside() {
        trials.retain(mounts::is_inner);
    } else {
        trials.retain(|trial| !mounts::is_inner(trial));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
