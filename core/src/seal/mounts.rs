//! File systems of their own below the folders that the first boot needs.
//!
//! systemd orders every local mount after local-fs-pre.target, and systemd-sysusers.service before it
//! (through systemd-tmpfiles-setup-dev.service). A unit that comes before sysusers and needs such a
//! mount closes a circle; systemd 252 then skipped disinherit-early (seen with `/var` in fstab(5)).

use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

/// The folders of `RequiresMountsFor=` in disinherit-early.service.
const NEEDED: [&str; 4] = ["/etc", "/root", "/usr", "/var/lib"];

/// The line of disinherit-early.service that closes the circle.
const LINE: &str = "Before=systemd-sysusers.service systemd-firstboot.service\n";

/// Where mount units lie, see systemd.unit(5).
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// True when fstab(5) or a mount unit of the image mounts a folder that the first boot needs, or one
/// above it. Partitions that systemd-gpt-auto-generator(8) finds are not known here.
///
/// # Errors
/// fstab or a directory of units cannot be read.
pub(super) fn own(root: &Root) -> Result<bool> {
    let fstab = root.read(&ImagePath::literal("/etc/fstab"), 1 << 20)?.unwrap_or_default();
    if points(&fstab).any(|point| is_needed(&point)) {
        return Ok(true);
    }
    for dir in UNITS {
        for entry in root.read_dir(&ImagePath::literal(dir))? {
            let unit = entry.name.strip_suffix(b".mount");
            if entry.kind != FileKind::Directory
                && unit.is_some_and(|unit| is_needed(&path_of(unit)))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A unit's text for such an image.
pub(super) fn without_cycle(unit: &str) -> String {
    unit.replace(LINE, "")
}

/// The mount points of fstab(5); its escapes of blanks do not matter for the folders in question.
fn points(fstab: &[u8]) -> impl Iterator<Item = ImagePath> {
    fstab.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
        let first = fields.next().filter(|f| !f.starts_with(b"#"));
        first.and(fields.next()).filter(|p| p.starts_with(b"/")).and_then(ImagePath::new)
    })
}

/// `var-lib` is `/var/lib`, see systemd-escape(1).
fn path_of(unit: &[u8]) -> ImagePath {
    let path: Vec<u8> = unit.iter().map(|b| if *b == b'-' { b'/' } else { *b }).collect();
    ImagePath::new(path).unwrap_or_else(ImagePath::root)
}

fn is_needed(point: &ImagePath) -> bool {
    *point != ImagePath::root()
        && NEEDED.iter().any(|needed| ImagePath::literal(needed).starts_with(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_count_and_those_beside_do_not() {
        let found = |fstab: &str| points(fstab.as_bytes()).any(|point| is_needed(&point));
        assert!(found("UUID=x / ext4 rw 0 1\nUUID=y\t/var\text4 rw 0 2\n"));
        assert!(found("/dev/sdb1 /root ext4 rw 0 2"));
        assert!(!found(
            "UUID=x / ext4 rw 0 1\n# UUID=y /var ext4\nz /home xfs rw 0 2\ntmpfs /tmp tmpfs\n"
        ));
        assert!(!found("UUID=x /var/log ext4 rw 0 2\nUUID=w none swap sw 0 0\n"));
    }

    #[test]
    fn only_the_line_that_closes_the_circle_goes() {
        let unit = include_str!("../../../firstboot/units/disinherit-early.service");
        let without = without_cycle(unit);
        assert_eq!(without.len() + LINE.len(), unit.len());
        assert!(without.contains("Before=systemd-tmpfiles-setup.service"));
    }

    #[test]
    fn mount_units_are_read_by_their_names() {
        let image = tempfile::tempdir().unwrap();
        let units = image.path().join("etc/systemd/system");
        std::fs::create_dir_all(&units).unwrap();
        let root = Root::offline(image.path()).unwrap();
        std::fs::write(units.join("home.mount"), "").unwrap();
        assert!(!own(&root).unwrap());
        std::fs::write(units.join("var.mount"), "").unwrap();
        assert!(own(&root).unwrap());
    }
}
