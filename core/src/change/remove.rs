//! Content and files that go.

use std::borrow::Cow;
use std::fs::File;

use rustix::fs::{OFlags, RenameFlags, fstat, fsync, ftruncate, renameat_with};
use rustix::io::Errno;

use super::burn::Allocated;
use super::erase::Erase;
use super::flags::{Thawed, freeze};
use super::layer::lift;
use super::step::step;
use super::temp::temp_name;
use super::{burn, confirm, failed, meta_of, sync_dir, unlink};
use crate::error::{Error, Result};
use crate::root::{FileKind, Meta, Target};

/// What happens to the content of an inode that has another name too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shared {
    /// It goes: the content is the secret, whatever its names.
    Burn,
    /// It stays until the last name is removed.
    Keep,
}

/// Overwrites the content of a regular file and makes it empty; inode, owner, mode, attributes and
/// flags stay. An inode that another user may have linked here (more than one name, in a directory
/// that is not the owner's alone) keeps its content: only this name is removed.
///
/// # Errors
/// The file is not the one that discovery saw, not a regular file, or a step failed.
pub fn truncate(target: &Target, expected: &Meta) -> Result<Erase> {
    let operation = "empty";
    let fail = |errno| failed(operation, target, errno);
    let meta = confirm(operation, target, expected)?;
    if meta.kind != FileKind::Regular {
        return Err(Error::failed(operation, target.path())
            .because(format!("it is {}, not a regular file", meta.kind)));
    }
    let meta = lift(operation, target, &meta)?;
    let file = target.open(OFlags::RDONLY, &meta).map(File::from).map_err(fail)?;
    let meta = fstat(&file).map(|stat| Meta::of(&stat)).map_err(fail)?;
    if meta.size == 0 && Allocated::of(&file, 0).map_err(fail)?.is_empty() {
        return Ok(Erase::NothingToErase);
    }
    if is_foreign_link(target, &meta).map_err(fail)? {
        let erase = remove(target, &meta, Shared::Keep)?;
        sync_dir(target).map_err(fail)?;
        return Ok(erase);
    }
    let thawed = Thawed::new(&file, target.path())?;
    let writer = target.open(OFlags::RDWR, &meta).map(File::from).map_err(fail)?;
    let erase = burn(target, &writer, &meta);
    step("truncate").and_then(|()| ftruncate(&writer, 0)).map_err(fail)?;
    step("sync the empty file").and_then(|()| fsync(&writer)).map_err(fail)?;
    thawed.freeze(target.path())?;
    Ok(erase)
}

/// Removes a file of any kind but a directory. A regular file is overwritten first, through every
/// other name of its own too; one that another user may have linked here (see [`truncate`]) loses
/// this name only. Links, FIFOs, sockets and devices are removed without being opened.
///
/// # Errors
/// The file is not the one that discovery saw, a directory, or a step failed.
pub fn delete(target: &Target, expected: &Meta) -> Result<Erase> {
    let erase = remove(target, expected, Shared::Burn)?;
    sync_dir(target).map_err(|errno| failed("delete", target, errno))?;
    Ok(erase)
}

/// [`delete`] without the sync of the directory.
pub(super) fn remove(target: &Target, expected: &Meta, shared: Shared) -> Result<Erase> {
    let operation = "delete";
    let fail = |errno| failed(operation, target, errno);
    let meta = confirm(operation, target, expected)?;
    let dir = Thawed::new(target.dir(), target.path())?;
    let erase = match meta.kind {
        FileKind::Directory => return Err(fail(Errno::ISDIR)),
        FileKind::Regular => remove_regular(target, &lift(operation, target, &meta)?, shared)?,
        _ => {
            unlink(target, target.name()).map_err(fail)?;
            Erase::NothingToErase
        }
    };
    dir.freeze(target.path())?;
    Ok(erase)
}

fn remove_regular(target: &Target, meta: &Meta, shared: Shared) -> Result<Erase> {
    let operation = "delete";
    let fail = |errno| failed(operation, target, errno);
    // A file that cannot be opened can still be removed; the outcome says what is left of it.
    let file = match target.open(OFlags::RDONLY, meta).map(File::from) {
        Err(errno @ (Errno::STALE | Errno::XDEV)) => return Err(fail(errno)),
        opened => opened,
    };
    let thawed = file.as_ref().ok().map(|file| Thawed::new(file, target.path())).transpose()?;
    let writer = match &file {
        Ok(_) => target.open(OFlags::RDWR, meta).map(File::from),
        Err(errno) => Err(*errno),
    };
    let keep = reason_to_keep(target, meta, shared).map_err(fail)?;
    let name = set_aside(target, meta).map_err(fail)?;
    let cleared = thawed.map(|mut thawed| thawed.forget());
    let kept = keep.is_some();
    let erase = match (keep, writer) {
        (Some(why), _) => Erase::not(why),
        (None, Ok(writer)) => {
            let erase = burn(target, &writer, meta);
            step("truncate").and_then(|()| ftruncate(&writer, 0)).map_err(fail)?;
            erase
        }
        (None, Err(errno)) => Erase::not(format!("it cannot be opened for writing: {errno}")),
    };
    unlink(target, &name).map_err(fail)?;
    if let (true, Ok(file), Some(cleared)) = (kept, &file, cleared) {
        // Another name of the inode stays, and its flags with it.
        freeze(file, cleared, target.path())?;
    }
    Ok(erase)
}

/// Why the content of an inode with another name is not touched.
fn reason_to_keep(
    target: &Target,
    meta: &Meta,
    shared: Shared,
) -> Result<Option<Cow<'static, str>>, Errno> {
    if meta.nlink < 2 {
        return Ok(None);
    }
    if is_foreign_link(target, meta)? {
        return Ok(Some("another user may have linked it here; only this name was removed".into()));
    }
    Ok((shared == Shared::Keep).then(|| "another hard link keeps the content".into()))
}

/// True when somebody else than the owner of the inode could have made this name of it, where the
/// sysctl fs.protected_hardlinks is off (proc_sys_fs(5)): the directory belongs to another user
/// than the file and root, or others can write to it.
fn is_foreign_link(target: &Target, meta: &Meta) -> Result<bool, Errno> {
    if meta.nlink < 2 {
        return Ok(false);
    }
    let dir = Meta::of(&fstat(target.dir())?);
    let owners_alone = dir.permissions() & 0o022 == 0 && (dir.uid == meta.uid || dir.uid == 0);
    Ok(!owners_alone)
}

/// Gives the file a temporary name, in one step: its own name is gone before its content is, and
/// does not stay in the directory. A file that took its place in the meantime is put back. Where
/// the file system cannot do that the file keeps its name.
fn set_aside(target: &Target, meta: &Meta) -> Result<Vec<u8>, Errno> {
    let (dir, name, temp) = (target.dir(), target.name(), temp_name());
    let rename = || renameat_with(dir, name, dir, temp.as_slice(), RenameFlags::NOREPLACE);
    if step("set aside").and_then(|()| rename()).is_err() {
        let same = meta_of(target, name)?.same_object(meta);
        return if same { Ok(name.to_vec()) } else { Err(Errno::STALE) };
    }
    if meta_of(target, &temp)?.same_object(meta) {
        return Ok(temp);
    }
    renameat_with(dir, temp.as_slice(), dir, name, RenameFlags::NOREPLACE)?;
    Err(Errno::STALE)
}
