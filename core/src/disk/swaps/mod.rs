//! Which swap areas belong to an image.
//!
//! On a running system: those in use, and those that the image names. Of a mounted image: the
//! files that it names, and partitions and volumes on the disks that its file systems lie on. A
//! name like `/dev/sda2` or a UUID means the machine of the image, never one that looks alike
//! beside it; an area that this machine uses is never touched.

pub(super) mod block;
mod named;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Volume;
use crate::erase::Listener;
use crate::erase::swap::{self, Active, Header, Identity, SwapReport};
use crate::path::escape;
use crate::report::Residual;
use crate::root::{FileKind, Links, Root};
use crate::{Error, ImagePath, Result};
use block::Blocks;
use named::Spec;

/// One swap area of the image.
#[derive(Debug)]
pub(super) struct Area {
    place: Place,
    identity: Identity,
    /// In use by this machine, which is the image then.
    used: Option<Active>,
    /// Taken out of use by this run.
    stopped: bool,
    /// Holds memory of a machine that was put to sleep.
    pub(super) hibernated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Device(PathBuf),
    File(ImagePath),
}

/// The swap areas of an image, and those that are left alone.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    pub(super) areas: Vec<Area>,
    pub(super) left: Vec<Residual>,
}

impl Area {
    /// What a reader calls it: the device here, or the path in the image.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Device(path) => escape(path.as_os_str().as_bytes()).into_owned(),
            Place::File(path) => path.to_string(),
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.is_some()
    }

    /// Its device, unless it is a file.
    pub(super) fn device(&self) -> Option<&Path> {
        match &self.place {
            Place::Device(path) => Some(path),
            Place::File(_) => None,
        }
    }

    /// Takes it out of use; what it holds goes back to memory. Before anything is removed: a file
    /// in use cannot be overwritten.
    ///
    /// # Errors
    /// Memory is too small for what it holds.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(area) = &self.used {
            swap::off(area)?;
            self.stopped = true;
        }
        Ok(())
    }

    /// Overwrites it; `None` where it is still in use, or the plan has removed it.
    ///
    /// # Errors
    /// As [`swap::erase`].
    pub(super) fn erase(&self, root: &Root, listener: Listener<'_>) -> Result<Option<SwapReport>> {
        if self.used.is_some() && !self.stopped {
            return Ok(None);
        }
        let file = match &self.place {
            Place::Device(path) => open_device(path, true)?,
            Place::File(path) if root.lstat(path)?.is_none() => return Ok(None),
            Place::File(path) => open_file(root, path, OFlags::RDWR)?,
        };
        let report = swap::erase_opened(Path::new(&self.name()), &file, listener)?;
        Ok(Some(SwapReport { was_active: self.stopped, ..report }))
    }

    /// What has to be put to use again.
    pub(super) fn to_resume(&self) -> Option<Active> {
        self.used.clone().filter(|_| self.stopped)
    }
}

/// Looks for the swap areas of the image below `root`, whose file systems are `volumes`.
///
/// # Errors
/// A file of the image or /proc/swaps cannot be read.
pub(super) fn discover(root: &Root, volumes: &[Volume]) -> Result<Swaps> {
    let used = swap::in_use()?;
    let blocks = Blocks::of(Path::new("/sys"));
    let disks: BTreeSet<String> =
        volumes.iter().flat_map(|v| blocks.disks(v.fs.number())).collect();
    let on_disks = candidates(&blocks, &disks, Path::new("/dev"));
    let mut found = Swaps::default();
    let mut places = BTreeSet::new();
    if root.is_live() {
        places.extend(used.iter().map(|area| place_of(&area.path, &on_disks)));
    }
    for spec in named::all(root)? {
        match resolve(root, &spec, &on_disks) {
            Some(place) => {
                places.insert(place);
            }
            None if volumes.is_empty() => {}
            None => found.left.push(unknown(&spec)),
        }
    }
    for candidate in &on_disks {
        if !places.contains(&Place::Device(candidate.path.clone())) {
            found.left.push(unnamed(&candidate.path));
        }
    }
    for place in places {
        found.add(root, place, &used)?;
    }
    Ok(found)
}

impl Swaps {
    /// Adds the area at `place`, once under however many names.
    fn add(&mut self, root: &Root, place: Place, used: &[Active]) -> Result<()> {
        let file = match &place {
            Place::Device(path) => Some(open_device(path, false)?),
            Place::File(path) => match root.stat(path)? {
                Some(meta) if meta.kind == FileKind::Regular => {
                    Some(open_file(root, path, OFlags::RDONLY)?)
                }
                _ => None,
            },
        };
        let Some(file) = file else { return Ok(()) };
        let Some(header) = Header::read(&file) else { return Ok(()) };
        let host = match &place {
            Place::Device(path) => path.clone(),
            Place::File(path) => root.host_path().join(path.relative()),
        };
        let meta = file
            .metadata()
            .map_err(|e| Error::failed("look at the swap area", host.display()).because(e))?;
        let identity = Identity::of(&meta);
        if is_memory(&place) || self.areas.iter().any(|area| area.identity == identity) {
            return Ok(());
        }
        let used = used.iter().find(|area| area.is(identity)).cloned();
        if used.is_some() && !root.is_live() {
            let path = escape(host.as_os_str().as_bytes()).into_owned();
            self.left.push(left(&path, "this machine uses it", "run swapoff on it first"));
            return Ok(());
        }
        let hibernated = header.hibernated;
        self.areas.push(Area { place, identity, used, stopped: false, hibernated });
        Ok(())
    }
}

/// A partition or volume with the header of a swap area.
struct Candidate {
    path: PathBuf,
    identity: Identity,
    uuid: String,
    label: Vec<u8>,
    partition: Option<u32>,
    mapped: Option<String>,
}

