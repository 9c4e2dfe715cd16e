//! Overwriting what a file has allocated: one pass of zeros, then fsync(2).
//!
//! More passes bring nothing on a virtual disk. `FALLOC_FL_ZERO_RANGE` and `FALLOC_FL_PUNCH_HOLE`
//! leave the old bytes on the device and are never used.

use std::fs::File;
use std::io;
use std::iter;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::erase::Erase;
use super::medium::Medium;
use super::step::step;
use crate::root::Meta;
use crate::sys::{Extent, fiemap};

/// The allocated ranges of a file and what the file system says about them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allocated {
    /// Ranges in bytes, ascending, unwritten extents included, holes not.
    ranges: Vec<Range<u64>>,
    /// `FIEMAP_EXTENT_*` of all extents together.
    flags: u32,
}

impl Allocated {
    /// The ranges of an open file of `size` bytes.
    pub(super) fn of(file: &File, size: u64) -> Result<Self, Errno> {
        match Self::from_map(file) {
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
                Ok(Self { ranges: data_ranges(file, size)?, flags: 0 })
            }
            other => other,
        }
    }

    /// True when the file has no blocks.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn from_map(file: &File) -> Result<Self, Errno> {
        let mut found = Self::default();
        let mut start = 0;
        loop {
            let extents = fiemap(file, start)?;
            let Some(last) = extents.last() else {
                return Ok(found);
            };
            let end = last.logical.saturating_add(last.length);
            for extent in &extents {
                found.add(extent);
            }
            if last.flags & Extent::LAST != 0 || end <= start {
                return Ok(found);
            }
            start = end;
        }
    }

    fn add(&mut self, extent: &Extent) {
        self.flags |= extent.flags;
        let end = extent.logical.saturating_add(extent.length);
        match self.ranges.last_mut() {
            Some(last) if last.end == extent.logical => last.end = end,
            _ => self.ranges.push(extent.logical..end),
        }
    }
}

/// The ranges that lseek(2) calls data; the whole file where it cannot tell.
fn data_ranges(file: &File, size: u64) -> Result<Vec<Range<u64>>, Errno> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(iter::once(0..size).collect()),
            Err(errno) => return Err(errno),
        };
        let end = seek(file, SeekFrom::Hole(start))?.max(start + 1);
        ranges.push(start..end);
        at = end;
    }
    Ok(ranges)
}

/// Overwrites every allocated range of `file`, open for writing, and syncs it. A failure is an
/// outcome, not an error: what called goes on to remove the file, and the report says what is
/// left. The length may grow to the end of the last block.
pub(super) fn burn(file: &File, meta: &Meta) -> Erase {
    let journal = match Medium::of(file, meta) {
        Medium::Memory => return Erase::NothingToErase,
        Medium::CopyOnWrite(why) => return Erase::NeedsDiscard { why: why.into() },
        Medium::Unknown(why) => Err(why),
        Medium::Journaled(why) => Ok(Some(why)),
        Medium::InPlace => Ok(None),
    };
    let (bytes, flags) = match overwrite(file, meta) {
        Ok((0, _)) => return Erase::NothingToErase,
        Ok(done) => done,
        Err(error) => return failed(error),
    };
    match journal {
        Err(why) => Erase::not(why),
        Ok(_) if flags & Extent::SHARED != 0 => {
            Erase::not("another file or a snapshot shares its blocks")
        }
        // Encrypted files (fscrypt) are encoded too, but in place.
        Ok(_) if flags & (Extent::ENCODED | Extent::DATA_ENCRYPTED) == Extent::ENCODED => {
            Erase::NeedsDiscard { why: "the file system stores the file compressed".into() }
        }
        Ok(Some(why)) => Erase::NeedsCheckpoint { why: why.into() },
        Ok(None) if flags & Extent::DATA_INLINE != 0 => {
            Erase::NeedsCheckpoint { why: "the file system keeps the file inside its inode".into() }
        }
        Ok(None) => Erase::Overwritten { bytes },
    }
}

fn failed(error: io::Error) -> Erase {
    Erase::not(format!("overwriting failed: {error}"))
}

/// Bytes written, and the flags of the extents they went to.
fn overwrite(file: &File, meta: &Meta) -> io::Result<(u64, u32)> {
    // On the heap: as a constant it would be a quarter of a megabyte of every program.
    let zeros = vec![0; 256 * 1024];
    step("map the extents")?;
    let allocated = Allocated::of(file, meta.size)?;
    let mut bytes = 0;
    for range in &allocated.ranges {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let piece = zeros.get(..left).unwrap_or(&zeros);
            step("overwrite")?;
            file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        bytes += range.end - range.start;
    }
    if bytes > 0 {
        step("sync the overwritten file")?;
        file.sync_all()?;
    }
    Ok((bytes, allocated.flags))
}
