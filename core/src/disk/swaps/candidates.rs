//! Which device the image means by the name that it gives to a swap area.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::area::{Place, open_device};
use super::block::{self, Blocks};
use super::named::Spec;
use crate::ImagePath;
use crate::erase::swap::{Header, Identity};
use crate::root::Root;

/// A partition or volume with the header of a swap area.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    identity: Identity,
    uuid: String,
    label: Vec<u8>,
    partition: Option<u32>,
    mapped: Option<String>,
}

/// Those on the disks of the image. What cannot be opened is none of ours.
pub(super) fn candidates(blocks: &Blocks, disks: &BTreeSet<String>, dev: &Path) -> Vec<Candidate> {
    let candidate = |name: String| {
        let (partition, mapped) = (blocks.partition(&name), blocks.mapped(&name));
        let path = match &mapped {
            Some(mapped) => dev.join("mapper").join(mapped),
            None => dev.join(&name),
        };
        let file = open_device(&path, false).ok()?;
        let (identity, header) = (Identity::of(&file.metadata().ok()?), Header::read(&file)?);
        let (uuid, label) = (header.uuid(), header.label());
        Some(Candidate { path, identity, uuid, label, partition, mapped })
    };
    blocks.parts_of(disks).into_iter().filter_map(candidate).collect()
}

/// What the image means by `spec`, as far as it is here.
pub(super) fn resolve(root: &Root, spec: &Spec, candidates: &[Candidate]) -> Option<Place> {
    let found = |is: &dyn Fn(&Candidate) -> bool| {
        candidates.iter().find(|c| is(c)).map(|c| Place::Device(c.path.clone()))
    };
    let live = |path: String| {
        let path = Path::new(&path).canonicalize().ok().filter(|_| root.is_live());
        path.filter(|path| block::number(path).is_some()).map(|path| device(path, candidates))
    };
    match spec {
        Spec::File(path) => Some(Place::File(path.clone())),
        Spec::Uuid(uuid) => {
            found(&|c| c.uuid == *uuid).or_else(|| live(format!("/dev/disk/by-uuid/{uuid}")))
        }
        Spec::Label(label) => found(&|c| c.label == *label)
            .or_else(|| live(format!("/dev/disk/by-label/{}", String::from_utf8_lossy(label)))),
        Spec::Link(link) => {
            let identity = Identity::at(&Path::new("/dev/disk").join(link));
            found(&|c| identity == Some(c.identity)).or_else(|| live(format!("/dev/disk/{link}")))
        }
        Spec::Device(path) if root.is_live() => live(path.clone()),
        Spec::Device(path) => found(&|c| is_called(c, path)),
    }
}

/// Whether the machine of the image calls the candidate `path`: a mapped volume by its name, a
/// partition by its number, because the name of the disk is another one there.
fn is_called(candidate: &Candidate, path: &str) -> bool {
    let name = path.strip_prefix("/dev/").unwrap_or(path);
    if let Some(mapped) = &candidate.mapped {
        let joined = name.split_once('/').filter(|(folder, _)| *folder != "mapper").map(
            |(group, volume)| format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--")),
        );
        return name.strip_prefix("mapper/") == Some(mapped) || joined.as_ref() == Some(mapped);
    }
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    // nvme0n1p2, mmcblk0p2 and loop0p2 end in p and the number; sda2 and vda2 in the number.
    let last = digits.rsplit('p').next().unwrap_or(digits);
    !name.contains('/') && last.parse().ok() == candidate.partition && !last.is_empty()
}

pub(super) fn place_of(path: &Path, candidates: &[Candidate]) -> Place {
    match (block::number(path), ImagePath::new(path.as_os_str().as_bytes())) {
        (None, Some(file)) => Place::File(file),
        _ => device(path.to_owned(), candidates),
    }
}

/// A device under the one name that its candidate has, where it is one.
pub(super) fn device(path: PathBuf, candidates: &[Candidate]) -> Place {
    let identity = Identity::at(&path);
    let known = candidates.iter().find(|c| identity == Some(c.identity));
    Place::Device(known.map_or(path, |c| c.path.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;
    use std::fs::File;

    fn candidate(partition: Option<u32>, mapped: Option<&str>) -> Candidate {
        Candidate {
            path: PathBuf::from("/dev/x"),
            identity: Identity::Device(0),
            uuid: "7".into(),
            label: b"mem".to_vec(),
            partition,
            mapped: mapped.map(str::to_owned),
        }
    }

    #[test]
    fn a_partition_is_known_by_its_number_and_a_volume_by_its_name() {
        let second = candidate(Some(2), None);
        for name in ["/dev/sda2", "/dev/nvme0n1p2", "/dev/vda2", "/dev/mmcblk0p2"] {
            assert!(is_called(&second, name), "{name}");
        }
        for name in ["/dev/sda12", "/dev/sda", "/dev/nvme0n1p1", "/dev/mapper/x2", "/dev/vg/s2"] {
            assert!(!is_called(&second, name), "{name}");
        }
        let volume = candidate(None, Some("my--vg-swap"));
        assert!(is_called(&volume, "/dev/my-vg/swap"));
        assert!(is_called(&volume, "/dev/mapper/my--vg-swap"));
        assert!(!is_called(&volume, "/dev/sda2"));
    }

    #[test]
    fn a_name_of_the_image_never_means_a_device_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/fstab"), "/dev/null none swap\nUUID=8 none swap\n")
            .unwrap();
        let root = Root::offline(folder.path()).unwrap();
        let here = [candidate(Some(2), None)];
        for spec in named::all(&root).unwrap() {
            assert_eq!(resolve(&root, &spec, &here), None, "{spec:?}");
        }
        let known = resolve(&root, &Spec::Uuid("7".into()), &here);
        assert_eq!(known, Some(Place::Device(PathBuf::from("/dev/x"))));
    }

    #[test]
    fn only_devices_with_a_header_on_the_disks_of_the_image_are_candidates() {
        use std::io::Write as _;
        let sys = block::tests::machine();
        let dev = tempfile::tempdir().unwrap();
        std::fs::create_dir(dev.path().join("mapper")).unwrap();
        for (name, swap) in
            [("sda1", false), ("sda2", true), ("mapper/vg-swap", true), ("sdb1", true)]
        {
            let mut page = vec![0u8; 4096];
            if swap {
                page[4086..].copy_from_slice(b"SWAPSPACE2");
            }
            File::create(dev.path().join(name)).unwrap().write_all(&page).unwrap();
        }
        let blocks = Blocks::of(sys.path());
        let found = candidates(&blocks, &BTreeSet::from(["sda".to_owned()]), dev.path());
        let names: Vec<_> =
            found.iter().map(|c| c.path.strip_prefix(dev.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("mapper/vg-swap"), Path::new("sda2")]);
        // The kernel's name of a volume is not that of LVM; both mean the candidate.
        let at = |name: &str| dev.path().join(name);
        std::os::unix::fs::symlink("mapper/vg-swap", at("dm-1")).unwrap();
        assert_eq!(device(at("dm-1"), &found), Place::Device(at("mapper/vg-swap")));
        assert_eq!(device(at("sdb1"), &found), Place::Device(at("sdb1")));
    }
}
