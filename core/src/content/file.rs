//! One file: what kind of text it is, read once in pieces that overlap, every match with its place.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::ending::Ending;
use super::kind::Kind;
use super::mark::Key;
use super::scanner::{Match, Reading, Scanner};
use super::unpack::{MOST, Packed};
use super::wide::Wide;
use super::zone::Zone;
use crate::catalogue::Certainty;

/// A piece of a file that is searched at once, in bytes.
const PIECE: usize = 1 << 20;
/// What stays of a piece before the next one: rules look this far back.
const BACK: usize = 1 << 10;
/// More secrets than this in one file are counted, not listed.
const MOST_FOUND: usize = 10_000;
/// Only a short file can be nothing but its secret.
const BARE: usize = 64 << 10;

/// A match with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule's id.
    pub rule: String,
    /// How sure it is.
    pub certainty: Certainty,
    /// The bytes that go when the rule acts.
    pub cut: Range<usize>,
    /// The secret in them.
    pub secret: Range<usize>,
    /// What is put in their place.
    pub put: String,
    /// The line, from 1.
    pub line: usize,
    /// The keyed fingerprint of the secret.
    pub mark: String,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct Held {
    /// Every secret, by place.
    pub found: Vec<Found>,
    /// The file is packed: places are those of what it holds, and only the whole file can go.
    pub packed: bool,
    /// The file is no text: what is cut has to be replaced byte for byte.
    pub binary: bool,
    /// Without its secrets nothing is left but blanks and comments.
    pub bare: bool,
    /// Not all of it was looked into: it holds more, or is packed and damaged.
    pub cut_short: bool,
}

