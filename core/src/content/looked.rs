//! How much was looked into, for whoever waits meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts files and bytes; another thread may read them at any time.
#[derive(Debug, Default)]
pub struct Looked {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Looked {
    /// One more file of this size was read.
    pub fn add(&self, size: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Files that were read.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// What they hold, holes included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
