//! After erasing and unmounting, a foreign search finds nothing but what the report announced.

use std::collections::BTreeMap;
use std::process::Command;

use disinherit_core::erase::{EraseMode, FileSystem, FsReport, Journal, Place, Way, erase};
use libtest_mimic::Trial;

use crate::image::{BTRFS, EXT4, Image, Recipe, XFS, run};
use crate::plant::{Class, bulk, plant, preallocate, token};
use crate::{Outcome, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let discard = |recipe| Recipe { discard: true, ..recipe };
    let large = Recipe { mkfs: &["mkfs.ext4", "-q", "-b", "4096"], ..EXT4 };
    let ext4 = &["mkfs.ext4", "e2fsck"];
    vec![
        trial("ext4_fill", ext4, move || data_is_gone(discard(EXT4), EraseMode::Fill, Way::Device)),
        trial("ext4_discard", ext4, move || {
            data_is_gone(discard(large), EraseMode::Auto, Way::Trim)
        }),
        trial("ext4_trim_only", ext4, move || {
            data_is_gone(discard(large), EraseMode::Trim, Way::Trim)
        }),
        trial("blocks_of_a_preallocated_file_are_counted_on_ext4", ext4, move || adopted(EXT4)),
        trial("blocks_of_a_preallocated_file_are_counted_on_xfs", &["mkfs.xfs"], move || {
            adopted(XFS)
        }),
        trial("btrfs_without_discard", &["mkfs.btrfs"], announced_on_btrfs),
        trial("trim_without_discard_does_not_count", ext4, trim_does_not_count),
        trial("a_part_of_a_file_system_is_refused", ext4, a_part_is_refused),
    ]
}

fn data_is_gone(recipe: Recipe, mode: EraseMode, way: Way) -> Outcome {
    let image = Image::new(recipe)?;
    let secrets = plant(&image.point)?;
    let before = image.taken();
    let report = erase(&FileSystem::of(&image.point)?, mode, &mut |_| ())?;
    assert_eq!(report.way, way, "{report:?}");
    assert_eq!(report.left, 0, "{report:?}");
    assert!(!image.point.join(".disinherit-fill").exists());
    if report.fstype == "ext4" {
        assert_eq!(report.journal, Journal::Overwritten);
    }
    check_live_files(&image);
    image.unmount()?;
    // A file on a ramfs, which serves devices that refuse to discard, is never sparse once read.
    let grown = image.taken().saturating_sub(before);
    assert!(!recipe.discard || grown < recipe.size / 100, "grown by {grown} bytes");
    if report.fstype == "ext4" {
        run(Command::new("e2fsck").args(["-fn"]).arg(&image.device))?;
    }
    let words: Vec<String> = secrets.iter().map(|s| s.text.clone()).collect();
    let mut left: BTreeMap<Class, usize> = BTreeMap::new();
    for found in image.grep(&words) {
        *left.entry(secrets.iter().find(|s| s.text == found).unwrap().class).or_default() += 1;
    }
    eprintln!(
        "{}: {} dirty, {} written, {grown} grown, left {left:?}",
        report.fstype, report.dirty, report.written
    );
    assert!(left.keys().all(|class| !class.is_data()), "content remains: {left:?}; {report:?}");
    assert!(left.is_empty() || announces(&report, Place::Metadata), "not announced: {left:?}");
    Ok(())
}

fn check_live_files(image: &Image) {
    let live = std::fs::read_dir(image.point.join("work")).unwrap();
    let mut count = 0;
    for entry in
        live.map(Result::unwrap).filter(|e| e.file_name().to_str().unwrap().starts_with("live-"))
    {
        assert_eq!(std::fs::read(entry.path()).unwrap(), vec![b'l'; 3000]);
        count += 1;
    }
    assert_eq!(count, 620);
}

fn announces(report: &FsReport, place: Place) -> bool {
    report.residual.iter().any(|r| r.place == place)
}

/// A live file that took the blocks before anybody erased them: its owner's, and announced.
fn adopted(recipe: Recipe) -> Outcome {
    let image = Image::new(recipe)?;
    let secret = token()?;
    bulk(&image.point.join("old"), &secret)?;
    preallocate(&image.point)?;
    let report = erase(&FileSystem::of(&image.point)?, EraseMode::Auto, &mut |_| ())?;
    let residual = report.residual.iter().find(|r| r.place == Place::Preallocated).unwrap();
    assert!(residual.bytes.unwrap() > 1 << 20, "{residual}");
    assert!(residual.why.contains("/preallocated"), "{residual}");
    image.unmount()?;
    assert_eq!(image.grep(std::slice::from_ref(&secret)), [secret]);
    Ok(())
}

fn announced_on_btrfs() -> Outcome {
    let image = Image::new(Recipe { discard: false, ..BTRFS })?;
    plant(&image.point)?;
    let report = erase(&FileSystem::of(&image.point)?, EraseMode::Auto, &mut |_| ())?;
    assert_eq!(report.way, Way::ThroughFiles);
    assert!(announces(&report, Place::FreeSpace) && announces(&report, Place::Metadata));
    check_live_files(&image);
    Ok(())
}

fn trim_does_not_count() -> Outcome {
    let image = Image::new(EXT4)?;
    plant(&image.point)?;
    let report = erase(&FileSystem::of(&image.point)?, EraseMode::Trim, &mut |_| ())?;
    assert_eq!((report.way, report.written), (Way::None, 0));
    assert!(report.left > 1 << 20, "{report:?}");
    assert!(announces(&report, Place::FreeSpace));
    Ok(())
}

fn a_part_is_refused() -> Outcome {
    let image = Image::new(EXT4)?;
    let part = image.point.join("part");
    std::fs::create_dir(&part)?;
    let fs = FileSystem::of(&part)?;
    for mode in [EraseMode::Fill, EraseMode::Trim] {
        assert_eq!(
            erase(&fs, mode, &mut |_| ()).unwrap_err().kind(),
            disinherit_core::Kind::Refused
        );
    }
    let report = erase(&fs, EraseMode::Auto, &mut |_| ())?;
    assert_eq!((report.way, report.scanned), (Way::None, 0));
    assert!(announces(&report, Place::FreeSpace));
    Ok(())
}
