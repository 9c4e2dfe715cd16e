//! From patterns to what really lies there: one walk of the root per pattern, in-root, bounded by
//! reach and by the link policy of the place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::listing::{Listing, Listings};
use crate::catalogue::{Alternative, Part, Pattern, Severity};
use crate::facts::Problem;
use crate::reach::Reach;
use crate::root::{FileKind, Links, Meta, Root};
use crate::{Error, ImagePath, Kind, Result};

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

/// Directories that patterns with `{home}` stand for.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// Homes of people and services.
    pub own: Vec<ImagePath>,
    /// Directories of the system that an account has as its home: `/` and `/usr/sbin`, for
    /// instance. Only hidden names in them can be what a user left.
    pub system: Vec<ImagePath>,
}

impl Homes {
    /// The homes that an alternative stands for.
    fn of(&self, alternative: &Alternative) -> impl Iterator<Item = &ImagePath> {
        let hidden = match alternative.parts.first() {
            Some(Part::Name(name) | Part::Glob(name)) => name.starts_with(b"."),
            _ => false,
        };
        self.own.iter().chain(self.system.iter().filter(move |_| hidden))
    }
}

/// Finds what patterns name below one root. What cannot be looked at becomes a problem and ends
/// nothing: anybody can make a circle of links or a path that is too long.
pub(super) struct Expander<'a> {
    root: &'a Root,
    reach: &'a Reach,
    homes: &'a Homes,
    listings: Listings,
    problems: RefCell<BTreeMap<ImagePath, Problem>>,
}

/// A component in a home may be a link that a user planted; one in `/etc` was made by root.
fn links_of(in_home: bool) -> Links {
    if in_home { Links::OwnerMatched } else { Links::InRoot }
}

impl<'a> Expander<'a> {
    pub(super) fn new(root: &'a Root, reach: &'a Reach, homes: &'a Homes) -> Self {
        Self { root, reach, homes, listings: Listings::default(), problems: RefCell::default() }
    }

    /// What could not be looked at since the last call, each once.
    pub(super) fn take_problems(&self) -> Vec<Problem> {
        self.problems.take().into_values().collect()
    }

