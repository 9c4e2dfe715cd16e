//! One step of a plan: one change of one path.

use std::fmt;

use serde::Serialize;

use crate::ImagePath;
use crate::edit::{Edit, Format};
use crate::root::{Links, Meta};

/// One change of one path, with what it expects to find there.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// The rules that ask for it.
    pub rules: Vec<String>,
    /// The path in the image.
    pub path: ImagePath,
    /// What is done.
    pub change: Change,
    /// The inode that must still be there; `None` when nothing may be there.
    pub expect: Option<Expect>,
    /// How the path may be resolved.
    #[serde(skip)]
    pub links: Links,
    /// Whose it is, for a reader.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// The bytes of a file that is installed; they are public.
    #[serde(skip)]
    pub content: Option<Vec<u8>>,
}

/// What is done to a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A file of ours is put in place.
    Install {
        /// Permission bits.
        mode: u32,
        /// Its size.
        bytes: u64,
    },
    /// A file gets new content; owner, mode and attributes stay.
    Rewrite {
        /// Its size.
        bytes: u64,
    },
    /// A link of ours is put in place.
    Link {
        /// Where it leads.
        target: String,
    },
    /// Records in a structured file change.
    Edit {
        /// The file's format.
        format: Format,
        /// The changes, sorted.
        edits: Vec<Edit>,
    },
    /// A copy becomes a link.
    ReplaceByLink {
        /// Where it leads.
        target: String,
    },
    /// Burned, then length 0.
    Truncate,
    /// Burned and unlinked.
    Remove,
    /// Unlinked when empty, which the steps before see to.
    RemoveDirectory,
}

impl Change {
    /// The phase in which it runs.
    pub(super) fn phase(&self) -> u8 {
        match self {
            Self::Install { .. } | Self::Rewrite { .. } | Self::Link { .. } => 0,
            Self::Edit { .. } => 1,
            Self::ReplaceByLink { .. } => 2,
            Self::Truncate => 3,
            Self::Remove => 4,
            Self::RemoveDirectory => 5,
        }
    }
}

/// The inode that a step was planned against; times in nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expect {
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of content.
    pub mtime: i128,
    /// Last change of inode.
    pub ctime: i128,
}

impl Expect {
    /// The expectation that `meta` fulfils.
    pub fn of(meta: &Meta) -> Self {
        let nanos = |s: i64, n: u32| i128::from(s) * 1_000_000_000 + i128::from(n);
        Self {
            inode: meta.ino,
            size: meta.size,
            mtime: nanos(meta.mtime, meta.mtime_nsec),
            ctime: nanos(meta.ctime, meta.ctime_nsec),
        }
    }

    /// The same inode with content of the same size and time; only its names or its owner changed.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        let state = |e: &Self| (e.inode, e.size, e.mtime);
        state(self) == state(other)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::Install { mode, bytes } => {
                write!(f, "install {} (mode {mode:04o}, {bytes} bytes)", self.path)?;
            }
            Change::Rewrite { bytes } => write!(f, "rewrite {} ({bytes} bytes)", self.path)?,
            Change::Link { target } => write!(f, "link {} -> {target}", self.path)?,
            Change::Edit { edits, .. } => {
                write!(f, "edit {}: ", self.path)?;
                for (i, edit) in edits.iter().enumerate() {
                    write!(f, "{}{edit}", if i == 0 { "" } else { ", " })?;
                }
            }
            Change::ReplaceByLink { target } => {
                write!(f, "replace {} by link -> {target}", self.path)?;
            }
            Change::Truncate => write!(f, "truncate {}", self.path)?,
            Change::Remove => write!(f, "delete {}", self.path)?,
            Change::RemoveDirectory => write!(f, "rmdir {}", self.path)?,
        }
        write!(f, "  [{}]", self.rules.join(", "))
    }
}
