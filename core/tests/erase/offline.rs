//! `scrub --root DIR --offline`: the image is unmounted for a moment, and nothing of what was
//! deleted before we came is left, names and attributes included.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use disinherit_core::erase::{Journal, Residual};
use disinherit_core::pipeline::{self, Job};
use disinherit_core::plan::Plan;
use disinherit_core::policy::{Fragment, Settings};
use disinherit_core::report::{Mode, Report};
use libtest_mimic::Trial;

use crate::image::{BTRFS, EXT4, Image, Recipe, XFS, run};
use crate::plant::{plant, token};
use crate::scope::image;
use crate::scrub::{Ear, Told};
use crate::whole::{check_file_system, left};
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = &["mkfs.ext4", "e2fsck"];
    let xfs = &["mkfs.xfs", "xfs_repair"];
    let inline = Recipe { mkfs: &["mkfs.ext4", "-q", "-O", "inline_data"], ..EXT4 };
    let journal = Recipe { options: "data=journal,noatime", ..EXT4 };
    vec![
        trial("offline_leaves_nothing_on_ext4", ext4, move || nothing_left(journal)),
        trial("offline_leaves_nothing_on_ext4_inline", ext4, move || nothing_left(inline)),
        trial("offline_leaves_nothing_on_xfs", xfs, || nothing_left(XFS)),
        trial("offline_names_in_directories_of_xfs_stay_and_are_announced", xfs, xfs_names),
        trial("offline_an_image_in_use_is_refused", ext4, in_use),
        trial("offline_an_image_that_comes_into_use_is_reported", ext4, used_later),
        trial(
            "offline_a_dry_run_unmounts_nothing",
            &["mkfs.ext4", "e2fsck", "dumpe2fs"],
            asked_before,
        ),
        trial("offline_what_lies_below_comes_back", ext4, nested),
        trial("offline_has_nothing_for_btrfs", &["mkfs.btrfs"], no_tool),
    ]
}

fn plan(image: &Image) -> Result<(Plan, Report), disinherit_core::Error> {
    run_at(&image.point, Mode::DryRun, "", &mut |_| ())
}

/// Scrubs the mounted image.
pub(crate) fn offline(
    image: &Image,
    ear: Ear<'_>,
) -> Result<(Plan, Report), disinherit_core::Error> {
    at(&image.point, ear)
}

/// Scrubs the image that is mounted at `top`.
pub(crate) fn at(top: &Path, ear: Ear<'_>) -> Result<(Plan, Report), disinherit_core::Error> {
    run_at(top, Mode::Scrub, "", ear)
}

fn run_at(
    top: &Path,
    mode: Mode,
    policy: &str,
    ear: Ear<'_>,
) -> Result<(Plan, Report), disinherit_core::Error> {
    let policy = format!("firstboot: false\n{policy}");
    let settings = Settings::new(Fragment::parse("policy", &policy).unwrap()).unwrap();
    let job = Job { settings: &settings, firstboot: None, mode };
    pipeline::run_offline(top, &job, &mut Told(ear))
}

/// The mounts at and below the image, with their options.
fn mounts(image: &Image) -> Result<String, Box<dyn Error>> {
    let columns = "TARGET,SOURCE,FSTYPE,OPTIONS";
    run(Command::new("findmnt").args(["-R", "-n", "-l", "-o", columns]).arg(&image.point))
}

fn nothing_left(recipe: Recipe) -> Outcome {
    let secret = token()?;
    let image = image(recipe, format!("export TOKEN={secret}\n").as_bytes())?;
    let secrets = plant(&image.point)?;
    let before = mounts(&image)?;
    let (plan, report) = offline(&image, &mut |_| ())?;
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report.exit_code, 0, "{:#?}", report.findings);
    assert!(plan.disk[0].to_string().starts_with("unmount "), "{}", plan.disk[0]);
    assert_eq!(mounts(&image)?, before);
    let erased = &report.erased[0];
    assert_eq!((erased.left, erased.journal), (0, Journal::Overwritten));
    image.unmount()?;
    check_file_system(&image, &erased.fstype)?;
    assert_eq!(image.grep(&[secret]), Vec::<String>::new());
    let left = left(&image, &secrets);
    assert!(left.is_empty(), "{left:?}");
    // What is not there is not announced: a strict run can end well.
    let inline = |r: &&Residual| r.why.contains("directories that lie inside inodes");
    // Directories of xfs are not read.
    let names = |r: &&Residual| r.why.contains("directories that are still there");
    let unread = |r: &&Residual| inline(r) || erased.fstype == "xfs" && names(r);
    let announced = erased.residual.iter().filter(|r| !unread(r));
    assert_eq!(announced.map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    Ok(())
}

