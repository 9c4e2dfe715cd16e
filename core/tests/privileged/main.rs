//! The file layer where it needs root: foreign owners, inode flags, real file systems, mounts.
//!
//! Everything is mounted in a mount namespace of this program and ends with it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![expect(clippy::print_stderr, reason = "says why nothing can run")]

mod erasure;
mod layers;
mod links;
mod metadata;
mod mounts;
mod odd;
mod place;
mod scrub;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};

/// What a test needs of the machine beyond root's rights: a program by name, a file system as
/// `fs:NAME`, a device as its path.
type Needs = &'static [&'static str];

/// An image file as a file system of this kind.
const EXT4: Needs = &["mkfs.ext4", "fs:ext4", "/dev/loop-control"];
const XFS: Needs = &["mkfs.xfs", "fs:xfs", "/dev/loop-control"];
const BTRFS: Needs = &["mkfs.btrfs", "fs:btrfs", "/dev/loop-control", "chattr"];

/// Set in the process that runs in its own mount namespace.
const INSIDE: &str = "DISINHERIT_TEST_NAMESPACE";

fn main() -> ExitCode {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && env::var_os(INSIDE).is_none() {
        // Replaces this process; where it fails, the tests say so below.
        let error = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(env::current_exe().unwrap())
            .args(env::args_os().skip(1))
            .env(INSIDE, "1")
            .exec();
        eprintln!("unshare: {error}");
    }
    let mut trials = Vec::new();
    let mut add = |name: &str, needs: Needs, test: Box<dyn FnOnce() + Send>| {
        trials.push(trial(name, needs, test));
    };
    erasure::add(&mut add);
    layers::add(&mut add);
    links::add(&mut add);
    metadata::add(&mut add);
    mounts::add(&mut add);
    odd::add(&mut add);
    scrub::add(&mut add);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

type Add<'a> = &'a mut dyn FnMut(&str, Needs, Box<dyn FnOnce() + Send>);

fn trial(name: &str, needs: Needs, test: Box<dyn FnOnce() + Send>) -> Trial {
    Trial::ignorable_test(name, move || match missing(needs) {
        None => {
            test();
            Ok(Completion::Completed)
        }
        Some(reason) if env::var("DISINHERIT_REQUIRE").is_ok_and(|value| value == "1") => {
            Err(reason.into())
        }
        Some(reason) => Ok(Completion::ignored_with(reason)),
    })
}

fn missing(needs: Needs) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root's rights: run it through sudo".to_owned());
    }
    if env::var_os(INSIDE).is_none() {
        return Some("needs a mount namespace: unshare(1), outside of a container".to_owned());
    }
    needs.iter().find_map(|need| {
        let test = match need.strip_prefix("fs:") {
            Some(_) => "modprobe -q \"${0#fs:}\"; grep -qw \"${0#fs:}\" /proc/filesystems",
            None if need.starts_with('/') => "test -e \"$0\"",
            None => "command -v \"$0\"",
        };
        let tried = Command::new("sh").args(["-c", test, need]).output();
        let there = tried.is_ok_and(|output| output.status.success());
        (!there).then(|| format!("needs {need}"))
    })
}
