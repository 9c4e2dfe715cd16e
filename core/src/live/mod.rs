//! Effects on a running system that are no files of the image: the writers that would undo a scrub
//! at shutdown are stopped by runtime drop-ins below `/run`, which lie in memory and cannot ship in
//! the image; afterwards everything is synced, and a power-off can be armed.
//!
//! Measured on Debian 12: without this an ordinary power-off writes the random seed, a journal
//! named after the old machine ID, and wtmp again.

mod writers;

use std::path::Path;
use std::time::Duration;

use crate::report::Done;
use crate::root::Root;
use crate::{Error, ImagePath, Result, change, silent};
use writers::{CARRIERS, DROPINS, LAST_WORDS, WRITERS};

/// The rule name under which live effects stand in a report.
pub const RULE: &str = "live";

/// Stops what would write credentials or identity back, on a running system with systemd.
///
/// # Errors
/// A drop-in that cannot be written, or a reload that fails: then the shutdown would undo the scrub.
pub fn stop_writers(root: &Root) -> Result<Vec<Done>> {
    let mut done = Vec::new();
    if !root.is_live() || root.stat(&ImagePath::literal("/run/systemd/system"))?.is_none() {
        return Ok(done);
    }
    for (path, text, why) in DROPINS {
        done.push(drop_in(root, ImagePath::literal(path), text, why)?);
    }
    for unit in active(CARRIERS) {
        let path = ImagePath::new(format!("/run/systemd/system/{unit}.d/disinherit.conf"))
            .ok_or_else(|| Error::failed("name a drop-in of", unit))?;
        done.push(drop_in(root, path, LAST_WORDS, "it is cut off at shutdown and writes nothing")?);
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["try-restart", "systemd-journald.service"])?;
    for unit in active(WRITERS) {
        let stopped = effect(ImagePath::literal("/run"), &format!("{unit} stopped"));
        // auditd refuses systemctl; the report says that it goes on writing.
        let error = systemctl(&["stop", unit]).err().map(|error| error.report());
        done.push(Done { error, ..stopped });
    }
    Ok(done)
}

/// Those of `units` that run.
fn active(units: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    units.iter().copied().filter(|unit| systemctl(&["is-active", "--quiet", unit]).is_ok())
}

/// Writes a runtime drop-in.
fn drop_in(root: &Root, path: ImagePath, text: &str, why: &str) -> Result<Done> {
    let parent = path.parent().unwrap_or_else(ImagePath::root);
    change::make_dirs(root, &parent, 0o755)?;
    let target = root
        .target(&path, crate::root::Links::InRoot)?
        .ok_or_else(|| Error::failed("write", &path))?;
    change::create(&target, text.as_bytes(), 0o644, 0, 0)?;
    Ok(effect(path, why))
}

fn effect(path: ImagePath, action: &str) -> Done {
    Done {
        rules: vec![RULE.into()],
        path,
        action: action.to_owned(),
        subjects: Vec::new(),
        erase: None,
        error: None,
    }
}

/// Writes everything to disk, so that a running system that is switched off now is consistent.
pub fn sync() {
    rustix::fs::sync();
}

/// Arms a timer that switches the machine off. `--force` skips the services' own shutdown, whose
/// last words nobody needs, but still unmounts the file systems. What then hears a SIGTERM and has
/// to run until now is killed first.
///
/// # Errors
/// No systemd-run(1), or it refuses.
pub fn arm_power_off(after: Duration) -> Result<()> {
    let on_active = format!("--on-active={}", after.as_secs());
    let systemctl = systemctl_path()?;
    let carriers: Vec<&str> = active(CARRIERS).collect();
    // `$0` is systemctl, `$@` are the units; where there is none, kill has nothing to do.
    let script = r#"[ $# = 0 ] || "$0" kill --signal=KILL "$@"; exec "$0" --force poweroff"#;
    let begin = [
        "--quiet",
        "--collect",
        "--unit=disinherit-power-off",
        &on_active,
        "--timer-property=AccuracySec=1s",
        "/bin/sh",
        "-c",
        script,
        systemctl,
    ];
    let words: Vec<&str> = begin.into_iter().chain(carriers).collect();
    run(&["/usr/bin/systemd-run", "/bin/systemd-run"], &words).map_err(|e| {
        e.remedy("switch the machine off by hand, or with power_off = false by the builder")
    })
}

/// Switches the machine off now.
///
/// # Errors
/// No systemctl(1), or it refuses.
pub fn power_off() -> Result<()> {
    for unit in active(CARRIERS) {
        if let Err(error) = systemctl(&["kill", "--signal=KILL", unit]) {
            log::warn!("{}", error.report());
        }
    }
    systemctl(&["--force", "poweroff"])
}

const SYSTEMCTL: &[&str] = &["/usr/bin/systemctl", "/bin/systemctl"];

fn systemctl_path() -> Result<&'static str> {
    SYSTEMCTL.iter().copied().find(|p| Path::new(p).exists()).ok_or_else(|| {
        Error::failed("find", "systemctl").remedy("the running system needs systemd for this")
    })
}

fn systemctl(args: &[&str]) -> Result<()> {
    run(SYSTEMCTL, args)
}

/// Runs the first of `programs` that exists.
fn run(programs: &[&str], args: &[&str]) -> Result<()> {
    let program = programs.iter().find(|p| Path::new(p).exists()).ok_or_else(|| {
        Error::failed("find", programs.first().unwrap_or(&"a program"))
            .remedy("the running system needs systemd for this")
    })?;
    let status = silent::run(Path::new(program), args)
        .map_err(|e| Error::failed("run", program).because(e))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::failed("run", format!("{program} {}", args.join(" "))).because(status.to_string()))
}
