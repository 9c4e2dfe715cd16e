//! Files that take the free space of a file system for a moment.
//!
//! They lie in one directory with a fixed name at the top of the file system, beside a note of
//! what has to be put back. A run that was killed leaves the directory; the next one puts things
//! back and removes it. The directory is locked while a run uses it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{AtFlags, IFlags, Mode, OFlags};
use rustix::io::Errno;

use super::filesystem::FileSystem;
use super::run::Run;
use super::sweep::{DIRECTORY, empty, open, sweep};
use super::taking::{reserve, write_zeros};
use crate::Result;

/// Empty files made before the space is taken, because a full file system has no room for inodes.
const SPARE: usize = 8;
/// No file grows beyond this; below the limit of every file system with 1 KiB blocks, and of FAT.
const LARGEST: u64 = 2 << 30;

/// How a filler takes space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// fallocate(2): unwritten extents, nothing is written.
    Reserve,
    /// Zeros are written and synced.
    Zeros,
}

/// The fillers of one file system. Dropping removes them.
#[derive(Debug)]
pub(super) struct Fillers {
    top: File,
    directory: File,
    files: Vec<File>,
    spare: Vec<File>,
    made: u32,
    gone: bool,
}

impl Fillers {
    /// Makes the directory and locks it, after what a killed run left has been put right.
    ///
    /// # Errors
    /// Another run holds the lock, somebody else owns the name, or there is no room for inodes.
    pub(super) fn new(fs: &FileSystem) -> Result<Self> {
        sweep(fs)?;
        let failed = |e: Errno| fs.failed("make the fillers' directory on", e);
        rustix::fs::mkdirat(&fs.root, DIRECTORY, Mode::RWXU).map_err(failed)?;
        let directory = open(fs)?.ok_or_else(|| failed(Errno::NOENT))?;
        let top = fs.root.try_clone().map_err(|e| fs.failed("open", e))?;
        let mut fillers =
            Self { top, directory, files: Vec::new(), spare: Vec::new(), made: 0, gone: false };
        for _ in 0..SPARE {
            let file = fillers.create().map_err(failed)?;
            fillers.spare.push(file);
        }
        Ok(fillers)
    }

    /// An empty file that is removed with the others.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn spare(&mut self, fs: &FileSystem) -> Result<File> {
        let spare = self.spare.pop().map_or_else(|| self.create(), Ok);
        spare.map_err(|e| fs.failed("make a filler on", e))
    }

    /// One more empty file, `None` when there is no room for it.
    ///
    /// # Errors
    /// It cannot be made for another reason.
    pub(super) fn another(&mut self, fs: &FileSystem) -> Result<Option<File>> {
        match self.create() {
            Err(Errno::NOSPC | Errno::DQUOT) => Ok(None),
            file => Ok(Some(file.map_err(|e| fs.failed("make a filler on", e))?)),
        }
    }

    /// Makes one more empty file and returns its inode, `None` when no inode is free.
    ///
    /// # Errors
    /// It cannot be made for another reason.
    pub(super) fn take_inode(&mut self, fs: &FileSystem) -> Result<Option<u64>> {
        let failed = |e: Errno| fs.failed("make a filler on", e);
        match self.create() {
            Err(Errno::NOSPC | Errno::DQUOT) => Ok(None),
            file => Ok(Some(rustix::fs::fstat(file.map_err(failed)?).map_err(failed)?.st_ino)),
        }
    }

    /// Writes a note that [`sweep`] reads after a kill, and waits until it is on the medium.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn note(&self, fs: &FileSystem, name: &str, text: &str) -> Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |e| fs.failed("write a note beside the fillers on", e);
        let opened = rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(opened.map_err(|e| failed(e.into()))?);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        self.directory.sync_all().map_err(failed)
    }

    /// Removes a note.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self, fs: &FileSystem, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())
            .map_err(|e| fs.failed("remove a note beside the fillers on", e))
    }

    /// Takes up to `limit` bytes in as many files as that needs; the index of the first new file.
    /// Less is taken where no more is free.
    ///
    /// # Errors
    /// The file system refuses for another reason than want of room, or a signal asks to end.
    pub(super) fn take(&mut self, run: &mut Run<'_>, limit: u64, how: Take) -> Result<usize> {
        let first = self.files.len();
        let block = run.fs.block()?;
        let failed = |e: Errno| run.fs.failed("fill", e);
        let mut left = limit / block * block;
        while left > 0 {
            let file = match self.spare.pop().map_or_else(|| self.create(), Ok) {
                Err(Errno::NOSPC | Errno::DQUOT) => break,
                file => file.map_err(failed)?,
            };
            match how {
                Take::Reserve => reserve(&file, left.min(LARGEST), block).map_err(failed)?,
                Take::Zeros => write_zeros(run, &file, left.min(LARGEST), block)?,
            }
            let taken =
                file.metadata().map_err(|e| run.fs.failed("inspect a filler on", e))?.blocks()
                    * 512;
            self.files.push(file);
            run.stop()?;
            if taken == 0 {
                break;
            }
            left = left.saturating_sub(taken);
        }
        Ok(first)
    }

    /// The open files, in the order of making.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// Asks a copy-on-write file system to write in place and without compression, so that zeros
    /// take as much room as they stand for. Best effort: others do not know the flag.
    pub(super) fn without_copies(&mut self) {
        self.spare.clear();
        let flags = rustix::fs::ioctl_getflags(&self.directory);
        let set =
            flags.and_then(|f| rustix::fs::ioctl_setflags(&self.directory, f | IFlags::NOCOW));
        if let Err(error) = set {
            log::debug!("no way to switch copies off: {error}");
        }
    }

    /// The bytes that the files take.
    ///
    /// # Errors
    /// fstat(2) fails.
    pub(super) fn bytes(&self, fs: &FileSystem) -> Result<u64> {
        self.files.iter().try_fold(0, |sum, file| {
            let meta = file.metadata().map_err(|e| fs.failed("inspect a filler on", e))?;
            Ok(sum + meta.blocks() * 512)
        })
    }

    /// Gives the space of the files from index `first` on back at once.
    ///
    /// # Errors
    /// ftruncate(2) fails.
    pub(super) fn release(&mut self, fs: &FileSystem, first: usize) -> Result<()> {
        for file in self.files.drain(first.min(self.files.len())..) {
            file.set_len(0).map_err(|e| fs.failed("release a filler on", e))?;
        }
        Ok(())
    }

    /// Removes all fillers and their directory.
    ///
    /// # Errors
    /// A name cannot be removed; the next run tries again.
    pub(super) fn remove(mut self, fs: &FileSystem) -> Result<()> {
        self.gone = true;
        self.clear().map_err(|e| fs.failed("remove the fillers on", e))
    }

    fn create(&mut self) -> Result<File, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = format!("fill-{:05}", self.made);
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        self.made += 1;
        Ok(file.into())
    }

    fn clear(&mut self) -> Result<(), Errno> {
        self.files.clear();
        self.spare.clear();
        empty(&self.directory)?;
        rustix::fs::unlinkat(&self.top, DIRECTORY, AtFlags::REMOVEDIR)
    }
}

impl Drop for Fillers {
    fn drop(&mut self) {
        if !self.gone {
            if let Err(error) = self.clear() {
                log::warn!("fillers are left in {DIRECTORY}, the next run removes them: {error}");
            }
        }
    }
}
