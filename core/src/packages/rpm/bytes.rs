//! Bytes by their place: a database is read page by page and never as a whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::damaged;

/// A file, or a text in memory.
pub trait Bytes {
    /// How many there are.
    fn len(&self) -> u64;

    /// True where there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// They cannot be read, or there are fewer.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// An open file of a known length.
#[derive(Debug)]
pub struct OnDisk {
    file: File,
    size: u64,
}

impl OnDisk {
    /// `size` as stat(2) says.
    pub fn new(file: File, size: u64) -> Self {
        Self { file, size }
    }
}

impl Bytes for OnDisk {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

impl Bytes for [u8] {
    fn len(&self) -> u64 {
        u64::try_from(Self::len(self)).unwrap_or(u64::MAX)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(into.len()));
        let piece = start.zip(end).and_then(|(start, end)| self.get(start..end));
        into.copy_from_slice(piece.ok_or_else(|| damaged("cut short"))?);
        Ok(())
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> u64 {
        Bytes::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, into)
    }
}

/// A number of `N` bytes at `at` of a page, as its bytes.
pub(super) fn at<const N: usize>(page: &[u8], at: usize) -> io::Result<[u8; N]> {
    let bytes = at.checked_add(N).and_then(|end| page.get(at..end));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| damaged("a field is cut"))
}

/// Big-endian, as SQLite and headers have them.
pub(super) fn be16(page: &[u8], offset: usize) -> io::Result<u16> {
    at(page, offset).map(u16::from_be_bytes)
}

/// Big-endian.
pub(super) fn be32(page: &[u8], offset: usize) -> io::Result<u32> {
    at(page, offset).map(u32::from_be_bytes)
}

/// Little-endian, as ndb has them.
pub(super) fn le32(page: &[u8], offset: usize) -> io::Result<u32> {
    at(page, offset).map(u32::from_le_bytes)
}

pub(super) fn size(number: u32) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| damaged("a length is too large"))
}
