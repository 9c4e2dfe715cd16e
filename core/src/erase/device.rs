//! A block device, read and written past the page cache: the kernel's cached blocks of a mounted
//! device are stale after writes through a file system.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Error, Result};

/// What O_DIRECT wants at most of an address in memory.
const ALIGNMENT: usize = 4096;

/// A block device opened with O_DIRECT. Offsets and lengths are multiples of its sector size.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    path: PathBuf,
    size: u64,
}

impl Device {
    /// Opens a block device.
    ///
    /// # Errors
    /// It is none, cannot be opened that way, or has no size.
    pub(crate) fn open(path: &Path, write: bool) -> Result<Self> {
        let flags = libc::O_DIRECT | libc::O_CLOEXEC;
        let failed = |e| Error::failed("open", path.display()).because(e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(flags)
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.file_type().is_block_device() {
            return Err(Error::refused("read past the page cache", path.display())
                .remedy("name a block device"));
        }
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { file, path: path.to_owned(), size })
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its device number.
    pub(crate) fn number(&self) -> Result<u64> {
        let meta = self.file.metadata();
        Ok(meta.map_err(|e| Error::failed("inspect", self.path.display()).because(e))?.rdev())
    }

    /// Fills `buffer` from byte `at` on.
    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|e| Error::failed("read", self.path.display()).because(e))
    }

    /// Writes `bytes` from byte `at` on.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, at)
            .map_err(|e| Error::failed("write", self.path.display()).because(e))
    }

    /// Waits until what was written is on the medium.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::failed("sync", self.path.display()).because(e))
    }
}

/// Memory that O_DIRECT takes, overwritten when dropped: it may have held secrets.
pub(crate) struct DirectBuffer {
    memory: Zeroizing<Vec<u8>>,
    start: usize,
}

impl DirectBuffer {
    /// Zeros, `length` bytes of them.
    pub(crate) fn new(length: usize) -> Self {
        let memory = Zeroizing::new(vec![0; length + ALIGNMENT]);
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start }
    }

    /// The first `length` bytes; fewer when it is shorter.
    pub(crate) fn slice(&mut self, length: usize) -> &mut [u8] {
        let end = (self.start + length).min(self.memory.len());
        self.memory.get_mut(self.start..end).unwrap_or_default()
    }
}

impl fmt::Debug for DirectBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectBuffer")
    }
}

/// True when every byte is zero. Compared block by block with memcmp(3), which uses vectors however
/// this crate is optimised.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|block| ZEROS.get(..block.len()) == Some(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        let mut buffer = DirectBuffer::new(8192);
        let slice = buffer.slice(8192);
        assert_eq!((slice.len(), slice.as_ptr() as usize % ALIGNMENT), (8192, 0));
        assert!(is_zero(slice));
    }

    #[test]
    fn one_byte_anywhere_is_not_zero() {
        for at in 0..70 {
            let mut bytes = [0; 70];
            bytes[at] = 1;
            assert!(!is_zero(&bytes));
        }
        assert!(is_zero(&[]));
    }

    #[test]
    fn only_block_devices_are_opened() {
        let error = Device::open(Path::new("/dev/null"), false).unwrap_err();
        assert!(!error.report().is_empty());
    }
}
