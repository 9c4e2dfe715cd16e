//! Reads a device in pieces past the page cache and searches them: two threads read ahead, so that
//! the device never waits for the next request, others search, and what they find comes in the
//! order of the device.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use super::area::SECTOR;
use super::index::Index;
use super::needles::Pattern;
use crate::erase::device::{Device, DirectBuffer};
use crate::{Error, Result};

/// Bytes read in one call.
const PIECE: usize = 2 << 20;
/// Reads under way at a time.
const READERS: usize = 2;
/// Threads that search, where there are so many processors: three keep up with any disk.
const SEARCHERS: usize = 3;

/// What one piece of a device held.
pub(super) struct Outcome<'a> {
    /// Bytes of it that no piece before it had.
    pub(super) new: u64,
    /// Where patterns begin on the device; none that the piece before held wholly.
    pub(super) found: Vec<(u64, &'a Pattern)>,
}

/// Searches ranges of a device. `each` hears of every piece, in the order of the ranges, and says
/// whether to go on.
///
/// # Errors
/// The device cannot be read.
pub(super) fn search<'a>(
    device: &Device,
    ranges: &[Range<u64>],
    index: &Index<'a>,
    each: &mut dyn FnMut(Outcome<'a>) -> bool,
) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    // One processor is left to reading: a kernel's thread that serves the device wants it too.
    let searchers = processors.saturating_sub(1).clamp(1, SEARCHERS);
    let (give_back, empty) = channel();
    let (full, from_readers) = channel();
    let (tell, outcomes) = channel();
    // As many pieces are under way as there are buffers.
    for _ in 0..searchers + 2 * READERS {
        // The other end is above.
        drop(give_back.send(DirectBuffer::new(PIECE)));
    }
    let overlap = (index.longest() as u64).next_multiple_of(SECTOR);
    let todo = Mutex::new(Todo { pieces: Pieces::new(ranges, overlap), empty });
    let from_readers = Mutex::new(from_readers);
    std::thread::scope(|scope| {
        for number in 0..searchers {
            let (give_back, tell, from_readers) = (give_back.clone(), tell.clone(), &from_readers);
            let work = move || search_pieces(from_readers, index, &give_back, &tell);
            one_is_enough(number, Builder::new().spawn_scoped(scope, work))?;
        }
        for number in 0..READERS {
            let (todo, full) = (&todo, full.clone());
            let work = move || read_pieces(device, todo, &full);
            one_is_enough(number, Builder::new().spawn_scoped(scope, work))?;
        }
        // Each thread ends when nobody is left at one of its ends.
        drop((give_back, tell, full));
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for message in outcomes {
            let (number, outcome): (u64, Outcome<'_>) = message?;
            early.insert(number, outcome);
            while let Some(outcome) = early.remove(&next) {
                next += 1;
                if !each(outcome) {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

/// Where no more threads can be had (setrlimit(2), cgroups), fewer do the work.
fn one_is_enough<T>(number: usize, started: io::Result<T>) -> Result<()> {
    match started {
        Err(error) if number == 0 => {
            let limit = "raise the limit of processes, and run again";
            Err(Error::failed("start a thread for", "the search of the disk")
                .because(error)
                .remedy(limit))
        }
        _ => Ok(()),
    }
}

/// A part of a range that is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    number: u64,
    start: u64,
    length: usize,
    /// Bytes at the beginning that the piece before has too.
    seen: usize,
}

/// The pieces of ranges, in their order.
struct Pieces<'a> {
    ranges: &'a [Range<u64>],
    /// Bytes that two pieces of a range have in common, so that one of them holds a pattern wholly.
    overlap: u64,
    number: u64,
    /// Where the piece before ended, in the first of `ranges`.
    end: Option<u64>,
}

impl<'a> Pieces<'a> {
    fn new(ranges: &'a [Range<u64>], overlap: u64) -> Self {
        Self { ranges, overlap, number: 0, end: None }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.ranges.first().is_some_and(|r| self.end.unwrap_or(r.start) >= r.end) {
            (self.ranges, self.end) = (self.ranges.get(1..)?, None);
        }
        let range = self.ranges.first()?;
        let start = match self.end {
            None => range.start,
            Some(end) => end.saturating_sub(self.overlap).max(range.start),
        };
        let length = usize::try_from((range.end - start).min(PIECE as u64)).unwrap_or(PIECE);
        let seen = usize::try_from(self.end.unwrap_or(start) - start).unwrap_or_default();
        let number = self.number;
        (self.number, self.end) = (number + 1, Some(start + length as u64));
        Some(Piece { number, start, length, seen })
    }
}

/// What readers take their work from.
struct Todo<'a> {
    pieces: Pieces<'a>,
    empty: Receiver<DirectBuffer>,
}

/// A piece on its way from a reader.
type Filled = (Piece, DirectBuffer);

/// One thread of several: reads the next piece into the next buffer that comes back, until there is
/// no more, nobody listens any more, or the device fails.
fn read_pieces(device: &Device, todo: &Mutex<Todo<'_>>, full: &Sender<Result<Filled>>) {
    let next = || {
        let mut todo = todo.lock().unwrap_or_else(PoisonError::into_inner);
        // The buffer first: who has a piece reads it, so the order of numbers has no hole for long.
        let buffer = todo.empty.recv().ok()?;
        Some((todo.pieces.next()?, buffer))
    };
    while let Some((piece, mut buffer)) = next() {
        let read = device.read(buffer.slice(piece.length), piece.start);
        let broken = read.is_err();
        if full.send(read.map(|()| (piece, buffer))).is_err() || broken {
            return;
        }
    }
}

/// One thread of several: searches what was read until nothing more comes, or nobody
/// listens any more.
fn search_pieces<'a>(
    from_readers: &Mutex<Receiver<Result<Filled>>>,
    index: &Index<'a>,
    give_back: &Sender<DirectBuffer>,
    tell: &Sender<Result<(u64, Outcome<'a>)>>,
) {
    let next = || from_readers.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
    while let Some(filled) = next() {
        let searched = filled.map(|(Piece { number, start, length, seen }, mut buffer)| {
            let mut found = Vec::new();
            index.find(buffer.slice(length), &mut |at, pattern| {
                if at + pattern.bytes.len() > seen {
                    found.push((start + at as u64, pattern));
                }
            });
            // After the last piece nobody takes it.
            drop(give_back.send(buffer));
            (number, Outcome { new: (length - seen) as u64, found })
        });
        if tell.send(searched).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_window_of_a_range_lies_in_a_piece_and_counts_once(
            sectors in proptest::collection::vec((0u64..3000, 1u64..3000), 0..6),
            overlap in 1u64..4,
        ) {
            let overlap = overlap * SECTOR;
            let (mut ranges, mut at) = (Vec::new(), 0);
            for (gap, length) in sectors {
                let start = at + gap * SECTOR;
                at = start + length * SECTOR;
                ranges.push(start..at);
            }
            let pieces: Vec<Piece> = Pieces::new(&ranges, overlap).collect();
            let new: u64 = pieces.iter().map(|p| (p.length - p.seen) as u64).sum();
            prop_assert_eq!(new, ranges.iter().map(|r| r.end - r.start).sum::<u64>());
            for (number, piece) in (0..).zip(&pieces) {
                let end = piece.start + piece.length as u64;
                prop_assert!(piece.number == number && piece.length <= PIECE);
                prop_assert!(piece.length > piece.seen && piece.start % SECTOR == 0);
                let range = ranges.iter().find(|r| r.contains(&piece.start)).unwrap();
                prop_assert!(end <= range.end);
                // What begins before the new bytes, and is no longer than the overlap, is all here.
                let first = piece.start == range.start;
                prop_assert_eq!(piece.seen as u64, if first { 0 } else { overlap });
            }
        }
    }
}
