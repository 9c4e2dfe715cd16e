//! Whether a discard reaches the device below btrfs.
//!
//! btrfs does not tell where blocks lie on the device, so free space cannot be read back. A file
//! of random bytes is planted instead, found on the device, deleted, discarded, and looked for at
//! the same place.

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use super::device::DirectBuffer;
use super::filler::Fillers;
use super::run::{Run, Step};
use crate::Result;
use crate::proof::{Needles, find_first};
use crate::sys::erase as sys_erase;

/// Bytes planted: more than what btrfs would keep inside a tree.
const PLANTED: usize = 64 << 10;

/// Plants, deletes, discards, reads back.
///
/// # Errors
/// The file cannot be planted, or the device cannot be read.
pub(super) fn trim_is_real(run: &mut Run<'_>) -> Result<bool> {
    run.begin(Step::Trim, 0)?;
    let fs = run.fs;
    let mut fillers = Fillers::new(fs)?;
    let random = random().map_err(|e| fs.failed("plant a file on", e))?;
    let mut needles = Needles::new();
    needles.add(
        0,
        random.get(..PLANTED / 2).and_then(|half| half.last_chunk::<48>()).unwrap_or(&[0; 48]),
    );
    let file = fillers.spare(fs)?;
    let planted = file.write_all_at(&random, 0).and_then(|()| file.sync_all());
    planted.map_err(|e| fs.failed("plant a file on", e))?;
    drop(file);
    fs.sync()?;
    let place = find_first(fs.device(), &needles)?;
    fillers.remove(fs)?;
    fs.sync()?;
    let (Some(place), Ok(_)) = (place, sys_erase::trim(&fs.root)) else { return Ok(false) };
    let Some(device) = fs.open_device(false)? else { return Ok(false) };
    let mut buffer = DirectBuffer::new(8192);
    let bytes = buffer.slice(8192);
    let start = (place / 4096 * 4096).min(device.size().saturating_sub(8192));
    device.read(bytes, start)?;
    let needle = random.get(PLANTED / 2 - 48..PLANTED / 2).unwrap_or_default();
    Ok(!bytes.windows(needle.len().max(1)).any(|window| window == needle))
}

fn random() -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; PLANTED];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
