//! Which swap areas belong to an image.
//!
//! On a running system: those in use, and those that the image names. Of a mounted image: the
//! files that it names, and partitions and volumes on the disks that its file systems lie on. A
//! name like `/dev/sda2` or a UUID means the machine of the image, never one that looks alike
//! beside it; an area that this machine uses is never touched.

mod area;
pub(super) mod block;
mod candidates;
mod named;
mod residual;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::Volume;
use crate::erase::swap::{self, Active, Header, Identity};
use crate::path::escape;
use crate::report::Residual;
use crate::root::{FileKind, Root};
use crate::{Error, Result};
pub(super) use area::Area;
use area::{Place, open_device, open_file};
use block::Blocks;
use candidates::{candidates, place_of, resolve};
pub(super) use residual::{failed, untouched};
use residual::{left, unknown, unnamed};

/// The swap areas of an image, and those that are left alone.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    pub(super) areas: Vec<Area>,
    pub(super) left: Vec<Residual>,
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

/// Compressed memory is no area on a disk, though fstab may name it.
fn is_memory(place: &Place) -> bool {
    match place {
        Place::Device(path) => path.canonicalize().is_ok_and(|path| swap::is_zram(&path)),
        Place::File(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImagePath;
    use std::fs::File;

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
}
