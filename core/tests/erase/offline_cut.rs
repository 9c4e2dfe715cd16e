//! `scrub --root DIR --offline` that ends in the middle: killed before each of its steps, or the
//! power cut while a tool writes. Each time the image mounts, is what it was or better, and the next
//! run ends the job.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use disinherit_core::erase::DIRECTORY;
use libtest_mimic::Trial;

use crate::image::{EXT4, Image, Recipe, XFS, run};
use crate::offline::offline;
use crate::plant::{Secret, plant, token};
use crate::scope::image;
use crate::whole::{check_file_system, left};
use crate::{Outcome, full_trial, trial, waiting};

/// Names the phase and the mount point to the other process.
pub(crate) const CHILD: &str = "DISINHERIT_OFFLINE_CHILD";

const SMALL: Recipe = Recipe { size: 96 << 20, discard: true, ..EXT4 };

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = &["mkfs.ext4", "e2fsck", "prlimit"];
    let xfs = &["mkfs.xfs", "xfs_repair"];
    let xfs_image = Recipe { discard: true, ..XFS };
    vec![
        trial("offline_killed_with_the_image_unmounted_on_ext4", ext4, || {
            killed(SMALL, |phase| phase == "Offline")
        }),
        trial("offline_killed_with_the_image_unmounted_on_xfs", xfs, move || {
            killed(xfs_image, |phase| phase == "Offline")
        }),
        full_trial("offline_killed_at_every_phase_on_ext4", ext4, || killed(SMALL, |_| true)),
        full_trial("offline_killed_at_every_phase_on_xfs", xfs, move || {
            killed(xfs_image, |_| true)
        }),
        trial("offline_power_cut_while_e2fsck_writes", ext4, || e2fsck_cut(&[64, 8 << 10])),
        trial("offline_power_cut_while_xfs_repair_writes", xfs, move || {
            xfs_repair_cut(xfs_image, &[3, 6])
        }),
        full_trial("offline_power_cut_wherever_e2fsck_writes", ext4, || {
            e2fsck_cut(&[0, 4, 64, 1 << 10, 8 << 10, 32 << 10])
        }),
        full_trial("offline_power_cut_behind_every_phase_of_xfs_repair", xfs, move || {
            xfs_repair_cut(xfs_image, &[1, 2, 3, 4, 5, 6, 7])
        }),
    ]
}

/// An image with secrets in what is there, and in what was deleted.
fn planted(recipe: Recipe) -> Result<(Image, Vec<Secret>, String), Box<dyn Error>> {
    let secret = token()?;
    let image = image(recipe, format!("export TOKEN={secret}\n").as_bytes())?;
    let secrets = plant(&image.point)?;
    Ok((image, secrets, secret))
}

fn killed(recipe: Recipe, wanted: impl Fn(&str) -> bool) -> Outcome {
    let (original, secrets, secret) = planted(recipe)?;
    original.retire()?;
    let mut phases: Vec<String> = Vec::new();
    offline(&original.copy()?, &mut |phase| {
        if !phases.iter().any(|known| known == phase) {
            phases.push(phase.to_owned());
        }
    })?;
    phases.retain(|phase| wanted(phase));
    assert!(!phases.is_empty());
    for phase in &phases {
        let image = original.copy()?;
        kill_at(&image.point, phase)?;
        if phase == "Offline" {
            image.mount("")?;
        }
        ends_the_job(&image, &secrets, &secret).map_err(|e| format!("killed at {phase}: {e}"))?;
        println!("{:?}: killed at {phase}: the next run ended the job", recipe.mkfs);
    }
    Ok(())
}

/// The next run leaves nothing, and a sound file system.
fn ends_the_job(image: &Image, secrets: &[Secret], secret: &str) -> Outcome {
    assert_eq!(fs::read_to_string(image.point.join("etc/passwd"))?.lines().count(), 2);
    let (_, report) = offline(image, &mut |_| ())?;
    assert_eq!(report.exit_code, 0, "{:#?} {:#?}", report.actions, report.findings);
    assert!(!image.point.join(DIRECTORY).exists());
    assert_eq!(fs::read_to_string(image.point.join("etc/passwd"))?.lines().count(), 2);
    image.unmount()?;
    check_file_system(image, &report.erased[0].fstype)?;
    assert_eq!(image.grep(&[secret.to_owned()]), Vec::<String>::new());
    let left = left(image, secrets);
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// The first write of e2fsck(8) behind a limit kills it.
fn e2fsck_cut(limits: &[u64]) -> Outcome {
    let (original, secrets, secret) = planted(SMALL)?;
    original.retire()?;
    for kib in limits {
        let image = original.copy()?;
        kill_at(&image.point, "Offline")?;
        // On the file: a limit of the size of files does not bind on devices.
        let status = Command::new("prlimit")
            .arg(format!("--fsize={}", kib << 10))
            .args(["e2fsck", "-f", "-p", "-D", "-E", "discard"])
            .arg(&image.file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        assert_eq!(status.signal(), Some(25), "{kib} KiB: {status}");
        image.mount("").map_err(|e| format!("cut at {kib} KiB: {e}"))?;
        ends_the_job(&image, &secrets, &secret).map_err(|e| format!("cut at {kib} KiB: {e}"))?;
        println!("e2fsck: {status} at {kib} KiB: the next run ended the job");
    }
    Ok(())
}

/// xfs_repair(8) kills itself behind a phase when its environment says so. A file system that it
/// did not finish may refuse to be mounted until it has run to its end.
fn xfs_repair_cut(recipe: Recipe, phases: &[u32]) -> Outcome {
    let (original, secrets, secret) = planted(recipe)?;
    original.retire()?;
    for phase in phases {
        let image = original.copy()?;
        kill_at(&image.point, "Offline")?;
        let status = Command::new("xfs_repair")
            .arg("-L")
            .arg(&image.device)
            .env("XFS_REPAIR_FAIL_AFTER_PHASE", phase.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let mounted = image.mount("");
        if mounted.is_err() {
            run(Command::new("xfs_repair").arg(&image.device))?;
            image.mount("")?;
        }
        ends_the_job(&image, &secrets, &secret).map_err(|e| format!("phase {phase}: {e}"))?;
        let how = if mounted.is_ok() { "mounted" } else { "repaired" };
        println!("xfs_repair: {status} behind phase {phase}: {how}, the next run ended the job");
    }
    Ok(())
}

/// Kills a scrub of the image at `top` where `phase` begins; at `Offline` it is unmounted.
fn kill_at(top: &Path, phase: &str) -> Outcome {
    waiting::kill(waiting::start(CHILD, top, phase)?)
}

/// The other process.
pub(crate) fn child(request: &OsStr) -> ExitCode {
    waiting::child(request, |top, phase| Ok(crate::offline::at(top, phase)?.1))
}
