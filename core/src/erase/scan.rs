//! Finds what is not zero in given parts of a device, and overwrites it.

use super::device::{Device, DirectBuffer, is_zero};
use crate::Result;

/// Bytes read in one call.
pub(super) const PIECE: u64 = 4 << 20;
/// Bytes between two parts that are read along rather than sought over.
const GAP: u64 = 64 << 10;
/// The grain of writing: parts of this size with a byte that is not zero are overwritten.
const GRAIN: usize = 4096;

/// A part of a device in bytes, and the index of what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) of: usize,
}

impl Part {
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// The bytes in a list of parts.
pub(super) fn total(parts: &[Part]) -> u64 {
    parts.iter().map(Part::length).sum()
}

/// The runs within `parts` that hold something, at a grain of 4 KiB. `parts` become sorted.
///
/// # Errors
/// The device cannot be read, or `moved` says to end.
pub(super) fn dirty(
    device: &Device,
    parts: &mut [Part],
    moved: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Vec<Part>> {
    parts.sort_unstable();
    let mut buffer = DirectBuffer::new(usize::try_from(PIECE).unwrap_or_default());
    let mut found = Vec::new();
    for window in windows(parts) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let bytes = buffer.slice(usize::try_from(last.end - first.start).unwrap_or_default());
        device.read(bytes, first.start)?;
        for part in &window {
            let from = usize::try_from(part.start - first.start).unwrap_or_default();
            let to = usize::try_from(part.end - first.start).unwrap_or_default();
            mark(bytes.get(from..to).unwrap_or_default(), part, &mut found);
        }
        moved(total(&window))?;
    }
    Ok(found)
}

/// Overwrites one run with zeros.
///
/// # Errors
/// The device cannot be written.
pub(super) fn overwrite(device: &Device, run: &Part, zeros: &mut DirectBuffer) -> Result<()> {
    let mut at = run.start;
    while at < run.end {
        let length = usize::try_from((run.end - at).min(PIECE)).unwrap_or_default();
        device.write(zeros.slice(length), at)?;
        at += length as u64;
    }
    Ok(())
}

/// Appends the runs of `bytes` that are not zero; neighbours become one.
fn mark(bytes: &[u8], part: &Part, found: &mut Vec<Part>) {
    let mut at = part.start;
    for grain in bytes.chunks(GRAIN) {
        let end = at + grain.len() as u64;
        if !is_zero(grain) {
            match found.last_mut() {
                Some(last) if last.end == at && last.of == part.of => last.end = end,
                _ => found.push(Part { start: at, end, of: part.of }),
            }
        }
        at = end;
    }
}

/// Groups sorted parts into reads: near ones together, none longer than a piece.
fn windows(parts: &[Part]) -> Vec<Vec<Part>> {
    let mut all: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        let mut start = part.start;
        while start < part.end {
            let end = part.end.min(start + PIECE);
            let piece = Part { start, end, of: part.of };
            let joins = all.last().is_some_and(|window| {
                window.first().is_some_and(|first| end - first.start <= PIECE)
                    && window
                        .last()
                        .is_some_and(|last| start >= last.end && start - last.end <= GAP)
            });
            match all.last_mut() {
                Some(window) if joins => window.push(piece),
                _ => all.push(vec![piece]),
            }
            start = end;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_become_one_run_and_zero_grains_none() {
        let mut bytes = vec![0; 5 * GRAIN];
        bytes[GRAIN] = 1;
        bytes[3 * GRAIN - 1] = 1;
        bytes[5 * GRAIN - 1] = 1;
        let mut found = Vec::new();
        mark(&bytes, &Part { start: 1 << 20, end: (1 << 20) + 5 * 4096, of: 7 }, &mut found);
        let at = |grain: u64| (1 << 20) + grain * 4096;
        assert_eq!(
            found,
            [Part { start: at(1), end: at(3), of: 7 }, Part { start: at(4), end: at(5), of: 7 }]
        );
    }

    proptest! {
        #[test]
        fn windows_cover_the_parts_and_no_more(lengths in proptest::collection::vec((1u64..3000, 0u64..200), 1..40)) {
            let (mut parts, mut at) = (Vec::new(), 0);
            for (of, (length, gap)) in lengths.into_iter().enumerate() {
                at += gap * 1024;
                parts.push(Part { start: at, end: at + length * 4096, of });
                at += length * 4096;
            }
            let grouped = windows(&parts);
            for window in &grouped {
                prop_assert!(window.last().unwrap().end - window[0].start <= PIECE);
            }
            let flat: Vec<Part> = grouped.into_iter().flatten().collect();
            prop_assert_eq!(total(&flat), total(&parts));
            prop_assert!(flat.windows(2).all(|w| w[0].end <= w[1].start));
        }
    }
}
