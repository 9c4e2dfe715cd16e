//! New content for an existing file.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{OFlags, RenameFlags, fstat, fsync, renameat, renameat_with};
use rustix::io::Errno;

use super::erase::Erase;
use super::flags::{Thawed, copy_storage_flags, freeze};
use super::layer::lift;
use super::metadata::carry_over;
use super::step::step;
use super::temp::Temp;
use super::{burn, changed, failed, meta_of, sync_dir, unlink};
use crate::error::{Error, Result};
use crate::root::{FileKind, Meta, Target, read_up_to};

const OPERATION: &str = "replace";

/// A replacement of the content of one regular file. See [`replace`].
#[derive(Debug)]
pub struct Replace<'a> {
    target: &'a Target,
    expected: &'a Meta,
    may_be_empty: bool,
}

/// Replaces the content of a regular file by `new`, in one step and for good: at no time is there
/// anything but the old or the new file. Owner, mode, every extended attribute (ACLs and labels
/// among them) and the inode flags stay; what describes the old content (`security.ima`,
/// `security.evm`) goes. The inode number and the times change; hard links to the old inode keep
/// the old content, which is said in the result.
///
/// # Errors
/// Failed: the file is not the one that discovery saw, not a regular file, or a step failed (a full
/// disk among them); it is then as it was. Refused: `new` is empty, see [`Replace::may_be_empty`].
pub fn replace(target: &Target, expected: &Meta, new: &[u8]) -> Result<Erase> {
    Replace::of(target, expected).with(new)
}

impl<'a> Replace<'a> {
    /// The replacement of `target`, which must be in the state `expected`.
    pub fn of(target: &'a Target, expected: &'a Meta) -> Self {
        Self { target, expected, may_be_empty: false }
    }

    /// Allows empty content, which is otherwise taken for the error of a caller.
    #[must_use]
    pub fn may_be_empty(mut self) -> Self {
        self.may_be_empty = true;
        self
    }

    /// Does it; see [`replace`].
    ///
    /// # Errors
    /// See [`replace`].
    pub fn with(self, new: &[u8]) -> Result<Erase> {
        let target = self.target;
        let fail = |errno| failed(OPERATION, target, errno);
        if self.expected.kind != FileKind::Regular {
            return Err(Error::failed(OPERATION, target.path())
                .because(format!("it is {}, not a regular file", self.expected.kind)));
        }
        let old = target.open(OFlags::RDONLY, self.expected).map(File::from).map_err(fail)?;
        if !state(&old).map_err(fail)?.unchanged(self.expected) {
            return Err(changed(OPERATION, target));
        }
        if self.has_content(&old, new)? {
            return Ok(Erase::NothingToErase);
        }
        if new.is_empty() && !self.may_be_empty {
            return Err(Error::refused(OPERATION, target.path())
                .because("the new content is empty, which nobody asked for"));
        }
        let lifted = lift(OPERATION, target, self.expected)?;
        let old = target.open(OFlags::RDONLY, &lifted).map(File::from).map_err(fail)?;
        let dir = Thawed::new(target.dir(), target.path())?;
        let erase = self.swap(&old, new)?;
        dir.freeze(target.path())?;
        Ok(erase)
    }

    fn has_content(&self, old: &File, new: &[u8]) -> Result<bool> {
        let length = new.len() as u64;
        if self.expected.size != length {
            return Ok(false);
        }
        read_up_to(old, length, length)
            .map(|content| content.is_some_and(|content| content.as_slice() == new))
            .map_err(|error| Error::failed("read", self.target.path()).because(error))
    }

