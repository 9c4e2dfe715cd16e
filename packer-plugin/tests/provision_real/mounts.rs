//! Trials that mount file systems. Each runs this program again in a namespace of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use packer_plugin_disinherit::plugin::CancelToken;
use packer_plugin_disinherit::provision::Programs;

use crate::local::Lab;
use crate::tools::{missing, needing};

/// Set in the program that runs in the namespace.
const INSIDE: &str = "DISINHERIT_TEST_INSIDE";
/// The names of trials for the namespace begin so.
const INNER: &str = "inner::";
/// Not below /tmp, which one of the trials covers.
const STAGE: &str = "/var/tmp";

const BODIES: &[(&str, fn())] = &[
    ("a_noexec_tmp_is_passed_over", a_noexec_tmp_is_passed_over),
    ("a_noexec_remote_folder_is_an_error", a_noexec_remote_folder_is_an_error),
    ("a_small_disk_is_noticed_before_the_upload", a_small_disk_is_noticed_before_the_upload),
    ("a_disk_that_fills_up_ends_the_upload", a_disk_that_fills_up_ends_the_upload),
];

pub(crate) fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

pub(crate) fn is_inner(trial: &Trial) -> bool {
    trial.name().starts_with(INNER)
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut lacks = missing(&["unshare", "mount"]);
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !inside() && !allowed.is_ok_and(|output| output.status.success()) {
        lacks.push("the right to make a user namespace".to_owned());
    }
    let mut trials = Vec::new();
    for (name, body) in BODIES {
        let inner = format!("{INNER}{name}");
        trials.push(Trial::test(inner.clone(), || {
            body();
            Ok(())
        }));
        let outer = format!("mounts::{name}");
        trials.push(needing(lacks.clone(), &outer, move || enter(&inner)));
    }
    trials
}

fn enter(trial: &str) {
    let output = Command::new("unshare")
        .args(["-rm", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", trial])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

fn mount(options: &str, at: &Path) {
    let status =
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at).status();
    assert!(status.unwrap().success());
}

fn a_noexec_tmp_is_passed_over() {
    let lab = Lab::within(Path::new(STAGE), "clean").without("remote_folder");
    let programs = Programs::of_this_process().unwrap();
    mount("noexec,mode=1777", Path::new("/tmp"));
    assert_eq!(lab.run_with(&programs, CancelToken::new()), Ok(()));
    let shown = lab.machine.shown();
    assert!(shown.contains("/tmp does not run programs (mounted noexec?); using"), "{shown}");
    assert!(lab.text("args").contains(&format!("--cleanup\n{}/", lab.path("home").display())));
    assert_eq!(fs::read_dir("/tmp").unwrap().count(), 0);
    assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 0);
}

fn a_noexec_remote_folder_is_an_error() {
    let lab = Lab::within(Path::new(STAGE), "clean");
    mount("noexec", &lab.path("remote"));
    let error = lab.run().unwrap_err();
    assert!(error.contains("mounted noexec?") && error.contains("remote_folder"), "{error}");
    assert!(lab.left_behind().is_empty());
}

/// A guest program of 2 MiB, which a disk of 1 MiB cannot take.
fn large(lab: Lab) -> Lab {
    let guest = lab.path("local").join("guest");
    let text = fs::read_to_string(&guest).unwrap() + &"#\n".repeat(1024 * 1024);
    fs::write(&guest, text).unwrap();
    mount("size=1m", &lab.path("remote"));
    lab
}

fn a_small_disk_is_noticed_before_the_upload() {
    let lab = large(Lab::within(Path::new(STAGE), "clean"));
    let error = lab.run().unwrap_err();
    assert!(error.contains(" KiB free, 2113 are needed"), "{error}");
    assert!(lab.left_behind().is_empty());
}

fn a_disk_that_fills_up_ends_the_upload() {
    let lab = large(Lab::within(Path::new(STAGE), "clean"));
    lab.tool("df", "#!/bin/sh\nexit 1\n");
    let error = lab.run().unwrap_err();
    assert!(error.contains("No space left on device"), "{error}");
    assert!(lab.text("args").is_empty() && lab.left_behind().is_empty());
}
