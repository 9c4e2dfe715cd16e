//! Journals and logs: where they lie, and how an ext4 journal becomes empty.

use std::ops::Range;

use rustix::io::Errno;

use super::device::{Device, DirectBuffer};
use super::filesystem::{FileSystem, Superblock, little};
use super::inodes::EXTENTS;
use super::report::{FsReport, Journal, Place};
use super::run::{Run, Step};
use super::turnover;
use crate::Result;
use crate::sys::erase as sys_erase;

/// Treats the journal. The last of all, because everything before writes to it again.
///
/// # Errors
/// The file system fails, or a signal asks to end.
pub(super) fn treat(
    run: &mut Run<'_>,
    report: &mut FsReport,
    superblock: Option<Superblock>,
    device: Option<&Device>,
) -> Result<()> {
    let fs = run.fs;
    match fs.fstype() {
        "ext4" | "ext3" if superblock.is_none_or(|s| s.journal) => {}
        "xfs" if fs.is_log_new() => {
            report.journal = Journal::Overwritten;
            return Ok(());
        }
        "xfs" => {
            let why = "no call overwrites the log of a mounted xfs";
            let remedy = "unmount it and run xfs_repair -L on the device, which scrub --root DIR --offline does";
            report.remains(Place::Journal, None, why, remedy);
            return Ok(());
        }
        _ => {
            report.journal = Journal::None;
            return Ok(());
        }
    }
    run.begin(Step::Journal, 0)?;
    fs.sync()?;
    match sys_erase::checkpoint(&fs.root) {
        Ok(()) => report.journal = Journal::Overwritten,
        Err(Errno::NODEV | Errno::OPNOTSUPP) => report.journal = Journal::None,
        Err(Errno::NOTTY) => without_checkpoint(run, report, device)?,
        Err(error) => return Err(fs.failed("overwrite the journal of", error)),
    }
    Ok(())
}

/// Kernels before 5.14: the journal is turned over by writing, and read.
fn without_checkpoint(
    run: &mut Run<'_>,
    report: &mut FsReport,
    device: Option<&Device>,
) -> Result<()> {
    let remedy = "unmount it, then tune2fs -O ^has_journal and tune2fs -j";
    let mut remains = |bytes, why: &str| report.remains(Place::Journal, bytes, why, remedy);
    let parts = parts(run.fs)?;
    let (Some(device), false) = (device, parts.is_empty()) else {
        remains(
            None,
            "the kernel cannot overwrite a journal in use (Linux 5.14 and later can), and does not \
             tell where it lies",
        );
        return Ok(());
    };
    match turnover::turn_over(run, device, &parts)? {
        0 => report.journal = Journal::Overwritten,
        left => remains(Some(left), "blocks of the journal did not come round (Linux before 5.14)"),
    }
    Ok(())
}

/// The bytes of the device that the journal or log takes; empty where it lies elsewhere or its
/// place is not read here (a journal that is mapped by blocks, as in ext3).
///
/// # Errors
/// The device cannot be read.
pub(crate) fn parts(fs: &FileSystem) -> Result<Vec<Range<u64>>> {
    let Some(device) = fs.open_device(false)? else { return Ok(Vec::new()) };
    match fs.fstype() {
        "ext3" | "ext4" => of_ext4(&device),
        "xfs" => of_xfs(&device),
        _ => Ok(Vec::new()),
    }
}

/// The superblock keeps a copy of the journal's extent tree (`s_jnl_blocks`).
/// Source: fs/ext4/ext4.h and ext4_extents.h of Linux.
fn of_ext4(device: &Device) -> Result<Vec<Range<u64>>> {
    let mut buffer = DirectBuffer::new(4096);
    device.read(buffer.slice(4096), 0)?;
    let superblock = buffer.slice(4096).get(1024..2048).unwrap_or_default();
    let block = 1024u64 << little(superblock, 0x18, 4).min(6);
    // `s_jnl_backup_type` 1: the copy is there.
    if little(superblock, 0xfd, 1) != 1 {
        return Ok(Vec::new());
    }
    let root = superblock.get(0x10c..0x10c + 60).unwrap_or_default().to_vec();
    let mut parts = Vec::new();
    extents(device, block, &root, DEEPEST, &mut parts)?;
    Ok(parts)
}

/// Levels of an extent tree (`EXT4_MAX_EXTENT_DEPTH`).
const DEEPEST: u64 = 5;

/// Appends the blocks below one node of an extent tree.
fn extents(
    device: &Device,
    block: u64,
    node: &[u8],
    levels: u64,
    parts: &mut Vec<Range<u64>>,
) -> Result<()> {
    let depth = little(node, 6, 2);
    if !node.starts_with(&EXTENTS) || depth > levels {
        return Ok(());
    }
    let count = usize::try_from(little(node, 2, 2)).unwrap_or_default();
    for entry in node.get(12..).unwrap_or_default().chunks_exact(12).take(count) {
        if depth == 0 {
            let start = (little(entry, 6, 2) << 32 | little(entry, 8, 4)) * block;
            let end = (start + little(entry, 4, 2) * block).min(device.size());
            parts.push(start..end.max(start));
            continue;
        }
        let at = (little(entry, 8, 2) << 32 | little(entry, 4, 4)) * block;
        // A read of whole sectors around the node.
        let (first, length) = (at / 4096 * 4096, block.max(4096));
        if first + length > device.size() {
            continue;
        }
        let length = usize::try_from(length).unwrap_or(4096);
        let skip = usize::try_from(at - first).unwrap_or_default();
        let mut buffer = DirectBuffer::new(length);
        device.read(buffer.slice(length), first)?;
        let below = buffer.slice(length).get(skip..).unwrap_or_default().to_vec();
        extents(device, block, &below, depth - 1, parts)?;
    }
    Ok(())
}

/// Source: fs/xfs/libxfs/xfs_format.h of Linux (`struct xfs_dsb`, numbers are big-endian).
fn of_xfs(device: &Device) -> Result<Vec<Range<u64>>> {
    let mut buffer = DirectBuffer::new(4096);
    device.read(buffer.slice(4096), 0)?;
    let superblock = buffer.slice(4096);
    let big = |at: usize, width: usize| {
        let field = superblock.get(at..at + width).unwrap_or_default();
        field.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte))
    };
    let (block, start, length) = (big(4, 4), big(48, 8), big(96, 4));
    let (group, bits) = (big(84, 4), big(124, 1));
    // A log that starts at block 0 lies on another device.
    if !superblock.starts_with(b"XFSB") || start == 0 || bits > 32 {
        return Ok(Vec::new());
    }
    let first = (start >> bits) * group + (start & ((1 << bits) - 1));
    let (start, end) = (first.saturating_mul(block), (first + length).saturating_mul(block));
    Ok(std::iter::once(start..end.min(device.size()).max(start)).collect())
}
