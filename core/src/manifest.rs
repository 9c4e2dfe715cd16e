//! The sealed manifest: what an image carried when it was captured.
//!
//! It is a deny list for the first boot. A public key that stands here is never taken for one that
//! the platform has injected, and an account that had a password at capture has none afterwards.
//! It holds no password hash (those could be cracked) and no time stamp (two builds of the same
//! input give the same bytes).

mod by_name;
mod key_hash;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::change;
use crate::identity::Identity;
use crate::path::{ImagePath, unescape};
use crate::root::{Links, Root};
use crate::{Error, Result};

pub use key_hash::KeyHash;
pub use policy::{BootPolicy, InjectedPassword, SealedKeys};

/// Where the manifest lies in the image.
pub const PATH: &str = "/var/lib/disinherit/manifest.json";

/// Version of the format that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// A manifest of a few hundred accounts and keys stays far below this.
const LIMIT: u64 = 8 << 20;

/// What the image carried when it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub schema: u32,
    /// Version of the program that sealed the image last.
    pub version: String,
    /// How the first boot decides.
    #[serde(default)]
    pub policy: BootPolicy,
    /// Identifiers of the catalogue rules that were applied.
    #[serde(default)]
    pub rules: BTreeSet<String>,
    /// Accounts of `/etc/passwd` at sealing, by name.
    #[serde(default, with = "by_name")]
    pub accounts: BTreeMap<String, Account>,
    /// Public keys that sshd would have accepted.
    #[serde(default)]
    pub keys: BTreeSet<KeyHash>,
    /// The part of `keys` that policy kept: they may log in, but are no evidence of injection.
    #[serde(default)]
    pub kept_keys: BTreeSet<KeyHash>,
    /// Public halves of the host keys.
    #[serde(default)]
    pub host_keys: BTreeSet<KeyHash>,
    /// Units of provisioning agents that the image enables.
    #[serde(default)]
    pub agents: BTreeSet<String>,
    /// SHA-256 of the files of a cloud-init seed that lay in the image: it is no metadata service.
    #[serde(default)]
    pub seeds: BTreeSet<KeyHash>,
    /// Main files that a service gives to sshd by `-f`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sshd_files: BTreeSet<String>,
    /// Identity of the machine that sealed the image, when it sealed itself.
    #[serde(default)]
    pub identity: Identity,
}

/// One row of `/etc/passwd` at sealing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Login name, escaped as [`crate::path::escape`] does.
    pub name: String,
    /// User number, where the row had one.
    pub uid: Option<u32>,
    /// Home directory, escaped.
    pub home: String,
    /// Login shell, escaped.
    pub shell: String,
    /// The account had a hash (locked or not) or an empty field before sealing.
    pub had_password: bool,
}

/// [`PATH`] as an image path.
pub fn path() -> ImagePath {
    ImagePath::literal(PATH)
}

impl Default for Manifest {
    fn default() -> Self {
        Self::new(env!("CARGO_PKG_VERSION"))
    }
}

impl Manifest {
    /// The main files of [`Self::sshd_files`].
    pub fn sshd_main_files(&self) -> impl Iterator<Item = ImagePath> {
        self.sshd_files.iter().filter_map(|file| ImagePath::new(unescape(file)?))
    }

    /// A manifest that lists nothing, sealed by this version.
    pub fn new(version: &str) -> Self {
        Self {
            schema: SCHEMA,
            version: version.to_owned(),
            policy: BootPolicy::default(),
            rules: BTreeSet::new(),
            accounts: BTreeMap::new(),
            keys: BTreeSet::new(),
            kept_keys: BTreeSet::new(),
            host_keys: BTreeSet::new(),
            agents: BTreeSet::new(),
            seeds: BTreeSet::new(),
            sshd_files: BTreeSet::new(),
            identity: Identity::default(),
        }
    }

    /// Reads the manifest of `root`; `None` when the image is not sealed.
    ///
    /// # Errors
    /// When the file is there but cannot be read, is no JSON, or has another schema: the image is
    /// sealed, and nobody may conclude the opposite.
    pub fn read(root: &Root) -> Result<Option<Self>> {
        let Some(bytes) = root.read(&ImagePath::literal(PATH), LIMIT)? else { return Ok(None) };
        Self::from_json(&bytes).map(Some)
    }

    /// Parses what [`Manifest::to_json`] wrote. Unknown members are ignored, another schema is not.
    ///
    /// # Errors
    /// When `bytes` are no manifest of schema 1.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::failed("parse", PATH).because(e).remedy(REMEDY))?;
        if manifest.schema != SCHEMA {
            let what = format!("{PATH} (schema {}, known is {SCHEMA})", manifest.schema);
            return Err(Error::failed("understand", what).remedy(REMEDY));
        }
        Ok(manifest)
    }

    /// Adds what another sealing found; nothing is ever taken out. Policy and version become the
    /// later ones; a password bit stays set; an account known under both keeps its newer row.
    #[must_use]
    pub fn extend(mut self, other: &Self) -> Self {
        self.version.clone_from(&other.version);
        self.policy.clone_from(&other.policy);
        self.rules.extend(other.rules.iter().cloned());
        self.keys.extend(&other.keys);
        self.kept_keys.clone_from(&other.kept_keys);
        self.host_keys.extend(&other.host_keys);
        self.agents.extend(other.agents.iter().cloned());
        self.seeds.extend(&other.seeds);
        self.sshd_files.extend(other.sshd_files.iter().cloned());
        if !other.identity.is_empty() {
            self.identity.clone_from(&other.identity);
        }
        for (name, account) in &other.accounts {
            let had = self.accounts.get(name).is_some_and(|a| a.had_password);
            let mut account = account.clone();
            account.had_password |= had;
            self.accounts.insert(name.clone(), account);
        }
        self
    }

    /// The manifest as indented JSON with a final newline; the same value gives the same bytes.
    pub fn to_json(&self) -> String {
        // Serialising cannot fail here: no map has keys that are no text, no member fails by itself.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Extends the manifest of `root` by `self` and writes it durably. Returns whether it changed.
    ///
    /// # Errors
    /// When the present manifest cannot be read (it is not overwritten), or the write fails.
    pub fn write(&self, root: &Root) -> Result<bool> {
        let path = ImagePath::literal(PATH);
        let before = Self::read(root)?;
        let merged = before.clone().map_or_else(|| self.clone(), |before| before.extend(self));
        if before.as_ref() == Some(&merged) {
            return Ok(false);
        }
        if let Some(folder) = path.parent() {
            change::make_dirs(root, &folder, 0o700)?;
        }
        let target = root
            .target(&path, Links::InRoot)?
            .ok_or_else(|| Error::failed("create", PATH).remedy("make /var/lib/disinherit"))?;
        let (uid, gid) = writer();
        change::create(&target, merged.to_json().as_bytes(), 0o600, uid, gid)?;
        Ok(true)
    }

    /// True when `key` was in the image and policy did not keep it.
    pub fn seals(&self, key: &KeyHash) -> bool {
        self.keys.contains(key) && !self.kept_keys.contains(key)
    }
}

const REMEDY: &str = "seal the image again with the same version that will boot it";

/// Owner of the files that we make: root in earnest, and whoever runs a test on a tree of his own.
pub fn writer() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

#[cfg(test)]
mod tests;
