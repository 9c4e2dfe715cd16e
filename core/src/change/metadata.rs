//! Carrying owner, mode and extended attributes from a file to the one that takes its place.
//!
//! Attributes are copied raw, labels of SELinux and ACLs among them, so that an image keeps them
//! on a host that knows neither. Not carried: what describes the old content (`security.ima`,
//! `security.evm`) or the place of the old inode in an overlay (`trusted.overlay.*`,
//! `user.overlay.*`).

use std::fs::File;

use rustix::fs::{
    Gid, Mode, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr,
    fstat,
};
use rustix::io::Errno;

use super::step::step;
use crate::root::Meta;

/// The largest value and the largest list of names that Linux allows (xattr(7)).
const LIMIT: usize = 64 * 1024;
const LABEL: &[u8] = b"security.selinux";

/// Makes owner, attributes and mode of `to` those of `from`. In this order: fchown(2) takes the
/// set-user-ID bit and the capabilities away.
pub(super) fn carry_over(from: &File, meta: &Meta, to: &File) -> Result<(), Errno> {
    step("copy the owner")?;
    set_owner(to, meta.uid, meta.gid)?;
    let wanted = names(from)?;
    for name in wanted.iter().filter(|name| !is_bound_to_the_inode(name)) {
        step("copy an attribute")?;
        let value = value(from, name)?.ok_or(Errno::NODATA)?;
        set(to, name, &value)?;
    }
    for extra in names(to)?.iter().filter(|name| !wanted.contains(name)) {
        drop_attribute(to, extra)?;
    }
    step("copy the mode")?;
    set_mode(to, meta.permissions())
}

/// Gives `to` the label of SELinux that a new file in `dir` gets from the kernel, where the kernel
/// that runs now has not done so.
pub(super) fn label_like(dir: &File, to: &File) -> Result<(), Errno> {
    match label(dir)? {
        Some(wanted) if label(to)?.is_none() => fsetxattr(to, LABEL, &wanted, XattrFlags::empty()),
        _ => Ok(()),
    }
}

/// The raw `security.selinux` attribute.
pub(super) fn label(file: &File) -> Result<Option<Vec<u8>>, Errno> {
    value(file, LABEL)
}

/// fchown(2) where something changes: an unprivileged caller may not even set what is already so.
pub(super) fn set_owner(file: &File, uid: u32, gid: u32) -> Result<(), Errno> {
    let now = Meta::of(&fstat(file)?);
    if (now.uid, now.gid) == (uid, gid) {
        return Ok(());
    }
    fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// fchmod(2); the umask does not count.
pub(super) fn set_mode(file: &File, permissions: u32) -> Result<(), Errno> {
    fchmod(file, Mode::from_raw_mode(permissions))
}

fn is_bound_to_the_inode(name: &[u8]) -> bool {
    matches!(name, b"security.ima" | b"security.evm")
        || name.starts_with(b"trusted.overlay.")
        || name.starts_with(b"user.overlay.")
}

/// An ACL that the directory's default gave would widen the mode; what the security module gave
/// belongs to the module.
fn drop_attribute(file: &File, name: &[u8]) -> Result<(), Errno> {
    if name.starts_with(b"security.") {
        return Ok(());
    }
    match fremovexattr(file, name) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn set(file: &File, name: &[u8], wanted: &[u8]) -> Result<(), Errno> {
    if value(file, name)?.as_deref() == Some(wanted) {
        return Ok(());
    }
    fsetxattr(file, name, wanted, XattrFlags::empty())
}

fn names(file: &File) -> Result<Vec<Vec<u8>>, Errno> {
    let mut list = vec![0; LIMIT];
    let length = match flistxattr(file, list.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(errno) => return Err(errno),
    };
    let list = list.get(..length).unwrap_or_default();
    Ok(list.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

fn value(file: &File, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0; LIMIT];
    match fgetxattr(file, name, value.as_mut_slice()) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}
