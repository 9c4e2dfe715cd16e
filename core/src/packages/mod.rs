//! Which files the package manager brought, and whether they are still as it brought them: dpkg and
//! apk. Such a file is the vendor's, whatever it looks like.

mod apk;
mod dpkg;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;

use md5::Md5;
use sha1::Sha1;
use sha1::digest::Digest;

use crate::root::Root;
use crate::{Error, ImagePath, Result};

/// Folders that lie below `/usr` since their merge, and are still called as before in databases.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// A digest as a database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sum {
    /// The database only has the name.
    Unknown,
    /// dpkg's.
    Md5([u8; 16]),
    /// apk's.
    Sha1([u8; 20]),
}

/// The files of all packages.
#[derive(Debug, Default)]
pub struct Packages {
    /// By a hash of the path: names of a hundred thousand files are many bytes.
    sums: HashMap<u64, Sum>,
}

impl Packages {
    /// Reads the databases of the image; an image without one owns nothing.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn load(root: &Root) -> Result<Self> {
        let mut packages = Self::default();
        dpkg::load(root, &mut packages)?;
        apk::load(root, &mut packages)?;
        Ok(packages)
    }

    /// True where the image has a database that this program reads.
    pub fn knows_all(&self) -> bool {
        !self.sums.is_empty()
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
        let failed = |e: std::io::Error| Error::failed("read", path).because(e);
        Ok(match sum {
            Sum::Unknown => false,
            Sum::Md5(sum) => match root.open(path)? {
                Some((file, _)) => digest::<Md5>(file).map_err(failed)?.as_slice() == sum,
                None => false,
            },
            Sum::Sha1(sum) => match root.open(path)? {
                Some((file, _)) => digest::<Sha1>(file).map_err(failed)?.as_slice() == sum,
                None => false,
            },
        })
    }

    /// Adds a file; a name alone does not take away what is known of it.
    fn add(&mut self, path: &[u8], sum: Sum) {
        let place = self.sums.entry(key(path)).or_insert(Sum::Unknown);
        if sum != Sum::Unknown {
            *place = sum;
        }
    }
}

fn digest<D: Digest>(mut file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
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

/// Bytes from hexadecimal digits; `None` for anything else.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
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
