//! All end-to-end tests in one program, so that what did not run is counted in one place.

mod boots;
mod cases;
mod container;
mod dirty;
mod erasing;
mod escape;
mod examples;
mod image;
mod offline;
mod precision;
mod program;
mod readers;
mod suites;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use disinherit_tests::Result;
use disinherit_tests::needs::{Need, is_root};
use libtest_mimic::Arguments;

/// Set in the copy of this program that runs in a mount namespace of its own.
const MARK: &str = "DISINHERIT_TESTS_PRIVATE_MOUNTS";

fn main() -> Result<ExitCode> {
    if is_root() && std::env::var_os(MARK).is_none() && Need::Mount.missing().is_none() {
        return run_with_private_mounts();
    }
    let mut trials = Vec::new();
    trials.extend(boots::trials());
    trials.extend(cases::trials());
    trials.extend(container::trials());
    trials.extend(erasing::trials());
    trials.extend(escape::trials());
    trials.extend(examples::trials());
    trials.extend(image::trials());
    trials.extend(offline::trials());
    trials.extend(precision::trials());
    trials.extend(program::trials());
    trials.extend(readers::trials());
    trials.extend(suites::trials());
    let arguments = Arguments::from_args();
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// What a killed test run has mounted disappears with its last process. Root's tools are found
/// whatever `PATH` the caller had.
fn run_with_private_mounts() -> Result<ExitCode> {
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .exec();
    Err(error.into())
}
