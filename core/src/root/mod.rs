//! The root of an image as a directory handle; every path is resolved below it.
//!
//! A link inside the image, absolute or relative, stays inside: `openat2(2)` with
//! `RESOLVE_IN_ROOT` and `RESOLVE_NO_MAGICLINKS` where the kernel has it, else an own walk with the
//! same rules. Nothing here writes.

mod folder;
mod meta;
mod read;
mod resolve;
mod target;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;

pub use folder::Folder;
pub use meta::{FileKind, Meta};
pub use read::Entry;
pub(crate) use read::{list, read_up_to};
use resolve::Resolver;
pub use target::Target;
pub(crate) use target::mount_of;
use walk::{Last, Stop, walk};

use crate::error::{Error, Result};
use crate::path::ImagePath;

/// Which symbolic links a change follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Every link, confined to the root: for places that only root can write to.
    InRoot,
    /// A link only when root made it, or when what it leads to belongs to the link's owner: for
    /// homes, `/tmp` and other places that users can write to. Everything else is refused.
    OwnerMatched,
}

/// The root directory of an image, or of the running system.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    host_path: PathBuf,
    live: bool,
    resolver: Resolver,
}

impl Root {
    /// A mounted image, a chroot or an unpacked tree.
    ///
    /// # Errors
    /// Refused: an empty or relative path, a path that is missing or no directory, the root of the
    /// running system under any name, and a directory without `/etc`.
    pub fn offline(dir: &Path) -> Result<Self> {
        let refused = || Error::refused("use as an image root", dir.display());
        if !dir.is_absolute() {
            return Err(refused().remedy("give an absolute path"));
        }
        let root = Self::open_host(dir, false).map_err(|errno| refused().because(os(errno)))?;
        let (image, host) = (identity(&root.handle), Self::open_host(Path::new("/"), true));
        let host = host.and_then(|host| identity(&host.handle));
        match (image, host) {
            (Ok(image), Ok(host)) if image != host => {}
            (Ok(_), Ok(_)) => {
                return Err(refused()
                    .because("it is the root of the running system")
                    .remedy("use --live to work on the running system"));
            }
            (Err(errno), _) | (_, Err(errno)) => return Err(refused().because(os(errno))),
        }
        match root.stat(&ImagePath::literal("/etc"))? {
            Some(Meta { kind: FileKind::Directory, .. }) => Ok(root),
            _ => Err(refused()
                .because("it has no /etc directory")
                .remedy("mount the root file system of the image there")),
        }
    }

    /// The running system.
    ///
    /// # Errors
    /// `/` cannot be opened.
    pub fn live() -> Result<Self> {
        Self::open_host(Path::new("/"), true)
            .map_err(|errno| Error::failed("open", "/").because(os(errno)))
    }

    fn open_host(dir: &Path, live: bool) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, dir, flags, Mode::empty())?;
        let resolver = Resolver::probe(handle.as_fd());
        Ok(Self { handle, host_path: dir.to_owned(), live, resolver })
    }

    /// The same root resolved by the walk that serves kernels without openat2(2).
    #[must_use]
    pub fn without_openat2(mut self) -> Self {
        self.resolver = Resolver::Walk;
        self
    }

    /// True for the running system.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Where the root lies on the host; for messages, never to build paths.
    pub fn host_path(&self) -> &Path {
        &self.host_path
    }

    /// The path without links, `.` and `..`; `None` when a component is missing.
    ///
    /// # Errors
    /// Refused: a loop of links, a magic link of procfs. Failed: a directory cannot be searched.
    pub fn canonical(&self, path: &ImagePath) -> Result<Option<ImagePath>> {
        let walked = walk(self.fd(), path, Last::Follow, Links::InRoot);
        match found(walked, path)? {
            Some(walked) if matches!(walked.last, Some((_, None))) => Ok(None),
            Some(walked) => Ok(walked.path()),
            None => Ok(None),
        }
    }

    /// True when the root is a directory of an overlay.
    #[cfg(feature = "scrub")]
    pub(crate) fn is_overlay(&self) -> bool {
        on_overlay(self.fd())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    fn open_path(&self, path: &ImagePath, flags: OFlags) -> Result<Option<OwnedFd>> {
        found(self.resolver.open(self.fd(), path, flags).map_err(Stop::Os), path)
    }
}

fn identity(dir: &OwnedFd) -> Result<(u64, u64), Errno> {
    let meta = Meta::of(&fstat(dir)?);
    Ok((meta.dev, meta.ino))
}

/// True for what lies on an overlay, `OVERLAYFS_SUPER_MAGIC` of linux/magic.h.
pub(crate) fn on_overlay(object: impl AsFd) -> bool {
    // Magic numbers have 32 bits; the field is wider and on some machines signed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let magic = fstatfs(object).map(|statfs| statfs.f_type as u32);
    magic == Ok(0x794c_7630)
}

/// An errno as the error that prints its text.
pub(crate) fn os(errno: Errno) -> io::Error {
    errno.into()
}

/// `None` for what is not there; every other stop is an error with `path` as its subject.
fn found<T>(result: Result<T, Stop>, path: &ImagePath) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Os(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        Err(Stop::Os(Errno::LOOP)) => Err(Error::refused("follow", path)
            .because("the links loop, or one is a magic link of procfs")
            .remedy("remove the link")),
        Err(Stop::Os(errno)) => Err(Error::failed("resolve", path).because(os(errno))),
        Err(Stop::ForeignLink { uid }) => Err(Error::refused("follow", path)
            .because(format!("a link planted by user id {uid} leads to what belongs to another"))
            .remedy("remove the link, or name the real path in the policy")),
    }
}
