//! What a killed run left is put right: the directory of its fillers, and what notes in it say.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::filesystem::FileSystem;
use super::tunable;
use crate::{Error, Result};

/// The directory of the fillers, at the top of each file system that is filled.
pub const DIRECTORY: &str = ".disinherit-fill";

/// Puts right what a killed run left: thaws, puts the reserve back, removes the fillers. True
/// when there was something.
///
/// # Errors
/// Another run is at work, the name belongs to somebody else, or removing fails.
pub fn sweep(fs: &FileSystem) -> Result<bool> {
    let Some(directory) = open(fs)? else { return Ok(false) };
    if read_note(&directory, super::freeze::NOTE).is_some() {
        super::freeze::thaw_left(fs);
    }
    for name in [tunable::RESERVE, tunable::INODE_GOAL] {
        if let Some(value) = read_note(&directory, name) {
            tunable::put_back(fs, name, &value)?;
        }
    }
    empty(&directory)
        .and_then(|()| rustix::fs::unlinkat(&fs.root, DIRECTORY, AtFlags::REMOVEDIR))
        .map_err(|e| fs.failed("remove the fillers on", e))?;
    fs.sync()?;
    Ok(true)
}

/// The directory of the fillers, locked; `None` when there is none.
pub(super) fn open(fs: &FileSystem) -> Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let foreign = |e: Errno| {
        fs.failed("use the fillers' directory on", e)
            .remedy("remove .disinherit-fill at the top of the file system and run again")
    };
    let directory = match rustix::fs::openat(&fs.root, DIRECTORY, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => File::from(opened.map_err(foreign)?),
    };
    let meta = directory.metadata().map_err(|e| fs.failed("inspect the fillers on", e))?;
    let top = fs.root.metadata().map_err(|e| fs.failed("inspect", e))?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.dev() != top.dev() {
        return Err(foreign(Errno::ACCESS));
    }
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::refused("fill", fs.point().display())
            .remedy("another run is filling this file system: wait for it to end")
    })?;
    Ok(Some(directory))
}

fn read_note(directory: &File, name: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).take(32).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Unlinks every file of the directory; there are no directories in it. Truncated first: xfs frees
/// the space of an unlinked file in its own time.
pub(super) fn empty(directory: &File) -> Result<(), Errno> {
    let flags =
        OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            rustix::fs::openat(directory, entry.file_name(), flags, Mode::empty())?;
            rustix::fs::unlinkat(directory, entry.file_name(), AtFlags::empty())?;
        }
    }
    Ok(())
}
