//! What a search has found, and how much it has read.

use serde::{Deserialize, Serialize};

use super::needles::Form;
use crate::ImagePath;

/// What a hit belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// Not looked up, or the file system does not say.
    Unknown,
    /// Nobody: the block is free.
    Free,
    /// The journal or log of the file system.
    Log,
    /// Another part of the file system's own: inodes, directories of some kinds, trees.
    Metadata,
    /// A file or directory; the path is seen from the top of the file system.
    File(ImagePath),
    /// A file that holds the block preallocated: reading the file gives zeros.
    Preallocated(ImagePath),
}

/// A needle on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The device.
    pub device: String,
    /// Byte offset on it.
    pub offset: u64,
    /// The number given to [`Needles::add`](super::Needles::add).
    pub secret: u32,
    /// In which form it stands there.
    pub form: Form,
    /// What it belongs to.
    pub place: Where,
}

/// One device, and how much of it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// The device.
    pub device: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that were to be searched; the size for a search of all of it.
    pub wanted: u64,
    /// Bytes searched; less than wanted when the time was over.
    pub searched: u64,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchReport {
    /// The devices in the order of the call.
    pub devices: Vec<Searched>,
    /// Secrets searched for.
    pub secrets: u32,
    /// Secrets that are too short or too regular to be searched for.
    pub not_provable: u32,
    /// At most 16 hits of each secret on each device, by device and offset.
    pub hits: Vec<Hit>,
    /// Hits that are not listed.
    pub more: u64,
    /// What such a search cannot see.
    pub blind: Vec<String>,
}

impl SearchReport {
    /// True when every device was read to its end and nothing was found.
    pub fn is_proof(&self) -> bool {
        self.hits.is_empty() && self.devices.iter().all(|d| d.searched == d.size)
    }
}
