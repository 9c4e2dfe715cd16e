//! The place of a change: a held directory and one name in it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, fstat, openat, statat, statx};
use rustix::io::{Errno, retry_on_intr};

use super::resolve::Resolver;
use super::walk::{Last, Stop, Walked, readable_dir, walk};
use super::{Links, Meta, Root, found, os};
use crate::error::{Error, Result};
use crate::path::ImagePath;

/// One name in one directory that is held open: whatever happens to the path afterwards, a change
/// hits this entry of this directory or nothing.
#[derive(Debug)]
pub struct Target {
    dir: Arc<File>,
    name: Vec<u8>,
    path: ImagePath,
    burns: bool,
}

impl Root {
    /// The entry `path` itself: a link in the last component is the target, not what it leads to.
    /// `None` when its directory is missing; the entry may be missing.
    ///
    /// # Errors
    /// Refused: a link that `links` does not allow, a loop, a magic link, the root itself. Failed:
    /// a directory cannot be opened.
    pub fn target(&self, path: &ImagePath, links: Links) -> Result<Option<Target>> {
        let plain = path.file_name().is_some_and(|name| name != b"..");
        match (self.resolver, links, path.parent()) {
            (Resolver::Kernel, Links::InRoot, Some(parent)) if plain => {
                let Some(dir) = self.open_path(&parent, OFlags::RDONLY | OFlags::DIRECTORY)? else {
                    return Ok(None);
                };
                let name = path.file_name().unwrap_or_default().to_vec();
                Ok(Some(Target::below(Arc::new(File::from(dir)), name, path.clone())))
            }
            _ => self.walked_target(path, links, Last::Keep),
        }
    }

    /// What `path` leads to, a link in the last component followed under the same `links`. The
    /// path of the target is the real one, without links.
    ///
    /// # Errors
    /// As [`Root::target`].
    pub fn target_followed(&self, path: &ImagePath, links: Links) -> Result<Option<Target>> {
        self.walked_target(path, links, Last::Follow)
    }

    fn walked_target(&self, path: &ImagePath, links: Links, last: Last) -> Result<Option<Target>> {
        let Some(walked) = found(walk(self.fd(), path, last, links), path)? else {
            return Ok(None);
        };
        let dir = found(readable_dir(walked.parent(self.fd())).map_err(Stop::Os), path)?;
        let real = walked.path();
        let Walked { last: Some((name, _)), .. } = walked else {
            return Err(Error::refused("change", path).because("it is the root itself"));
        };
        Ok(dir.zip(real).map(|(dir, path)| Target::below(Arc::new(dir), name, path)))
    }
}

impl Target {
    /// The entry `name` of an open directory; `path` is for messages.
    pub(crate) fn below(dir: Arc<File>, name: Vec<u8>, path: ImagePath) -> Self {
        Self { dir, name, path, burns: true }
    }

    /// The same entry, whose old content is only unlinked when it goes.
    #[must_use]
    pub fn leaving_bytes(mut self) -> Self {
        self.burns = false;
        self
    }

    pub(crate) fn burns(&self) -> bool {
        self.burns
    }

    /// The state of the entry itself, a link not followed; `None` when there is none.
    ///
    /// # Errors
    /// The directory cannot be searched.
    pub fn meta(&self) -> Result<Option<Meta>> {
        match statat(&self.dir, self.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Meta::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::failed("stat", &self.path).because(os(errno))),
        }
    }

    /// Where the entry lies; for messages and reports.
    pub fn path(&self) -> &ImagePath {
        &self.path
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn dir(&self) -> &File {
        &self.dir
    }

    /// Opens the entry, which must still be the object that `expected` describes and may not be
    /// mounted from elsewhere. A link is never followed, and a FIFO or a lease never blocks.
    ///
    /// # Errors
    /// `ESTALE` for another object, `EXDEV` for a mount.
    pub(crate) fn open(&self, flags: OFlags, expected: &Meta) -> Result<OwnedFd, Errno> {
        let handle = self.open_any(flags)?;
        if !Meta::of(&fstat(&handle)?).same_object(expected) {
            return Err(Errno::STALE);
        }
        Ok(handle)
    }

    /// Opens whatever the entry is by now; the caller looks at what it got.
    ///
    /// # Errors
    /// `ESTALE` for what is missing or cannot be opened this way, `EXDEV` for a mount.
    pub(crate) fn open_any(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = || openat(self.dir.as_fd(), self.name.as_slice(), flags | safe, Mode::empty());
        let handle = retry_on_intr(open).map_err(|errno| match errno {
            // Missing, a link, or a socket or FIFO by now.
            Errno::NOENT | Errno::LOOP | Errno::NXIO => Errno::STALE,
            errno => errno,
        })?;
        if mount_of(&handle)? != mount_of(&*self.dir)? {
            return Err(Errno::XDEV);
        }
        Ok(handle)
    }
}

/// What tells one mount from another: the mount's number, or before Linux 5.8 the device.
pub(crate) fn mount_of(object: impl AsFd) -> Result<u64, Errno> {
    match statx(&object, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(statx) if statx.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Ok(statx.stx_mnt_id),
        _ => fstat(&object).map(|stat| Meta::of(&stat).dev),
    }
}
