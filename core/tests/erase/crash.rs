//! Whole scrubs that end in the middle, at every phase: killed, power cut, disk full. Each time the
//! file system mounts, the system's files are old or new and never empty, and the next run ends the
//! job and leaves no filler.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};

use disinherit_core::erase::DIRECTORY;
use libtest_mimic::Trial;

use crate::image::{BTRFS, EXT4, Image, Recipe, XFS, run};
use crate::plant::Secret;
use crate::scrub::{check_done, scrub};
use crate::whole::{check_file_system, ended_well, findings, left};
use crate::world::{check_system, settle};
use crate::{Outcome, full_trial, trial, waiting};

/// Names the phase and the mount point to the other process.
pub(crate) const CHILD: &str = "DISINHERIT_SCRUB_CHILD";
/// Discards nothing, so that every phase has something to do.
const POLICY: &str = "erase: fill\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    /// Nothing that was not written yet reaches the device any more.
    PowerCut,
    DiskFull,
}

const QUICK: &[(&str, End, &[&str])] = &[
    ("ext4", End::Killed, &["Apply half", "CleanRest"]),
    ("ext4", End::PowerCut, &["Apply last", "CleanMost"]),
    ("ext4", End::DiskFull, &["Apply first", "TakeRest"]),
    ("xfs", End::Killed, &["CleanRest"]),
    ("xfs", End::PowerCut, &["Apply half"]),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, end, phases) in QUICK {
        let (name, end, phases) = (*name, *end, *phases);
        let test = move || at_phases(name, end, |phase| phases.contains(&phase));
        trials.push(trial(&format!("crash::{name}_{end:?}_quick"), tools(name), test));
    }
    for name in ["ext4", "xfs", "btrfs"] {
        for end in [End::Killed, End::PowerCut, End::DiskFull] {
            // btrfs has no call that lets it fall silent.
            if (name, end) != ("btrfs", End::PowerCut) {
                let test = move || at_phases(name, end, |_| true);
                trials.push(full_trial(&format!("crash::{name}_{end:?}"), tools(name), test));
            }
        }
    }
    trials
}

fn tools(fstype: &str) -> &'static [&'static str] {
    match fstype {
        "ext4" => &["mkfs.ext4", "e2fsck", "xfs_io"],
        "xfs" => &["mkfs.xfs", "xfs_repair", "xfs_io"],
        _ => &["mkfs.btrfs", "btrfs"],
    }
}

fn recipe(fstype: &str) -> Recipe {
    let recipe = match fstype {
        "ext4" => Recipe { size: 96 << 20, ..EXT4 },
        "xfs" => XFS,
        _ => BTRFS,
    };
    Recipe { discard: true, ..recipe }
}

/// Ends a scrub of a fresh image at each phase that `wanted` takes.
fn at_phases(fstype: &str, end: End, wanted: impl Fn(&str) -> bool) -> Outcome {
    let original = Image::new(recipe(fstype))?;
    let secrets = settle(&original.point)?;
    original.retire()?;
    let mut phases: Vec<String> = Vec::new();
    scrub(&original.copy()?.point, POLICY, &mut |phase| {
        if !phases.iter().any(|known| known == phase) {
            phases.push(phase.to_owned());
        }
    })?;
    phases.retain(|phase| wanted(phase));
    assert!(!phases.is_empty());
    for phase in &phases {
        let image = original.copy()?;
        interrupted(&image, fstype, end, phase, &secrets)
            .map_err(|error| format!("{end:?} at {phase:?}: {error}"))?;
        println!("{fstype}: {end:?} at {phase:?}: the next run ended the job");
    }
    Ok(())
}

fn interrupted(image: &Image, fstype: &str, end: End, phase: &str, secrets: &[Secret]) -> Outcome {
    match end {
        End::Killed => waiting::kill(waiting::start(CHILD, &image.point, phase)?)?,
        End::PowerCut => {
            let child = waiting::start(CHILD, &image.point, phase)?;
            run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&image.point))?;
            waiting::kill(child)?;
            image.unmount()?;
            image.mount("")?;
        }
        End::DiskFull => disk_full(&image.point, phase)?,
    }
    check_system(&image.point, false)?;
    let report = scrub(&image.point, POLICY, &mut |_| ())?;
    assert!(ended_well(&report), "{:#?}", findings(&report));
    check_system(&image.point, true)?;
    check_done(&image.point, POLICY)?;
    assert!(!image.point.join(DIRECTORY).exists());
    image.unmount()?;
    check_file_system(image, fstype)?;
    let mut left = left(image, secrets);
    left.retain(|class, _| class.is_data() && fstype != "btrfs");
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// The disk becomes full when the phase begins, and has room again after the run.
fn disk_full(top: &Path, phase: &str) -> Outcome {
    let ballast = top.join("srv/ballast");
    let mut full = false;
    let report = scrub(top, POLICY, &mut |now| {
        if now == phase && !full {
            full = true;
            exhaust(&ballast).unwrap();
        }
    })?;
    assert!(full);
    // What could not be done is an error of its step, not a reason to call the image clean.
    let failed = report.actions.iter().any(|action| action.error.is_some());
    assert_eq!(report.exit_code == 3, failed, "{:#?}", report.findings);
    assert!(!top.join(DIRECTORY).exists());
    match std::fs::remove_file(ballast) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

/// Writes until nothing more goes, in large and then in small pieces.
fn exhaust(path: &Path) -> std::io::Result<()> {
    let mut file = match File::create(path) {
        // The fillers have left no room for an inode: it is full already.
        Err(e) if e.kind() == ErrorKind::StorageFull => return Ok(()),
        file => file?,
    };
    for size in [1 << 20, 4096, 512] {
        let piece = vec![b'b'; size];
        while file.write_all(&piece).is_ok() {}
        // Delayed blocks are taken, or refused, now.
        drop(file.sync_all());
    }
    Ok(())
}

/// The other process.
pub(crate) fn child(request: &OsStr) -> ExitCode {
    waiting::child(request, |top, phase| scrub(top, POLICY, phase))
}
