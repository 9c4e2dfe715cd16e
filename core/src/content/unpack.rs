//! Rotated logs and dumps are packed: gzip, xz, zstd, bzip2. What they hold is looked into up to a
//! bound, and a longer one is said.

use std::io::{self, Read};

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
            // With the mark of a block, or of the end: a text may begin with the first four.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, 0x41 | 0x72, ..] => Some(Self::Bzip2),
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
