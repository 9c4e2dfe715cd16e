//! Directories with everything below them.
//!
//! Every step is relative to a held directory and follows no link; another file system mounted
//! inside is left alone. Depth costs neither stack nor handles: what lies deeper than
//! [`MAX_DEPTH`] is moved up and cleared from there.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::erase::Erase;
use super::flags::Thawed;
use super::remove::{Shared, remove};
use super::step::step;
use super::temp::temp_name;
use super::{failed, sync_dir};
use crate::error::{Error, Result};
use crate::path::ImagePath;
use crate::root::{FileKind, Meta, Target, list, mount_of, os};

/// Directories held open at a time.
const MAX_DEPTH: usize = 64;
/// A tree that somebody keeps filling is given up after so many rounds.
const MAX_ROUNDS: usize = 10_000;

/// Removes a directory and everything below it; a missing one is no error. Files with another hard
/// link outside the tree keep their content there. A directory on which another file system is
/// mounted stays, with the directories above it. `heard` is told of each file that went or was left.
///
/// # Errors
/// Not a directory, or something could not be removed; everything else then is.
pub fn delete_tree(target: &Target, heard: &mut dyn FnMut(&ImagePath, Erase)) -> Result<()> {
    let Some(cleared) = clear(target, heard)? else {
        return Ok(());
    };
    if !cleared {
        return Ok(());
    }
    let fail = |errno| failed("delete the directory", target, errno);
    let parent = Thawed::new(target.dir(), target.path())?;
    remove_dir(target.dir(), target.name()).map_err(fail)?;
    sync_dir(target).map_err(fail)?;
    parent.freeze(target.path())
}

/// Removes everything below a directory and keeps the directory; otherwise as [`delete_tree`].
///
/// # Errors
/// As [`delete_tree`].
pub fn empty_dir(target: &Target, heard: &mut dyn FnMut(&ImagePath, Erase)) -> Result<()> {
    clear(target, heard).map(|_| ())
}

/// `None` when the directory is missing, else whether it is empty now.
fn clear(target: &Target, heard: &mut dyn FnMut(&ImagePath, Erase)) -> Result<Option<bool>> {
    let fail = |errno| failed("empty the directory", target, errno);
    match target.meta()?.map(|meta| meta.kind) {
        None => return Ok(None),
        Some(FileKind::Directory) => {}
        Some(_) => return Err(fail(Errno::NOTDIR)),
    }
    let top = Arc::new(open_dir(target.dir(), target.name()).map_err(fail)?);
    let mount = place_of(&top).map_err(fail)?;
    let thawed = Thawed::new(&top, target.path())?;
    let mut clearing =
        Clearing { top: &top, mount, left: BTreeSet::new(), moved_up: false, heard, first: None };
    for _ in 0..MAX_ROUNDS {
        clearing.moved_up = false;
        clearing.pass(&top, target.path(), 0);
        if !clearing.moved_up {
            break;
        }
    }
    let first = clearing.first;
    let empty = list(&top).map_err(fail)?.is_empty();
    step("sync the directory").and_then(|()| fsync(&*top)).map_err(fail)?;
    thawed.freeze(target.path())?;
    match first {
        // Gone in a later round, or by other hands.
        Some(error) if !empty => Err(error),
        _ => Ok(Some(empty)),
    }
}

struct Clearing<'a> {
    top: &'a Arc<File>,
    mount: (u64, u64),
    left: BTreeSet<ImagePath>,
    moved_up: bool,
    heard: &'a mut dyn FnMut(&ImagePath, Erase),
    first: Option<Error>,
}

impl Clearing<'_> {
    /// Removes what is in `dir` as far as it goes.
    fn pass(&mut self, dir: &Arc<File>, path: &ImagePath, depth: usize) {
        let entries = match list(dir) {
            Ok(entries) => entries,
            Err(errno) => {
                self.note(Error::failed("read the directory", path).because(os(errno)));
                return;
            }
        };
        for entry in entries {
            let Some(path) = path.join(&entry.name) else { continue };
            let target = Target::below(Arc::clone(dir), entry.name, path);
            let done = match entry.kind {
                FileKind::Directory => self.directory(&target, depth),
                _ => self.file(&target),
            };
            if let Err(error) = done {
                self.note(error);
            }
        }
    }

    fn file(&mut self, target: &Target) -> Result<()> {
        if let Some(meta) = target.meta()? {
            let erase = remove(target, &meta, Shared::Keep)?;
            (self.heard)(target.path(), erase);
        }
        Ok(())
    }

    fn directory(&mut self, target: &Target, depth: usize) -> Result<()> {
        let fail = |errno| failed("delete the directory", target, errno);
        let dir = Arc::new(match open_dir(target.dir(), target.name()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        });
        if place_of(&dir).map_err(fail)? != self.mount {
            if self.left.insert(target.path().clone()) {
                (self.heard)(target.path(), Erase::not("another file system begins here"));
            }
            return Ok(());
        }
        let mut thawed = Thawed::new(&dir, target.path())?;
        if depth + 1 >= MAX_DEPTH && !list(&dir).map_err(fail)?.is_empty() {
            step("move a deep directory up").map_err(fail)?;
            let up = temp_name();
            renameat(target.dir(), target.name(), &**self.top, up.as_slice()).map_err(fail)?;
            self.moved_up = true;
        } else {
            self.pass(&dir, target.path(), depth + 1);
            match remove_dir(target.dir(), target.name()) {
                // Who left something in it has said why.
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(fail(errno)),
            }
        }
        thawed.forget();
        Ok(())
    }

    fn note(&mut self, error: Error) {
        log::error!("{}", error.report());
        self.first.get_or_insert(error);
    }
}

/// Device and mount: a subvolume of btrfs has a device of its own, a bind mount has not.
fn place_of(dir: &File) -> Result<(u64, u64), Errno> {
    Ok((Meta::of(&fstat(dir)?).dev, mount_of(dir)?))
}

fn open_dir(dir: &File, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).map(File::from)
}

fn remove_dir(dir: &File, name: &[u8]) -> Result<(), Errno> {
    step("remove the directory")?;
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}
