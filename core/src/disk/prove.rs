//! The search of the raw devices for what was removed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::survivors::survivors;
use super::swaps::Area;
use super::{Disk, Secrets, Touched, Treatment, Volume, erase_one};
use crate::apply::Progress;
use crate::erase::journal;
use crate::path::escape;
use crate::policy::{ProofMode, Settings};
use crate::proof::{self, Area as Stretch, Hit, SearchReport, Where};
use crate::report::{Report, Residual};
use crate::{ImagePath, Result};

impl Disk {
    /// Searches the devices for `secrets`; a hit outside of live files is treated once more.
    ///
    /// # Errors
    /// A device that cannot be read.
    pub fn prove(
        &self,
        secrets: &Secrets,
        touched: &Touched,
        settings: &Settings,
        report: &mut Report,
        told: &mut dyn Progress,
    ) -> Result<()> {
        let areas = self.areas(touched, settings.proof)?;
        if settings.proof == ProofMode::Off || areas.is_empty() || secrets.needles.is_empty() {
            if !secrets.needles.is_empty() {
                report.residual.push(Residual::unsearched(settings.proof == ProofMode::Off));
            }
            return Ok(());
        }
        let mut found = self.search(&areas, secrets, settings, told)?;
        let once_more = |hit: &Hit| !matches!(hit.place, Where::File(_)) && !self.announced(hit);
        if found.hits.iter().any(once_more) {
            for volume in &self.volumes {
                erase_one(&volume.fs, settings.erase, told)?;
            }
            found = self.search(&areas, secrets, settings, told)?;
        }
        report.residual.extend(Residual::partly_searched(&found));
        report.findings.extend(survivors(&found, secrets, settings, &|hit| self.announced(hit)));
        report.proof = Some(found);
        Ok(())
    }

    /// The search as the plan shows it, with the time that it will take at the speed of a first
    /// look. What will be touched is not known yet: then all counts.
    pub(super) fn searches(&self, settings: &Settings) -> Vec<Treatment> {
        if settings.proof == ProofMode::Off {
            return Vec::new();
        }
        let areas = self.areas(&Touched::default(), ProofMode::Full).unwrap_or_default();
        let search = |area: Stretch| {
            let speed = proof::measure(&area.device)?;
            let device = escape(area.device.as_os_str().as_bytes()).into_owned();
            let seconds = speed.bytes.checked_div(speed.per_second);
            Some(Treatment::Search { device, bytes: speed.bytes, seconds })
        };
        areas.into_iter().filter_map(search).collect()
    }

    /// What is searched of which device, each device once.
    pub(super) fn areas(&self, touched: &Touched, mode: ProofMode) -> Result<Vec<Stretch>> {
        let mut devices: BTreeMap<PathBuf, Option<Vec<Range<u64>>>> = BTreeMap::new();
        for volume in self.volumes.iter().filter(|v| v.fs.device().exists()) {
            let parts = match mode {
                ProofMode::Touched => touched_on(volume, touched)?,
                ProofMode::Full | ProofMode::Off => None,
            };
            devices.insert(volume.fs.device().to_owned(), parts);
        }
        for device in self.swaps.areas.iter().filter_map(Area::device) {
            devices.insert(device.to_owned(), None);
        }
        Ok(devices.into_iter().map(|(device, parts)| Stretch { device, parts }).collect())
    }

    /// True for what a mounted xfs keeps in its log and its metadata: its report says so, and a
    /// strict run fails.
    fn announced(&self, hit: &Hit) -> bool {
        let here = |v: &&Volume| v.fs.fstype() == "xfs" && v.fs.device_text() == hit.device;
        matches!(hit.place, Where::Log | Where::Metadata) && self.volumes.iter().any(|v| here(&v))
    }

    fn search(
        &self,
        areas: &[Stretch],
        secrets: &Secrets,
        settings: &Settings,
        told: &mut dyn Progress,
    ) -> Result<SearchReport> {
        let limit = settings.proof_limit;
        let mut found = proof::search_areas(areas, &secrets.needles, limit, &mut |at| {
            told.phase("Search", at.done, at.total);
        })?;
        for volume in &self.volumes {
            proof::locate(&volume.fs, &mut found)?;
            name_from_root(volume, &mut found);
        }
        Ok(found)
    }
}

/// The blocks of the files that changed and the journal; `None` for all of the device where the
/// file system does not tell.
fn touched_on(volume: &Volume, touched: &Touched) -> Result<Option<Vec<Range<u64>>>> {
    if !matches!(volume.fs.fstype(), "ext4" | "xfs") {
        return Ok(None);
    }
    let mut parts = touched.on(volume.fs.number());
    parts.extend(journal::parts(&volume.fs)?);
    Ok(Some(parts))
}

/// Paths of hits are seen from the top of their file system; a reader sees them from the root.
fn name_from_root(volume: &Volume, found: &mut SearchReport) {
    let device = volume.fs.device_text();
    for hit in found.hits.iter_mut().filter(|hit| hit.device == device) {
        if let Where::File(path) | Where::Preallocated(path) = &mut hit.place {
            let below = path.components().collect::<Vec<_>>().join(&b'/');
            if volume.at != ImagePath::root() && !path.starts_with(&volume.at) {
                if let Some(seen) = volume.at.join(below) {
                    *path = seen;
                }
            }
        }
    }
}
