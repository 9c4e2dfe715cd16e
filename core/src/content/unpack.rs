//! Rotated logs and dumps are packed: gzip, xz, zstd, bzip2. What they hold is looked into up to a
//! bound, and a longer one is said.

use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::unpack;

/// As much of a packed file is looked into, in bytes of what it holds.
pub(super) const MOST: usize = 64 << 20;

/// How a file is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

impl Packed {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// Reads what is packed in `source`.
    ///
    /// # Errors
    /// Where the format is broken from its start.
    pub(super) fn open<'a>(self, source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(source)),
            Self::Xz => Box::new(unpack::xz(source, true)),
            Self::Zstd => Box::new(unpack::Zstd::new(source)?),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(source)),
        })
    }
}

/// Text in UTF-16 with the low bytes alone: what is a secret is ASCII. `None` for other texts.
pub(super) fn narrow(text: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Wide)> {
    let sample = text.get(..text.len().min(512))?;
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let half = sample.len() / 2;
    let wide = match sample {
        [0xff, 0xfe, ..] => Wide { skip: 2, low: 0 },
        [0xfe, 0xff, ..] => Wide { skip: 2, low: 1 },
        _ if half >= 8 && zeros(1) * 10 >= half * 9 && zeros(0) == 0 => Wide { skip: 0, low: 0 },
        _ if half >= 8 && zeros(0) * 10 >= half * 9 && zeros(1) == 0 => Wide { skip: 0, low: 1 },
        _ => return None,
    };
    let units = text.get(wide.skip..)?.chunks_exact(2);
    let unit = |pair: &[u8]| match (pair.get(wide.low), pair.get(1 - wide.low)) {
        (Some(low), Some(0)) => *low,
        _ => 0xff,
    };
    Some((units.map(unit).collect::<Vec<u8>>().into(), wide))
}

/// Where the bytes of a narrowed text stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    skip: usize,
    low: usize,
}

impl Wide {
    pub(super) fn span(self, narrow: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.skip + 2 * narrow.start..self.skip + 2 * narrow.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_of_both_orders_is_narrowed_with_its_places() {
        let wide = |text: &str, big: bool, mark: bool| -> Vec<u8> {
            let mark = mark.then_some(0xfeff_u16);
            let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
            mark.into_iter().chain(text.encode_utf16()).flat_map(unit).collect()
        };
        for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
            let text = wide("password=geheim é\r\n", big, mark);
            let (narrow, places) = narrow(&text).unwrap();
            assert!(narrow.starts_with(b"password=geheim"));
            let span = places.span(&(9..15));
            assert_eq!(text[span], wide("geheim", big, false));
        }
        assert!(narrow(b"plain text, and enough of it").is_none());
    }
}
