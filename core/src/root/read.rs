//! Looking at an image: state, link texts, directories, contents.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{AtFlags, Dir, OFlags, fstat, readlinkat, statat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{FileKind, Meta, Root, os, resolve};
use crate::error::{Error, Result};
use crate::path::ImagePath;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, never `.` or `..`.
    pub name: Vec<u8>,
    /// The type of the entry itself, a link not followed.
    pub kind: FileKind,
}

impl Root {
    /// The state of what `path` leads to, links followed inside the root; `None` when missing.
    ///
    /// # Errors
    /// Refused: a loop of links, a magic link of procfs. Failed: a directory cannot be searched.
    pub fn stat(&self, path: &ImagePath) -> Result<Option<Meta>> {
        self.meta(path, OFlags::PATH)
    }

    /// The state of `path` itself, a link in the last component not followed; `None` when missing.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn lstat(&self, path: &ImagePath) -> Result<Option<Meta>> {
        self.meta(path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    fn meta(&self, path: &ImagePath, flags: OFlags) -> Result<Option<Meta>> {
        let Some(handle) = self.open_path(path, flags)? else {
            return Ok(None);
        };
        fstat(&handle)
            .map(|stat| Some(Meta::of(&stat)))
            .map_err(|errno| Error::failed("stat", path).because(os(errno)))
    }

    /// The text of a symbolic link; `None` when `path` is missing or something else.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn read_link(&self, path: &ImagePath) -> Result<Option<Vec<u8>>> {
        let Some(handle) = self.open_path(path, OFlags::PATH | OFlags::NOFOLLOW)? else {
            return Ok(None);
        };
        match readlinkat(&handle, "", Vec::new()) {
            Ok(text) => Ok(Some(text.into_bytes())),
            // readlinkat(2) with an empty path answers ENOENT for what is no link.
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(Error::failed("read the link", path).because(os(errno))),
        }
    }

    /// The names in a directory, sorted by bytes; empty when it is missing or no directory.
    ///
    /// # Errors
    /// As [`Root::stat`]; and the directory cannot be read.
    pub fn read_dir(&self, path: &ImagePath) -> Result<Vec<Entry>> {
        match self.open_path(path, OFlags::RDONLY | OFlags::DIRECTORY)? {
            Some(dir) => list(&File::from(dir))
                .map_err(|errno| Error::failed("read the directory", path).because(os(errno))),
            None => Ok(Vec::new()),
        }
    }

    /// Opens a regular file for reading and tells its state; `None` when missing. What is not a
    /// regular file is never opened, so that a FIFO cannot block and a device is not touched.
    ///
    /// # Errors
    /// As [`Root::stat`]; not a regular file; it cannot be read; another process holds a lease on
    /// it (fcntl(2)) or keeps replacing it.
    pub fn open(&self, path: &ImagePath) -> Result<Option<(File, Meta)>> {
        for _ in 0..resolve::ROUNDS {
            let Some(expected) = self.stat(path)? else {
                return Ok(None);
            };
            if expected.kind != FileKind::Regular {
                return Err(Error::failed("read", path)
                    .because(format!("it is {}, not a regular file", expected.kind)));
            }
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            let Some(handle) = self.open_path(path, flags)? else {
                return Ok(None);
            };
            let meta = fstat(&handle)
                .map(|stat| Meta::of(&stat))
                .map_err(|errno| Error::failed("stat", path).because(os(errno)))?;
            if meta.same_object(&expected) {
                return Ok(Some((File::from(handle), meta)));
            }
        }
        Err(Error::failed("read", path)
            .because("it is replaced again and again")
            .remedy("stop the process that does so"))
    }

    /// The content of a regular file of at most `limit` bytes; `None` when missing.
    ///
    /// # Errors
    /// As [`Root::open`]; larger than `limit`.
    pub fn read(&self, path: &ImagePath, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((file, meta)) = self.open(path)? else {
            return Ok(None);
        };
        match read_up_to(&file, meta.size, limit) {
            Ok(Some(content)) => Ok(Some(content)),
            Ok(None) => {
                Err(Error::failed("read", path).because(format!("it is larger than {limit} bytes")))
            }
            Err(error) => Err(Error::failed("read", path).because(error)),
        }
    }
}

/// The names in an open directory, sorted by bytes.
pub(crate) fn list(dir: &File) -> Result<Vec<Entry>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match FileKind::of(entry.file_type()) {
            Some(kind) => kind,
            // Some file systems do not keep the type in the directory.
            None => match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Meta::of(&stat).kind,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            },
        };
        entries.push(Entry { name: name.to_bytes().to_vec(), kind });
    }
    entries.sort();
    Ok(entries)
}

/// The rest of `file`, `None` when it is longer than `limit`. `hint` is the length that stat(2)
/// told. Every buffer that ever held content is wiped, which a growing `Vec` would not do.
pub(crate) fn read_up_to(
    mut file: &File,
    hint: u64,
    limit: u64,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    const CHUNK: usize = 64 * 1024;
    if hint > limit {
        return Ok(None);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let start = usize::try_from(hint).unwrap_or(usize::MAX).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(start));
    let mut chunk = Zeroizing::new(vec![0; start.min(CHUNK)]);
    loop {
        let count = match file.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(Some(content)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = chunk.get(..count).unwrap_or_default();
        if content.len() + piece.len() > limit {
            return Ok(None);
        }
        if content.len() + piece.len() > content.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * content.capacity() + CHUNK));
            larger.extend_from_slice(&content);
            content = larger;
        }
        content.extend_from_slice(piece);
    }
}
