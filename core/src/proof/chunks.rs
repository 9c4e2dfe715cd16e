//! What holds a byte of a btrfs's device. Its chunks say which of the file system's own addresses
//! that is, and the extents of files are told in these.

use std::collections::BTreeMap;

use super::found::Where;
use super::locate::held_by;
use crate::Result;
use crate::erase::{FileSystem, walk};
use crate::sys::erase::{self as sys_erase, Chunk};

/// What lies before is kept free for boot loaders, but for the first superblock.
const RESERVED: u64 = 1 << 20;

/// Fills in the places of the offsets in `open`. Where the file system does not tell, for instance
/// because it has several devices, they stay unknown.
///
/// # Errors
/// A directory of the file system cannot be read.
pub(super) fn locate(fs: &FileSystem, open: &mut BTreeMap<u64, Where>) -> Result<()> {
    let Ok(chunks) = sys_erase::chunks(fs.root()) else { return Ok(()) };
    // A chunk may have two copies on the device: two offsets for one address.
    let mut wanted: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (offset, place) in open.iter_mut() {
        match address(&chunks, *offset) {
            Some((logical, true)) => wanted.entry(logical).or_default().push(*offset),
            Some((_, false)) => *place = Where::Metadata,
            None if *offset < RESERVED => *place = Where::Metadata,
            None => *place = Where::Free,
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    walk::extents(fs, &mut |path, extent| {
        let end = extent.physical.saturating_add(extent.length);
        for offset in wanted.range(extent.physical..end).flat_map(|(_, offsets)| offsets) {
            open.insert(*offset, held_by(path, extent));
        }
    })?;
    for (logical, offsets) in &wanted {
        for offset in offsets {
            // What another subvolume or a snapshot holds stays unknown: its files are not below us.
            let place = open.entry(*offset).or_insert(Where::Unknown);
            if *place == Where::Unknown && sys_erase::is_nobodys(fs.root(), *logical) == Ok(true) {
                *place = Where::Free;
            }
        }
    }
    Ok(())
}

/// The address of a byte of the device, and whether it is one of data; `None` outside of chunks.
fn address(chunks: &[Chunk], offset: u64) -> Option<(u64, bool)> {
    chunks.iter().find_map(|chunk| {
        let into = chunk.copies.iter().filter_map(|copy| offset.checked_sub(*copy));
        let into = into.min().filter(|into| *into < chunk.length)?;
        Some((chunk.logical + into, chunk.data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_copies_of_a_chunk_have_its_addresses() {
        let chunk = |logical, data, copies: &[u64]| Chunk {
            logical,
            length: 100,
            data,
            copies: copies.to_vec(),
        };
        let chunks = [chunk(5000, true, &[1000]), chunk(6000, false, &[1100, 1300])];
        for (offset, found) in [
            (999, None),
            (1000, Some((5000, true))),
            (1099, Some((5099, true))),
            (1100, Some((6000, false))),
            (1250, None),
            (1399, Some((6099, false))),
            (1400, None),
        ] {
            assert_eq!(address(&chunks, offset), found, "{offset}");
        }
    }
}
