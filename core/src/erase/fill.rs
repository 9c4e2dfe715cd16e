//! Overwrites the free blocks that are not zero, and only those, while the system runs.
//!
//! Preallocated files take the free space. The file system reads them as zeros whatever the blocks
//! hold, and tells where they lie; so the blocks can be read from the device, and zeros written to
//! the device where something is there, without a byte of anybody's file in reach. Blocks that are
//! zero are left alone: a thin image stays thin. Measurements and traps: `docs/erase.md`.

use std::fs::File;

use super::device::{Device, DirectBuffer};
use super::filler::{Fillers, Take};
use super::run::{Run, Step};
use super::scan::{self, PIECE, Part};
use super::tunable::{RESERVE, Tunable};
use crate::sys;
use crate::{Error, Result};

/// Bytes left to other writers during the first pass.
const KEEP: u64 = 256 << 20;

/// What is done with blocks that are not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treat {
    /// Overwritten on the device.
    Overwrite,
    /// Counted.
    Count,
}

/// What was found in free space, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Read.
    pub(super) scanned: u64,
    /// Not zero, at a grain of 4 KiB.
    pub(super) dirty: u64,
    /// Overwritten.
    pub(super) written: u64,
    /// Not zero at the end.
    pub(super) left: u64,
    /// Held by a filler in a form whose place on the device is not certain: neither read nor written.
    pub(super) unseen: u64,
    /// Free inodes with old content that were taken once, which empties them.
    pub(super) inodes: u64,
    /// Free inodes with old content that could not be had.
    pub(super) inodes_left: u64,
    /// The inode tables have a layout that is not read.
    pub(super) inodes_unseen: bool,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.scanned += other.scanned;
        self.dirty += other.dirty;
        self.written += other.written;
        self.left += other.left;
        self.unseen += other.unseen;
        self.inodes += other.inodes;
        self.inodes_left += other.inodes_left;
        self.inodes_unseen |= other.inodes_unseen;
    }

    /// Empties the free inodes of ext4.
    fn renew(&mut self, run: &mut Run<'_>, fillers: &mut Fillers, device: &Device) -> Result<()> {
        match super::inodes::renew(run, fillers, device)? {
            Some((had, left)) => (self.inodes, self.inodes_left) = (had, left),
            None => self.inodes_unseen = true,
        }
        Ok(())
    }
}

/// Takes the free space in two passes and treats it.
///
/// # Errors
/// Reading, writing or taking space fails, or a signal asks to end. The fillers are removed and
/// the reserve is put back on every way out; after a kill the next run does it.
pub(super) fn fill(run: &mut Run<'_>, device: &Device, treat: Treat) -> Result<Tally> {
    let mut fillers = Fillers::new(run.fs)?;
    let reserve = Tunable::open(run.fs, &fillers, RESERVE)?;
    if let Some(reserve) = &reserve {
        reserve.set(run.fs, 0)?;
    }
    run.fs.sync()?;
    let mut tally = passes(run, &mut fillers, device, treat)?;
    run.begin(Step::Release, 0)?;
    fillers.release(run.fs, 0)?;
    if let Some(reserve) = reserve {
        reserve.restore(run.fs, &fillers)?;
    }
    if run.fs.fstype() == "xfs" && treat == Treat::Overwrite {
        tally.add(super::freeze::clean(run, &fillers, device)?);
    }
    if run.fs.fstype() == "ext4" && treat == Treat::Overwrite {
        tally.renew(run, &mut fillers, device)?;
    }
    fillers.remove(run.fs)?;
    run.fs.sync()?;
    Ok(tally)
}

fn passes(
    run: &mut Run<'_>,
    fillers: &mut Fillers,
    device: &Device,
    treat: Treat,
) -> Result<Tally> {
    let free = run.fs.free()?;
    let most = free.saturating_sub(KEEP.min(free / 2));
    run.begin(Step::TakeMost, most)?;
    let first = fillers.take(run, most, Take::Reserve)?;
    run.begin(Step::CleanMost, most)?;
    let mut tally = clean(run, fillers.files().get(first..).unwrap_or_default(), device, treat)?;
    run.begin(Step::TakeRest, 0)?;
    let rest = fillers.take(run, u64::MAX / 2, Take::Reserve)?;
    run.begin(Step::CleanRest, run.fs.free()?)?;
    tally.add(clean(run, fillers.files().get(rest..).unwrap_or_default(), device, treat)?);
    // Blocks that became nodes of the fillers' extent trees are still what they were on the device
    // unless they are written back before they are freed.
    run.fs.sync()?;
    fillers.release(run.fs, rest)?;
    Ok(tally)
}

