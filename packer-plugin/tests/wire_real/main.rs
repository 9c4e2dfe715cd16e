//! The wire against real peers: the client half of packer-plugin-sdk, and Debian's Packer 1.6.6.
//!
//! This program is its own plugin: started as Packer starts plugins, it serves the probe. Tests
//! whose peer is not installed are counted as ignored; with `DISINHERIT_REQUIRE=1` they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a test fails by a panic, and its program is its own output"
)]

mod packer166;
mod peer;
mod probe;
mod sshd;
mod tools;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use packer_plugin_disinherit::plugin::{Invocation, describe_json, serve};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match Invocation::from_args(&args) {
        Invocation::Start { name, protobuf } => {
            serve(&name, protobuf, Arc::<probe::Probe>::default())
        }
        Invocation::Describe => {
            println!("{}", describe_json("0.1.0"));
            ExitCode::SUCCESS
        }
        Invocation::Other => {
            let mut trials = peer::trials();
            trials.extend(packer166::trials());
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}
