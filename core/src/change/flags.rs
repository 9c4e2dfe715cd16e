//! The immutable and append-only flags (ioctl_iflags(2)): cleared through a handle for the time of
//! a change, restored on what is kept.

use std::fs::File;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use super::step::step;
use crate::error::Error;
use crate::path::ImagePath;
use crate::root::os;

const FROZEN: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);
/// The flags that chattr(1) may set on a file and that do not stop a change.
const KEPT: IFlags = IFlags::COMPRESSED
    .union(IFlags::JOURNALING)
    .union(IFlags::NOATIME)
    .union(IFlags::NOCOW)
    .union(IFlags::NODUMP)
    .union(IFlags::SYNC);

/// An object whose immutable and append-only flags are off until [`Thawed::freeze`], or until an
/// error drops this.
#[derive(Debug)]
pub(super) struct Thawed<'a> {
    object: &'a File,
    cleared: IFlags,
}

impl<'a> Thawed<'a> {
    /// Clears the flags of `object`; does nothing where there are none.
    pub(super) fn new(object: &'a File, path: &ImagePath) -> Result<Self, Error> {
        let cleared = flags(object).intersection(FROZEN);
        let failed = |errno: Errno| {
            Error::failed("clear the immutable or append-only flag of", path)
                .because(os(errno))
                .remedy("run with the capability CAP_LINUX_IMMUTABLE")
        };
        if !cleared.is_empty() {
            step("clear flags").map_err(failed)?;
            ioctl_setflags(object, flags(object).difference(FROZEN)).map_err(failed)?;
        }
        Ok(Self { object, cleared })
    }

    /// Sets the cleared flags again.
    pub(super) fn freeze(mut self, path: &ImagePath) -> Result<(), Error> {
        let cleared = self.forget();
        freeze(self.object, cleared, path)
    }

    /// Leaves the flags off, because the object goes; tells which were on.
    pub(super) fn forget(&mut self) -> IFlags {
        std::mem::replace(&mut self.cleared, IFlags::empty())
    }
}

impl Drop for Thawed<'_> {
    fn drop(&mut self) {
        // Reached with flags only on the way out of an error, which is already the news.
        let cleared = self.forget();
        if !cleared.is_empty() && ioctl_setflags(self.object, flags(self.object) | cleared).is_err()
        {
            log::error!("an immutable or append-only flag could not be set again");
        }
    }
}

/// Sets the flags that [`Thawed::forget`] told on the object that took the place.
pub(super) fn freeze(object: &File, cleared: IFlags, path: &ImagePath) -> Result<(), Error> {
    if cleared.is_empty() {
        return Ok(());
    }
    step("restore flags").and_then(|()| ioctl_setflags(object, flags(object) | cleared)).map_err(
        |errno| {
            Error::failed("restore the immutable or append-only flag of", path)
                .because(os(errno))
                .remedy("set it with chattr(1)")
        },
    )
}

/// Gives the empty file `to` the flags of `from` that change how it is stored; where the file
/// system does not take one, the file is as good without.
pub(super) fn copy_storage_flags(from: &File, to: &File) {
    let wanted = flags(from).intersection(KEPT);
    let now = flags(to);
    if now.intersection(KEPT) == wanted {
        return;
    }
    if let Err(errno) = ioctl_setflags(to, now.difference(KEPT) | wanted) {
        log::warn!("inode flags {wanted:?} were not carried over: {errno}");
    }
}

/// The inode flags; none where the file system has none.
fn flags(object: &File) -> IFlags {
    ioctl_getflags(object).unwrap_or(IFlags::empty())
}