    fn swap(&self, old: &File, new: &[u8]) -> Result<Erase> {
        let target = self.target;
        let fail = |errno| failed(OPERATION, target, errno);
        let mut thawed = Thawed::new(old, target.path())?;
        // Clearing a flag has changed the ctime.
        let current = state(old).map_err(fail)?;
        // Opened before the change: afterwards nobody could say why the old bytes are still there.
        let writer = target.open(OFlags::RDWR, &current).map(File::from);
        let mut temp = written(target, old, &current, new)?;
        let place = take_place(target, &mut temp, &current).map_err(fail)?;
        temp.keep();
        let cleared = thawed.forget();
        freeze(&temp.file, cleared, target.path())?;
        // Only when the new name is on the disk may the old content go.
        sync_dir(target).map_err(fail)?;
        let erase = erase_old(target, writer, &current);
        if place == Place::Exchanged {
            unlink(target, &temp.name).and_then(|()| sync_dir(target)).map_err(fail)?;
        }
        if current.nlink > 1 {
            freeze(old, cleared, target.path())?;
        }
        Ok(erase)
    }
}

/// The new file beside the target: complete, on the disk, with the metadata of the old one.
fn written<'t>(target: &'t Target, old: &File, meta: &Meta, new: &[u8]) -> Result<Temp<'t>> {
    let write = || -> Result<Temp<'t>, Errno> {
        let temp = Temp::new(target.dir())?;
        copy_storage_flags(old, &temp.file);
        write_all(&temp.file, new)?;
        carry_over(old, meta, &temp.file)?;
        step("sync the new file")?;
        fsync(&temp.file)?;
        Ok(temp)
    };
    write().map_err(|errno| failed(OPERATION, target, errno))
}

/// Writes all of `content` at the current offset.
pub(super) fn write_all(mut file: &File, content: &[u8]) -> Result<(), Errno> {
    for piece in content.chunks(1 << 20) {
        step("write the new content")?;
        file.write_all(piece).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    Ok(())
}

/// Under which name the old inode is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under the temporary name.
    Exchanged,
    /// Under none.
    Unlinked,
}

/// Puts the new file in place. An exchange keeps the old inode under the temporary name: a kill
/// between here and its burning leaves a name that the next run sweeps, and a file that somebody
/// else put in place in the meantime is put back.
fn take_place(target: &Target, temp: &mut Temp<'_>, old: &Meta) -> Result<Place, Errno> {
    let (dir, name) = (target.dir(), target.name());
    let new = temp.name.clone();
    let exchange = || renameat_with(dir, new.as_slice(), dir, name, RenameFlags::EXCHANGE);
    match step("put the new file in place").and_then(|()| exchange()) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            return rename_over(target, &new, old);
        }
        Err(errno) => return Err(errno),
    }
    let verdict = match step("look at what was replaced").and_then(|()| meta_of(target, &new)) {
        Ok(now) if same_content(&now, old) => return Ok(Place::Exchanged),
        Ok(_) => Errno::STALE,
        Err(errno) => errno,
    };
    if let Err(errno) = exchange() {
        // Both files stay where they are: one of them is not ours.
        temp.keep();
        return Err(errno);
    }
    Err(verdict)
}

/// For file systems without an exchange: between the look and the rename lies a moment in which
/// somebody else's new file would be lost.
fn rename_over(target: &Target, new: &[u8], old: &Meta) -> Result<Place, Errno> {
    if !same_content(&meta_of(target, target.name())?, old) {
        return Err(Errno::STALE);
    }
    step("rename the new file over the old one")?;
    renameat(target.dir(), new, target.dir(), target.name())?;
    Ok(Place::Unlinked)
}

/// A rename changes the ctime, so that only the others can tell.
fn same_content(now: &Meta, old: &Meta) -> bool {
    let state = |meta: &Meta| (meta.size, meta.mtime, meta.mtime_nsec);
    now.same_object(old) && state(now) == state(old)
}

fn erase_old(target: &Target, writer: Result<File, Errno>, meta: &Meta) -> Erase {
    match writer {
        // The plan names this path only; whoever removes the last name burns the content.
        _ if meta.nlink > 1 => Erase::not("another hard link keeps the old content"),
        Ok(writer) => burn(target, &writer, meta),
        Err(errno) => Erase::not(format!("the old file cannot be opened for writing: {errno}")),
    }
}

fn state(file: &File) -> Result<Meta, Errno> {
    fstat(file).map(|stat| Meta::of(&stat))
}
