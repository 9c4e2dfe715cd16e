//! The swap areas that an image names: in fstab(5) and in swap units, systemd.swap(5).

use std::path::Path;

use crate::reach::unoctal;
use crate::root::Root;
use crate::{ImagePath, Result};

/// Where units may lie that an administrator wrote.
const UNITS: &[&str] = &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Such files are short.
const LIMIT: u64 = 1 << 20;

/// How a swap area is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spec {
    /// A file of the image.
    File(ImagePath),
    /// A device by its path, which means something on the machine of the image only.
    Device(String),
    /// The UUID in its header, in small letters.
    Uuid(String),
    /// The label in its header.
    Label(Vec<u8>),
    /// A link below `/dev/disk`, for instance `by-partuuid/X`.
    Link(String),
}

/// All of them, each once.
///
/// # Errors
/// A file or folder of the image cannot be read.
pub(super) fn all(root: &Root) -> Result<Vec<Spec>> {
    let mut found = Vec::new();
    if let Some(text) = read(root, &ImagePath::literal("/etc/fstab"))? {
        found.extend(text.split(|b| *b == b'\n').filter_map(of_line));
    }
    for folder in UNITS {
        let folder = ImagePath::literal(folder);
        for entry in root.read_dir(&folder)? {
            let unit = folder.join(&entry.name).filter(|_| entry.name.ends_with(b".swap"));
            let text = unit.map(|unit| read(root, &unit)).transpose()?.flatten();
            found.extend(text.as_deref().and_then(of_unit));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn read(root: &Root, path: &ImagePath) -> Result<Option<Vec<u8>>> {
    match root.stat(path)? {
        Some(meta) if meta.kind == crate::root::FileKind::Regular => {
            Ok(root.read(path, LIMIT)?.map(|text| text.to_vec()))
        }
        _ => Ok(None),
    }
}

/// `UUID=... none swap sw 0 0`
fn of_line(line: &[u8]) -> Option<Spec> {
    let mut fields = line.split(|b| b.is_ascii_whitespace()).filter(|f| !f.is_empty());
    let what = fields.next().filter(|what| !what.starts_with(b"#"))?;
    (fields.nth(1)? == b"swap").then(|| of_text(&unoctal(what)))?
}

/// `What=` of a unit.
fn of_unit(text: &[u8]) -> Option<Spec> {
    let line = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"What="))?;
    of_text(line.trim_ascii())
}

fn of_text(what: &[u8]) -> Option<Spec> {
    let text = String::from_utf8_lossy(what).into_owned();
    let Some((tag, value)) = text.split_once('=') else {
        return of_path(what, &text);
    };
    let value = value.trim_matches('"');
    Some(match tag {
        "UUID" => Spec::Uuid(value.to_ascii_lowercase()),
        "LABEL" => Spec::Label(value.as_bytes().to_vec()),
        "PARTUUID" => Spec::Link(format!("by-partuuid/{}", value.to_ascii_lowercase())),
        "PARTLABEL" => Spec::Link(format!("by-partlabel/{value}")),
        _ => return None,
    })
}

fn of_path(what: &[u8], text: &str) -> Option<Spec> {
    if let Some(uuid) = text.strip_prefix("/dev/disk/by-uuid/") {
        return Some(Spec::Uuid(uuid.to_ascii_lowercase()));
    }
    if let Some(label) = text.strip_prefix("/dev/disk/by-label/") {
        return Some(Spec::Label(label.as_bytes().to_vec()));
    }
    if let Some(link) = text.strip_prefix("/dev/disk/") {
        return Some(Spec::Link(link.to_owned()));
    }
    if Path::new(text).starts_with("/dev") {
        return Some(Spec::Device(text.to_owned()));
    }
    ImagePath::new(what).map(Spec::File)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_naming_is_read() {
        let spec = |line: &str| of_line(line.as_bytes());
        assert_eq!(spec("UUID=\"AB-12\" none swap sw 0 0"), Some(Spec::Uuid("ab-12".into())));
        assert_eq!(spec("LABEL=Mem\tswap swap defaults"), Some(Spec::Label(b"Mem".to_vec())));
        assert_eq!(spec("PARTUUID=AA none swap"), Some(Spec::Link("by-partuuid/aa".into())));
        assert_eq!(
            spec("/dev/mapper/vg-s none swap"),
            Some(Spec::Device("/dev/mapper/vg-s".into()))
        );
        assert_eq!(spec("/dev/disk/by-uuid/Ab none swap"), Some(Spec::Uuid("ab".into())));
        let file = ImagePath::new("/swap file").unwrap();
        assert_eq!(spec("/swap\\040file none swap sw"), Some(Spec::File(file)));
        for other in ["# /swap none swap", "/dev/sda1 / ext4 rw", "", "/swap none"] {
            assert_eq!(spec(other), None, "{other}");
        }
        let unit = b"[Swap]\nWhat=/swap.img\nPriority=3\n";
        assert_eq!(of_unit(unit), Some(Spec::File(ImagePath::literal("/swap.img"))));
    }
}
