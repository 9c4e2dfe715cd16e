//! What makes an image sealed: units, links and drop-ins, and the manifest that comes first.
//!
//! `scrub` puts [`files`] into its plan, `disinherit-firstboot seal` writes them itself. A package
//! only brings the program; nothing here is active before an image is sealed.

mod command;
mod daemons;
mod inventory;
mod mounts;
mod openrc;
mod order;
mod record;
mod revoked;
mod servers;
mod sshd_files;
mod sshd_settings;
mod systemd;
mod units;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use daemons::Daemon;
pub use inventory::Inventory;
pub use order::{Cycle, cycles};
pub use record::{configs, mentioned, record, seed_digest};
pub(crate) use record::{keys_in, read};
pub use revoked::{REVOKED, revocation_list};
pub use servers::enabled_ssh;
pub use sshd_files::SshdFiles;
pub use units::{SSH_UNITS, Units};

use crate::manifest::Manifest;
use crate::root::Root;
use crate::{ImagePath, Result};

/// One file or link of a sealed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where it lies.
    pub path: ImagePath,
    /// What it is.
    pub kind: Kind,
    /// Why it is there, for the plan and the report.
    pub why: &'static str,
}

/// A file with its content, or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, owned by root.
    File {
        /// All of it.
        content: Cow<'static, [u8]>,
        /// Permission bits.
        mode: u32,
    },
    /// A file that is there, with new content; owner, mode and attributes stay.
    Changed {
        /// All of it.
        content: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        target: Cow<'static, str>,
    },
}

impl Installed {
    /// A regular file.
    pub fn file(
        path: ImagePath,
        content: impl Into<Cow<'static, [u8]>>,
        mode: u32,
        why: &'static str,
    ) -> Self {
        Self { path, kind: Kind::File { content: content.into(), mode }, why }
    }

    fn link(path: ImagePath, target: &'static str, why: &'static str) -> Self {
        Self { path, kind: Kind::Link { target: Cow::Borrowed(target) }, why }
    }
}

/// Where the first-boot program lies, mode 0755.
pub fn binary_path() -> ImagePath {
    ImagePath::literal("/usr/lib/disinherit/disinherit-firstboot")
}

/// State of an earlier life of the disk. Sealing removes it, after the manifest is written: the next
/// boot is a first boot again.
pub fn state_paths() -> [ImagePath; 2] {
    [
        ImagePath::literal("/var/lib/disinherit/state.json"),
        ImagePath::literal("/var/lib/disinherit/quarantine"),
    ]
}

const UNIT_DIR: &str = "/usr/lib/systemd/system";
const DROPIN: &str = "05-disinherit.conf";
const CLOUD_INIT: &str = "/etc/cloud/cloud.cfg.d/99-disinherit.cfg";

/// Everything but the manifest and the program, in the order in which it is to be written.
pub fn files(inventory: &Inventory) -> Vec<Installed> {
    let mut files = if inventory.openrc { openrc::files() } else { systemd::files(inventory) };
    if inventory.closes_passwords() {
        if inventory.sshd.names_revoked {
            // The first boot fills it. It comes before the settings that name it.
            let (path, none) = (ImagePath::literal(REVOKED), revocation_list(&BTreeSet::new()));
            files.push(Installed::file(path, none, 0o644, "keys that sshd refuses"));
        }
        files.extend(inventory.sshd.files.iter().cloned());
    }
    if inventory.cloud_init {
        let path = ImagePath::literal(CLOUD_INIT);
        let content = include_bytes!("../../../cloud-init/99-disinherit.cfg").as_slice();
        files.push(Installed::file(path, content, 0o644, "host keys are left to the gate"));
    }
    // Last: from here on the image is closed.
    files.extend(if inventory.openrc { openrc::links() } else { systemd::links() });
    files
}

/// True when some sshd of `root` reads settings of ours, which name the list of revoked keys.
///
/// # Errors
/// When these cannot be read.
pub fn has_sshd_settings(root: &Root, manifest: &Manifest) -> Result<bool> {
    for path in [sshd_files::DROPIN, sshd_files::FOLDER] {
        if root.lstat(&ImagePath::literal(path))?.is_some() {
            return Ok(true);
        }
    }
    Ok(!sshd_files::changed(root, manifest)?.is_empty())
}

/// Main files of sshd that hold what a sealing has put in; [`crate::sshd::without`] takes it out.
///
/// # Errors
/// When they cannot be read.
pub fn changed_files(root: &Root, manifest: &Manifest) -> Result<Vec<ImagePath>> {
    sshd_files::changed(root, manifest)
}

/// What a sealing may have left in `root`, what makes it active first. Neither the program, nor the
/// manifest, nor the state are among it; nor is [`REVOKED`], which makes nothing active and outlives an
/// sshd that has read its name.
///
/// # Errors
/// When the folder of units cannot be read.
pub fn installed(root: &Root) -> Result<Vec<ImagePath>> {
    let mut paths: Vec<ImagePath> =
        systemd::links().into_iter().chain(openrc::links()).map(|link| link.path).collect();
    let units = ImagePath::literal(UNIT_DIR);
    for entry in root.read_dir(&units)? {
        if entry.name.ends_with(b".d") {
            paths.extend(units.join(&entry.name).and_then(|folder| folder.join(DROPIN)));
        }
    }
    paths.push(ImagePath::literal(sshd_files::DROPIN));
    let folder = ImagePath::literal(sshd_files::FOLDER);
    paths.extend(root.read_dir(&folder)?.iter().filter_map(|entry| folder.join(&entry.name)));
    paths.push(folder);
    paths.push(ImagePath::literal(CLOUD_INIT));
    let own = systemd::files(&Inventory::default()).into_iter().chain(openrc::files());
    paths.extend(
        own.map(|file| file.path).filter(|path| !path.as_bytes().ends_with(DROPIN.as_bytes())),
    );
    let mut there = Vec::new();
    for path in paths {
        if root.lstat(&path)?.is_some() && !there.contains(&path) {
            there.push(path);
        }
    }
    Ok(there)
}

#[cfg(test)]
mod distributions;
#[cfg(test)]
mod sshd_tests;
#[cfg(test)]
mod tests;
