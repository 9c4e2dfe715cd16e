//! One mounted file system: what it is, which device it lies on, what its superblock says.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::device::Device;
use super::mounts::{Entry, entries};
use crate::path::escape;
use crate::{Error, Result};

/// The first inode of a btrfs subvolume (`BTRFS_FIRST_FREE_OBJECTID`).
const BTRFS_SUBVOLUME: u64 = 256;

/// A mounted file system, named by a directory in it.
#[derive(Debug)]
pub struct FileSystem {
    pub(super) root: File,
    point: PathBuf,
    fstype: String,
    device: PathBuf,
    number: u64,
    read_only: bool,
    whole: bool,
    new_log: bool,
}

impl FileSystem {
    /// The file system that `directory` lies on. When `directory` is where it is mounted, the
    /// whole file system is meant, see [`FileSystem::is_whole`].
    ///
    /// Source of the fields: proc_pid_mountinfo(5); the device's name comes from
    /// `/sys/dev/block`, because mountinfo may say `/dev/root`.
    ///
    /// # Errors
    /// The directory cannot be opened, or no mount holds it.
    pub fn of(directory: &Path) -> Result<Self> {
        let failed = |e| Error::failed("open", directory.display()).because(e);
        let point = directory.canonicalize().map_err(failed)?;
        let root = File::open(&point).map_err(failed)?;
        let meta = root.metadata().map_err(failed)?;
        if !meta.is_dir() {
            return Err(Error::refused("erase", directory.display())
                .remedy("name the directory on which the file system is mounted"));
        }
        let table = std::fs::read("/proc/self/mountinfo").map_err(|e| {
            Error::failed("read", "/proc/self/mountinfo").because(e).remedy("mount /proc")
        })?;
        let entry = holder(&table, &point).ok_or_else(|| {
            Error::failed("find the mount of", point.display())
                .remedy("name a directory that /proc/self/mountinfo lists")
        })?;
        let subvolume = entry.fstype == "btrfs" && meta.ino() == BTRFS_SUBVOLUME;
        let whole = entry.point == point && (entry.inside == b"/" || subvolume);
        let number = meta.dev();
        let device = device_node(number).unwrap_or(entry.source);
        let (fstype, read_only) = (entry.fstype, entry.read_only);
        let new_log = false;
        Ok(Self { root, point, fstype, device, number, read_only, whole, new_log })
    }

    /// The directory it was named by, without symbolic links.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Its type as the kernel names it, for instance `ext4`.
    pub fn fstype(&self) -> &str {
        &self.fstype
    }

    /// The block device it lies on; for a file system of several devices the first one.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// The device as reports write it.
    pub(crate) fn device_text(&self) -> String {
        escape(self.device.as_os_str().as_bytes()).into_owned()
    }

    /// The number of the device, as stat(2) tells it of every file of the file system.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// True when it is mounted read-only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// True when the directory is the top of the file system, or of a btrfs subvolume: only then
    /// may its free space be touched, otherwise it belongs to something larger.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Says that its log was made anew while it was unmounted, by this run.
    pub(crate) fn has_new_log(&mut self) {
        self.new_log = true;
    }

    /// True when its log holds nothing from before this run.
    pub(super) fn is_log_new(&self) -> bool {
        self.new_log
    }

    /// A handle on the directory it was named by.
    pub(crate) fn root(&self) -> &File {
        &self.root
    }

    /// The device number as struct fsmap writes it (`new_encode_dev`).
    pub(super) fn fsmap_device(&self) -> u32 {
        let (major, minor) = (major(self.number), minor(self.number));
        (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
    }

    /// The device's name below `/sys/block` and `/sys/fs/ext4`.
    pub(super) fn kernel_name(&self) -> Option<String> {
        let link = std::fs::read_link(sys_link(self.number)).ok()?;
        Some(link.file_name()?.to_str()?.to_owned())
    }

    /// Free bytes, those kept for root included.
    ///
    /// # Errors
    /// fstatvfs(3) fails.
    pub(super) fn free(&self) -> Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.root).map_err(|e| self.failed("measure", e))?;
        Ok(stat.f_bfree.saturating_mul(stat.f_frsize))
    }

    /// The size of a block in bytes.
    ///
    /// # Errors
    /// fstatvfs(3) fails.
    pub(super) fn block(&self) -> Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.root).map_err(|e| self.failed("measure", e))?;
        Ok(stat.f_frsize.max(512))
    }

    /// Writes back everything, and waits for the log: freed blocks are then free for everybody.
    ///
    /// # Errors
    /// A write failed since the last call, or now.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.root).map_err(|e| self.failed("sync", e))
    }

    /// Opens the device past the page cache. `None` when it is not the one that is mounted.
    ///
    /// # Errors
    /// The device cannot be opened or has no size.
    pub(super) fn open_device(&self, write: bool) -> Result<Option<Device>> {
        let device = Device::open(&self.device, write)?;
        let same = device.number()? == self.number || self.fstype == "btrfs";
        Ok(same.then_some(device))
    }

    /// An error about this file system.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::failed(operation, self.point.display()).because(cause)
    }
}

