//! What was done to a file system, and what may still be readable on its device.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::EraseMode;

/// How free space was treated in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Discarded, and seen to be gone.
    Trim,
    /// Zeros were written to the device inside our own unwritten extents.
    Device,
    /// Zeros were written through files until the file system was full.
    ThroughFiles,
    /// Not treated.
    None,
}

/// What became of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Journal {
    /// Written back and overwritten with zeros.
    Overwritten,
    /// The file system has none.
    None,
    /// It was not treated and may hold old names and blocks.
    Left,
}

/// A place on the device that may still hold old bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Blocks that belong to nobody.
    FreeSpace,
    /// The journal of ext4, the log of xfs.
    Journal,
    /// Directory blocks, inodes, trees: names, long symbolic links and attributes of deleted files.
    Metadata,
    /// Blocks that live files have preallocated and not written, which adopt old bytes.
    Preallocated,
    /// Deleted files that a process still holds open.
    HeldOpen,
    /// Older versions kept by the file system.
    Snapshots,
}

/// What may remain, why, and what removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residual {
    /// Where.
    pub place: Place,
    /// Bytes seen there; `None` when they cannot be counted.
    pub bytes: Option<u64>,
    /// Why it was not erased.
    pub why: String,
    /// The command or step that erases it.
    pub remedy: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FreeSpace => "free space",
            Self::Journal => "journal",
            Self::Metadata => "metadata",
            Self::Preallocated => "preallocated blocks",
            Self::HeldOpen => "deleted files in use",
            Self::Snapshots => "snapshots",
        })
    }
}

impl Residual {
    /// The place, with the bytes seen there where they were counted.
    pub fn place_text(&self) -> String {
        match self.bytes {
            Some(bytes) => format!("{} ({bytes} bytes)", self.place),
            None => self.place.to_string(),
        }
    }
}

impl fmt::Display for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place_text(), self.why, self.remedy)
    }
}

/// The result for one file system. All sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsReport {
    /// Where it is mounted.
    pub point: String,
    /// Its type.
    pub fstype: String,
    /// Its device.
    pub device: String,
    /// What was asked for.
    pub mode: EraseMode,
    /// What was done.
    pub way: Way,
    /// What the kernel says it discarded; `None` when it was not asked or cannot.
    pub trimmed: Option<u64>,
    /// Free space read from the device.
    pub scanned: u64,
    /// Of it not zero, after a trim.
    pub dirty: u64,
    /// Overwritten.
    pub written: u64,
    /// Free space that is known to hold something at the end.
    pub left: u64,
    /// Free inodes with old names, attributes or content that were emptied (ext4).
    pub inodes: u64,
    /// The journal.
    pub journal: Journal,
    /// True when a killed run had left something that was put right.
    pub swept: bool,
    /// What may remain.
    pub residual: Vec<Residual>,
}

impl FsReport {
    /// True when no place is known that may still hold old bytes.
    pub fn is_clean(&self) -> bool {
        self.residual.is_empty()
    }

    pub(super) fn remains(&mut self, place: Place, bytes: Option<u64>, why: &str, remedy: &str) {
        let (why, remedy) = (why.to_owned(), remedy.to_owned());
        self.residual.push(Residual { place, bytes, why, remedy });
    }
}
