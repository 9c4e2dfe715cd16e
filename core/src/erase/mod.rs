//! Makes what was deleted from a file system unreadable on its device.
//!
//! [`FileSystem::of`] names a mounted file system, [`erase`] treats its free space and its journal
//! and says what remains, [`swap`] treats swap areas. Single files are erased elsewhere, before
//! this. Nothing here is ever written outside three places: blocks of our own filler files, blocks
//! that are free while the file system is frozen, and swap areas that were named.
//!
//! What is done and why, with measurements: `docs/erase.md`.

mod btrfs;
pub(crate) mod device;
mod directories;
mod filesystem;
mod fill;
mod filler;
mod freeze;
mod held;
mod inodes;
pub(crate) mod journal;
pub(crate) mod mounts;
mod preallocated;
mod remaining;
mod report;
mod run;
mod scan;
pub mod swap;
mod sweep;
mod taking;
mod tunable;
mod turnover;
pub(crate) mod walk;

pub use crate::policy::EraseMode;
pub use filesystem::FileSystem;
pub use held::{Held, held};
pub use report::{FsReport, Journal, Place, Residual, Way};
pub use run::{Listener, Progress, Step};
pub use sweep::{DIRECTORY, sweep};

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::path::escape;
use crate::sys::erase as sys_erase;
use crate::{Error, Result};
use device::Device;
use filesystem::Superblock;
use fill::{Tally, Treat};
use run::Run;

/// Erases what can be read in the free space and the journal of one mounted file system.
///
/// Free space is discarded (`Auto`, `Trim`), read back, and overwritten where it is not zero
/// (`Auto`, `Fill`); the journal of ext4 is overwritten last. `Auto` on a directory inside a larger
/// file system, or on a read-only one, does what `Files` does: nothing here, and says so. While it
/// runs, HUP, INT, QUIT and TERM end it in good order with an error. `listener` hears of each step.
///
/// # Errors
/// `Refused`, before anything is written: `Trim` or `Fill` of a part of a file system or of a
/// read-only one; another run is at work. `Failed`: the device or the file system fails, or a
/// signal arrived; fillers are gone and the reserve is back unless the process was killed, and
/// then the next call puts that right.
pub fn erase(fs: &FileSystem, mode: EraseMode, listener: Listener<'_>) -> Result<FsReport> {
    let mut report = blank(fs, mode);
    let closed = if !fs.is_whole() {
        Some(("the directory is a part of a larger file system", "name the mount point itself"))
    } else if fs.is_read_only() {
        Some(("it is mounted read-only", "mount it for writing"))
    } else {
        None
    };
    if let Some((why, remedy)) = closed {
        if matches!(mode, EraseMode::Trim | EraseMode::Fill) {
            return Err(Error::refused("erase free space of", fs.point().display())
                .because(why)
                .remedy(remedy));
        }
        untreated(&mut report, why, remedy);
        return Ok(report);
    }
    if mode == EraseMode::Off {
        untreated(&mut report, "erasing is switched off", "run again with --erase auto");
        return Ok(report);
    }
    let mut run = Run::new(fs, listener);
    run.begin(Step::Sweep, 0)?;
    report.swept = sweep(fs)?;
    if mode == EraseMode::Files {
        untreated(&mut report, "only single files were erased", "run again with --erase auto");
        return Ok(report);
    }
    treat(&mut run, &mut report)?;
    Ok(report)
}

/// The straight way: trim, look or overwrite, journal, what remains.
fn treat(run: &mut Run<'_>, report: &mut FsReport) -> Result<()> {
    let device = run.fs.open_device(false).ok().flatten();
    let superblock = device.as_ref().map(Superblock::read).transpose()?;
    if report.mode != EraseMode::Fill {
        run.begin(Step::Trim, 0)?;
        run.fs.sync()?;
        report.trimmed = sys_erase::trim(&run.fs.root).ok();
    }
    match addressable(run.fs, superblock.unwrap_or_default()) {
        Ok(()) => by_device(run, report, device.as_ref())?,
        Err(why) => by_files(run, report, why, superblock.unwrap_or_default())?,
    }
    journal::treat(run, report, superblock, device.as_ref())?;
    remaining::look(run, report, device.as_ref())?;
    if let Some(device) = device.filter(|_| matches!(run.fs.fstype(), "ext4" | "xfs")) {
        report.residual.extend(preallocated::residual(run, &device)?);
    }
    Ok(())
}

/// Whether free blocks can be had as unwritten extents with an address on one device.
fn addressable(fs: &FileSystem, superblock: Superblock) -> Result<(), &'static str> {
    match fs.fstype() {
        "ext4" if superblock.bigalloc => Err("clusters of several blocks (bigalloc)"),
        "ext4" => Ok(()),
        "xfs" if superblock.realtime => Err("a realtime section"),
        "xfs" => Ok(()),
        _ => Err("the file system does not tell where its blocks lie on the device"),
    }
}

/// ext4 and xfs: free space is read, and overwritten unless only a trim was asked for.
fn by_device(run: &mut Run<'_>, report: &mut FsReport, readable: Option<&Device>) -> Result<()> {
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
fn by_files(
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

fn untreated(report: &mut FsReport, why: &str, remedy: &str) {
    report.remains(Place::FreeSpace, None, why, remedy);
    report.remains(Place::Journal, None, why, remedy);
}

fn blank(fs: &FileSystem, mode: EraseMode) -> FsReport {
    FsReport {
        point: text(fs.point()),
        fstype: fs.fstype().to_owned(),
        device: text(fs.device()),
        mode,
        way: Way::None,
        trimmed: None,
        scanned: 0,
        dirty: 0,
        written: 0,
        left: 0,
        inodes: 0,
        journal: Journal::Left,
        swept: false,
        residual: Vec::new(),
    }
}

fn text(path: &Path) -> String {
    escape(path.as_os_str().as_bytes()).into_owned()
}

/// True when `errno` is the cause of the error.
fn says(error: &Error, errno: Errno) -> bool {
    let cause = std::error::Error::source(error);
    cause.and_then(|c| c.downcast_ref::<Errno>()).is_some_and(|found| *found == errno)
}
