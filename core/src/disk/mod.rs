//! Below the files: free space and journals are treated, then the devices are searched for what was
//! removed. A hit is treated once more; what is still there then is a finding.

mod secrets;
mod survivors;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use secrets::Secrets;
pub use survivors::PROOF;
use survivors::survivors;

use crate::apply::Progress;
use crate::erase::{self, EraseMode, FileSystem, FsReport};
use crate::policy::{ProofMode, Settings};
use crate::proof::{self, SearchReport, Where};
use crate::reach::Reach;
use crate::report::{Report, Residual};
use crate::root::Root;
use crate::{Error, ImagePath, Result};

/// The file systems of an image, as far as they can be treated as a whole.
#[derive(Debug, Default)]
pub struct Disk {
    systems: Vec<FileSystem>,
    unknown: Vec<Residual>,
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
            disk.add(&root.host_path().join(mount.at.relative()), mode)?;
        }
        if !reach.volumes().any(|mount| mount.at == ImagePath::root()) {
            let why = "it is a folder of a larger file system, no file system on a block device, \
                       or seen from inside a container";
            disk.leave(root.host_path(), mode, why.to_owned())?;
        }
        Ok(disk)
    }

    fn add(&mut self, point: &Path, mode: EraseMode) -> Result<()> {
        match FileSystem::of(point) {
            Ok(fs) if !fs.is_whole() => {
                self.leave(point, mode, "it is a part of a larger file system".into())
            }
            Ok(fs) if fs.is_read_only() => {
                self.leave(point, mode, "it is mounted read-only".into())
            }
            Ok(fs) => {
                self.systems.push(fs);
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

    /// Treats free space and journals, and says in `report` what was done and what is left.
    ///
    /// # Errors
    /// A device or file system that fails; fillers are gone then and a rerun goes on.
    pub fn erase(
        &self,
        mode: EraseMode,
        report: &mut Report,
        told: &mut dyn Progress,
    ) -> Result<()> {
        report.residual.extend(self.unknown.iter().cloned());
        for fs in &self.systems {
            let done = erase_one(fs, mode, told)?;
            report.residual.extend(done.residual.iter().map(|r| Residual::below(&done.point, r)));
            report.erased.push(done);
        }
        Ok(())
    }

    /// Searches the devices for `secrets`; a hit outside of live files is treated once more.
    ///
    /// # Errors
    /// A device that cannot be read.
    pub fn prove(
        &self,
        secrets: &Secrets,
        settings: &Settings,
        report: &mut Report,
        told: &mut dyn Progress,
    ) -> Result<()> {
        let devices: BTreeSet<PathBuf> =
            self.systems.iter().map(|fs| fs.device().to_owned()).filter(|d| d.exists()).collect();
        if settings.proof == ProofMode::Off || devices.is_empty() || secrets.needles.is_empty() {
            if !secrets.needles.is_empty() {
                report.residual.push(Residual::unsearched(settings.proof == ProofMode::Off));
            }
            return Ok(());
        }
        let devices: Vec<PathBuf> = devices.into_iter().collect();
        let mut found = search(&devices, &self.systems, secrets, told)?;
        if found.hits.iter().any(|hit| !matches!(hit.place, Where::File(_))) {
            for fs in &self.systems {
                erase_one(fs, settings.erase, told)?;
            }
            found = search(&devices, &self.systems, secrets, told)?;
        }
        report.findings.extend(survivors(&found, secrets));
        report.proof = Some(found);
        Ok(())
    }
}

fn erase_one(fs: &FileSystem, mode: EraseMode, told: &mut dyn Progress) -> Result<FsReport> {
    erase::erase(fs, mode, &mut |at| told.phase(&format!("{:?}", at.step), at.done, at.total))
}

fn search(
    devices: &[PathBuf],
    systems: &[FileSystem],
    secrets: &Secrets,
    told: &mut dyn Progress,
) -> Result<SearchReport> {
    let mut found = proof::search(devices, &secrets.needles, None, &mut |at| {
        told.phase("Search", at.done, at.total);
    })?;
    for fs in systems {
        proof::locate(fs, &mut found)?;
    }
    Ok(found)
}
