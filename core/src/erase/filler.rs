//! Files that take the free space of a file system for a moment.
//!
//! They lie in one directory with a fixed name at the top of the file system, beside a note of
//! what has to be put back. A run that was killed leaves the directory; the next one puts things
//! back and removes it. The directory is locked while a run uses it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{AtFlags, Dir, FallocateFlags, FlockOperation, IFlags, Mode, OFlags};
use rustix::io::Errno;

use super::device::is_zero;
use super::filesystem::FileSystem;
use super::run::Run;
use super::tunable;
use crate::{Error, Result};

/// The directory of the fillers, at the top of each file system that is filled.
pub const DIRECTORY: &str = ".disinherit-fill";
/// Empty files made before the space is taken, because a full file system has no room for inodes.
const SPARE: usize = 8;
/// No file grows beyond this; below the limit of every file system with 1 KiB blocks, and of FAT.
const LARGEST: u64 = 2 << 30;
/// Bytes asked for in one fallocate(2).
const STEP: u64 = 256 << 20;
/// Bytes written in one write(2) where zeros go through files.
const WRITE: usize = 1 << 20;

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
fn open(fs: &FileSystem) -> Result<Option<File>> {
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
fn empty(directory: &File) -> Result<(), Errno> {
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

/// Preallocates up to `limit` bytes. Each refusal for want of room halves the step.
fn reserve(file: &File, limit: u64, block: u64) -> Result<(), Errno> {
    let (mut at, mut step) = (0, STEP);
    while at < limit {
        let length = step.min(limit - at);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), at, length) {
            Ok(()) => at += length,
            Err(Errno::INTR) => {}
            Err(Errno::NOSPC | Errno::DQUOT) if length > block => {
                step = (length / 2).next_multiple_of(block);
            }
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes and syncs up to `limit` zeros. Each refusal for want of room halves the piece.
fn write_zeros(run: &mut Run<'_>, file: &File, limit: u64, block: u64) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let zeros = vec![0; WRITE];
    debug_assert!(is_zero(&zeros));
    let (mut at, mut piece) = (0, WRITE);
    while at < limit && piece > 0 {
        let wanted = piece.min(usize::try_from(limit - at).unwrap_or(piece));
        match file.write_at(zeros.get(..wanted).unwrap_or_default(), at) {
            Ok(0) => break,
            Ok(written) => at += written as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => run.stop()?,
            Err(e) if full(&e) => {
                sync_full(run, file)?;
                piece = if piece as u64 > block { piece / 2 } else { 0 };
            }
            Err(e) => return Err(run.fs.failed("fill", e)),
        }
        if at % (64 << 20) == 0 {
            sync_full(run, file)?;
            run.moved(64 << 20)?;
        }
    }
    sync_full(run, file)
}

/// Syncs; where a full file system has no room for the last pages they are given up.
fn sync_full(run: &Run<'_>, file: &File) -> Result<()> {
    match file.sync_all() {
        Err(e) if !full(&e) => Err(run.fs.failed("sync a filler on", e)),
        _ => Ok(()),
    }
}

fn full(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
}