/// Buffers of one thread.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    scanner: &'a Scanner,
    key: &'a Key,
    piece: Zeroizing<Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scanner: &'a Scanner, key: &'a Key) -> Self {
        let piece = Zeroizing::new(vec![0; BACK + PIECE + Scanner::WINDOW]);
        Self { scanner, key, piece }
    }

    /// Looks through `file`, which is called `name` and lies in a place of the kind `zone`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&mut self, file: impl Read, name: &[u8], zone: Zone) -> io::Result<Held> {
        let mut piece = std::mem::take(&mut self.piece);
        let held = self.look(&mut piece, file, name, zone);
        self.piece = piece;
        held
    }

    fn look(
        &self,
        piece: &mut [u8],
        mut file: impl Read,
        name: &[u8],
        zone: Zone,
    ) -> io::Result<Held> {
        let first = fill(&mut file, piece, 0)?;
        let head = piece.get(..first).unwrap_or_default();
        let kind = Kind::of(head, name);
        if let (Some(packed), false) = (kind.packed, zone == Zone::Vendor) {
            return self.look_inside(piece, first, packed, file);
        }
        let reading = if zone == Zone::Vendor { Reading::Shapes } else { kind.reading };
        let mut held = Held { binary: kind.binary, ..Held::default() };
        if let Some(wide) = Wide::of(head) {
            let head = Zeroizing::new(head.to_vec());
            let mut text = wide.narrow(&head, file);
            let first = fill(&mut text, piece, 0)?;
            held.binary = false;
            let place = Place::first(usize::MAX, Some(wide));
            self.pieces(&mut held, piece, first, &mut text, reading, place)?;
            return Ok(held);
        }
        let place = Place::first(usize::MAX, None);
        self.pieces(&mut held, piece, first, &mut file, reading, place)?;
        Ok(held)
    }

    /// What is packed. Where it is broken, what could be read was looked into.
    ///
    /// # Errors
    /// The file itself cannot be read.
    fn look_inside(
        &self,
        piece: &mut [u8],
        first: usize,
        packed: Packed,
        file: impl Read,
    ) -> io::Result<Held> {
        let head = Zeroizing::new(piece.get(..first).unwrap_or_default().to_vec());
        let mut held = Held { packed: true, ..Held::default() };
        let (unread, broken) = (Cell::new(None), Cell::new(None));
        let source = head.as_slice().chain(Ending::new(file, &unread));
        match packed.open(source) {
            Ok(inside) => {
                let mut inside = Ending::new(inside, &broken);
                let first = fill(&mut inside, piece, 0)?;
                let reading = Kind::of(piece.get(..first).unwrap_or_default(), b"").reading;
                let place = Place::first(MOST, None);
                self.pieces(&mut held, piece, first, &mut inside, reading, place)?;
            }
            Err(error) => broken.set(Some(error)),
        }
        if let Some(error) = unread.take() {
            return Err(error);
        }
        if let Some(error) = broken.take() {
            log::debug!("a packed file is damaged: {error}");
            held.cut_short = true;
        }
        Ok(held)
    }

    /// Searches the piece, of which `filled` bytes are there, and all that follow in `source`.
    fn pieces(
        &self,
        held: &mut Held,
        piece: &mut [u8],
        mut filled: usize,
        source: &mut dyn Read,
        reading: Reading,
        mut place: Place,
    ) -> io::Result<()> {
        let mut from = 0;
        loop {
            let last = filled < piece.len();
            let until = if last { filled } else { filled - Scanner::WINDOW };
            let text = piece.get(..filled).unwrap_or_default();
            let found = self.scanner.scan(text, from..until, reading);
            if last && place.base == 0 {
                held.bare = is_bare(text, &found);
            }
            self.keep(held, text, &found, &place);
            if last {
                return Ok(());
            }
            if place.base + until >= place.most {
                held.cut_short = true;
                return Ok(());
            }
            let stays = until - BACK;
            place.lines += newlines(piece.get(..stays).unwrap_or_default());
            place.base += stays;
            piece.copy_within(stays..filled, 0);
            from = BACK;
            filled = fill(source, piece, filled - stays)?;
        }
    }

    fn keep(&self, held: &mut Held, text: &[u8], matches: &[Match], place: &Place) {
        for one in matches {
            if held.found.len() >= MOST_FOUND {
                held.cut_short = true;
                return;
            }
            let absolute = |span: &Range<usize>| {
                let span = place.base + span.start..place.base + span.end;
                place.wide.map_or(span.clone(), |wide| wide.span(&span))
            };
            held.found.push(Found {
                rule: self.scanner.id(one).to_owned(),
                certainty: one.certainty,
                cut: absolute(&one.cut),
                secret: absolute(&one.secret),
                put: if place.wide.is_some() {
                    String::new()
                } else {
                    self.scanner.put(one).to_owned()
                },
                line: place.lines + newlines(text.get(..one.cut.start).unwrap_or_default()) + 1,
                mark: self.key.mark(text.get(one.secret.clone()).unwrap_or_default()),
            });
        }
    }
}

/// Where a piece stands in its file.
#[derive(Debug)]
struct Place {
    base: usize,
    lines: usize,
    wide: Option<Wide>,
    /// As much of the file is looked into, in bytes.
    most: usize,
}

impl Place {
    fn first(most: usize, wide: Option<Wide>) -> Self {
        Self { base: 0, lines: 0, wide, most }
    }
}

/// Reads until `buffer` is full or the source ends, beginning at `filled`; returns what is there.
pub(super) fn fill(
    source: &mut (impl Read + ?Sized),
    buffer: &mut [u8],
    mut filled: usize,
) -> io::Result<usize> {
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// True where nothing but blanks, comments and punctuation is left without the secrets.
fn is_bare(text: &[u8], found: &[Match]) -> bool {
    if found.is_empty() || text.len() > BARE {
        return false;
    }
    let mut rest = Zeroizing::new(text.to_vec());
    for one in found {
        rest.get_mut(one.cut.clone()).unwrap_or_default().fill(b' ');
    }
    rest.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).all(|line| {
        line.starts_with(b"#")
            || line.iter().all(|b| b.is_ascii_punctuation() || b.is_ascii_whitespace())
    })
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
