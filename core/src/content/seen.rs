//! Which files held nothing, so that a second look at the same image need not read them again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::root::Meta;

/// A file that changed in the last moments may change again within the clock's grain.
const GRAIN: i64 = 2;

/// Files that held nothing, by inode and state.
#[derive(Debug, Default)]
pub struct Seen(HashSet<u64>);

impl Seen {
    /// True when `meta` is that of a file which held nothing and has not changed since.
    pub fn is_clean(&self, meta: &Meta) -> bool {
        self.0.contains(&state(meta))
    }

    /// Remembers that the file held nothing at `now`, in seconds since 1970.
    pub(super) fn add(&mut self, meta: &Meta, now: i64) {
        if meta.ctime + GRAIN <= now {
            self.0.insert(state(meta));
        }
    }

    /// All that `other` knows too.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// What differs when a file does: a change of its content changes ctime.
fn state(meta: &Meta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (meta.dev, meta.ino, meta.size).hash(&mut hasher);
    (meta.mtime, meta.mtime_nsec, meta.ctime, meta.ctime_nsec).hash(&mut hasher);
    hasher.finish()
}
