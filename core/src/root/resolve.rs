//! Which of the two resolvers opens a path: the kernel's openat2(2), or the walk of this crate.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::Links;
use super::walk::{Last, Stop, open_found, walk};
use crate::path::ImagePath;

/// Somebody renames directories while we resolve; after this many rounds it is on purpose.
pub(super) const ROUNDS: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    Kernel,
    Walk,
}

impl Resolver {
    /// openat2 is there since Linux 5.6; older container runtimes answer EPERM for calls that
    /// their seccomp profile does not know.
    pub(super) fn probe(root: BorrowedFd<'_>) -> Self {
        match kernel_open(root, &ImagePath::root(), OFlags::PATH) {
            Ok(_) => Self::Kernel,
            Err(_) => Self::Walk,
        }
    }

    /// Opens `path` below `root`; links are followed inside the root, magic links never, the last
    /// component not when `flags` say `O_NOFOLLOW`.
    pub(super) fn open(
        self,
        root: BorrowedFd<'_>,
        path: &ImagePath,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        for _ in 0..ROUNDS {
            let opened = match self {
                Self::Kernel => kernel_open(root, path, flags),
                Self::Walk => walk_open(root, path, flags),
            };
            match opened {
                Err(Errno::AGAIN) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }
}

fn kernel_open(root: BorrowedFd<'_>, path: &ImagePath, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path.relative(), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn walk_open(root: BorrowedFd<'_>, path: &ImagePath, flags: OFlags) -> Result<OwnedFd, Errno> {
    let last = if flags.contains(OFlags::NOFOLLOW) { Last::Keep } else { Last::Follow };
    match walk(root, path, last, Links::InRoot) {
        Ok(walked) => open_found(root, walked, flags),
        // No link is judged by its owner here.
        Err(Stop::ForeignLink { .. }) => Err(Errno::ACCESS),
        Err(Stop::Os(errno)) => Err(errno),
    }
}
