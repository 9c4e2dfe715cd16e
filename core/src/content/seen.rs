//! Which files held nothing, so that a second look at the same image need not read them again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{SystemTime, UNIX_EPOCH};

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

    /// True when `meta` is that of an archive in which nothing was found, and which has not changed
    /// since.
    pub(crate) fn is_clean_inside(&self, meta: &Meta) -> bool {
        self.0.contains(&inside(meta))
    }

    /// Remembers that nothing is in the archive now.
    pub(crate) fn add_inside(&mut self, meta: &Meta) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        if meta.ctime.saturating_add(GRAIN) <= i64::try_from(now).unwrap_or_default() {
            self.0.insert(inside(meta));
        }
    }

    /// All that `other` knows too.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// What the archive's own bytes look like says nothing about what is packed in it.
fn inside(meta: &Meta) -> u64 {
    let mut hasher = DefaultHasher::new();
    ("inside", state(meta)).hash(&mut hasher);
    hasher.finish()
}

/// What differs when a file does: a change of its content changes ctime.
fn state(meta: &Meta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (meta.dev, meta.ino, meta.size).hash(&mut hasher);
    (meta.mtime, meta.mtime_nsec, meta.ctime, meta.ctime_nsec).hash(&mut hasher);
    hasher.finish()
}
