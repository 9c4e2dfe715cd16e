//! Says what the offset of a hit belongs to.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;

use super::chunks;
use super::found::{SearchReport, Where};
use crate::erase::{FileSystem, journal, walk};
use crate::path::escape;
use crate::sys::Extent;
use crate::sys::erase::{self as sys_erase, SpaceMapBuffer};
use crate::{ImagePath, Result};

/// Looks up the hits on the device of `fs`: first in the file system's map of its space, then, for
/// what may be a file's, in the extents of every file. Only ext4, xfs and btrfs tell addresses; the
/// hits of others stay [`Where::Unknown`].
///
/// # Errors
/// A directory of the file system or its device cannot be read.
pub fn locate(fs: &FileSystem, report: &mut SearchReport) -> Result<()> {
    let device = escape(fs.device().as_os_str().as_bytes()).into_owned();
    let here = report.hits.iter().filter(|hit| hit.device == device);
    let mut open = here.map(|hit| (hit.offset, Where::Unknown)).collect();
    match fs.fstype() {
        "ext4" | "xfs" => by_address(fs, &mut open)?,
        "btrfs" => chunks::locate(fs, &mut open)?,
        _ => return Ok(()),
    }
    for hit in report.hits.iter_mut().filter(|hit| hit.device == device) {
        if let Some(place) = open.get(&hit.offset) {
            hit.place = place.clone();
        }
    }
    Ok(())
}

/// Where addresses are those of the device.
fn by_address(fs: &FileSystem, open: &mut BTreeMap<u64, Where>) -> Result<()> {
    let log = journal::parts(fs)?;
    for (offset, place) in open.iter_mut() {
        let in_log = log.iter().any(|part| part.contains(offset));
        *place = if in_log { Where::Log } else { by_map(fs, *offset) };
    }
    if open.values().any(|place| *place == Where::Unknown) {
        walk::extents(fs, &mut |path, extent| {
            let end = extent.physical.saturating_add(extent.length);
            for (_, place) in open.range_mut(extent.physical..end) {
                *place = held_by(path, extent);
            }
        })?;
    }
    // Neither free nor of a file: the file system's own, of which its map names some parts only.
    for place in open.values_mut().filter(|place| **place == Where::Unknown) {
        *place = Where::Metadata;
    }
    Ok(())
}

/// The file to which an extent belongs.
pub(super) fn held_by(path: &ImagePath, extent: &Extent) -> Where {
    if extent.is_unwritten() {
        Where::Preallocated(path.clone())
    } else {
        Where::File(path.clone())
    }
}

/// What the file system's own map says: free, log or metadata, else unknown.
fn by_map(fs: &FileSystem, offset: u64) -> Where {
    let mut records = Vec::new();
    let mut scratch = SpaceMapBuffer::new();
    if sys_erase::space_map(fs.root(), offset, offset, &mut scratch, &mut records).is_err() {
        return Where::Unknown;
    }
    let holds = |r: &&sys_erase::Record| r.physical <= offset && offset - r.physical < r.length;
    match records.iter().find(holds) {
        Some(record) if record.is_free() => Where::Free,
        Some(record) if record.is_log() => Where::Log,
        Some(record) if record.is_metadata() => Where::Metadata,
        _ => Where::Unknown,
    }
}
