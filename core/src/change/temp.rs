//! Temporary names beside a target, and the sweep of those that a killed run left.

use std::fs::File;
use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::burn::burn;
use super::remove::{Shared, remove};
use super::step::step;
use super::tree::delete_tree;
use super::{failed, sync_dir};
use crate::error::Result;
use crate::path::ImagePath;
use crate::root::{FileKind, Links, Meta, Root, Target};

/// Every temporary name begins with this; 16 hexadecimal digits follow.
pub const TEMP_PREFIX: &str = ".disinherit-";

/// A new name that nobody else uses; `O_EXCL` decides, randomness only avoids a second try.
pub(super) fn temp_name() -> Vec<u8> {
    let mut random = [0; 8];
    // Early in the boot the pool may not be filled yet; then any number will do.
    if getrandom(random.as_mut_slice(), GetRandomFlags::NONBLOCK).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        random = now.map_or(0, |now| now.as_secs() ^ u64::from(now.subsec_nanos())).to_ne_bytes();
    }
    format!("{TEMP_PREFIX}{:016x}", u64::from_ne_bytes(random)).into_bytes()
}

fn is_temp_name(name: &[u8]) -> bool {
    name.strip_prefix(TEMP_PREFIX.as_bytes())
        .is_some_and(|rest| rest.len() == 16 && rest.iter().all(u8::is_ascii_hexdigit))
}

/// A file that is burned and unlinked when dropped, unless [`Temp::keep`] was called.
#[derive(Debug)]
pub(super) struct Temp<'a> {
    dir: &'a File,
    pub(super) name: Vec<u8>,
    pub(super) file: File,
    kept: bool,
}

impl<'a> Temp<'a> {
    /// An empty file in `dir` that only its owner can open.
    pub(super) fn new(dir: &'a File) -> Result<Self, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let name = temp_name();
            step("create the new file")?;
            match openat(dir.as_fd(), name.as_slice(), flags, Mode::from_raw_mode(0o600)) {
                Ok(file) => return Ok(Self { dir, name, file: File::from(file), kept: false }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The name now belongs to something else, or to nobody.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(errno) = self.discard() {
            log::warn!("a temporary file {TEMP_PREFIX}* is left behind: {errno}");
        }
    }
}

impl Temp<'_> {
    fn discard(&self) -> Result<(), Errno> {
        let meta = Meta::of(&fstat(&self.file)?);
        let named = statat(self.dir, self.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?;
        if !Meta::of(&named).same_object(&meta) {
            return Err(Errno::STALE);
        }
        burn(&self.file, &meta);
        unlinkat(self.dir, self.name.as_slice(), AtFlags::empty())
    }
}

/// Removes what a killed run left in the directory `dir`: burned like every other deletion. Tells
/// how many names went.
///
/// # Errors
/// The directory cannot be read, or a name cannot be removed.
pub fn sweep_temps(root: &Root, dir: &ImagePath) -> Result<usize> {
    let mut swept = 0;
    for entry in root.read_dir(dir)? {
        let Some(path) = dir.join(&entry.name).filter(|_| is_temp_name(&entry.name)) else {
            continue;
        };
        let target = root.target(&path, Links::OwnerMatched)?;
        let Some((target, meta)) = with_meta(target)? else {
            continue;
        };
        match meta.kind {
            FileKind::Directory => delete_tree(&target, &mut |path, erase| {
                log::info!("{path}, left by a killed run: {erase}");
            })?,
            _ => {
                let erase = remove(&target, &meta, Shared::Keep)?;
                log::info!("{path}, left by a killed run: {erase}");
                sync_dir(&target).map_err(|errno| failed("sweep", &target, errno))?;
            }
        }
        swept += 1;
    }
    Ok(swept)
}

fn with_meta(target: Option<Target>) -> Result<Option<(Target, Meta)>> {
    let Some(target) = target else {
        return Ok(None);
    };
    Ok(target.meta()?.map(|meta| (target, meta)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_swept() {
        assert!(is_temp_name(&temp_name()));
        assert_ne!(temp_name(), temp_name());
        for other in [".disinherit-", ".disinherit-notes", ".disinherit-0123456789abcdefg"] {
            assert!(!is_temp_name(other.as_bytes()), "{other}");
        }
    }
}