    /// The answer, or nothing and a problem at the first directory on the way that has one.
    fn looked<T: Default>(&self, at: &ImagePath, answer: Result<T>) -> T {
        let error = match answer {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        let (mut path, mut error) = (at.clone(), error);
        while let Some(parent) = path.parent() {
            let Err(above) = self.root.stat(&parent) else { break };
            (path, error) = (parent, above);
        }
        self.problems.borrow_mut().insert(path.clone(), problem(path, &error));
        T::default()
    }

    /// The inode of the entry `path`, when it may be touched and is not excepted.
    pub(super) fn entry(&self, path: &ImagePath, except: &Except<'_>) -> Option<Meta> {
        let meta = self.looked(path, self.root.lstat(path))?;
        let real = self.real(path)?;
        let covered = except.covers(path, self.homes) || except.covers(&real, self.homes);
        (self.reach.allows(&real, &meta) && !covered).then_some(meta)
    }

    /// The path of the entry itself without links on the way.
    fn real(&self, path: &ImagePath) -> Option<ImagePath> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Some(path.clone());
        };
        self.looked(&parent, self.root.canonical(&parent))?.join(name)
    }

    /// Everything that `pattern` names and `except` does not, sorted by path, each once.
    pub(super) fn expand(&self, pattern: &Pattern, except: &Except<'_>) -> Vec<Found> {
        let mut found = BTreeMap::new();
        for alternative in pattern.alternatives() {
            let root_only = ImagePath::root();
            let starts: Vec<&ImagePath> = if alternative.in_home {
                self.homes.of(alternative).collect()
            } else {
                vec![&root_only]
            };
            let links = links_of(alternative.in_home || shared(&alternative.parts));
            for start in starts {
                self.walk(start.clone(), &alternative.parts, &mut |path| {
                    if let Some(f) = self.named(path, links, except) {
                        found.entry(f.path.clone()).or_insert(f);
                    }
                });
            }
        }
        found.into_values().collect()
    }

    /// `/var/spool/mail` may be a link to `/var/mail`: an inode is planned once, by its real
    /// name. In a home the link itself decides whether it is followed, so names stay there.
    fn named(&self, path: ImagePath, links: Links, except: &Except<'_>) -> Option<Found> {
        let meta = self.entry(&path, except)?;
        if links == Links::InRoot {
            return Some(Found { path: self.real(&path)?, meta, links });
        }
        self.may_follow(&path, links).then_some(Found { path, meta, links })
    }

    /// False where a link on the way leads to what is not its owner's: nothing of the user's lies
    /// there, and a step for each file behind it would only fail.
    fn may_follow(&self, path: &ImagePath, links: Links) -> bool {
        let mut refused = None;
        let mut at = path.clone();
        while let Err(error) = self.root.target(&at, links) {
            let Some(parent) = at.parent() else { break };
            refused = Some((parent.clone(), error));
            at = parent;
        }
        let Some((link, error)) = refused else { return true };
        self.problems.borrow_mut().insert(link.clone(), problem(link, &error));
        false
    }

    fn walk(&self, at: ImagePath, parts: &[Part], found: &mut dyn FnMut(ImagePath)) {
        let Some((part, rest)) = parts.split_first() else { return found(at) };
        if let Part::Name(name) = part {
            if !self.listings.lacks(&at, name)
                && let Some(next) = at.join(name)
            {
                self.walk(next, rest, found);
            }
            return;
        }
        let Some(listing) = self.listing(&at) else { return };
        let deep = *part == Part::Deep;
        if deep && !rest.is_empty() {
            self.walk(at.clone(), rest, found);
        }
        for (name, is_directory) in listing.entries().filter(|(name, _)| part.matches(name)) {
            let Some(next) = at.join(name) else { continue };
            if !deep {
                self.walk(next, rest, found);
                continue;
            }
            if rest.is_empty() {
                found(next.clone());
            }
            if is_directory {
                self.walk(next, parts, found);
            }
        }
    }

    /// What the directory `at` holds.
    fn listing(&self, at: &ImagePath) -> Option<Rc<Listing>> {
        self.listings.get(at, || {
            let meta = self.looked(at, self.root.stat(at))?;
            let enters = meta.kind == FileKind::Directory && self.reach.allows(at, &meta);
            enters.then(|| Listing::of(self.looked(at, self.root.read_dir(at))))
        })
    }

    /// A directory with everything below it, files before their directories; never through a
    /// link and never onto another file system.
    pub(super) fn tree(&self, top: &Found, except: &Except<'_>) -> Vec<Found> {
        let mut out = Vec::new();
        if let Some(real) = self.real(&top.path) {
            self.descend(top, &real, except, &mut out);
        }
        out
    }

    /// True when nothing below `at` stays. `real` is its path without links.
    fn descend(
        &self,
        at: &Found,
        real: &ImagePath,
        except: &Except<'_>,
        out: &mut Vec<Found>,
    ) -> bool {
        if except.covers(&at.path, self.homes) || except.covers(real, self.homes) {
            return false;
        }
        let mut whole = true;
        if at.meta.kind == FileKind::Directory {
            let entries = self.root.read_dir(&at.path);
            whole = entries.is_ok();
            for entry in self.looked(&at.path, entries) {
                let (Some(path), Some(real)) = (at.path.join(&entry.name), real.join(&entry.name))
                else {
                    continue;
                };
                let state = self.root.lstat(&path);
                whole &= state.is_ok();
                let Some(meta) = self.looked(&path, state) else { continue };
                // A file of an overlay may tell another device than its directory.
                let leaves = meta.kind == FileKind::Directory && meta.dev != at.meta.dev;
                if leaves || !self.reach.allows(&real, &meta) {
                    whole = false;
                    continue;
                }
                whole &= self.descend(&Found { path, meta, links: at.links }, &real, except, out);
            }
        }
        if whole {
            out.push(at.clone());
        }
        whole
    }
}

/// A circle of links hides nothing from anybody; what else could not be read may be anything.
pub(super) fn problem(path: ImagePath, error: &Error) -> Problem {
    let severity = match error.kind() {
        Kind::Refused => Severity::Medium,
        _ => Severity::High,
    };
    Problem { path, what: error.report(), severity }
}

/// Places below `/tmp`, `/var/tmp` and `/dev/shm` are everybody's; `**` finds those too.
fn shared(parts: &[Part]) -> bool {
    if parts.contains(&Part::Deep) {
        return true;
    }
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
    pub(super) fn covers(&self, path: &ImagePath, homes: &Homes) -> bool {
        self.patterns.iter().any(|p| {
            p.matches(path)
                || p.alternatives().iter().filter(|a| a.in_home).any(|a| {
                    homes.of(a).filter(|home| path.starts_with(home)).any(|home| {
                        let depth = home.components().count();
                        a.matches(&path.components().skip(depth).collect::<Vec<_>>())
                    })
                })
        })
    }
}
