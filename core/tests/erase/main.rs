//! Erasing and proving on real file systems over loop devices, compared with a foreign search.
//!
//! Needs root, loop devices and the tools of the file systems; counted as ignored where something
//! is missing, and failed where `DISINHERIT_REQUIRE=1` or `CI=true` says that everything must run.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

mod boot;
mod crash;
mod image;
mod kill;
mod offline;
mod offline_cut;
mod old_kernel;
mod plant;
mod proof;
mod remains;
mod scope;
mod scrub;
mod survivor;
mod swap;
mod waiting;
mod whole;
mod world;

use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};

type Outcome = Result<(), Box<dyn Error>>;

/// Set in the process that runs in its own mount namespace.
const INSIDE: &str = "DISINHERIT_ERASE_NAMESPACE";

fn main() -> ExitCode {
    if let Some(request) = std::env::var_os("DISINHERIT_ERASE_CHILD") {
        return kill::child(&request);
    }
    if let Some(request) = std::env::var_os(crash::CHILD) {
        return crash::child(&request);
    }
    if let Some(request) = std::env::var_os(offline_cut::CHILD) {
        return offline_cut::child(&request);
    }
    if let Some(request) = std::env::var_os(old_kernel::CHILD) {
        return old_kernel::child(&request);
    }
    if rustix::process::geteuid().is_root() && std::env::var_os(INSIDE).is_none() {
        // Replaces this process; where it fails, the tests find no file system to unmount.
        eprintln!("unshare: {}", by_ourselves());
    }
    let mut trials = remains::trials();
    trials.extend(boot::trials());
    trials.extend(crash::trials());
    trials.extend(kill::trials());
    trials.extend(old_kernel::trials());
    trials.extend(proof::trials());
    trials.extend(survivor::trials());
    trials.extend(swap::trials());
    trials.extend(whole::trials());
    trials.extend(scope::trials());
    trials.extend(offline::trials());
    trials.extend(offline_cut::trials());
    let mut arguments = Arguments::from_args();
    // A program that another test starts holds our mount points between fork(2) and exec(2).
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Goes on in a mount namespace of our own: a copy of our mounts in another one, made by somebody
/// who starts a container meanwhile, would keep a file system in use that we have unmounted.
fn by_ourselves() -> std::io::Error {
    let Ok(program) = std::env::current_exe() else { return std::io::Error::last_os_error() };
    Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec()
}

/// A test that needs root, loop devices and `tools`.
fn trial(
    name: &str,
    tools: &'static [&str],
    test: impl FnOnce() -> Outcome + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        let Some(reason) = missing(tools) else {
            return Ok(test().map(|()| Completion::Completed)?);
        };
        let says = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        if says("DISINHERIT_REQUIRE", "1") || says("CI", "true") {
            return Err(reason.into());
        }
        Ok(Completion::ignored_with(reason))
    })
}

/// One that runs where whole matrices are asked for: `DISINHERIT_FULL=1`, as `make test-full` says.
fn full_trial(
    name: &str,
    tools: &'static [&'static str],
    test: impl FnOnce() -> Outcome + Send + 'static,
) -> Trial {
    if std::env::var("DISINHERIT_FULL").is_ok_and(|value| value == "1") {
        return trial(name, tools, test);
    }
    let ignored = || Ok(Completion::ignored_with("a part of the whole matrix: make test-full"));
    Trial::ignorable_test(name, ignored)
}

fn missing(tools: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root's rights".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("needs loop devices: modprobe loop".to_owned());
    }
    let there = |tool: &&&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        found.is_ok_and(|output| output.status.success())
    };
    let all = ["losetup", "mount", "umount", "grep"];
    let missing = all.iter().chain(tools).find(|tool| !there(tool))?;
    Some(format!("needs {missing}"))
}
