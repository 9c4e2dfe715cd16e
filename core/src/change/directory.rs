//! Directories that go when they are empty.

use rustix::fs::{AtFlags, unlinkat};

use super::{failed, sync_dir};
use crate::error::Result;
use crate::root::Target;

/// Removes an empty directory. One that is gone already is no error.
///
/// # Errors
/// The directory is not empty, or cannot be removed.
pub fn remove_directory(target: &Target) -> Result<()> {
    let fail = |errno| failed("remove the directory", target, errno);
    match unlinkat(target.dir(), target.name(), AtFlags::REMOVEDIR) {
        Ok(()) => sync_dir(target).map_err(fail),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(fail(errno)),
    }
}
