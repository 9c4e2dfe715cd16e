//! What the kernel says about one object: the fields of stat(2) that a later change compares.

use std::fmt;

use rustix::fs::{FileType, Stat};

/// The type of an object, from the `S_IFMT` bits of inode(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe; opening one can block for ever.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileKind {
    /// `None` for a type that no Linux file system stores.
    pub(crate) fn of(kind: FileType) -> Option<Self> {
        Some(match kind {
            FileType::RegularFile => Self::Regular,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Unknown => return None,
        })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::CharDevice => "a character device",
            Self::BlockDevice => "a block device",
        })
    }
}

/// The fields of stat(2) that identify an object and its state. Times are seconds since the epoch
/// with the nanoseconds beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// Number of hard links.
    pub nlink: u64,
    /// Length in bytes.
    pub size: u64,
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content.
    pub mtime: i64,
    /// Nanoseconds of `mtime`.
    pub mtime_nsec: u32,
    /// Last change of the inode.
    pub ctime: i64,
    /// Nanoseconds of `ctime`.
    pub ctime_nsec: u32,
    /// The type bits of `mode`.
    pub kind: FileKind,
}

impl Meta {
    // The integer types of `Stat` differ between architectures; every one fits the field.
    #[expect(clippy::allow_attributes, reason = "which conversion is useless differs by target")]
    #[allow(clippy::useless_conversion, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    #[allow(clippy::unnecessary_cast, reason = "the same")]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            nlink: stat.st_nlink.into(),
            size: stat.st_size as u64,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: stat.st_mtime as i64,
            mtime_nsec: stat.st_mtime_nsec as u32,
            ctime: stat.st_ctime as i64,
            ctime_nsec: stat.st_ctime_nsec as u32,
            // A type that stat(2) does not name cannot be opened or removed by us: a device is the
            // kind that is never opened.
            kind: FileKind::of(FileType::from_raw_mode(stat.st_mode))
                .unwrap_or(FileKind::CharDevice),
        }
    }

    /// Permission bits with set-user-ID, set-group-ID and sticky: `mode & 07777`.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// The same object, whatever happened to its content.
    pub fn same_object(&self, other: &Self) -> bool {
        (self.dev, self.ino, self.kind) == (other.dev, other.ino, other.kind)
    }

    /// The same object in the same state: size, mtime and ctime are equal too.
    pub fn unchanged(&self, other: &Self) -> bool {
        self.same_object(other)
            && self.size == other.size
            && (self.mtime, self.mtime_nsec) == (other.mtime, other.mtime_nsec)
            && (self.ctime, self.ctime_nsec) == (other.ctime, other.ctime_nsec)
    }
}
