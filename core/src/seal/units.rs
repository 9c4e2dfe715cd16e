//! Unit files of an image, as systemd would read them, with files added that are not written yet.
//! Only what ordering and enabling need: systemd.unit(5), no specifiers, no generators.

use std::collections::{BTreeMap, BTreeSet};

use super::{Installed, Kind};
use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

/// Search path, the administrator's folder first; `/run` is not part of an image.
pub(super) const DIRS: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Units that start an SSH server, services before sockets.
pub const SSH_UNITS: [&str; 6] = [
    "ssh.service",
    "sshd.service",
    "dropbear.service",
    "ssh.socket",
    "sshd.socket",
    "dropbear.socket",
];

/// A unit file is small; what is larger is none.
const LIMIT: u64 = 1 << 20;

/// Access to the units of one image.
#[derive(Debug)]
pub struct Units<'a> {
    root: &'a Root,
    added: BTreeMap<String, &'a Installed>,
}

/// A unit with its drop-ins, reduced to `key=value` pairs in reading order.
#[derive(Debug, Default)]
pub(super) struct Unit {
    settings: Vec<(String, String)>,
}

impl<'a> Units<'a> {
    /// The units of `root`.
    pub fn new(root: &'a Root) -> Self {
        Self { root, added: BTreeMap::new() }
    }

    /// The same with `added` as if it were installed.
    pub fn with(root: &'a Root, added: &'a [Installed]) -> Self {
        let mut units = Self::new(root);
        units.added.extend(added.iter().map(|i| (i.path.escaped().into_owned(), i)));
        units
    }