/// What the superblock on the device says about ways that are closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Superblock {
    /// ext4 hands out clusters of several blocks.
    pub(super) bigalloc: bool,
    /// ext4 has a journal.
    pub(super) journal: bool,
    /// xfs has a realtime section.
    pub(super) realtime: bool,
    /// Devices of a btrfs.
    pub(super) devices: u64,
}

impl Superblock {
    /// Reads the superblock of an ext4, xfs or btrfs; of others everything is unset.
    ///
    /// Sources: fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h and fs/btrfs/ctree.h of Linux.
    ///
    /// # Errors
    /// The device cannot be read.
    pub(super) fn read(device: &Device) -> Result<Self> {
        const PAGE: usize = 4096;
        let mut found = Self { devices: 1, ..Self::default() };
        let mut buffer = super::device::DirectBuffer::new(PAGE);
        device.read(buffer.slice(PAGE), 0)?;
        let head = buffer.slice(PAGE);
        if head.get(1024 + 0x38..1024 + 0x3a) == Some(&[0x53, 0xef]) {
            found.journal = little(head, 1024 + 0x5c, 4) & 0x4 != 0;
            found.bigalloc = little(head, 1024 + 0x64, 4) & 0x200 != 0;
        }
        if head.get(..4) == Some(b"XFSB") {
            found.realtime = head.get(16..24).is_some_and(|count| count != [0; 8]);
        }
        if device.size() >= 0x1_1000 {
            device.read(buffer.slice(PAGE), 0x1_0000)?;
            let btrfs = buffer.slice(PAGE);
            if btrfs.get(0x40..0x48) == Some(b"_BHRfS_M") {
                found.devices = little(btrfs, 0x88, 8);
            }
        }
        Ok(found)
    }
}

/// A little-endian number of `width` bytes, 0 when it is not there.
pub(super) fn little(bytes: &[u8], at: usize, width: usize) -> u64 {
    let field = bytes.get(at..at + width).unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn sys_link(number: u64) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{}:{}", major(number), minor(number)))
}

/// The node in /dev of a block device number; `None` for anonymous devices (btrfs, overlay).
fn device_node(number: u64) -> Option<PathBuf> {
    let text = std::fs::read_to_string(sys_link(number).join("uevent")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Path::new("/dev").join(name))
}

/// The mount that holds `path`: the longest mount point, of equal ones the last, which hides the
/// others.
fn holder(table: &[u8], path: &Path) -> Option<Entry> {
    entries(table).filter(|e| path.starts_with(&e.point)).max_by_key(|e| e.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw - ext4 /dev/root rw\n\
        30 22 7:0 / /mnt/a\\040b rw,noatime shared:1 - xfs /dev/loop0 rw\n\
        31 22 7:1 /sub /mnt/a\\040b ro - xfs /dev/loop1 rw\n";

    #[test]
    fn the_longest_and_last_mount_holds_a_path() {
        assert_eq!(holder(TABLE, Path::new("/mnt/ab")).unwrap().fstype, "ext4");
        let hidden = holder(TABLE, Path::new("/mnt/a b/c")).unwrap();
        assert_eq!((hidden.inside.as_slice(), hidden.read_only), (&b"/sub"[..], true));
    }

    #[test]
    fn a_directory_inside_a_file_system_is_not_the_whole() {
        let inside = FileSystem::of(Path::new("/proc/self")).unwrap();
        assert!(!inside.is_whole());
        assert_eq!(inside.fstype(), "proc");
        assert!(FileSystem::of(Path::new("/proc")).unwrap().is_whole());
    }
}
