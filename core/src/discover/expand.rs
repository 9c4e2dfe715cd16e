//! From patterns to what really lies there: one walk of the root per pattern, in-root, bounded by
//! reach and by the link policy of the place.

use std::collections::BTreeSet;

use crate::catalogue::{Part, Pattern};
use crate::reach::Reach;
use crate::root::{FileKind, Links, Meta, Root};
use crate::{ImagePath, Result};

/// A file, directory or other inode that a pattern named.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where it lies.
    pub path: ImagePath,
    /// The inode of the entry itself; a link is not followed.
    pub meta: Meta,
    /// How the path may be resolved when it is changed.
    pub links: Links,
}

/// Finds what patterns name below one root.
pub(super) struct Expander<'a> {
    root: &'a Root,
    reach: &'a Reach,
    homes: &'a [ImagePath],
}

/// A component in a home may be a link that a user planted; one in `/etc` was made by root.
fn links_of(in_home: bool) -> Links {
    if in_home { Links::OwnerMatched } else { Links::InRoot }
}

impl<'a> Expander<'a> {
    pub(super) fn new(root: &'a Root, reach: &'a Reach, homes: &'a [ImagePath]) -> Self {
        Self { root, reach, homes }
    }

    /// Everything that `pattern` names and `except` does not, sorted by path, each once.
    pub(super) fn expand(&self, pattern: &Pattern, except: &Except<'_>) -> Result<Vec<Found>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for alternative in pattern.alternatives() {
            let root_only = [ImagePath::root()];
            let starts: &[ImagePath] = if alternative.in_home { self.homes } else { &root_only };
            let links = links_of(alternative.in_home || shared(&alternative.parts));
            for start in starts {
                let mut named = Vec::new();
                self.walk(start.clone(), &alternative.parts, links, &mut |f| named.push(f))?;
                for f in named {
                    if except.covers(&f.path, self.homes) {
                        continue;
                    }
                    let f = self.by_real_name(f)?;
                    if !except.covers(&f.path, self.homes) && seen.insert(f.path.clone()) {
                        found.push(f);
                    }
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// `/var/spool/mail` may be a link to `/var/mail`: an inode is planned once, by its real
    /// name. In a home the link itself decides whether it is followed, so names stay there.
    fn by_real_name(&self, found: Found) -> Result<Found> {
        let (Some(parent), Some(name)) = (found.path.parent(), found.path.file_name()) else {
            return Ok(found);
        };
        if found.links != Links::InRoot {
            return Ok(found);
        }
        let real = self.root.canonical(&parent)?.and_then(|folder| folder.join(name));
        Ok(Found { path: real.unwrap_or_else(|| found.path.clone()), ..found })
    }

    fn walk(
        &self,
        at: ImagePath,
        parts: &[Part],
        links: Links,
        found: &mut dyn FnMut(Found),
    ) -> Result<()> {
        let Some((part, rest)) = parts.split_first() else {
            if let Some(meta) = self.root.lstat(&at)? {
                if self.reach.allows(&at, &meta) {
                    found(Found { path: at, meta, links });
                }
            }
            return Ok(());
        };
        match part {
            Part::Name(name) => match at.join(name) {
                Some(next) => self.walk(next, rest, links, found),
                None => Ok(()),
            },
            Part::Glob(_) => self.children(&at, |next, name, _| {
                if part.matches(name) { self.walk(next, rest, links, found) } else { Ok(()) }
            }),
            Part::Deep => {
                if !rest.is_empty() {
                    self.walk(at.clone(), rest, links, found)?;
                }
                self.children(&at, |next, _, kind| {
                    if rest.is_empty() {
                        self.walk(next.clone(), &[], links, found)?;
                    }
                    if kind == FileKind::Directory {
                        self.walk(next, parts, links, found)
                    } else {
                        Ok(())
                    }
                })
            }
        }
    }

    fn children(
        &self,
        at: &ImagePath,
        mut each: impl FnMut(ImagePath, &[u8], FileKind) -> Result<()>,
    ) -> Result<()> {
        match self.root.stat(at)? {
            Some(meta) if meta.kind == FileKind::Directory && self.reach.allows(at, &meta) => {}
            _ => return Ok(()),
        }
        for entry in self.root.read_dir(at)? {
            if let Some(next) = at.join(&entry.name) {
                each(next, &entry.name, entry.kind)?;
            }
        }
        Ok(())
    }

    /// A directory with everything below it, files before their directories; never through a
    /// link and never onto another file system.
    pub(super) fn tree(&self, top: &Found, except: &Except<'_>) -> Result<Vec<Found>> {
        let mut out = Vec::new();
        self.descend(top, except, &mut out)?;
        Ok(out)
    }

    fn descend(&self, at: &Found, except: &Except<'_>, out: &mut Vec<Found>) -> Result<bool> {
        if except.covers(&at.path, self.homes) {
            return Ok(false);
        }
        let mut whole = true;
        if at.meta.kind == FileKind::Directory {
            for entry in self.root.read_dir(&at.path)? {
                let Some(path) = at.path.join(&entry.name) else { continue };
                let Some(meta) = self.root.lstat(&path)? else { continue };
                if meta.dev != at.meta.dev || !self.reach.allows(&path, &meta) {
                    whole = false;
                    continue;
                }
                whole &= self.descend(&Found { path, meta, links: at.links }, except, out)?;
            }
        }
        if whole {
            out.push(at.clone());
        }
        Ok(whole)
    }
}

/// Places below `/tmp`, `/var/tmp` and `/dev/shm` are everybody's.
fn shared(parts: &[Part]) -> bool {
    let is = |i: usize, name: &[u8]| matches!(parts.get(i), Some(Part::Name(n)) if n == name);
    is(0, b"tmp") || is(0, b"var") && is(1, b"tmp") || is(0, b"dev") && is(1, b"shm")
}

/// What stays although a pattern names it: a rule's own exceptions and policy's.
pub(super) struct Except<'a> {
    patterns: Vec<&'a Pattern>,
}

impl<'a> Except<'a> {
    pub(super) fn new(rule: &'a [Pattern], policy: &'a [Pattern]) -> Self {
        Self { patterns: rule.iter().chain(policy).collect() }
    }

    /// True when `path` matches, absolute or below one of the homes.
    pub(super) fn covers(&self, path: &ImagePath, homes: &[ImagePath]) -> bool {
        self.patterns.iter().any(|p| {
            p.matches(path)
                || homes.iter().any(|home| {
                    path.starts_with(home)
                        && p.matches_in_home(
                            &path.components().skip(home.components().count()).collect::<Vec<_>>(),
                        )
                })
        })
    }
}
