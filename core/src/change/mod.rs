//! One change to one file, done so that it can be killed at any step.
//!
//! Every change takes a [`Target`] and the state that discovery saw, and
//! refuses when the file is another one by now. Content that goes is overwritten first; what became
//! of it on the device is an [`Erase`]. Nothing is written, not even a time, when nothing changes.
//!
//! New content is written beside the target under a name that begins with [`TEMP_PREFIX`], and takes
//! its place in one step. A killed run can leave such a name; [`sweep_temps`] removes it.

mod burn;
#[cfg(test)]
mod crash_tests;
mod create;
mod directory;
mod erase;
mod flags;
#[cfg(test)]
mod hostile_tests;
mod layer;
mod medium;
mod metadata;
mod remove;
mod replace;
mod step;
mod temp;
#[cfg(test)]
mod tests;
mod tree;

use rustix::fs::{AtFlags, fsync, statat, unlinkat};
use rustix::io::Errno;

pub use create::{create, make_dir_of, make_dirs, symlink};
pub use directory::remove_directory;
pub use erase::Erase;
pub use remove::{delete, truncate};
pub use replace::{Replace, replace};
use step::step;
pub use temp::{TEMP_PREFIX, sweep_temps};
pub use tree::{delete_tree, empty_dir};

use crate::error::{Error, Result};
use crate::root::{FileKind, Meta, Target, os};

/// Overwrites the old content of `target`, unless it is only to be unlinked.
fn burn(target: &Target, file: &std::fs::File, meta: &Meta) -> Erase {
    if target.burns() { burn::burn(file, meta) } else { Erase::not("policy says erase: off") }
}

/// The error of a failed step of `operation` on `target`, with what to do about it.
fn failed(operation: &'static str, target: &Target, errno: Errno) -> Error {
    let error = Error::failed(operation, target.path()).because(os(errno));
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => {
            error.remedy("the file is as it was; free some space in its file system and run again")
        }
        Errno::ROFS => error.remedy("mount its file system writable and run again"),
        Errno::XDEV => error.remedy("unmount what is mounted on it, or leave it out by policy"),
        Errno::STALE => changed(operation, target),
        _ => error,
    }
}

/// The error for a file that is not what discovery saw.
fn changed(operation: &'static str, target: &Target) -> Error {
    Error::failed(operation, target.path())
        .because("it changed since discovery")
        .remedy("stop what writes to it and run again")
}

/// The state of the entry, which must be what discovery saw.
fn confirm(operation: &'static str, target: &Target, expected: &Meta) -> Result<Meta> {
    match target.meta()? {
        Some(meta) if meta.unchanged(expected) => Ok(meta),
        // Emptied through another hard link of the same inode: there is nothing left to lose.
        Some(meta)
            if meta.same_object(expected) && meta.kind == FileKind::Regular && meta.size == 0 =>
        {
            Ok(meta)
        }
        _ => Err(changed(operation, target)),
    }
}

/// The state of `name` in the directory of `target`.
fn meta_of(target: &Target, name: &[u8]) -> Result<Meta, Errno> {
    statat(target.dir(), name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Meta::of(&stat))
}

fn unlink(target: &Target, name: &[u8]) -> Result<(), Errno> {
    step("unlink")?;
    unlinkat(target.dir(), name, AtFlags::empty())
}

fn sync_dir(target: &Target) -> Result<(), Errno> {
    step("sync the directory")?;
    fsync(target.dir())
}
