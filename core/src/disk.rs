//! Below the files: free space and journals are treated, then the devices are searched for what was
//! removed. A hit is treated once more; what is still there then is a finding.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::apply::Progress;
use crate::catalogue::Severity;
use crate::edit::{self, Format};
use crate::erase::{self, EraseMode, FileSystem, FsReport};
use crate::plan::{Change, Plan, Step};
use crate::policy::{ProofMode, Settings};
use crate::proof::{self, Needles, SearchReport, Where};
use crate::reach::Reach;
use crate::report::{Finding, Report, Residual};
use crate::root::{FileKind, Root};
use crate::text::classify;
use crate::{Error, ImagePath, Result};

/// The pseudo rule of what the search of the raw disk found.
pub const PROOF: &str = "proof";

/// Of larger files only the beginning gives needles; histories and keys are smaller.
const LIMIT: u64 = 1 << 20;

/// The rule of copies of account files: all but their passwords stands in the live files too.
const ACCOUNT_COPIES: &str = "acc-backups";

/// Chapters whose files hold no secrets of their own: their text stands in many places.
const NOT_SECRET: &[&str] = &["logs", "leftovers", "host-identity", "installer-leftovers"];

/// What is about to go, in memory that is overwritten when dropped.
#[derive(Debug, Default)]
pub struct Secrets {
    needles: Needles,
    names: Vec<ImagePath>,
}

impl Secrets {
    /// Remembers the most telling pieces of what `plan` removes.
    ///
    /// # Errors
    /// A file that cannot be read; it could not be proven gone.
    pub fn remember(root: &Root, plan: &Plan, settings: &Settings) -> Result<Self> {
        let mut secrets = Self::default();
        for step in plan.steps.iter().filter(|step| is_secret(step, settings)) {
            match &step.change {
                Change::Remove | Change::Truncate => {
                    if root.lstat(&step.path)?.is_none_or(|m| m.kind != FileKind::Regular) {
                        continue;
                    }
                    let text = head(root, &step.path)?;
                    if step.rules.iter().any(|id| id == ACCOUNT_COPIES) {
                        passwords(text.split(|b| *b == b'\n'))
                            .for_each(|field| secrets.add(&step.path, field));
                    } else {
                        secrets.add(&step.path, &text);
                    }
                }
                Change::Edit { format, edits } => {
                    let Some(old) = root.read(&step.path, 64 << 20)? else { continue };
                    let new = edit::run(*format, &old, edits)?;
                    for field in removed(*format, &old, &new) {
                        secrets.add(&step.path, field);
                    }
                }
                _ => {}
            }
        }
        Ok(secrets)
    }

    fn add(&mut self, path: &ImagePath, secret: &[u8]) {
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.needles.add(number, secret);
        self.names.push(path.clone());
    }

    fn name(&self, number: u32) -> ImagePath {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(index).cloned().unwrap_or_else(ImagePath::root)
    }
}

fn is_secret(step: &Step, settings: &Settings) -> bool {
    step.rules.iter().any(|id| {
        settings.catalogue.get(id).is_some_and(|rule| {
            rule.severity >= Severity::High && !NOT_SECRET.contains(&rule.category.as_str())
        })
    })
}

/// The first mebibyte of a file.
fn head(root: &Root, path: &ImagePath) -> Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let Some((file, meta)) = root.open(path)? else { return Ok(Zeroizing::default()) };
    let room = usize::try_from(meta.size.min(LIMIT)).unwrap_or_default();
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(room as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::failed("read", path).because(e))?;
    Ok(bytes)
}

/// What stood in `old` and no longer does in `new`: password fields of account files, else lines.
fn removed<'a>(format: Format, old: &'a [u8], new: &[u8]) -> Vec<&'a [u8]> {
    let stays: BTreeSet<&[u8]> = new.split(|b| *b == b'\n').collect();
    let gone = old.split(|b| *b == b'\n').filter(|line| !stays.contains(line));
    match format {
        Format::Passwd | Format::Shadow | Format::Group | Format::Gshadow => {
            passwords(gone).collect()
        }
        Format::AuthorizedKeys => gone.collect(),
        Format::Subid | Format::Whole => Vec::new(),
    }
}

/// The password fields of account rows that hold one.
fn passwords<'a>(rows: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    rows.filter_map(|row| row.split(|b| *b == b':').nth(1))
        .filter(|field| classify(field).holds_secret())
}

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
        report.findings.extend(found.hits.iter().map(|hit| survivor(hit, secrets)));
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

/// What the search found. In a live file the bytes may stand with good reason; anywhere else
/// something that this run removed can still be read.
fn survivor(hit: &proof::Hit, secrets: &Secrets) -> Finding {
    let (severity, place, remedy) = match &hit.place {
        Where::File(path) => (
            Severity::Medium,
            format!("the file {path}"),
            "look at the file: it has bytes in common with what was removed",
        ),
        Where::Free => (Severity::Critical, "a free block".into(), REMEDY),
        Where::Log => (Severity::Critical, "the journal".into(), REMEDY),
        Where::Metadata => (Severity::High, "metadata of the file system".into(), REMEDY),
        Where::Preallocated(path) => {
            (Severity::Critical, format!("blocks that {path} holds preallocated"), REMEDY)
        }
        Where::Unknown => (Severity::Critical, "a place that could not be told".into(), REMEDY),
    };
    Finding {
        rule: PROOF.into(),
        category: "proof".into(),
        severity,
        path: secrets.name(hit.secret),
        subject: Some(format!("{} at byte {}", hit.device, hit.offset)),
        what: format!("a piece of what this file held is still readable in {place}"),
        why: "a captured image is a copy of blocks, free ones included".into(),
        remedy: remedy.into(),
    }
}

const REMEDY: &str =
    "unmount the image and treat it offline: e2fsck -fy -E discard, zerofree, or xfs_repair";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_field_that_went_is_searched_for() {
        let old = b"root:$6$salt$aaaaaaaaaaaaaaaa:1::\nann:*:1::\nbob:!$y$j9T$bbbbbbbbbbbb:1::\n";
        let new = b"root:*:1::\nann:*:1::\nbob:*:1::\n";
        let gone = removed(Format::Shadow, old, new);
        assert_eq!(gone, [&b"$6$salt$aaaaaaaaaaaaaaaa"[..], b"!$y$j9T$bbbbbbbbbbbb"]);
    }

    #[test]
    fn key_lines_go_as_they_stood() {
        let gone = removed(Format::AuthorizedKeys, b"a key\nb key\n", b"b key\n");
        assert_eq!(gone, [b"a key"]);
    }

    #[test]
    fn a_hit_in_a_live_file_is_no_failure_and_one_in_a_free_block_is() {
        let hit = |place| proof::Hit {
            device: "/dev/x".into(),
            offset: 7,
            secret: 0,
            form: proof::Form::Plain,
            place,
        };
        let secrets = Secrets::default();
        let file = Where::File(ImagePath::literal("/usr/share/doc/x"));
        assert_eq!(survivor(&hit(file), &secrets).severity, Severity::Medium);
        assert_eq!(survivor(&hit(Where::Free), &secrets).severity, Severity::Critical);
    }
}
