//! Which files the package manager brought, and whether they are still as it brought them: dpkg, apk
//! and rpm. Such a file is the vendor's, whatever it looks like.

mod apk;
mod dpkg;
pub mod rpm;
mod sum;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sum::{Algorithm, Sum, hex};

use crate::root::Root;
use crate::{Error, ImagePath, Result};

/// Folders that lie below `/usr` since their merge, and are still called as before in databases.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// The files of all packages.
#[derive(Debug, Default)]
pub struct Packages {
    /// By a hash of the path: names of a hundred thousand files are many bytes.
    sums: HashMap<u64, Sum>,
    /// Databases that were not read to their end, and why.
    unread: Vec<(ImagePath, String)>,
}

impl Packages {
    /// Reads the databases of the image; an image without one owns nothing.
    ///
    /// # Errors
    /// A text database that cannot be read. One of rpm is in [`Self::unread`] instead.
    pub fn load(root: &Root) -> Result<Self> {
        let mut packages = Self::default();
        dpkg::load(root, &mut packages)?;
        apk::load(root, &mut packages)?;
        rpm::load(root, &mut packages)?;
        Ok(packages)
    }

    /// True where the image has a database that was read to its end.
    pub fn knows_all(&self) -> bool {
        !self.sums.is_empty() && self.unread.is_empty()
    }

    /// Databases that were not read to their end, and why: files may be a package's, and nobody knows.
    pub fn unread(&self) -> &[(ImagePath, String)] {
        &self.unread
    }

    /// True for a file that a package brought, changed or not.
    pub fn owns(&self, path: &ImagePath) -> bool {
        self.sums.contains_key(&key(path.as_bytes()))
    }

    /// True for a file that is byte for byte what a package brought.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_unmodified(&self, root: &Root, path: &ImagePath) -> Result<bool> {
        let Some(sum) = self.sums.get(&key(path.as_bytes())) else { return Ok(false) };
        if *sum == Sum::Unknown {
            return Ok(false);
        }
        match root.open(path)? {
            Some((file, _)) => sum.is_of(file).map_err(|e| Error::failed("read", path).because(e)),
            None => Ok(false),
        }
    }

    /// Adds a file; a name alone does not take away what is known of it.
    fn add(&mut self, path: &[u8], sum: Sum) {
        let place = self.sums.entry(key(path)).or_insert(Sum::Unknown);
        if sum != Sum::Unknown {
            *place = sum;
        }
    }
}

/// The same for `/bin/x`, `bin/x` and `/usr/bin/x`.
fn key(path: &[u8]) -> u64 {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let first = path.split(|b| *b == b'/').next().unwrap_or_default();
    let merged = MERGED.iter().any(|name| name.as_bytes() == first);
    let mut hasher = DefaultHasher::new();
    if merged {
        hasher.write(b"usr/");
    }
    hasher.write(path);
    path.len().wrapping_add(if merged { 4 } else { 0 }).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_folders_are_the_same() {
        assert_eq!(key(b"/bin/sh"), key(b"usr/bin/sh"));
        assert_eq!(key(b"lib/x"), key(b"/usr/lib/x"));
        assert_ne!(key(b"/etc/x"), key(b"/usr/etc/x"));
    }

    #[test]
    fn only_an_unmodified_file_of_a_package_is_the_vendors() {
        let image = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = image.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("etc/x.conf", "as it came\n");
        put("usr/bin/tool", "abc");
        put("usr/bin/own", "abc");
        // MD5 of "abc" (RFC 1321) for both, and of the empty text for the configuration.
        put(
            "var/lib/dpkg/info/tool.md5sums",
            "900150983cd24fb0d6963f7d28e17f72  bin/tool\nodd line\n",
        );
        put("var/lib/dpkg/info/tool.list", "/.\n/etc\n/etc/x.conf\n");
        put(
            "var/lib/dpkg/status",
            "Package: tool\nConffiles:\n /etc/x.conf d41d8cd98f00b204e9800998ecf8427e\nVersion: 1\n",
        );
        let root = Root::offline(image.path()).unwrap();
        let packages = Packages::load(&root).unwrap();
        let same = |path| packages.is_unmodified(&root, &ImagePath::literal(path)).unwrap();
        assert!(packages.knows_all() && same("/usr/bin/tool"));
        assert!(!same("/usr/bin/own") && !same("/etc/x.conf"));
        assert!(packages.owns(&ImagePath::literal("/etc/x.conf")));
        put("usr/bin/tool", "abd");
        assert!(!same("/usr/bin/tool"));
    }
}
