//! What every step of a run needs: the file system, the listener, the signals.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::filesystem::FileSystem;
use crate::sys::erase::Signals;
use crate::{Error, Result};

/// A step of erasing, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// What a killed run left is put right.
    Sweep,
    /// Free space is discarded.
    Trim,
    /// Fillers take most of the free space.
    TakeMost,
    /// Their extents are read, and overwritten where something is there.
    CleanMost,
    /// Fillers take the rest: other writers find no room from here to [`Step::Release`].
    TakeRest,
    /// The same for the rest.
    CleanRest,
    /// The rest is given back.
    Release,
    /// What no filler gets is overwritten while the file system is frozen (xfs).
    Freeze,
    /// Free inodes that hold something are taken once (ext4); counted in inodes.
    Inodes,
    /// The journal is overwritten (ext4).
    Journal,
    /// Directories are read for names of deleted files (ext4).
    Directories,
    /// Blocks that live files have preallocated are read.
    Preallocated,
    /// The device is searched.
    Search,
    /// A swap area is overwritten.
    Swap,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file system or device.
    pub subject: &'a Path,
    /// The step that is under way.
    pub step: Step,
    /// Bytes behind us in this step; 0 when it begins.
    pub done: u64,
    /// Bytes of this step, as far as known.
    pub total: u64,
}

/// Who is told.
pub type Listener<'a> = &'a mut dyn FnMut(&Progress<'_>);

/// One run over one file system.
pub(super) struct Run<'a> {
    pub(super) fs: &'a FileSystem,
    listener: Listener<'a>,
    signals: Signals,
    step: Step,
    done: u64,
    total: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(fs: &'a FileSystem, listener: Listener<'a>) -> Self {
        Self { fs, listener, signals: Signals::catch(), step: Step::Sweep, done: 0, total: 0 }
    }

    /// Begins a step of `total` bytes.
    ///
    /// # Errors
    /// A signal asks to end.
    pub(super) fn begin(&mut self, step: Step, total: u64) -> Result<()> {
        (self.step, self.done, self.total) = (step, 0, total);
        self.moved(0)
    }

    /// Tells that `bytes` more of the step are done.
    ///
    /// # Errors
    /// A signal asks to end.
    pub(super) fn moved(&mut self, bytes: u64) -> Result<()> {
        self.done += bytes;
        let (step, done, total) = (self.step, self.done, self.total);
        (self.listener)(&Progress { subject: self.fs.point(), step, done, total });
        self.stop()
    }

    /// # Errors
    /// A signal asks to end.
    pub(super) fn stop(&self) -> Result<()> {
        match self.signals.arrived() {
            None => Ok(()),
            Some(signal) => Err(Error::failed("finish erasing", self.fs.point().display())
                .because(format!("stopped by signal {signal}"))
                .remedy("run again: nothing is left behind, but old data may be readable")),
        }
    }
}