    /// True when something is wanted or required by a target that pulls in `name`.
    ///
    /// # Errors
    /// When a folder of units cannot be read.
    pub fn enabled(&self, name: &str) -> Result<bool> {
        for dir in DIRS {
            for entry in self.root.read_dir(&ImagePath::literal(dir))? {
                let pulls = entry.name.ends_with(b".wants") || entry.name.ends_with(b".requires");
                if !pulls || entry.kind != FileKind::Directory {
                    continue;
                }
                let folder = String::from_utf8_lossy(&entry.name).into_owned();
                if self.link(&format!("{dir}/{folder}/{name}"))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// SSH units that the image enables, by [`SSH_UNITS`]'s order.
    ///
    /// # Errors
    /// When a folder of units cannot be read.
    pub fn enabled_ssh(&self) -> Result<Vec<&'static str>> {
        let mut enabled = Vec::new();
        for name in SSH_UNITS {
            if self.enabled(name)? {
                enabled.push(name);
            }
        }
        Ok(enabled)
    }

    /// The name under which systemd loads the unit: an alias is a link to another unit's file.
    pub(super) fn real_name(&self, name: &str) -> Result<String> {
        for dir in DIRS {
            let Some(path) = ImagePath::new(format!("{dir}/{name}")) else { continue };
            if let Some(target) = self.root.read_link(&path)? {
                let last = target.rsplit(|b| *b == b'/').next().unwrap_or_default();
                let last = String::from_utf8_lossy(last).into_owned();
                return Ok(if last == "null" || last.is_empty() { name.to_owned() } else { last });
            }
            if self.root.lstat(&path)?.is_some() {
                break;
            }
        }
        Ok(name.to_owned())
    }

    /// The unit and its drop-ins; `None` when there is no file of that name, or it is masked.
    pub(super) fn load(&self, name: &str) -> Result<Option<Unit>> {
        let mut unit = Unit::default();
        let mut found = false;
        for dir in DIRS {
            if let Some(text) = self.read(&format!("{dir}/{name}"))? {
                unit.parse(&text);
                found = true;
                break;
            }
        }
        if !found {
            return Ok(None);
        }
        self.dropins(name, &mut unit)?;
        for (kind, key) in [("wants", "Wants"), ("requires", "Requires")] {
            for dir in DIRS {
                for other in self.names(&format!("{dir}/{name}.{kind}"))? {
                    unit.settings.push((key.to_owned(), other));
                }
            }
        }
        Ok(Some(unit))
    }

    /// The drop-ins of one name, sorted by theirs whatever folder they lie in; of equal names the
    /// first folder's counts.
    fn dropins(&self, name: &str, unit: &mut Unit) -> Result<()> {
        let mut files: BTreeMap<String, &str> = BTreeMap::new();
        for dir in DIRS {
            for file in self.names(&format!("{dir}/{name}.d"))? {
                if file.ends_with(".conf") {
                    files.entry(file).or_insert(dir);
                }
            }
        }
        for (file, dir) in files {
            if let Some(text) = self.read(&format!("{dir}/{name}.d/{file}"))? {
                unit.parse(&text);
            }
        }
        Ok(())
    }

    /// The unit as it is under each name that the image has for it: its own, aliases, and instances
    /// with drop-ins of their own. Empty where it is missing.
    pub(super) fn variants(&self, name: &str) -> Result<Vec<Unit>> {
        if self.load(name)?.is_none() {
            return Ok(Vec::new());
        }
        let mut others = BTreeSet::new();
        let stem = name.strip_suffix(".service").filter(|stem| stem.ends_with('@'));
        for dir in DIRS {
            for entry in self.root.read_dir(&ImagePath::literal(dir))? {
                let other = String::from_utf8_lossy(&entry.name).into_owned();
                let bare = other.strip_suffix(".d").unwrap_or(&other).to_owned();
                let instance = stem.is_some_and(|stem| bare.starts_with(stem));
                if bare != name && (instance || self.real_name(&other)? == name) {
                    others.insert(bare);
                }
            }
        }
        let mut variants = Vec::new();
        for other in [name.to_owned()].into_iter().chain(others) {
            let Some(mut unit) = self.load(name)? else { continue };
            if other != name {
                self.dropins(&other, &mut unit)?;
            }
            variants.push(unit);
        }
        Ok(variants)
    }

    fn read(&self, path: &str) -> Result<Option<String>> {
        if let Some(Installed { kind: Kind::File { content, .. }, .. }) = self.added.get(path) {
            return Ok(Some(String::from_utf8_lossy(content).into_owned()));
        }
        let Some(path) = ImagePath::new(path) else { return Ok(None) };
        let text = self.root.read(&path, LIMIT)?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    fn link(&self, path: &str) -> Result<bool> {
        if self.added.contains_key(path) {
            return Ok(true);
        }
        let Some(path) = ImagePath::new(path) else { return Ok(false) };
        Ok(self.root.lstat(&path)?.is_some())
    }

    fn names(&self, dir: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        if let Some(path) = ImagePath::new(dir) {
            let entries = self.root.read_dir(&path)?;
            names.extend(entries.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()));
        }
        let inside = |path: &String| Some(path.strip_prefix(dir)?.strip_prefix('/')?.to_owned());
        names.extend(self.added.keys().filter_map(inside));
        Ok(names)
    }
}

impl Unit {
    fn parse(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if line.starts_with(['#', ';', '[']) {
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                self.settings.push((key.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }

    /// The words of a list setting; an empty assignment does not reset dependencies.
    pub(super) fn words(&self, key: &str) -> impl Iterator<Item = &str> {
        self.settings.iter().filter(move |(k, _)| k == key).flat_map(|(_, v)| v.split_whitespace())
    }

    /// What the service starts.
    pub(super) fn commands(&self) -> impl Iterator<Item = &str> {
        self.list("ExecStart")
    }

    /// The values of a setting that adds up; an empty assignment takes back those before it.
    pub(super) fn list(&self, key: &str) -> impl Iterator<Item = &str> {
        let all: Vec<&str> =
            self.settings.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect();
        let last_reset = all.iter().rposition(|value| value.is_empty()).map_or(0, |at| at + 1);
        all.into_iter().skip(last_reset)
    }

    /// The last value of a boolean.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.settings
            .iter()
            .rfind(|(k, _)| k == key)
            .map_or(default, |(_, v)| matches!(v.as_str(), "1" | "yes" | "true" | "on"))
    }
}
