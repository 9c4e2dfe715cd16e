//! Names of deleted files in the directories of a mounted ext4.
//!
//! An entry is removed by making the one before it longer; since Linux 5.13 its bytes become zero
//! too, but copies stay where a directory block was split or a tree of blocks was made. The blocks
//! are read from the device and what no entry uses is counted; a directory in use is never written
//! past its file system. Layout: fs/ext4/ext4.h and fs/ext4/namei.c of Linux.

use super::device::{Device, DirectBuffer, is_zero};
use super::filesystem::little;
use super::run::{Run, Step};
use super::walk;
use crate::Result;

/// Inode, length of the record, length of the name, type.
const ENTRY: usize = 8;
/// The type in the record that holds a block's checksum (`EXT4_FT_DIR_CSUM`).
const CHECKSUM: u64 = 0xde;
/// As many printable bytes in a row are a name: entries of a tree are numbers of 32 bits.
const NAME: usize = 6;

/// What was found in directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stale {
    /// Directories with remains.
    pub(super) directories: u64,
    /// Bytes that no entry uses and that are not zero.
    pub(super) bytes: u64,
    /// Directories that lie inside their inodes, which are not read here.
    pub(super) inline: u64,
}

/// Reads all directories.
///
/// # Errors
/// A directory or the device cannot be read, or a signal asks to end.
pub(super) fn stale(run: &mut Run<'_>, device: &Device) -> Result<Stale> {
    run.begin(Step::Directories, 0)?;
    let block = usize::try_from(run.fs.block()?).unwrap_or(4096);
    let mut found = Stale::default();
    let mut all: Vec<Vec<(u64, u64)>> = Vec::new();
    walk::directories(run.fs, &mut |directory| {
        let mut extents = Vec::new();
        let mut blocks = 0;
        walk::of_file(directory, &mut |extent| {
            blocks += extent.length;
            extents.push((extent.physical, extent.length));
        });
        found.inline += u64::from(blocks == 0);
        all.push(extents);
    })?;
    let mut buffer = DirectBuffer::new(block.max(4096));
    for extents in all {
        let before = found.bytes;
        for (first, (start, length)) in extents.into_iter().enumerate() {
            let mut at = start;
            while at < start.saturating_add(length) {
                let bytes = read(device, &mut buffer, at, block)?;
                found.bytes += unused(bytes, first == 0 && at == start);
                at += block as u64;
            }
        }
        found.directories += u64::from(found.bytes > before);
        run.stop()?;
    }
    Ok(found)
}

/// One block, read in whole sectors.
fn read<'a>(
    device: &Device,
    buffer: &'a mut DirectBuffer,
    at: u64,
    block: usize,
) -> Result<&'a [u8]> {
    let length = block.max(4096);
    // The last block of a device may be shorter than what is read at once.
    let first = (at / 4096 * 4096).min(device.size().saturating_sub(length as u64) / 512 * 512);
    device.read(buffer.slice(length), first)?;
    let skip = usize::try_from(at - first).unwrap_or_default();
    Ok(buffer.slice(length).get(skip..skip + block).unwrap_or_default())
}

/// Bytes of a directory block that no entry uses and that are not zero. `first` is the block with
/// `.` and `..`, behind which a tree may begin.
fn unused(block: &[u8], first: bool) -> u64 {
    let mut sum = 0;
    let mut at = 0;
    let mut number = 0;
    while let Some(entry) = block.get(at..).filter(|rest| rest.len() >= ENTRY) {
        let field = |offset, width| little(entry, offset, width);
        let length = match usize::try_from(field(4, 2)).unwrap_or_default() {
            // 65536 does not fit into the field.
            0 | 0xffff => block.len() - at,
            length => length.min(block.len() - at),
        };
        if length < ENTRY {
            break;
        }
        let (live, name) = (field(0, 4) != 0, usize::try_from(field(6, 1)).unwrap_or_default());
        let checksum = !live && length == 12 && field(7, 1) == CHECKSUM;
        let used = if live { (ENTRY + name).next_multiple_of(4) } else { ENTRY };
        let rest = entry.get(used..length).unwrap_or_default();
        // A tree's root stands behind `..`, its other nodes behind one empty entry.
        let tree = first && number == 1 || !live && at == 0 && length == block.len();
        sum += match (checksum, tree) {
            (true, _) => 0,
            (false, true) => names(rest),
            (false, false) => rest.iter().filter(|byte| **byte != 0).count() as u64,
        };
        at += length;
        number += 1;
    }
    sum
}

/// Bytes of what looks like names between the numbers of a tree.
fn names(bytes: &[u8]) -> u64 {
    if is_zero(bytes) {
        return 0;
    }
    let printable = |byte: &u8| (0x20..0x7f).contains(byte);
    let runs = bytes.chunk_by(|a, b| printable(a) == printable(b));
    runs.filter(|run| run.len() >= NAME && run.iter().all(printable))
        .map(|run| run.len() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(block: &mut [u8], at: usize, inode: u32, length: u16, name: &[u8]) {
        block[at..at + 4].copy_from_slice(&inode.to_le_bytes());
        block[at + 4..at + 6].copy_from_slice(&length.to_le_bytes());
        block[at + 6] = u8::try_from(name.len()).unwrap();
        block[at + 8..at + 8 + name.len()].copy_from_slice(name);
    }

    #[test]
    fn what_an_entry_does_not_use_is_counted() {
        let mut block = [0u8; 1024];
        entry(&mut block, 0, 2, 12, b".");
        entry(&mut block, 12, 2, 12, b"..");
        entry(&mut block, 24, 7, 988, b"name");
        entry(&mut block, 1012, 0, 12, b"");
        block[1019] = 0xde;
        block[1020..].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(unused(&block, true), 0);
        block[100..110].copy_from_slice(b"secretname");
        assert_eq!(unused(&block, true), 10);
    }

    #[test]
    fn numbers_of_a_tree_are_no_names() {
        let mut block = [0u8; 1024];
        entry(&mut block, 0, 2, 12, b".");
        entry(&mut block, 12, 2, 1012, b"..");
        block[32..40].copy_from_slice(b"abcd\0\0\0\0");
        assert_eq!(unused(&block, true), 0);
        block[500..509].copy_from_slice(b"old-token");
        assert_eq!(unused(&block, true), 9);
        let mut node = [0u8; 1024];
        entry(&mut node, 0, 0, 1024, b"");
        node[8..16].copy_from_slice(b"efgh\x01\0\0\0");
        assert_eq!(unused(&node, false), 0);
    }

    #[test]
    fn a_broken_block_ends() {
        assert!(unused(&[0xff; 1024], false) <= 1024);
        assert_eq!(unused(&[], true), 0);
    }
}
