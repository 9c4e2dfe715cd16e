//! A folder that is held open: for walks over a whole image, where resolving every path from the root
//! would cost more than reading the files.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::{Entry, FileKind, Meta, Root, list, os};
use crate::error::{Error, Result};
use crate::path::ImagePath;

/// An open folder and its path without links.
#[derive(Debug)]
pub struct Folder {
    handle: File,
    path: ImagePath,
    meta: Meta,
}

impl Root {
    /// The root itself as a folder.
    ///
    /// # Errors
    /// It cannot be opened for reading.
    pub fn folder(&self) -> Result<Folder> {
        Folder::open(self.fd(), b".", ImagePath::root())?.ok_or_else(|| {
            Error::failed("open", self.host_path().display()).remedy("the root vanished; run again")
        })
    }
}

impl Folder {
    fn open(parent: BorrowedFd<'_>, name: &[u8], path: ImagePath) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Some(handle) = open(parent, name, flags, &path)? else { return Ok(None) };
        let meta = state(&handle, &path)?;
        Ok(Some(Self { handle, path, meta }))
    }

    /// The path without links.
    pub fn path(&self) -> &ImagePath {
        &self.path
    }

    /// The state of the folder when it was opened.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The names in it, sorted by bytes.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        list(&self.handle)
            .map_err(|errno| Error::failed("read the directory", &self.path).because(os(errno)))
    }

    /// The folder `name` in this one; `None` when it is missing or something else, a link among
    /// others.
    ///
    /// # Errors
    /// It cannot be opened for reading.
    pub fn folder(&self, name: &[u8]) -> Result<Option<Self>> {
        let Some(path) = self.path.join(name) else { return Ok(None) };
        Self::open(self.handle.as_fd(), name, path)
    }

    /// Opens the regular file `name` in this folder; `None` when it is missing or something else.
    /// Only call it for what [`Folder::entries`] calls a regular file. What took its place since is
    /// closed unread: opening does not block, and a terminal does not become ours.
    ///
    /// # Errors
    /// It cannot be opened for reading.
    pub fn file(&self, name: &[u8]) -> Result<Option<(File, Meta)>> {
        let Some(path) = self.path.join(name) else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(file) = open(self.handle.as_fd(), name, flags, &path)? else { return Ok(None) };
        let meta = state(&file, &path)?;
        Ok((meta.kind == FileKind::Regular).then_some((file, meta)))
    }
}

fn state(handle: &File, path: &ImagePath) -> Result<Meta> {
    fstat(handle)
        .map(|stat| Meta::of(&stat))
        .map_err(|errno| Error::failed("stat", path).because(os(errno)))
}

/// Opens without following a link, and without a trace in the access time where we may.
fn open(
    parent: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    path: &ImagePath,
) -> Result<Option<File>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| openat(parent, name, flags, Mode::empty());
    let opened = match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    };
    match opened {
        Ok(handle) => Ok(Some(File::from(handle))),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(errno) => Err(Error::failed("open", path).because(os(errno))),
    }
}