fn in_use() -> Outcome {
    let image = image(EXT4, b"export TOKEN=x\n")?;
    let open = fs::File::open(image.point.join("etc/passwd"))?;
    for mode in [Mode::DryRun, Mode::Scrub] {
        let error = run_at(&image.point, mode, "", &mut |_| ()).unwrap_err();
        assert_eq!(error.kind(), disinherit_core::Kind::Refused, "{}", error.report());
    }
    assert_eq!(fs::read(image.point.join("home/ann/.bash_history"))?, b"export TOKEN=x\n");
    drop(open);
    let (plan, _) = plan(&image)?;
    assert!(plan.disk[0].to_string().contains("run e2fsck -f -p -D"), "{}", plan.disk[0]);
    assert!(image.point.join("home/ann/.bash_history").exists());
    Ok(())
}

/// Somebody opens a file after the steps were carried out: what was done is said all the same.
fn used_later() -> Outcome {
    let image = image(EXT4, b"export TOKEN=x\n")?;
    let before = mounts(&image)?;
    let mut open = None;
    let passwd = image.point.join("etc/passwd");
    let (_, report) = offline(&image, &mut |at| {
        if at == "Apply last" {
            open = fs::File::open(&passwd).ok();
        }
    })?;
    assert!(open.take().is_some());
    assert_eq!(report.exit_code, 3);
    let failed: Vec<_> = report.actions.iter().filter(|a| a.error.is_some()).collect();
    let error = failed[0].error.as_deref().unwrap_or_default();
    assert!(failed.len() == 1 && error.contains("cannot unmount"), "{failed:#?}");
    assert!(report.summary.done > 0);
    assert!(!image.point.join("home/ann/.bash_history").exists());
    assert_eq!(mounts(&image)?, before);
    Ok(())
}

/// xfs_repair leaves the blocks of a sound directory as they are.
fn xfs_names() -> Outcome {
    let image = image(XFS, b"ls\n")?;
    let names = (0..200).map(|_| token()).collect::<Result<Vec<_>, _>>()?;
    let path = |name: &String| image.point.join("srv").join(name);
    fs::create_dir(image.point.join("srv"))?;
    names.iter().try_for_each(|name| fs::write(path(name), "x"))?;
    rustix::fs::sync();
    let (gone, live) = names.split_at(100);
    gone.iter().try_for_each(|name| fs::remove_file(path(name)))?;
    let (_, report) = offline(&image, &mut |_| ())?;
    let residual = &report.erased[0].residual;
    let said = |r: &Residual| r.why.contains("directories that are still there");
    assert!(residual.len() == 1 && residual.iter().all(said), "{residual:?}");
    image.unmount()?;
    let left = image.grep(gone);
    println!("{} of {} names of deleted files stay, announced", left.len(), gone.len());
    assert!(!left.is_empty() && image.grep(live).len() == live.len());
    Ok(())
}

/// An earlier asking has left its mark on the mount, and the next one would unmount it.
fn asked_before() -> Outcome {
    let image = image(EXT4, b"ls\n")?;
    // The number of a mount comes back with the next one; ext4 counts how often it was mounted.
    let times = || -> Result<String, Box<dyn Error>> {
        let all = run(Command::new("dumpe2fs").arg("-h").arg(&image.device))?;
        Ok(all.lines().find(|line| line.starts_with("Mount count:")).unwrap().to_owned())
    };
    let before = times()?;
    let mark = rustix::mount::UnmountFlags::EXPIRE;
    let marked = rustix::mount::unmount(&image.point, mark);
    assert_eq!(marked, Err(rustix::io::Errno::AGAIN));
    plan(&image)?;
    assert_eq!(times()?, before);
    Ok(())
}

/// A second file system at /boot, and a folder in memory that has to go first.
fn nested() -> Outcome {
    let image = image(EXT4, b"ls\n")?;
    let boot = Image::new(EXT4)?;
    boot.unmount()?;
    for folder in ["boot", "proc"] {
        fs::create_dir(image.point.join(folder))?;
    }
    let at = image.point.join("boot");
    run(Command::new("mount").args(["-o", "nodev,ro"]).args([&boot.device, &at]))?;
    let tmp = image.point.join("proc");
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&tmp))?;
    let error = offline(&image, &mut |_| ()).unwrap_err();
    run(Command::new("umount").arg(&tmp))?;
    assert_eq!(error.kind(), disinherit_core::Kind::Refused, "{}", error.report());
    let before = mounts(&image)?;
    let outcome = offline(&image, &mut |_| ());
    let after = mounts(&image);
    run(Command::new("umount").arg(&at))?;
    assert_eq!(after?, before);
    let (_, report) = outcome?;
    assert!(report.actions.iter().all(|a| a.error.is_none()), "{:#?}", report.actions);
    Ok(())
}

fn no_tool() -> Outcome {
    let image = image(BTRFS, b"ls\n")?;
    let error = offline(&image, &mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), disinherit_core::Kind::Refused, "{}", error.report());
    assert!(image.point.join("home/ann/.bash_history").exists());
    Ok(())
}
