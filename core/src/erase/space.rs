//! Which way the free space of a file system is treated, and what that leaves.

use rustix::io::Errno;

use super::btrfs;
use super::device::Device;
use super::filesystem::{FileSystem, Superblock};
use super::fill::{self, Tally, Treat};
use super::report::{FsReport, Place, Way};
use super::run::Run;
use crate::policy::EraseMode;
use crate::{Error, Result};

/// Whether free blocks can be had as unwritten extents with an address on one device.
pub(super) fn addressable(fs: &FileSystem, superblock: Superblock) -> Result<(), &'static str> {
    match fs.fstype() {
        "ext4" => Ok(()),
        "xfs" if superblock.realtime => Err("a realtime section"),
        "xfs" => Ok(()),
        _ => Err("the file system does not tell where its blocks lie on the device"),
    }
}

/// ext4 and xfs: free space is read, and overwritten unless only a trim was asked for.
pub(super) fn by_device(
    run: &mut Run<'_>,
    report: &mut FsReport,
    readable: Option<&Device>,
) -> Result<()> {
    let writable = run.fs.open_device(true).ok().flatten();
    let (device, treat) = match (&writable, readable) {
        (Some(device), _) if report.mode != EraseMode::Trim => (device, Treat::Overwrite),
        (_, Some(device)) if report.mode == EraseMode::Trim => (device, Treat::Count),
        _ => {
            return by_files(
                run,
                report,
                "its device cannot be written while mounted",
                Superblock::default(),
            );
        }
    };
    let tally = match fill::fill(run, device, treat) {
        // Files without extents (ext3, or extents switched off) cannot be preallocated.
        Err(error) if says(&error, Errno::OPNOTSUPP) => {
            return by_files(
                run,
                report,
                "its files cannot be preallocated",
                Superblock::default(),
            );
        }
        tally => tally?,
    };
    count(report, tally);
    report.way = match treat {
        Treat::Overwrite if report.trimmed.is_some() && tally.written == 0 => Way::Trim,
        Treat::Overwrite => Way::Device,
        Treat::Count if tally.left == 0 && report.trimmed.is_some() => Way::Trim,
        Treat::Count => Way::None,
    };
    if tally.left > 0 {
        let (why, remedy) = match treat {
            Treat::Overwrite => {
                ("other writers or a reserve kept the blocks", "run again, or erase offline")
            }
            Treat::Count => ("the device did not discard them", "run again with --erase fill"),
        };
        report.remains(Place::FreeSpace, Some(tally.left), why, remedy);
    }
    inodes(report, tally);
    if tally.unseen > 0 {
        let why = "the blocks of a filler have no certain place on the device";
        report.remains(Place::FreeSpace, Some(tally.unseen), why, "erase offline");
    }
    Ok(())
}

/// Others: a trim that a planted file proves, else zeros through files.
pub(super) fn by_files(
    run: &mut Run<'_>,
    report: &mut FsReport,
    why: &str,
    superblock: Superblock,
) -> Result<()> {
    let proven = report.trimmed.is_some()
        && run.fs.fstype() == "btrfs"
        && superblock.devices == 1
        && btrfs::trim_is_real(run)?;
    if proven {
        report.way = Way::Trim;
        return Ok(());
    }
    if report.mode == EraseMode::Trim {
        let why = if report.trimmed.is_none() { "the device refuses to discard" } else { why };
        report.remains(Place::FreeSpace, None, why, "run again with --erase fill");
        return Ok(());
    }
    let device = run.fs.open_device(false).ok().flatten();
    let tally = fill::fill_through_files(run, device.as_ref())?;
    count(report, tally);
    inodes(report, tally);
    report.way = Way::ThroughFiles;
    report.remains(
        Place::FreeSpace,
        None,
        &format!("zeros went through files, which do not reach every block: {why}"),
        "discard the device's free space offline",
    );
    Ok(())
}

/// ext4 with bigalloc gives a file a whole cluster for its last block. What lies behind that block
/// is neither free nor mapped, and keeps what it held.
pub(super) fn clusters(report: &mut FsReport, superblock: Superblock) {
    if superblock.bigalloc {
        let why = "blocks behind the end of a file in its last cluster (bigalloc) are not reached";
        let remedy = "copy the files to a file system without bigalloc";
        report.remains(Place::FreeSpace, None, why, remedy);
    }
}

fn inodes(report: &mut FsReport, tally: Tally) {
    if tally.inodes_left > 0 {
        let why = format!("{} free inodes could not be taken", tally.inodes_left);
        report.remains(Place::Metadata, None, &why, "free some inodes and run again");
    }
    if tally.inodes_unseen {
        let why = "inode tables of this layout (meta_bg) are not read";
        report.remains(Place::Metadata, None, why, "unmount it and run e2fsck -E discard");
    }
}

fn count(report: &mut FsReport, tally: Tally) {
    report.scanned += tally.scanned;
    report.dirty += tally.dirty;
    report.written += tally.written;
    report.left += tally.left;
    report.inodes += tally.inodes;
}

/// True when `errno` is the cause of the error.
fn says(error: &Error, errno: Errno) -> bool {
    let cause = std::error::Error::source(error);
    cause.and_then(|c| c.downcast_ref::<Errno>()).is_some_and(|found| *found == errno)
}
