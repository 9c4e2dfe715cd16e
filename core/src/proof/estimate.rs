//! How long a search will take, from a first look.

use std::path::Path;
use std::time::Instant;

use crate::erase::device::{Device, DirectBuffer};

/// Bytes of one look.
const LOOK: u64 = 4 << 20;
/// Looks, in equal distances.
const LOOKS: u64 = 8;

/// A device's size and the speed at which it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed {
    /// All of it, in bytes.
    pub(crate) bytes: u64,
    /// Bytes a second; never 0.
    pub(crate) per_second: u64,
}

/// Reads a little of a device past the page cache; `None` when it cannot be read.
pub(crate) fn measure(path: &Path) -> Option<Speed> {
    let device = Device::open(path, false).ok()?;
    let bytes = device.size();
    let length = LOOK.min(bytes);
    let mut buffer = DirectBuffer::new(usize::try_from(length).ok()?);
    let looks = (bytes / LOOK).clamp(1, LOOKS);
    let began = Instant::now();
    for look in 0..looks {
        let at = (bytes / looks * look) / 4096 * 4096;
        device.read(buffer.slice(usize::try_from(length.min(bytes - at)).ok()?), at).ok()?;
    }
    let micros = u64::try_from(began.elapsed().as_micros()).ok()?.max(1);
    let per_second = (looks * length).saturating_mul(1_000_000) / micros;
    Some(Speed { bytes, per_second: per_second.max(1) })
}
