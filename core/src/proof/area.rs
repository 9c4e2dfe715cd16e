//! Which parts of which devices are searched.

use std::ops::Range;
use std::path::PathBuf;

/// What O_DIRECT wants of offsets and lengths.
pub(super) const SECTOR: u64 = 4096;

/// What of a device is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// The device.
    pub device: PathBuf,
    /// Ranges of bytes on it; `None` for all of it.
    pub parts: Option<Vec<Range<u64>>>,
}

impl Area {
    /// All of a device.
    pub fn whole(device: PathBuf) -> Self {
        Self { device, parts: None }
    }

    /// The bytes to read of a device of `size` bytes: whole sectors in rising order, none twice.
    pub(super) fn ranges(&self, size: u64) -> Vec<Range<u64>> {
        let Some(parts) = &self.parts else { return std::iter::once(0..size).collect() };
        let mut sorted: Vec<Range<u64>> = parts
            .iter()
            .map(|p| p.start / SECTOR * SECTOR..p.end.next_multiple_of(SECTOR).min(size))
            .filter(|p| p.start < p.end)
            .collect();
        sorted.sort_unstable_by_key(|part| part.start);
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
        for part in sorted {
            match ranges.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => ranges.push(part),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_whole_sectors_that_do_not_overlap() {
        let parts = vec![9000..9001, 0..1, 4096..5000, 100_000..200_000, 5000..8192];
        let area = Area { device: PathBuf::new(), parts: Some(parts) };
        assert_eq!(area.ranges(150_000), [0..12288, 98_304..150_000]);
        assert_eq!(Area::whole(PathBuf::new()).ranges(5), vec![Range { start: 0, end: 5 }]);
    }
}
