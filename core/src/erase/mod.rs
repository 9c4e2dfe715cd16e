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
mod space;
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

use crate::path::escape;
use crate::sys::erase as sys_erase;
use crate::{Error, Result};
use filesystem::Superblock;
use run::Run;
use space::{addressable, by_device, by_files, clusters};

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
        Ok(()) => {
            by_device(run, report, device.as_ref())?;
            clusters(report, superblock.unwrap_or_default());
        }
        Err(why) => by_files(run, report, why, superblock.unwrap_or_default())?,
    }
    journal::treat(run, report, superblock, device.as_ref())?;
    remaining::look(run, report, device.as_ref())?;
    if let Some(device) = device.filter(|_| matches!(run.fs.fstype(), "ext4" | "xfs")) {
        report.residual.extend(preallocated::residual(run, &device)?);
    }
    Ok(())
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
