//! Path resolution below a root, one component at a time, each opened with `O_NOFOLLOW`.
//!
//! It does what `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)` does where that call is missing
//! (before Linux 5.6, or hidden by seccomp), and what the kernel cannot do: judge each symbolic
//! link by its owner. `..` goes back to the handle the walk came from, never through the kernel,
//! so that a directory moved meanwhile cannot lead out of the root.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use super::{FileKind, Links, Meta};
use crate::path::ImagePath;

/// As many links as the kernel follows in one resolution (path_resolution(7)).
const MAX_LINKS: u32 = 40;
/// Inode number of the root of every procfs; its links are text, the ones below are magic.
const PROC_ROOT_INO: u64 = 1;

/// What to do with a symbolic link in the last component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Os(Errno),
    /// A link of this user leads to what belongs to somebody else.
    ForeignLink {
        uid: u32,
    },
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

/// One resolved component: its name in the directory before it, an `O_PATH` handle and its state.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Vec<u8>,
    pub(super) handle: OwnedFd,
    pub(super) meta: Meta,
}

/// Where a path leads: the directories from below the root down, and the last component, which may
/// be missing while its directory exists. `last` is `None` for the root itself.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) dirs: Vec<Node>,
    pub(super) last: Option<(Vec<u8>, Option<Node>)>,
}

impl Walked {
    /// The path without links, `.` and `..`.
    pub(super) fn path(&self) -> Option<ImagePath> {
        let mut bytes = Vec::new();
        let names = self.dirs.iter().map(|node| &node.name);
        for name in names.chain(self.last.iter().map(|(name, _)| name)) {
            bytes.push(b'/');
            bytes.extend_from_slice(name);
        }
        ImagePath::new(bytes)
    }

    /// The directory that holds the last component.
    pub(super) fn parent<'a>(&'a self, root: BorrowedFd<'a>) -> BorrowedFd<'a> {
        self.dirs.last().map_or(root, |node| node.handle.as_fd())
    }
}

/// Once `rest` components are left, what has been reached must belong to `uid`.
struct Claim {
    rest: usize,
    uid: u32,
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    root_uid: u32,
    links: Links,
    followed: u32,
    /// Components still to come, the next one last.
    todo: Vec<Vec<u8>>,
    dirs: Vec<Node>,
    claims: Vec<Claim>,
}

/// Resolves `path` below `root`. A missing directory on the way is `ENOENT` or `ENOTDIR`.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    path: &ImagePath,
    last: Last,
    links: Links,
) -> Result<Walked, Stop> {
    let mut todo: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    todo.reverse();
    let root_uid = fstat(root)?.st_uid;
    let walk =
        Walk { root, root_uid, links, followed: 0, todo, dirs: Vec::new(), claims: Vec::new() };
    walk.run(last)
}

impl Walk<'_> {
    fn run(mut self, last: Last) -> Result<Walked, Stop> {
        while let Some(name) = self.todo.pop() {
            if name == b".." {
                self.dirs.pop();
                self.settle_here()?;
                continue;
            }
            let Some(node) = self.enter(name.clone())? else {
                if !self.todo.is_empty() {
                    return Err(Errno::NOENT.into());
                }
                // A dangling link: creating its target is as far-reaching as changing it.
                self.settle_here()?;
                return Ok(Walked { dirs: self.dirs, last: Some((name, None)) });
            };
            let is_last = self.todo.is_empty();
            match node.meta.kind {
                FileKind::Symlink if !is_last || last == Last::Follow => self.follow(&node)?,
                FileKind::Directory if !is_last => {
                    self.dirs.push(node);
                    self.settle_here()?;
                }
                _ if !is_last => return Err(Errno::NOTDIR.into()),
                _ => {
                    self.settle(node.meta.uid)?;
                    return Ok(Walked { dirs: self.dirs, last: Some((name, Some(node))) });
                }
            }
        }
        let last = self.dirs.pop().map(|node| (node.name.clone(), Some(node)));
        Ok(Walked { dirs: self.dirs, last })
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.dirs.last().map_or(self.root, |node| node.handle.as_fd())
    }

    fn enter(&self, name: Vec<u8>) -> Result<Option<Node>, Stop> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match openat(self.here(), name.as_slice(), flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let meta = Meta::of(&fstat(&handle)?);
        Ok(Some(Node { name, handle, meta }))
    }

    fn follow(&mut self, link: &Node) -> Result<(), Stop> {
        self.followed += 1;
        if self.followed > MAX_LINKS || self.is_magic(link)? {
            return Err(Errno::LOOP.into());
        }
        if let Some(uid) = self.who_planted(link).filter(|_| self.links == Links::OwnerMatched) {
            self.claims.push(Claim { rest: self.todo.len(), uid });
        }
        let text = readlinkat(&link.handle, "", Vec::new())?.into_bytes();
        if text.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if text.starts_with(b"/") {
            self.dirs.clear();
        }
        let parts = text.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
        self.todo.extend(parts.rev().map(<[u8]>::to_vec));
        // `/`, `.` and `./` lead nowhere new.
        self.settle_here()
    }

    /// The user who must own what `link` leads to; `None` when root made the link. A link of root's
    /// with a second name can have been put here by the owner of the directory, where the sysctl
    /// fs.protected_hardlinks is off (proc_sys_fs(5)).
    fn who_planted(&self, link: &Node) -> Option<u32> {
        let here = self.dirs.last().map_or(self.root_uid, |node| node.meta.uid);
        match link.meta.uid {
            0 if link.meta.nlink > 1 && here != 0 => Some(here),
            0 => None,
            uid => Some(uid),
        }
    }

    /// A link whose text is not where the kernel would go, such as `/proc/self/root`: every link
    /// of procfs outside its top directory counts, because none of the others matters to us.
    fn is_magic(&self, link: &Node) -> Result<bool, Stop> {
        if fstatfs(&link.handle)?.f_type != PROC_SUPER_MAGIC {
            return Ok(false);
        }
        Ok(Meta::of(&fstat(self.here())?).ino != PROC_ROOT_INO)
    }

    fn settle_here(&mut self) -> Result<(), Stop> {
        let uid = self.dirs.last().map_or(self.root_uid, |node| node.meta.uid);
        self.settle(uid)
    }

    fn settle(&mut self, uid: u32) -> Result<(), Stop> {
        while let Some(claim) = self.claims.last() {
            if claim.rest < self.todo.len() {
                break;
            }
            if claim.uid != uid {
                return Err(Stop::ForeignLink { uid: claim.uid });
            }
            self.claims.pop();
        }
        Ok(())
    }
}

/// Opens what `walked` found with `flags`, and makes sure that it is the same object.
pub(super) fn open_found(
    root: BorrowedFd<'_>,
    walked: Walked,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let Walked { dirs, last } = walked;
    let Some((name, node)) = last else {
        return openat(root, ".", flags | OFlags::CLOEXEC, Mode::empty());
    };
    let node = node.ok_or(Errno::NOENT)?;
    if flags.contains(OFlags::PATH) {
        return Ok(node.handle);
    }
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = dirs.last().map_or(root, |dir| dir.handle.as_fd());
    let opened = openat(parent, name.as_slice(), flags, Mode::empty())?;
    if !Meta::of(&fstat(&opened)?).same_object(&node.meta) {
        return Err(Errno::AGAIN);
    }
    Ok(opened)
}

/// A directory handle for reading and fsync(2) from one that may be `O_PATH`.
pub(super) fn readable_dir(dir: BorrowedFd<'_>) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(openat(dir, ".", flags, Mode::empty())?))
}
