//! New files, directories and symbolic links.

use std::fs::File;

use rustix::fs::{
    AtFlags, Mode, OFlags, XattrFlags, fsync, lsetxattr, mkdirat, openat, readlinkat, renameat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::flags::{Thawed, freeze};
use super::metadata::{label, label_like, set_mode, set_owner};
use super::replace::write_all;
use super::step::step;
use super::temp::{Temp, temp_name};
use super::{failed, sync_dir};
use crate::error::{Error, Result};
use crate::path::ImagePath;
use crate::root::{FileKind, Links, Meta, Root, Target, os, read_up_to};

/// Makes a file, or puts it in the place of another one that is no directory, in one step. `mode`
/// counts whatever the umask; a label of SELinux is that of the old file, else of the directory.
/// For what is no secret: a former content is not erased.
///
/// # Errors
/// A directory is in its place, or a step failed; what was there is then as it was.
pub fn create(target: &Target, new: &[u8], mode: u32, uid: u32, gid: u32) -> Result<()> {
    let fail = |errno| failed("create", target, errno);
    let existing = target.meta()?;
    let old = match &existing {
        Some(meta) if meta.kind == FileKind::Regular => {
            Some(target.open(OFlags::RDONLY, meta).map(File::from).map_err(fail)?)
        }
        Some(meta) if meta.kind == FileKind::Directory => return Err(fail(Errno::ISDIR)),
        _ => None,
    };
    if let (Some(meta), Some(old)) = (&existing, &old) {
        let same = (meta.permissions(), meta.uid, meta.gid) == (mode & 0o7777, uid, gid);
        if same && has_content(old, meta, new).map_err(fail)? {
            return Ok(());
        }
    }
    let dir = Thawed::new(target.dir(), target.path())?;
    let mut thawed = old.as_ref().map(|old| Thawed::new(old, target.path())).transpose()?;
    let write = || -> Result<Temp<'_>, Errno> {
        let mut temp = Temp::new(target.dir())?;
        write_all(&temp.file, new)?;
        set_owner(&temp.file, uid, gid)?;
        label_like(old.as_ref().unwrap_or(target.dir()), &temp.file)?;
        set_mode(&temp.file, mode & 0o7777)?;
        step("sync the new file")?;
        fsync(&temp.file)?;
        step("put the new file in place")?;
        renameat(target.dir(), temp.name.as_slice(), target.dir(), target.name())?;
        temp.keep();
        Ok(temp)
    };
    let temp = write().map_err(fail)?;
    if let Some(thawed) = &mut thawed {
        freeze(&temp.file, thawed.forget(), target.path())?;
    }
    sync_dir(target).map_err(fail)?;
    dir.freeze(target.path())
}

fn has_content(old: &File, meta: &Meta, new: &[u8]) -> Result<bool, Errno> {
    let length = new.len() as u64;
    if meta.size != length {
        return Ok(false);
    }
    let content = read_up_to(old, length, length);
    let content = content.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(content.is_some_and(|content| content.as_slice() == new))
}

/// Makes a symbolic link with the text `text`, or puts it in the place of anything that is no
/// directory, in one step.
///
/// # Errors
/// A directory is in its place, or a step failed; what was there is then as it was.
pub fn symlink(target: &Target, text: &[u8]) -> Result<()> {
    let fail = |errno| failed("make the symbolic link", target, errno);
    let (dir, name) = (target.dir(), target.name());
    match target.meta()?.map(|meta| meta.kind) {
        Some(FileKind::Directory) => return Err(fail(Errno::ISDIR)),
        Some(FileKind::Symlink) => {
            let now = readlinkat(dir, name, Vec::new()).map_err(fail)?;
            if now.as_bytes() == text {
                return Ok(());
            }
        }
        _ => {}
    }
    let thawed = Thawed::new(dir, target.path())?;
    let temp = temp_name();
    let make = || -> Result<(), Errno> {
        step("make the link")?;
        symlinkat(text, dir, temp.as_slice())?;
        label_link(dir, &temp)?;
        step("put the link in place")?;
        renameat(dir, temp.as_slice(), dir, name)
    };
    if let Err(errno) = make() {
        // The error is about the link; a leftover name is swept by the next run.
        if let Err(left) = unlinkat(dir, temp.as_slice(), AtFlags::empty()) {
            log::debug!("no temporary link to remove: {left}");
        }
        return Err(fail(errno));
    }
    sync_dir(target).map_err(fail)?;
    thawed.freeze(target.path())
}

/// A link has no handle that takes attributes; `/proc/self/fd` reaches it below the held directory.
fn label_link(dir: &File, name: &[u8]) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    let Some(wanted) = label(dir)? else {
        return Ok(());
    };
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    lsetxattr(path, "security.selinux", &wanted, XattrFlags::CREATE).or_else(|errno| match errno {
        // The kernel that runs now has given it one.
        Errno::EXIST => Ok(()),
        errno => Err(errno),
    })
}

/// Makes the missing directories of `path`, itself among them, with `mode` (whatever the umask),
/// the caller's owner and the label of the directory above.
///
/// # Errors
/// Something else is in the way, or a step failed. Refused: a loop, a magic link.
pub fn make_dirs(root: &Root, path: &ImagePath, mode: u32) -> Result<()> {
    let mut at = ImagePath::root();
    for name in path.components() {
        let Some(next) = at.join(name) else {
            return Err(Error::failed("make the directory", path).because("its name has a NUL"));
        };
        match root.stat(&next)? {
            Some(Meta { kind: FileKind::Directory, .. }) => {}
            Some(other) => {
                return Err(Error::failed("make the directory", &next)
                    .because(format!("{} is in its place", other.kind)));
            }
            None => make_dir(root, &next, Links::InRoot, mode, None)?,
        }
        at = next;
    }
    Ok(())
}

/// Makes one directory that belongs to somebody, in a place where he can write. It has its owner before
/// it has its name, so nothing that he puts in its place is given to anybody.
///
/// # Errors
/// The directory above is missing, something is in the way, or a step failed.
pub fn make_dir_of(root: &Root, path: &ImagePath, mode: u32, uid: u32, gid: u32) -> Result<()> {
    make_dir(root, path, Links::OwnerMatched, mode, Some((uid, gid)))
}

fn make_dir(
    root: &Root,
    path: &ImagePath,
    links: Links,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<()> {
    let Some(target) = root.target(path, links)? else {
        return Err(Error::failed("make the directory", path).because(os(Errno::NOENT)));
    };
    let fail = |errno| failed("make the directory", &target, errno);
    let thawed = Thawed::new(target.dir(), path)?;
    let temp = temp_name();
    // Under its name it is there with its mode and label, or not at all.
    let make = || -> Result<(), Errno> {
        step("make the directory")?;
        mkdirat(target.dir(), temp.as_slice(), Mode::from_raw_mode(0o700))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = File::from(openat(target.dir(), temp.as_slice(), flags, Mode::empty())?);
        label_like(target.dir(), &made)?;
        if let Some((uid, gid)) = owner {
            set_owner(&made, uid, gid)?;
        }
        set_mode(&made, mode & 0o7777)?;
        step("put the directory in place")?;
        // Over a directory that somebody made meanwhile only when that one is empty (rename(2)).
        renameat(target.dir(), temp.as_slice(), target.dir(), target.name())?;
        sync_dir(&target)
    };
    if let Err(errno) = make() {
        if let Err(left) = unlinkat(target.dir(), temp.as_slice(), AtFlags::REMOVEDIR) {
            log::debug!("no temporary directory to remove: {left}");
        }
        return Err(fail(errno));
    }
    thawed.freeze(path)
}
