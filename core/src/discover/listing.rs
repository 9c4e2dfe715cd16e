//! What directories hold, read once for all patterns of one discovery: more than twenty of them
//! begin with `/**/` and would read every directory of the image each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ImagePath;
use crate::root::{Entry, FileKind};

/// Of a larger image the rest is read again for each pattern, in bytes.
const MOST: usize = 32 << 20;
/// What a directory costs beside its names, about.
const OVERHEAD: usize = 96;

/// The names in one directory, packed: length, kind, name.
#[derive(Debug)]
pub(super) struct Listing {
    packed: Box<[u8]>,
}

impl Listing {
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let mut packed = Vec::new();
        for entry in entries {
            // No name is longer than 255 bytes (NAME_MAX in limits.h).
            let Ok(length) = u16::try_from(entry.name.len()) else { continue };
            packed.extend(length.to_le_bytes());
            packed.push(u8::from(entry.kind == FileKind::Directory));
            packed.extend(entry.name);
        }
        Self { packed: packed.into() }
    }

    /// Each name by bytes, and whether it is that of a directory itself.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut rest = &*self.packed;
        std::iter::from_fn(move || {
            let ([low, high, directory], after) = rest.split_first_chunk()?;
            let (name, after) = after.split_at_checked(u16::from_le_bytes([*low, *high]).into())?;
            rest = after;
            Some((name, *directory == 1))
        })
    }
}

/// What was read so far, by path.
#[derive(Debug, Default)]
pub(super) struct Listings {
    known: RefCell<HashMap<ImagePath, Option<Rc<Listing>>>>,
    held: RefCell<usize>,
}

impl Listings {
    /// What the directory `at` holds, by `read` when it was not read before; `None` when `at` is no
    /// directory, or none that may be looked at.
    pub(super) fn get(
        &self,
        at: &ImagePath,
        read: impl FnOnce() -> Option<Listing>,
    ) -> Option<Rc<Listing>> {
        if let Some(known) = self.known.borrow().get(at) {
            return known.clone();
        }
        let listing = read().map(Rc::new);
        let size = at.as_bytes().len() + OVERHEAD + listing.as_ref().map_or(0, |l| l.packed.len());
        let mut held = self.held.borrow_mut();
        if *held + size <= MOST {
            *held += size;
            self.known.borrow_mut().insert(at.clone(), listing.clone());
        }
        listing
    }

    /// True when it is known that `at` holds no `name`, or is no directory.
    pub(super) fn lacks(&self, at: &ImagePath, name: &[u8]) -> bool {
        match self.known.borrow().get(at) {
            Some(Some(listing)) => listing.entries().all(|(known, _)| known != name),
            Some(None) => true,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_once() {
        let entry = |name: &str, kind| Entry { name: name.into(), kind };
        let entries = || vec![entry("a", FileKind::Directory), entry("b", FileKind::Symlink)];
        let (listings, at) = (Listings::default(), ImagePath::literal("/etc"));
        assert!(!listings.lacks(&at, b"c"), "nobody has looked yet");
        let first = listings.get(&at, || Some(Listing::of(entries()))).unwrap();
        let names: Vec<_> = first.entries().collect();
        assert_eq!(names, [(&b"a"[..], true), (b"b", false)]);
        assert!(listings.get(&at, || unreachable!("it is known")).is_some());
        assert!(listings.lacks(&at, b"c") && !listings.lacks(&at, b"b"));
        let file = ImagePath::literal("/etc/b");
        assert!(listings.get(&file, || None).is_none());
        assert!(listings.lacks(&file, b"a"));
    }

    #[test]
    fn there_is_an_end_to_what_is_held() {
        let listings = Listings::default();
        let name = vec![b'x'; 60_000];
        for number in 0..2000 {
            let at = ImagePath::new(format!("/{number}")).unwrap();
            let entries = vec![Entry { name: name.clone(), kind: FileKind::Regular }];
            let read = listings.get(&at, || Some(Listing::of(entries))).unwrap();
            assert_eq!(read.entries().count(), 1);
        }
        let held = *listings.held.borrow();
        assert!(held <= MOST && held > MOST - 70_000);
        assert!(listings.known.borrow().len() < 2000);
    }
}
