//! Large files without their holes: a sparse disk image of a terabyte holds a few megabytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The data of a file, one extent behind the other. Places are not those of the file any more.
#[derive(Debug)]
pub(super) struct Data<'a> {
    file: &'a File,
    at: u64,
    until: u64,
}

impl<'a> Data<'a> {
    pub(super) fn of(file: &'a File) -> Self {
        Self { file, at: 0, until: 0 }
    }

    /// Goes to the next extent; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        match seek(self.file, SeekFrom::Data(self.until)) {
            Ok(at) => self.at = at,
            Err(Errno::NXIO) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        self.until = seek(self.file, SeekFrom::Hole(self.at))?;
        Ok(self.until > self.at)
    }
}

impl Read for Data<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.until && !self.advance()? {
            return Ok(0);
        }
        let left = usize::try_from(self.until - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = self.file.read_at(buffer.get_mut(..room).unwrap_or_default(), self.at)?;
        // A file that was cut short in the meantime has ended.
        self.at += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_passed_over() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_at(b"begin", 0).unwrap();
        file.write_at(b"end", (1 << 40) - 3).unwrap();
        let mut text = Vec::new();
        Data::of(&file).read_to_end(&mut text).unwrap();
        assert!(text.starts_with(b"begin") && text.ends_with(b"end") && text.len() < 1 << 20);
    }
}
