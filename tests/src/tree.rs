//! A snapshot of a tree: every entry's content, owner, mode, links, extended attributes and
//! time, and what differs between two of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Context, Result};

/// What is known of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type and permissions as in `st_mode`.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Length of a regular file in bytes.
    pub length: u64,
    /// Nanoseconds since the epoch.
    pub mtime: i128,
    /// Names of the same inode.
    pub links: u64,
    /// SHA-256 of a regular file, target of a symbolic link, number of a device.
    pub content: Vec<u8>,
    /// Extended attributes: ACLs, labels, capabilities.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Entries by path; the root itself is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
}

/// One difference; `what` is one of `added`, `removed` or a list such as `content, mtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Path below the root, with a leading slash.
    pub path: PathBuf,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl Tree {
    /// Reads everything below `root`. Symbolic links are not followed.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut folders = vec![PathBuf::new()];
        tree.entries.insert(PathBuf::new(), Entry::read(root)?);
        while let Some(folder) = folders.pop() {
            let full = root.join(&folder);
            for found in fs::read_dir(&full).context(|| format!("list {}", full.display()))? {
                let path = folder.join(found?.file_name());
                let entry = Entry::read(&root.join(&path))?;
                if entry.mode & libc_type::MASK == libc_type::DIRECTORY {
                    folders.push(path.clone());
                }
                tree.entries.insert(path, entry);
            }
        }
        Ok(tree)
    }

    /// The entry at `path`, given with or without a leading slash.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        let path = path.as_ref();
        self.entries.get(path.strip_prefix("/").unwrap_or(path))
    }

    /// How many regular files there are.
    pub fn files(&self) -> usize {
        let regular = |entry: &&Entry| entry.mode & libc_type::MASK == libc_type::REGULAR;
        self.entries.values().filter(regular).count()
    }

    /// What is different in `later`, by path.
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (path, entry) in &self.entries {
            match later.entries.get(path) {
                None => found.push(difference(path, "removed".to_owned())),
                Some(other) => {
                    let what = entry.differences(other);
                    if !what.is_empty() {
                        found.push(difference(path, what.join(", ")));
                    }
                }
            }
        }
        let added = later.entries.keys().filter(|path| !self.entries.contains_key(*path));
        found.extend(added.map(|path| difference(path, "added".to_owned())));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }
}

impl Entry {
    fn read(path: &Path) -> Result<Self> {
        let about = || format!("read {}", path.display());
        let meta = fs::symlink_metadata(path).context(about)?;
        let content = match meta.mode() & libc_type::MASK {
            libc_type::REGULAR => hash(path).context(about)?,
            libc_type::LINK => fs::read_link(path).context(about)?.into_os_string().into_vec(),
            libc_type::BLOCK | libc_type::CHARACTER => meta.rdev().to_be_bytes().to_vec(),
            _ => Vec::new(),
        };
        Ok(Self {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            // A folder's length says how it is stored, not what is in it.
            length: if meta.is_dir() { 0 } else { meta.len() },
            mtime: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            links: if meta.is_dir() { 0 } else { meta.nlink() },
            content,
            xattrs: xattrs(path).context(about)?,
        })
    }

    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("content", self.content != other.content || self.length != other.length),
            ("mode", self.mode != other.mode),
            ("owner", self.owner != other.owner),
            ("xattrs", self.xattrs != other.xattrs),
            ("links", self.links != other.links),
            ("mtime", self.mtime != other.mtime),
        ];
        all.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

/// File types in `st_mode`, as inode(7) numbers them.
mod libc_type {
    pub(super) const MASK: u32 = 0o170_000;
    pub(super) const REGULAR: u32 = 0o100_000;
    pub(super) const LINK: u32 = 0o120_000;
    pub(super) const DIRECTORY: u32 = 0o040_000;
    pub(super) const BLOCK: u32 = 0o060_000;
    pub(super) const CHARACTER: u32 = 0o020_000;
}

fn difference(path: &Path, what: String) -> Difference {
    Difference { path: Path::new("/").join(path), what }
}

fn hash(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut block)?;
        match block.get(..length) {
            None | Some([]) => return Ok(digest.finalize().to_vec()),
            Some(part) => digest.update(part),
        }
    }
}

fn xattrs(path: &Path) -> std::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0_u8; 1 << 16];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        // This file system has none.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    for name in names.get(..length).unwrap_or_default().split(|&byte| byte == 0) {
        if name.is_empty() {
            continue;
        }
        let mut value = vec![0_u8; 1 << 16];
        let name_text = OsString::from_vec(name.to_vec());
        let length = rustix::fs::lgetxattr(path, name_text.as_bytes(), &mut value[..])?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn every_kind_of_difference_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["content", "mode", "removed", "same"] {
            fs::write(at(name), name).unwrap();
        }
        symlink("same", at("link")).unwrap();
        let before = Tree::read(folder.path()).unwrap();
        assert_eq!(before.differences(&before), []);

        let same_time = fs::metadata(at("content")).unwrap().modified().unwrap();
        fs::write(at("content"), "changed").unwrap();
        fs::File::options()
            .write(true)
            .open(at("content"))
            .unwrap()
            .set_modified(same_time)
            .unwrap();
        fs::set_permissions(at("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(at("removed")).unwrap();
        fs::remove_file(at("link")).unwrap();
        symlink("mode", at("link")).unwrap();
        fs::hard_link(at("same"), at("added")).unwrap();

        let after = Tree::read(folder.path()).unwrap();
        let found: Vec<String> =
            before.differences(&after).iter().map(ToString::to_string).collect();
        let expected = [
            "/: mtime",
            "/added: added",
            "/content: content",
            "/link: content, mtime",
            "/mode: mode",
            "/removed: removed",
            "/same: links",
        ];
        assert_eq!(found, expected);
    }
}
