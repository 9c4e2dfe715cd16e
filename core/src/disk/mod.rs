//! Below the files: free space and journals are treated, then the devices are searched for what was
//! removed. A hit is treated once more; what is still there then is a finding.

mod attributes;
mod prove;
mod secrets;
mod survivors;
mod swaps;
mod touched;
mod treatment;

use std::path::Path;

pub use secrets::Secrets;
pub use survivors::PROOF;
use swaps::Swaps;
use swaps::block::Blocks;
pub use touched::Touched;
pub use treatment::Treatment;

use crate::apply::Progress;
use crate::erase::{self, EraseMode, FileSystem, FsReport, swap};
use crate::policy::Settings;
use crate::reach::Reach;
use crate::report::{Report, Residual};
use crate::root::Root;
use crate::{Error, ImagePath, Result};

/// A file system that is treated as a whole, and where it is mounted in the image.
#[derive(Debug)]
struct Volume {
    at: ImagePath,
    fs: FileSystem,
}

/// The file systems of an image, as far as they can be treated as a whole.
#[derive(Debug, Default)]
pub struct Disk {
    volumes: Vec<Volume>,
    unknown: Vec<Residual>,
    swaps: Swaps,
}

impl Disk {
    /// Looks at the file systems that a scrub of `root` enters.
    ///
    /// # Errors
    /// Refused, before anything is written: free space is to be trimmed or filled, and one of them is
    /// only a part of a larger file system, mounted read-only, or not on a device.
    pub fn discover(root: &Root, reach: &Reach, mode: EraseMode) -> Result<Self> {
        let mut disk = Self::default();
        for mount in reach.volumes() {
            disk.add(root, &mount.at, mode)?;
        }
        if !reach.volumes().any(|mount| mount.at == ImagePath::root()) {
            let why = "it is a folder of a larger file system, no file system on a block device, \
                       or seen from inside a container";
            disk.leave(root.host_path(), mode, why.to_owned())?;
        }
        let blocks = Blocks::of(Path::new("/sys"));
        let kept = disk.volumes.iter().filter(|v| blocks.may_have_snapshots(v.fs.number()));
        let kept: Vec<Residual> = kept.map(in_snapshots).collect();
        disk.unknown.extend(kept);
        if !reach.in_container() {
            disk.swaps = swaps::discover(root, &disk.volumes)?;
        }
        Ok(disk)
    }

    fn add(&mut self, root: &Root, at: &ImagePath, mode: EraseMode) -> Result<()> {
        let point = root.host_path().join(at.relative());
        let point = point.as_path();
        match FileSystem::of(point) {
            Ok(fs) if !fs.is_whole() => {
                self.leave(point, mode, "it is a part of a larger file system".into())
            }
            Ok(fs) if fs.is_read_only() => {
                self.leave(point, mode, "it is mounted read-only".into())
            }
            Ok(fs) => {
                self.volumes.push(Volume { at: at.clone(), fs });
                Ok(())
            }
            Err(error) => self.leave(point, mode, error.report()),
        }
    }

    /// What cannot be treated is refused when it was asked for, else named.
    fn leave(&mut self, point: &Path, mode: EraseMode, why: String) -> Result<()> {
        if matches!(mode, EraseMode::Trim | EraseMode::Fill) {
            return Err(Error::refused("erase the free space of", point.display())
                .because(why)
                .remedy("use erase: auto or files"));
        }
        self.unknown.push(Residual {
            what: format!("free space below {}", point.display()),
            why,
            remedy: "scrub the mounted image itself, or treat its device: fstrim, zerofree".into(),
        });
        Ok(())
    }

    /// Treats the free space of each xfs before its tool runs: xfs_repair takes free blocks for trees
    /// and free lists, and leaves in them what they hold.
    ///
    /// # Errors
    /// As [`Disk::erase`].
    pub fn before_repair(&self, mode: EraseMode, told: &mut dyn Progress) -> Result<()> {
        let mut xfs = self.volumes.iter().filter(|v| v.fs.fstype() == "xfs");
        xfs.try_for_each(|volume| erase_one(&volume.fs, mode, told).map(drop))
    }

