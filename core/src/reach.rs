//! Which file systems below a root may be touched, and which are left alone and named.
//!
//! The root's own file system always belongs to it. A file system mounted below it is entered only
//! when it is local and block-backed: never NFS, CIFS, 9p, virtiofs, FUSE or a bind mount from
//! outside, because those are somebody else's data. Source: proc_pid_mountinfo(5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::root::{Meta, Root};
use crate::{Error, ImagePath, Result};

/// File systems that live on a block device of this machine and hold a tree of files.
const LOCAL: &[&str] = &[
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "jfs", "nilfs2", "reiserfs",
    "bcachefs", "zfs",
];

/// Kernel interfaces and memory: nothing of them is captured with the disk.
const VOLATILE: &[&str] = &[
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "ramfs",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "configfs",
    "pstore",
    "bpf",
    "efivarfs",
    "mqueue",
    "hugetlbfs",
    "fusectl",
    "binfmt_misc",
    "autofs",
    "rpc_pipefs",
    "selinuxfs",
];

/// One mounted file system below the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, seen from the root.
    pub at: ImagePath,
    /// Its type, for instance `ext4`.
    pub fstype: String,
    /// Its device or share.
    pub source: String,
    /// True when it is mounted read-only.
    pub read_only: bool,
    /// What of the source is mounted; `/` for the whole file system.
    pub inside: String,
}

/// Which devices may be touched.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    devices: BTreeMap<u64, ImagePath>,
    entered: Vec<Mount>,
    skipped: Vec<Mount>,
    closed: Vec<ImagePath>,
    root_is_mount: bool,
}

impl Reach {
    /// Reads the mounts below `root`.
    ///
    /// # Errors
    /// `/proc/self/mountinfo` cannot be read.
    pub fn discover(root: &Root) -> Result<Self> {
        let table = std::fs::read("/proc/self/mountinfo").map_err(|e| {
            Error::failed("read", "/proc/self/mountinfo").because(e).remedy("mount /proc")
        })?;
        let mut reach = Self::default();
        let top = root.stat(&ImagePath::root())?;
        if let Some(meta) = &top {
            reach.devices.insert(meta.dev, ImagePath::root());
        }
        let host = std::os::unix::ffi::OsStrExt::as_bytes(root.host_path().as_os_str()).to_vec();
        for mount in parse(&table) {
            let Some(at) = below(&mount.point, &host) else { continue };
            if at == ImagePath::root() {
                reach.root_is_mount = true;
                reach.entered.push(mount.mount(at));
                continue;
            }
            let Some(meta) = root.lstat(&at)? else { continue };
            let local = LOCAL.contains(&mount.fstype.as_str()) && mount.source.starts_with("/dev/");
            if local && mount.inside == "/" && !reach.devices.contains_key(&meta.dev) {
                reach.devices.insert(meta.dev, at.clone());
                reach.entered.push(mount.mount(at));
                continue;
            }
            // A bind mount may show another part of the same device: the path decides too.
            reach.closed.push(at.clone());
            if !VOLATILE.contains(&mount.fstype.as_str()) {
                reach.skipped.push(mount.mount(at));
            }
        }
        Ok(reach)
    }

    /// True when the inode lies on a file system that may be touched, and not behind a bind mount.
    pub fn allows(&self, path: &ImagePath, meta: &Meta) -> bool {
        self.devices.contains_key(&meta.dev) && !self.closed.iter().any(|c| path.starts_with(c))
    }

    /// The file systems that are entered; the root's own only when it is a mount itself.
    pub fn entered(&self) -> &[Mount] {
        &self.entered
    }

    /// The file systems with files of their own that are left alone.
    pub fn skipped(&self) -> &[Mount] {
        &self.skipped
    }

    /// True when the root is the top of a mount, so that its whole file system belongs to it.
    pub fn root_is_mount(&self) -> bool {
        self.root_is_mount
    }
}

/// A line of mountinfo.
struct Line {
    point: Vec<u8>,
    inside: String,
    fstype: String,
    source: String,
    read_only: bool,
}

impl Line {
    fn mount(self, at: ImagePath) -> Mount {
        Mount {
            at,
            fstype: self.fstype,
            source: self.source,
            read_only: self.read_only,
            inside: self.inside,
        }
    }
}

fn parse(table: &[u8]) -> Vec<Line> {
    table.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /inside /point rw,noatime shared:1 - ext4 /dev/root rw`
fn parse_line(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|b| *b == b' ');
    let inside = unoctal(fields.nth(3)?);
    let point = unoctal(fields.next()?);
    let options = fields.next()?;
    let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fstype = text(rest.next()?);
    let source = text(&unoctal(rest.next()?));
    let super_options = rest.next().unwrap_or_default();
    let has_ro = |list: &[u8]| list.split(|b| *b == b',').any(|o| o == b"ro");
    let read_only = has_ro(options) || has_ro(super_options);
    Some(Line { point, inside: text(&inside), fstype, source, read_only })
}

/// mountinfo writes space, tab, newline and backslash as `\NNN`.
fn unoctal(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, below)) = rest.split_first() {
        let digits = below.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(value) if *byte == b'\\' => {
                out.push(value);
                rest = below.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = below;
            }
        }
    }
    out
}

/// `point` seen from `host`, `None` when it does not lie below.
fn below(point: &[u8], host: &[u8]) -> Option<ImagePath> {
    let (point, host) = (ImagePath::new(point)?, ImagePath::new(host)?);
    if !point.starts_with(&host) {
        return None;
    }
    let depth = host.components().count();
    ImagePath::new(point.components().skip(depth).collect::<Vec<_>>().join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_an_escaped_space() {
        let line = b"36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/vda1 ro,errors=x";
        let parsed = parse_line(line).unwrap();
        assert_eq!(parsed.point, b"/mnt/a b");
        assert_eq!((parsed.fstype.as_str(), parsed.source.as_str()), ("ext4", "/dev/vda1"));
        assert!(parsed.read_only);
    }

    #[test]
    fn a_torn_line_is_passed_over() {
        assert!(parse_line(b"36 35 98:0 /").is_none());
        assert!(parse(b"\n\n").is_empty());
    }

    #[test]
    fn points_are_seen_from_the_root() {
        assert_eq!(below(b"/mnt/i/boot", b"/mnt/i"), ImagePath::new("/boot"));
        assert_eq!(below(b"/mnt/i", b"/mnt/i"), Some(ImagePath::root()));
        assert_eq!(below(b"/mnt/image2", b"/mnt/i"), None);
        assert_eq!(below(b"/boot", b"/"), ImagePath::new("/boot"));
    }
}
