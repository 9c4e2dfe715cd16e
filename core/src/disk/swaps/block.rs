//! Block devices as sysfs shows them: which disk a device lies on, which partitions a disk has.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

/// `/sys`, or a folder that looks like it.
#[derive(Debug, Clone)]
pub(in super::super) struct Blocks {
    sys: PathBuf,
}

impl Blocks {
    pub(in super::super) fn of(sys: &Path) -> Self {
        Self { sys: sys.to_owned() }
    }

    /// The kernel's names of the disks that the device `number` lies on, through partitions,
    /// LVM, dm-crypt and RAID; empty where sysfs does not say.
    pub(super) fn disks(&self, number: u64) -> BTreeSet<String> {
        let link = self.sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
        let name = fs::read_link(link).ok().and_then(|path| name_of(&path));
        name.map(|name| self.disks_of(&name, 0)).unwrap_or_default()
    }

    /// The same for a kernel's name.
    pub(super) fn disks_of(&self, name: &str, depth: u8) -> BTreeSet<String> {
        let folder = self.folder(name);
        if folder.join("partition").exists() {
            // A partition's folder lies in that of its disk.
            let real = fs::canonicalize(&folder).ok();
            return real.and_then(|p| name_of(p.parent()?)).into_iter().collect();
        }
        let below = names(&folder.join("slaves"));
        if below.is_empty() || depth > 8 {
            return std::iter::once(name.to_owned()).collect();
        }
        below.iter().flat_map(|name| self.disks_of(name, depth + 1)).collect()
    }

    /// Whether snapshots may keep what the volume with this number held: LVM puts a layer `-real`
    /// below a volume while it has one, and thin volumes share a pool (`-tpool`).
    /// Source: the layer names of LVM2's activation.
    pub(in super::super) fn may_have_snapshots(&self, number: u64) -> bool {
        let link = self.sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
        let name = fs::read_link(link).ok().and_then(|path| name_of(&path)).unwrap_or_default();
        names(&self.folder(&name).join("slaves")).iter().any(|below| {
            let uuid = self.text(below, "dm/uuid").unwrap_or_default();
            uuid.starts_with("LVM-") && (uuid.ends_with("-real") || uuid.ends_with("-tpool"))
        })
    }

    /// The partitions and mapped volumes that lie on one of `disks`, by kernel's name.
    pub(super) fn parts_of(&self, disks: &BTreeSet<String>) -> Vec<String> {
        let all = names(&self.sys.join("class/block"));
        let part = |name: &String| {
            let folder = self.folder(name);
            let is_part = folder.join("partition").exists() || folder.join("dm").exists();
            is_part && !self.disks_of(name, 0).is_disjoint(disks)
        };
        all.into_iter().filter(part).collect()
    }

    /// The number of a partition on its disk.
    pub(super) fn partition(&self, name: &str) -> Option<u32> {
        self.text(name, "partition")?.parse().ok()
    }

    /// The name of a mapped volume, for instance `vg-swap`.
    pub(super) fn mapped(&self, name: &str) -> Option<String> {
        self.text(name, "dm/name")
    }

    fn text(&self, name: &str, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder(name).join(file)).ok()?;
        Some(text.trim().to_owned())
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.sys.join("class/block").join(name)
    }
}

/// The number of the block device at `path`; `None` for anything else.
pub(super) fn number(path: &Path) -> Option<u64> {
    let meta = fs::metadata(path).ok()?;
    meta.file_type().is_block_device().then(|| meta.rdev())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine with sda (sda1, sda2, sda3 with two volumes) and sdb (sdb1).
    pub(in super::super) fn machine() -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let at = |path: &str| sys.path().join(path);
        fs::create_dir_all(at("class/block")).unwrap();
        fs::create_dir_all(at("dev/block")).unwrap();
        let add = |name: &str, folder: &str, number: &str| {
            fs::create_dir_all(at(&format!("devices/{folder}/slaves"))).unwrap();
            symlink(format!("../../devices/{folder}"), at(&format!("class/block/{name}"))).unwrap();
            symlink(format!("../../devices/{folder}"), at(&format!("dev/block/{number}"))).unwrap();
        };
        add("sda", "sda", "8:0");
        add("sdb", "sdb", "8:16");
        for (name, disk, number) in
            [("sda1", "sda", 1), ("sda2", "sda", 2), ("sda3", "sda", 3), ("sdb1", "sdb", 17)]
        {
            add(name, &format!("{disk}/{name}"), &format!("8:{number}"));
            let which = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            fs::write(at(&format!("devices/{disk}/{name}/partition")), which).unwrap();
        }
        for (name, number, mapped) in [("dm-0", 0, "vg-root"), ("dm-1", 1, "vg-swap")] {
            add(name, name, &format!("253:{number}"));
            fs::create_dir(at(&format!("devices/{name}/dm"))).unwrap();
            fs::write(at(&format!("devices/{name}/dm/name")), format!("{mapped}\n")).unwrap();
            fs::create_dir(at(&format!("devices/{name}/slaves/sda3"))).unwrap();
        }
        sys
    }

    #[test]
    fn a_volume_with_a_snapshot_is_known_by_the_layer_below_it() {
        let sys = machine();
        let blocks = Blocks::of(sys.path());
        let volume = rustix::fs::makedev(253, 0);
        assert!(!blocks.may_have_snapshots(volume));
        let at = |path: &str| sys.path().join(path);
        fs::create_dir_all(at("devices/dm-7/dm")).unwrap();
        fs::write(at("devices/dm-7/dm/uuid"), "LVM-abcdef-real\n").unwrap();
        symlink("../../devices/dm-7", at("class/block/dm-7")).unwrap();
        fs::create_dir(at("devices/dm-0/slaves/dm-7")).unwrap();
        assert!(blocks.may_have_snapshots(volume));
        assert!(!blocks.may_have_snapshots(rustix::fs::makedev(9, 9)));
    }

    #[test]
    fn a_volume_lies_on_the_disk_below_its_partition() {
        let sys = machine();
        let blocks = Blocks::of(sys.path());
        let disk = |name: &str| BTreeSet::from([name.to_owned()]);
        assert_eq!(blocks.disks(rustix::fs::makedev(253, 0)), disk("sda"));
        assert_eq!(blocks.disks(rustix::fs::makedev(8, 2)), disk("sda"));
        assert_eq!(blocks.disks(rustix::fs::makedev(8, 16)), disk("sdb"));
        assert!(blocks.disks(rustix::fs::makedev(9, 9)).is_empty());
        let parts = ["dm-0", "dm-1", "sda1", "sda2", "sda3"];
        assert_eq!(blocks.parts_of(&disk("sda")), parts);
        assert_eq!((blocks.partition("sda2"), blocks.partition("dm-1")), (Some(2), None));
        assert_eq!(blocks.mapped("dm-1").as_deref(), Some("vg-swap"));
    }
}