    /// Says that the log on `device` was made anew.
    pub fn has_new_log(&mut self, device: &Path) {
        for volume in self.volumes.iter_mut().filter(|v| v.fs.device() == device) {
            volume.fs.has_new_log();
        }
    }

    /// What will be done below the files, as the plan shows it.
    pub fn treatments(&self, settings: &Settings) -> Vec<Treatment> {
        let how = match settings.erase {
            EraseMode::Auto => "discard and overwrite free space, overwrite the journal",
            EraseMode::Trim => "discard free space, overwrite the journal",
            EraseMode::Fill => "overwrite free space and the journal",
            EraseMode::Files | EraseMode::Off => "",
        };
        let mut out = Vec::new();
        if !how.is_empty() {
            out.extend(self.swaps.areas.iter().map(|area| Treatment::Swap {
                area: area.name(),
                used: area.is_used(),
                hibernated: area.hibernated,
            }));
            out.extend(self.volumes.iter().map(|volume| Treatment::FreeSpace {
                point: volume.at.to_string(),
                fstype: volume.fs.fstype().to_owned(),
                device: volume.fs.device_text(),
                how: how.to_owned(),
            }));
        }
        out.extend(self.searches(settings));
        out
    }

    /// Takes the swap areas out of use that will be overwritten. Where memory is too small for one,
    /// that is named in the end.
    pub fn stop_swaps(&mut self, mode: EraseMode) {
        if matches!(mode, EraseMode::Files | EraseMode::Off) {
            return;
        }
        for area in &mut self.swaps.areas {
            if let Err(error) = area.stop() {
                self.swaps.left.push(swaps::failed(area, &error));
            }
        }
    }

    /// Puts the swap areas to use again that [`Disk::stop_swaps`] took out of it.
    pub fn resume_swaps(&self) {
        for area in self.swaps.areas.iter().filter_map(swaps::Area::to_resume) {
            if let Err(error) = swap::on(&area) {
                log::warn!("{}", error.report());
            }
        }
    }

    /// Treats swap areas, free space and journals, and says in `report` what was done and what is
    /// left. A swap area that was in use is out of use afterwards.
    ///
    /// # Errors
    /// A device or file system that fails; fillers are gone then and a rerun goes on.
    pub fn erase(
        &self,
        root: &Root,
        mode: EraseMode,
        report: &mut Report,
        told: &mut dyn Progress,
    ) -> Result<()> {
        report.residual.extend(self.unknown.iter().cloned());
        self.erase_swaps(root, mode, report, told);
        for volume in &self.volumes {
            let done = erase_one(&volume.fs, mode, told)?;
            report.residual.extend(done.residual.iter().map(|r| Residual::below(&done.point, r)));
            report.erased.push(done);
        }
        Ok(())
    }
}

impl Disk {
    /// One that cannot be treated is named, and the search reads it all the same.
    fn erase_swaps(
        &self,
        root: &Root,
        mode: EraseMode,
        report: &mut Report,
        told: &mut dyn Progress,
    ) {
        report.residual.extend(self.swaps.left.iter().cloned());
        for area in &self.swaps.areas {
            if matches!(mode, EraseMode::Files | EraseMode::Off) {
                report.residual.push(swaps::untouched(area));
                continue;
            }
            let listener: erase::Listener<'_> =
                &mut |at| told.phase(&format!("{:?}", at.step), at.done, at.total);
            let erased = area.erase(root, listener);
            if !matches!(erased, Ok(None)) {
                report.stopped_swaps.extend(area.to_resume());
            }
            match erased {
                Ok(done) => report.swaps.extend(done),
                Err(error) => report.residual.push(swaps::failed(area, &error)),
            }
        }
    }
}

fn in_snapshots(volume: &Volume) -> Residual {
    Residual {
        what: format!("{}: snapshots of the volume {}", volume.at, volume.fs.device_text()),
        why: "LVM keeps for them what the volume held before, or shares a thin pool with them"
            .into(),
        remedy: "look with lvs -o lv_name,origin,pool_lv, and remove them with lvremove".into(),
    }
}

fn erase_one(fs: &FileSystem, mode: EraseMode, told: &mut dyn Progress) -> Result<FsReport> {
    erase::erase(fs, mode, &mut |at| told.phase(&format!("{:?}", at.step), at.done, at.total))
}