/// An extent of a filler.
struct Own {
    file: usize,
    logical: u64,
    physical: u64,
}

/// Reads the extents of `files` from the device, overwrites what is not zero, and reads that again
/// while the files still hold the blocks.
fn clean(run: &mut Run<'_>, files: &[File], device: &Device, treat: Treat) -> Result<Tally> {
    let mut tally = Tally::default();
    let (owns, mut parts) = map(run, files, &mut tally)?;
    tally.scanned = scan::total(&parts);
    let mut found = scan::dirty(device, &mut parts, &mut |bytes| run.moved(bytes))?;
    tally.dirty = scan::total(&found);
    if treat == Treat::Count || found.is_empty() {
        tally.left = tally.dirty;
        return Ok(tally);
    }
    let mut zeros = DirectBuffer::new(usize::try_from(PIECE).unwrap_or_default());
    for dirty in &found {
        let ours = owns.get(dirty.of).is_some_and(|own| still_ours(files, own, dirty));
        if !ours {
            return Err(Error::refused("overwrite free space of", run.fs.point().display())
                .because("the blocks of a filler moved")
                .remedy("stop online defragmentation and run again"));
        }
        scan::overwrite(device, dirty, &mut zeros)?;
        tally.written += dirty.length();
        run.stop()?;
    }
    device.sync()?;
    let left = scan::dirty(device, &mut found, &mut |_| run.stop())?;
    tally.left = scan::total(&left);
    Ok(tally)
}

/// Where the fillers lie. Extents in another form than plain unwritten ones are only counted.
fn map(run: &Run<'_>, files: &[File], tally: &mut Tally) -> Result<(Vec<Own>, Vec<Part>)> {
    let (mut owns, mut parts) = (Vec::new(), Vec::new());
    for (file, handle) in files.iter().enumerate() {
        let mut at = 0;
        loop {
            let batch =
                sys::fiemap(handle, at).map_err(|e| run.fs.failed("map the fillers on", e))?;
            for extent in &batch {
                at = extent.logical_end();
                if extent.is_plain_unwritten() {
                    let (start, end) = (extent.physical, extent.physical + extent.length);
                    parts.push(Part { start, end, of: owns.len() });
                    owns.push(Own { file, logical: extent.logical, physical: extent.physical });
                } else {
                    tally.unseen += extent.length;
                }
            }
            if batch.last().is_none_or(sys::Extent::is_last) {
                break;
            }
        }
    }
    Ok((owns, parts))
}

/// True when the filler holds the blocks of `dirty` at this moment, unwritten, where we saw them.
fn still_ours(files: &[File], own: &Own, dirty: &Part) -> bool {
    let Some(file) = files.get(own.file) else { return false };
    let logical = own.logical + (dirty.start - own.physical);
    let end = logical + dirty.length();
    let Ok(now) = sys::fiemap(file, logical) else { return false };
    let mut at = logical;
    for extent in now.iter().take_while(|extent| extent.logical < end) {
        // A map of other numbers than ours would be no reason to trust it.
        let same =
            extent.physical.wrapping_sub(extent.logical) == own.physical.wrapping_sub(own.logical);
        if extent.logical > at || !extent.is_plain_unwritten() || !same {
            return false;
        }
        at = extent.logical_end();
    }
    at >= end
}

/// Fills the free space with zeros through files, for file systems whose blocks cannot be
/// addressed: most first, then the rest in falling pieces. The bytes written.
///
/// # Errors
/// As [`fill`].
pub(super) fn fill_through_files(run: &mut Run<'_>, device: Option<&Device>) -> Result<Tally> {
    let mut fillers = Fillers::new(run.fs)?;
    fillers.without_copies();
    run.fs.sync()?;
    let free = run.fs.free()?;
    let most = free.saturating_sub(KEEP.min(free / 2));
    run.begin(Step::TakeMost, most)?;
    fillers.take(run, most, Take::Zeros)?;
    run.begin(Step::TakeRest, free - most)?;
    fillers.take(run, u64::MAX / 2, Take::Zeros)?;
    let mut tally = Tally { written: fillers.bytes(run.fs)?, ..Tally::default() };
    run.begin(Step::Release, 0)?;
    fillers.release(run.fs, 0)?;
    if let Some(device) = device.filter(|_| run.fs.fstype() == "ext4") {
        tally.renew(run, &mut fillers, device)?;
    }
    fillers.remove(run.fs)?;
    run.fs.sync()?;
    Ok(tally)
}
