//! Text in UTF-16, with the low bytes alone: what is a secret is ASCII.

use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::file::fill;

/// Bytes that are narrowed at once.
const CHUNK: usize = 64 << 10;

/// Where the bytes of a narrowed text stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    skip: usize,
    low: usize,
}

impl Wide {
    /// `None` where `head`, with which a file begins, is no text in UTF-16.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let sample = head.get(..head.len().min(512))?;
        let half = sample.len() / 2;
        match sample {
            [0xff, 0xfe, ..] => return Some(Self { skip: 2, low: 0 }),
            [0xfe, 0xff, ..] => return Some(Self { skip: 2, low: 1 }),
            _ if half < 8 => return None,
            _ => {}
        }
        let low = (0..2).find(|low| {
            zeros(sample, 1 - low) * 10 >= half * 9 && zeros(sample, *low) == 0
                // A short beginning of this kind does not make a program's data a text.
                && zeros(head, 1 - low) * 10 >= head.len() / 2 * 8
        })?;
        Some(Self { skip: 0, low })
    }

    /// Where a span of the narrowed text stands in the file.
    pub(super) fn span(self, narrow: &Range<usize>) -> Range<usize> {
        self.skip + 2 * narrow.start..self.skip + 2 * narrow.end
    }

    /// Narrows what `head` and then `rest` hold.
    pub(super) fn narrow<'a>(self, head: &'a [u8], rest: impl Read + 'a) -> impl Read + 'a {
        let head = head.get(self.skip..).unwrap_or_default();
        Narrow { source: head.chain(rest), low: self.low, chunk: Zeroizing::new(vec![0; CHUNK]) }
    }
}

/// How many of the bytes at even (0) or odd (1) places are zero.
fn zeros(text: &[u8], odd: usize) -> usize {
    text.iter().skip(odd).step_by(2).filter(|b| **b == 0).count()
}

struct Narrow<R> {
    source: R,
    low: usize,
    chunk: Zeroizing<Vec<u8>>,
}

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = self.chunk.len().min(out.len() * 2);
        let chunk = self.chunk.get_mut(..most).unwrap_or_default();
        let filled = fill(&mut self.source, chunk, 0)?;
        let units = chunk.get(..filled).unwrap_or_default().chunks_exact(2);
        let count = units.len();
        for (to, pair) in out.iter_mut().zip(units) {
            *to = match (pair.get(self.low), pair.get(1 - self.low)) {
                (Some(low), Some(0)) => *low,
                _ => 0xff,
            };
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let mark = mark.then_some(0xfeff_u16);
        let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
        mark.into_iter().chain(text.encode_utf16()).flat_map(unit).collect()
    }

    #[test]
    fn utf_16_of_both_orders_is_narrowed_with_its_places() {
        for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
            let text = wide("password=geheim é\r\n", big, mark);
            let places = Wide::of(&text).unwrap();
            let mut narrow = Vec::new();
            // However the source is cut, also within a unit.
            places.narrow(&text[..7], &text[7..]).read_to_end(&mut narrow).unwrap();
            assert!(narrow.starts_with(b"password=geheim"));
            assert_eq!(narrow.len(), 19);
            let span = places.span(&(9..15));
            assert_eq!(text[span], wide("geheim", big, false));
        }
    }

    #[test]
    fn other_texts_are_not_wide() {
        assert!(Wide::of(b"plain text, and enough of it").is_none());
        let mixed = [wide(&"x".repeat(300), false, false), vec![b'x'; 3000]].concat();
        assert!(Wide::of(&mixed).is_none());
    }
}
