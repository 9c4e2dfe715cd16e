//! One swap area: taken out of use, overwritten, used again.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::erase::Listener;
use crate::erase::swap::{self, Active, Identity, SwapReport};
use crate::path::escape;
use crate::root::{FileKind, Links, Root};
use crate::{Error, ImagePath, Result};

/// One swap area of the image.
#[derive(Debug)]
pub(in super::super) struct Area {
    pub(super) place: Place,
    pub(super) identity: Identity,
    /// In use by this machine, which is the image then.
    pub(super) used: Option<Active>,
    /// Taken out of use by this run.
    pub(super) stopped: bool,
    /// Holds memory of a machine that was put to sleep.
    pub(in super::super) hibernated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Device(PathBuf),
    File(ImagePath),
}

impl Area {
    /// What a reader calls it: the device here, or the path in the image.
    pub(in super::super) fn name(&self) -> String {
        match &self.place {
            Place::Device(path) => escape(path.as_os_str().as_bytes()).into_owned(),
            Place::File(path) => path.to_string(),
        }
    }

    pub(in super::super) fn is_used(&self) -> bool {
        self.used.is_some()
    }

    /// Its device, unless it is a file.
    pub(in super::super) fn device(&self) -> Option<&Path> {
        match &self.place {
            Place::Device(path) => Some(path),
            Place::File(_) => None,
        }
    }

    /// Takes it out of use; what it holds goes back to memory. Before anything is removed: a file
    /// in use cannot be overwritten.
    ///
    /// # Errors
    /// Memory is too small for what it holds.
    pub(in super::super) fn stop(&mut self) -> Result<()> {
        if let Some(area) = &self.used {
            swap::off(area)?;
            self.stopped = true;
        }
        Ok(())
    }

    /// Overwrites it; `None` where it is still in use, or the plan has removed it.
    ///
    /// # Errors
    /// As [`swap::erase`].
    pub(in super::super) fn erase(
        &self,
        root: &Root,
        listener: Listener<'_>,
    ) -> Result<Option<SwapReport>> {
        if self.used.is_some() && !self.stopped {
            return Ok(None);
        }
        let file = match &self.place {
            Place::Device(path) => open_device(path, true)?,
            Place::File(path) if root.lstat(path)?.is_none() => return Ok(None),
            Place::File(path) => open_file(root, path, OFlags::RDWR)?,
        };
        let report = swap::erase_opened(Path::new(&self.name()), &file, listener)?;
        Ok(Some(SwapReport { was_active: self.stopped, ..report }))
    }

    /// What has to be put to use again.
    pub(in super::super) fn to_resume(&self) -> Option<Active> {
        self.used.clone().filter(|_| self.stopped)
    }
}

pub(super) fn open_device(path: &Path, write: bool) -> Result<File> {
    let failed = |e| Error::failed("open the swap area", path.display()).because(e);
    let mut flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    if write {
        // The kernel refuses a device that is swapped to or mounted, whatever we took it for.
        flags |= libc::O_EXCL;
    }
    // LVM's names are links.
    let real = path.canonicalize().map_err(failed)?;
    let mut options = File::options();
    options.read(true).write(write).custom_flags(flags).open(real).map_err(failed)
}

/// A file of the image, opened without leaving it.
pub(super) fn open_file(root: &Root, path: &ImagePath, flags: OFlags) -> Result<File> {
    let failed = || Error::failed("open the swap area", path);
    let target = root.target_followed(path, Links::InRoot)?.ok_or_else(failed)?;
    let meta = target.meta()?.ok_or_else(failed)?;
    if meta.kind != FileKind::Regular {
        return Err(failed().because(format!("it is {}", meta.kind)));
    }
    target.open(flags, &meta).map(File::from).map_err(|e| failed().because(e))
}
