//! Which file systems below a root may be touched, and which are left alone and named.
//!
//! The root's own file system always belongs to it. A file system mounted below it is entered only
//! when it is local and block-backed: never NFS, CIFS, 9p, virtiofs, FUSE or a bind mount from
//! outside, because those are somebody else's data. Source: proc_pid_mountinfo(5).

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Pattern, Severity};
use crate::facts::Problem;
use crate::root::{FileKind, Meta, Root};
use crate::{Error, ImagePath, Result};
pub(crate) use table::unoctal;
use table::{Line, Table, View, below, parse};

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

/// Where a mount in memory is no surprise, because what lies below it is not the image's data.
const SCRATCH: &[&str] = &[
    "/dev",
    "/media",
    "/mnt",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/var/lock",
    "/var/run",
    "/var/tmp",
];

/// Which devices may be touched.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    devices: BTreeMap<u64, ImagePath>,
    entered: Vec<Mount>,
    skipped: Vec<Mount>,
    closed: Vec<ImagePath>,
    hidden: Vec<Mount>,
    root_is_mount: bool,
    container: bool,
    /// Entered overlays. A file of a lower layer tells a device of its own.
    overlays: Vec<ImagePath>,
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
        let host = std::os::unix::ffi::OsStrExt::as_bytes(root.host_path().as_os_str()).to_vec();
        // Another user's FUSE answers nobody, root included.
        let device = |at: &ImagePath| root.lstat(at).ok().flatten().map(|meta| meta.dev);
        let exists = |path| matches!(root.lstat(&ImagePath::literal(path)), Ok(Some(_)));
        let container = ["/run/systemd/container", "/run/.containerenv", "/.dockerenv"];
        let view = View {
            host: ImagePath::new(host).unwrap_or_else(ImagePath::root),
            live: root.is_live(),
            container: container.into_iter().any(exists),
        };
        let mut reach = Self::judge(&parse(&table), &view, &device);
        reach.overlays.extend(root.is_overlay().then(ImagePath::root));
        Ok(reach)
    }

    fn judge(lines: &[Line], view: &View, device: &dyn Fn(&ImagePath) -> Option<u64>) -> Self {
        let mut reach = Self { container: view.live && view.container, ..Self::default() };
        reach.devices.extend(device(&ImagePath::root()).map(|dev| (dev, ImagePath::root())));
        let table = Table::of(lines, view);
        for line in lines {
            let Some(at) = below(&line.point, view.host.as_bytes()) else { continue };
            if table.hides(line) {
                continue;
            }
            if at == ImagePath::root() {
                reach.root_is_mount = line.inside == "/";
                reach.entered.push(line.mount(at));
                continue;
            }
            match device(&at).filter(|dev| table.belongs(line, !reach.devices.contains_key(dev))) {
                Some(dev) => {
                    reach.devices.entry(dev).or_insert_with(|| at.clone());
                    reach.overlays.extend((line.fstype == "overlay").then(|| at.clone()));
                    reach.entered.push(line.mount(at));
                }
                // A bind mount may show another part of the same device: the path decides too.
                None => reach.close(line, at, view.live && view.container),
            }
        }
        reach
    }

    fn close(&mut self, line: &Line, at: ImagePath, container: bool) {
        let is = |kinds: &[&str]| kinds.contains(&line.fstype.as_str());
        let scratch = SCRATCH.iter().any(|dir| at.starts_with(&ImagePath::literal(dir)));
        // Deeper down memory is where services keep what is nobody's.
        let covers = is(&["tmpfs", "ramfs"]) && !scratch && at.components().count() < 3;
        if !is(VOLATILE) || covers || is(&["autofs"]) && !scratch {
            self.skipped.push(line.mount(at.clone()));
        }
        // What a container has mounted is not captured with its image.
        if (is(LOCAL) || covers) && !container {
            self.hidden.push(line.mount(at.clone()));
        }
        self.closed.push(at);
    }

    /// True when the inode lies on a file system that may be touched, and not behind a bind mount.
    /// `path` has no links on the way.
    pub fn allows(&self, path: &ImagePath, meta: &Meta) -> bool {
        let known = self.devices.contains_key(&meta.dev) || self.in_layer(path, meta);
        known && !self.closed.iter().any(|c| path.starts_with(c))
    }

    /// True for a file of an overlay: its device need not be that of the directories around it
    /// (the kernel's Documentation/filesystems/overlayfs.rst, "Inode properties").
    fn in_layer(&self, path: &ImagePath, meta: &Meta) -> bool {
        let inner = self.entered.iter().map(|m| &m.at).filter(|at| path.starts_with(at));
        let root = ImagePath::root();
        let mount = inner.max_by_key(|at| at.components().count()).unwrap_or(&root);
        meta.kind != FileKind::Directory && self.overlays.contains(mount)
    }

    /// The file systems that are entered; the root's own only when it is a mount itself.
    pub fn entered(&self) -> &[Mount] {
        &self.entered
    }

    /// Those of them whose free space is the image's own: local, on a block device, and not seen
    /// from inside a container, whose file system is a part of its host's.
    pub fn volumes(&self) -> impl Iterator<Item = &Mount> {
        self.entered.iter().filter(|m| {
            !self.container && LOCAL.contains(&m.fstype.as_str()) && m.source.starts_with("/dev/")
        })
    }

    /// The file systems with files of their own that are left alone.
    pub fn skipped(&self) -> &[Mount] {
        &self.skipped
    }

    /// Mounts that were left alone and are, or hide, what looks like a part of the image, but for
    /// those that policy allows.
    pub fn problems(&self, allow: &[Pattern]) -> Vec<Problem> {
        let meant = |m: &&Mount| !allow.iter().any(|pattern| pattern.matches(&m.at));
        let what = |m: &Mount| {
            format!(
                "{} is mounted here ({}) and was left alone; unmount it, or name the path under \
                 allow: paths",
                m.source, m.fstype
            )
        };
        let problem =
            |m: &Mount| Problem { path: m.at.clone(), what: what(m), severity: Severity::High };
        self.hidden.iter().filter(meant).map(problem).collect()
    }

    /// True for a running system that is a container: its host's devices are none of its own.
    pub fn in_container(&self) -> bool {
        self.container
    }

    /// True when the root is the top of a mount and of its file system, so that all of that belongs
    /// to it. A bind mount of a folder is no such root.
    pub fn root_is_mount(&self) -> bool {
        self.root_is_mount
    }
}
