//! dpkg's database: digests of files, names of all, digests of configuration files (deb-md5sums(5),
//! dpkg(1), deb-conffiles(5)).

use super::{Algorithm, Packages, Sum, hex};
use crate::root::Root;
use crate::{ImagePath, Result};

const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";
/// Images without a shell keep one status file a package here, beside its md5sums.
const STATUS_D: &str = "/var/lib/dpkg/status.d";
/// No file of the database is larger.
const LIMIT: u64 = 256 << 20;

pub(super) fn load(root: &Root, packages: &mut Packages) -> Result<()> {
    for dir in [INFO, STATUS_D].map(ImagePath::literal) {
        for entry in root.read_dir(&dir)? {
            let Some(path) = dir.join(&entry.name) else { continue };
            if entry.name.ends_with(b".list") {
                if let Some(text) = root.read(&path, LIMIT)? {
                    lines(&text).for_each(|line| packages.add(line, Sum::Unknown));
                }
            } else if entry.name.ends_with(b".md5sums") {
                if let Some(text) = root.read(&path, LIMIT)? {
                    lines(&text).for_each(|line| sum(line, packages));
                }
            }
        }
    }
    if let Some(text) = root.read(&ImagePath::literal(STATUS), LIMIT)? {
        conffiles(&text, packages);
    }
    Ok(())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn md5(digest: &[u8]) -> Option<Sum> {
    hex::<16>(digest).map(|digest| Sum::of(Algorithm::Md5, &digest))
}

/// `DIGEST  usr/bin/x`
fn sum(line: &[u8], packages: &mut Packages) {
    let (Some(digest), Some(path)) = (line.get(..32), line.get(34..)) else { return };
    if let Some(sum) = md5(digest) {
        packages.add(path, sum);
    }
}

/// ` /etc/x DIGEST`, perhaps with `obsolete` behind it, below `Conffiles:`.
fn conffiles(text: &[u8], packages: &mut Packages) {
    let mut inside = false;
    for line in lines(text) {
        if line.first() != Some(&b' ') {
            inside = line.starts_with(b"Conffiles:");
            continue;
        }
        let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let (Some(path), Some(digest), true) = (words.next(), words.next(), inside) else {
            continue;
        };
        packages.add(path, md5(digest).unwrap_or(Sum::Unknown));
    }
}
