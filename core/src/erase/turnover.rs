//! Overwrites an ext4 journal on kernels that have no call for it: blocks of extended attributes
//! are changed, which go through the journal, until each block of the ring had its turn. The journal is
//! read before and after, and a block that did not change counts as left.
//!
//! Source of the block header: include/linux/jbd2.h of Linux (`journal_header_t`).

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::Range;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::device::{Device, DirectBuffer, is_zero};
use super::filler::Fillers;
use super::run::{Run, Step};
use super::scan::PIECE;
use crate::Result;

/// `JBD2_MAGIC_NUMBER`, big-endian: such blocks hold numbers of blocks only. A block of data that
/// begins so is written without it.
const MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];
/// The unit in which blocks are compared: no journal has smaller blocks.
const GRAIN: usize = 1024;
/// Files with a block of attributes each, which make up one transaction: far below a quarter of
/// the smallest journal (1024 blocks).
const CARRIERS: usize = 128;
/// With fewer a round would take too many transactions.
const FEWEST: usize = 8;
/// The name of the attribute.
const ATTRIBUTE: &str = "trusted.disinherit";
/// Times that the ring is gone through before what is left is given up.
const ROUNDS: u32 = 3;

/// Turns the journal in `parts` of the device over. The bytes that did not change.
///
/// # Errors
/// The file system or the device fails, or a signal asks to end.
pub(super) fn turn_over(run: &mut Run<'_>, device: &Device, parts: &[Range<u64>]) -> Result<u64> {
    run.fs.sync()?;
    let mut before = fingerprints(device, parts)?;
    let size: u64 = parts.iter().map(|part| part.end - part.start).sum();
    let mut fillers = Fillers::new(run.fs)?;
    let carriers = carriers(run, &mut fillers)?;
    for round in 0..ROUNDS {
        if before.is_empty() || carriers.len() < FEWEST {
            break;
        }
        once_round(run, &carriers, size, round)?;
        let now = fingerprints(device, parts)?;
        before.retain(|at, old| now.get(at) == Some(old));
    }
    drop(carriers);
    fillers.remove(run.fs)?;
    run.fs.sync()?;
    Ok(before.len() as u64 * GRAIN as u64)
}

/// Files that have a block of attributes each; fewer where there is no room.
fn carriers(run: &Run<'_>, fillers: &mut Fillers) -> Result<Vec<File>> {
    let value = value(run.fs.block()?, 0);
    let mut files = Vec::with_capacity(CARRIERS);
    while files.len() < CARRIERS {
        let Some(file) = fillers.another(run.fs)? else { break };
        match rustix::fs::fsetxattr(&file, ATTRIBUTE, &value, XattrFlags::empty()) {
            Err(Errno::NOSPC | Errno::DQUOT | Errno::NOTSUP | Errno::PERM) => break,
            set => set.map_err(|e| run.fs.failed("set an attribute on", e))?,
        }
        files.push(file);
    }
    Ok(files)
}

/// Nothing but zeros behind a number: no two are alike, so that no two files share a block.
fn value(block: u64, number: u64) -> Vec<u8> {
    let length = usize::try_from(block).unwrap_or(4096).clamp(1024, 4096) - 256;
    let mut value = vec![0; length];
    if let Some(first) = value.first_chunk_mut() {
        *first = number.to_le_bytes();
    }
    value
}

/// Changes blocks of attributes, one transaction after the other, until they make up the size of
/// the journal and a quarter more.
fn once_round(run: &mut Run<'_>, carriers: &[File], size: u64, round: u32) -> Result<()> {
    let block = run.fs.block()?;
    let wanted = size + size / 4;
    let failed = |e: Errno| run.fs.failed("turn the journal over of", e);
    run.begin(Step::Journal, wanted)?;
    let (mut done, mut number) = (0, u64::from(round) << 40);
    while done < wanted {
        for file in carriers {
            number += 1;
            let value = value(block, number);
            rustix::fs::fsetxattr(file, ATTRIBUTE, &value, XattrFlags::empty()).map_err(failed)?;
        }
        let Some(any) = carriers.first() else { break };
        rustix::fs::fsync(any).map_err(failed)?;
        let bytes = carriers.len() as u64 * block;
        done += bytes;
        run.moved(bytes)?;
    }
    Ok(())
}

/// Fingerprints of the grains that may hold something, by their place.
fn fingerprints(device: &Device, parts: &[Range<u64>]) -> Result<BTreeMap<u64, u64>> {
    let mut found = BTreeMap::new();
    let mut buffer = DirectBuffer::new(usize::try_from(PIECE).unwrap_or_default());
    for part in parts {
        let mut start = part.start;
        while start < part.end {
            let length = usize::try_from((part.end - start).min(PIECE)).unwrap_or_default();
            let bytes = buffer.slice(length);
            device.read(bytes, start)?;
            for (grain, at) in bytes.chunks(GRAIN).zip((start..).step_by(GRAIN)) {
                if !is_zero(grain) && !grain.starts_with(&MAGIC) {
                    let mut hasher = DefaultHasher::new();
                    hasher.write(grain);
                    found.insert(at, hasher.finish());
                }
            }
            start += length as u64;
        }
    }
    Ok(found)
}
