//! A part of a file, with its sum.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use disinherit_core::{Error, Result};
use sha2::{Digest, Sha256};

/// Part of a file, for example a program inside the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The file.
    pub path: PathBuf,
    /// Where the part begins.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
    /// SHA-256 of the part, in hex.
    pub sha256: String,
}

impl Blob {
    /// A whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let size =
            fs::metadata(path).map_err(|e| Error::failed("read", path.display()).because(e))?;
        Self::part(path, 0, size.len())
    }

    /// A part of a file.
    ///
    /// # Errors
    /// When it cannot be read, or ends too early.
    pub fn part(path: &Path, offset: u64, size: u64) -> Result<Self> {
        let mut blob = Self { path: path.to_owned(), offset, size, sha256: String::new() };
        blob.sha256 = blob.digest()?;
        Ok(blob)
    }

    /// A reader of exactly this part.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> Result<impl Read + Send + 'static> {
        let open = || -> io::Result<_> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            Ok(file.take(self.size))
        };
        open().map_err(|e| Error::failed("read", self.path.display()).because(e))
    }

    /// The whole part.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?
            .read_to_end(&mut bytes)
            .map_err(|e| Error::failed("read", self.path.display()).because(e))?;
        Ok(bytes)
    }

    fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut reader = self.open()?;
        let mut read = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(|e| Error::failed("read", self.path.display()).because(e))?;
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
            hash.update(piece);
            read += piece.len() as u64;
        }
        if read != self.size {
            return Err(Error::failed("read", self.path.display())
                .because(format!("{read} bytes where {} should be", self.size)));
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Bytes as lower case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
