//! What the way that was taken never reaches: deleted files in use, and metadata.

use super::device::Device;
use super::directories;
use super::filesystem::FileSystem;
use super::held::held;
use super::report::{FsReport, Place, Way};
use super::run::Run;
use crate::Result;
use crate::policy::EraseMode;

/// Adds it to the report.
///
/// # Errors
/// Directories or the device cannot be read, or a signal asks to end.
pub(super) fn look(
    run: &mut Run<'_>,
    report: &mut FsReport,
    device: Option<&Device>,
) -> Result<()> {
    for held in held(run.fs) {
        let why = format!("{} is held open by process {} ({})", held.path, held.pid, held.process);
        report.remains(Place::HeldOpen, Some(held.size), &why, "end the process and run again");
    }
    match (run.fs.fstype(), device) {
        ("ext4", Some(device)) => names_in_directories(run, report, device),
        _ => {
            metadata(run.fs, report);
            Ok(())
        }
    }
}

/// Inodes were emptied, so directories are all that is left of the metadata of ext4.
fn names_in_directories(run: &mut Run<'_>, report: &mut FsReport, device: &Device) -> Result<()> {
    let remedy = "unmount it and run e2fsck -fD, which scrub --root DIR --offline does";
    if report.mode == EraseMode::Trim {
        let why = "attributes and short contents of deleted files may stay in inodes";
        report.remains(Place::Metadata, None, why, "run again with --erase auto");
    }
    let found = directories::stale(run, device)?;
    if found.bytes > 0 {
        let why = format!(
            "names of files that were deleted earlier stay in blocks of {} directories",
            found.directories
        );
        report.remains(Place::Metadata, Some(found.bytes), &why, remedy);
    }
    if found.inline > 0 {
        let why = format!("{} directories that lie inside inodes are not read", found.inline);
        report.remains(Place::Metadata, None, &why, remedy);
    }
    Ok(())
}

/// What may stay in the metadata of the other file systems.
fn metadata(fs: &FileSystem, report: &mut FsReport) {
    let names = "names, attributes and short contents of files that were deleted earlier";
    if fs.is_log_new() {
        // xfs_repair empties free inodes, but rebuilds a directory only where it is damaged.
        let why = "names of files that were deleted earlier may stay in blocks of directories that \
                   are still there, which xfs_repair does not rebuild";
        let remedy = "copy such a directory, remove the old one and run again";
        return report.remains(Place::Metadata, None, why, remedy);
    }
    let (why, remedy) = match fs.fstype() {
        "ext4" | "ext3" | "ext2" => {
            ("in directory blocks and inodes", "unmount it and run e2fsck -fD")
        }
        "xfs" => (
            "in directory blocks and inodes",
            "scrub --root DIR --offline on the unmounted image empties inodes; for names, copy \
             their directory and remove the old one",
        ),
        "btrfs" if report.way == Way::Trim => return snapshots(report),
        "btrfs" => ("in free blocks of trees", "discard offline"),
        "vfat" => {
            ("in directory entries, and behind the end of files", "copy the files to a new one")
        }
        _ => ("in metadata", "make a new file system and copy the files"),
    };
    report.remains(Place::Metadata, None, &format!("{names} may stay {why}"), remedy);
    if fs.fstype() == "btrfs" {
        snapshots(report);
    }
}

fn snapshots(report: &mut FsReport) {
    let why = "snapshots and shared or compressed extents keep what they hold";
    report.remains(Place::Snapshots, None, why, "delete snapshots before the run");
}