/// Those on the disks of the image. What cannot be opened is none of ours.
fn candidates(blocks: &Blocks, disks: &BTreeSet<String>, dev: &Path) -> Vec<Candidate> {
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
fn resolve(root: &Root, spec: &Spec, candidates: &[Candidate]) -> Option<Place> {
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

fn place_of(path: &Path, candidates: &[Candidate]) -> Place {
    match (block::number(path), ImagePath::new(path.as_os_str().as_bytes())) {
        (None, Some(file)) => Place::File(file),
        _ => device(path.to_owned(), candidates),
    }
}

/// A device under the one name that its candidate has, where it is one.
fn device(path: PathBuf, candidates: &[Candidate]) -> Place {
    let identity = Identity::at(&path);
    let known = candidates.iter().find(|c| identity == Some(c.identity));
    Place::Device(known.map_or(path, |c| c.path.clone()))
}

/// Compressed memory is no area on a disk, though fstab may name it.
fn is_memory(place: &Place) -> bool {
    match place {
        Place::Device(path) => path.canonicalize().is_ok_and(|path| swap::is_zram(&path)),
        Place::File(_) => false,
    }
}

fn open_device(path: &Path, write: bool) -> Result<File> {
    let failed = |e| Error::failed("open the swap area", path.display()).because(e);
    let mut flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    if write {
        // The kernel refuses a device that is swapped to or mounted, whatever we took it for.
        flags |= libc::O_EXCL;
    }
    // LVM's names are links.
    let real = path.canonicalize().map_err(failed)?;
    let mut options = File::options();
    options.read(true).write(write).custom_flags(flags).open(real).map_err(failed)
}

/// A file of the image, opened without leaving it.
fn open_file(root: &Root, path: &ImagePath, flags: OFlags) -> Result<File> {
    let failed = || Error::failed("open the swap area", path);
    let target = root.target_followed(path, Links::InRoot)?.ok_or_else(failed)?;
    let meta = target.meta()?.ok_or_else(failed)?;
    if meta.kind != FileKind::Regular {
        return Err(failed().because(format!("it is {}", meta.kind)));
    }
    target.open(flags, &meta).map(File::from).map_err(|e| failed().because(e))
}

fn left(name: &str, why: &str, remedy: &str) -> Residual {
    Residual {
        what: format!("pages of memory in the swap area {name}"),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// An area that could not be treated.
pub(super) fn failed(area: &Area, error: &Error) -> Residual {
    left(&area.name(), &error.report(), "run mkswap on it after overwriting it with zeros")
}

/// Policy says to leave the areas alone.
pub(super) fn untouched(area: &Area) -> Residual {
    left(&area.name(), "policy leaves it alone", "run again with erase: auto")
}

fn unknown(spec: &Spec) -> Residual {
    let name = match spec {
        Spec::File(path) => path.to_string(),
        Spec::Device(path) => escape(path.as_bytes()).into_owned(),
        Spec::Uuid(uuid) => format!("UUID={}", escape(uuid.as_bytes())),
        Spec::Label(label) => format!("LABEL={}", escape(label)),
        Spec::Link(link) => format!("/dev/disk/{}", escape(link.as_bytes())),
    };
    let why = "it does not lie on a disk of the image's file systems";
    left(&name, why, "overwrite it where it is, then run mkswap with the same UUID")
}

fn unnamed(path: &Path) -> Residual {
    let name = escape(path.as_os_str().as_bytes()).into_owned();
    let why = "it lies on a disk of the image, which does not name it in fstab";
    left(&name, why, "name it in the image's fstab, or overwrite it")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_swap_file_is_one_area_and_known_to_be_used_under_every_name() {
        use std::os::unix::fs::{FileExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("etc")).unwrap();
        File::create(at("swap")).unwrap().write_all_at(b"SWAPSPACE2", 4086).unwrap();
        symlink("swap", at("link")).unwrap();
        let root = Root::offline(folder.path()).unwrap();
        let file = |name: &str| Place::File(ImagePath::new(name).unwrap());
        let used = [Active { path: at("swap"), used: 0, priority: 0 }];
        let mut found = Swaps::default();
        found.add(&root, file("/link"), &used).unwrap();
        assert!(found.areas.is_empty() && found.left[0].why.contains("this machine uses it"));
        for name in ["/link", "/swap"] {
            found.add(&root, file(name), &[]).unwrap();
        }
        assert_eq!(found.areas.iter().map(Area::name).collect::<Vec<_>>(), ["/link"]);
    }

    #[test]
    fn an_area_that_could_not_be_overwritten_is_to_be_used_again() {
        struct Deaf;
        impl crate::apply::Progress for Deaf {
            fn step(&mut self, _: usize, _: usize, _: &str) {}
            fn phase(&mut self, _: &str, _: u64, _: u64) {}
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let root = Root::offline(folder.path()).unwrap();
        let used = |name: &str| Active { path: folder.path().join(name), used: 0, priority: 3 };
        let area = |place, used| Area {
            place,
            identity: Identity::Device(0),
            used: Some(used),
            stopped: true,
            hibernated: false,
        };
        let areas = vec![
            area(Place::Device(folder.path().join("none")), used("none")),
            // The plan has removed it.
            area(Place::File(ImagePath::new("/gone").unwrap()), used("gone")),
        ];
        let swaps = Swaps { areas, left: Vec::new() };
        let disk = crate::disk::Disk { swaps, ..crate::disk::Disk::default() };
        let mut report = crate::report::Report::of_nothing();
        disk.erase_swaps(&root, crate::erase::EraseMode::Auto, &mut report, &mut Deaf);
        assert_eq!(report.stopped_swaps, [used("none")]);
        assert_eq!((report.swaps.len(), report.residual.len()), (0, 1));
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
