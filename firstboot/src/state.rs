//! What this instance has been through, in one file that is replaced atomically.
//!
//! `/var/lib/disinherit/state.json` says `stripping` (begun, repeat it), `stripped` (inherited logins
//! are gone, no key yet) or `adopted` (a key was accepted; the instance belongs to somebody). One file
//! means that no combination of half-written markers can occur. A file that cannot be read counts as
//! `stripping`, never as `adopted`.

mod file;

use std::collections::BTreeSet;

use disinherit_core::identity::Identity;
use disinherit_core::manifest::{self, KeyHash, Manifest};
use disinherit_core::root::{Links, Root};
use disinherit_core::{Error, ImagePath, Result, change};
use serde::{Deserialize, Serialize};

use crate::edit;

/// Where the state lies.
pub const PATH: &str = "/var/lib/disinherit/state.json";
/// Nothing larger is read, hence nothing larger is written. The keys of a former owner's users count,
/// and it is they who choose how many: 200,000 keys fit.
const LIMIT: u64 = edit::LIMIT;

/// What the disk says about this instance.
#[derive(Debug)]
pub struct State {
    /// Whether the image was sealed.
    pub seal: Seal,
    /// `None` before the first boot.
    pub record: Option<Record>,
}

/// The manifest, as far as it could be read.
#[derive(Debug)]
pub enum Seal {
    /// No manifest: nothing here is ours to change.
    NotSealed,
    /// The manifest.
    Sealed(Box<Manifest>),
    /// There is a manifest, and it cannot be used.
    Unreadable(Error),
}

/// One stage in an instance's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Removal has begun and has to be repeated.
    Stripping {
        /// The instance that began it.
        identity: Identity,
        /// Which logins go.
        removal: Removal,
    },
    /// Inherited logins are gone; waits for a key.
    Stripped {
        /// The instance.
        identity: Identity,
        /// Keys that were on the disk after stripping: put in between sealing and this boot.
        kept: BTreeSet<KeyHash>,
        /// Keys declared by `disinherit-firstboot authorize`.
        authorized: BTreeSet<KeyHash>,
    },
    /// A key was accepted.
    Adopted(Box<Adopted>),
}

/// An instance that belongs to somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adopted {
    /// The instance; sources that appear later are added.
    pub identity: Identity,
    /// The keys that opened it.
    pub keys: BTreeSet<KeyHash>,
    /// Digests of seed directories that were used: in a copy they declare nothing.
    pub seeds: BTreeSet<KeyHash>,
    /// Keys that are revoked in sshd beside the sealed ones: logins of a former owner, which may come
    /// back with a home that is mounted late.
    pub revoked: BTreeSet<KeyHash>,
    /// Sealed keys that the platform declared or `authorize` accepted: not revoked.
    pub accepted: BTreeSet<KeyHash>,
    /// Keys that Ignition had written: it writes before the early unit looks.
    pub ignition: BTreeSet<KeyHash>,
    /// Set while the disk is booted under another identity.
    pub changed: Option<Changed>,
}

/// Which logins are removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// What the manifest lists; anything else was put in after sealing.
    Sealed,
    /// Everything but these keys: logins of an instance that this one is a copy of.
    AllBut(BTreeSet<KeyHash>),
}

/// An adopted disk under another identity, before the platform has offered a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The identity of now.
    pub identity: Identity,
    /// Keys that agents had written before it: they are the former owner's.
    #[serde(default)]
    pub present: BTreeSet<KeyHash>,
    /// Keys that the platform has declared under it, usable or not.
    #[serde(default)]
    pub offered: BTreeSet<KeyHash>,
    /// Keys declared by `disinherit-firstboot authorize`.
    #[serde(default)]
    pub authorized: BTreeSet<KeyHash>,
}

impl State {
    /// Reads manifest and state; never fails, because every fault has its own meaning.
    pub fn read(root: &Root) -> Self {
        let seal = match Manifest::read(root) {
            Ok(None) => Seal::NotSealed,
            Ok(Some(manifest)) => Seal::Sealed(Box::new(manifest)),
            Err(error) => Seal::Unreadable(error),
        };
        let interrupted =
            || Record::Stripping { identity: Identity::default(), removal: Removal::Sealed };
        let record = match root.read(&ImagePath::literal(PATH), LIMIT) {
            Ok(None) => None,
            Ok(Some(bytes)) => Some(file::parse(&bytes).unwrap_or_else(interrupted)),
            Err(_) => Some(interrupted()),
        };
        Self { seal, record }
    }

    /// The manifest, or an empty one when it is missing or cannot be used.
    pub fn manifest(&self) -> Manifest {
        match &self.seal {
            Seal::Sealed(manifest) => (**manifest).clone(),
            Seal::NotSealed | Seal::Unreadable(_) => Manifest::default(),
        }
    }
}

impl Record {
    /// Makes this the state, durably: temporary file, fsync, rename, fsync of the folder.
    ///
    /// # Errors
    /// When the folder cannot be made or the file cannot be written; when it would be larger than what
    /// is read, because it would then say that a removal was interrupted.
    pub fn write(&self, root: &Root) -> Result<()> {
        write_private(root, &ImagePath::literal(PATH), &self.text(LIMIT)?)
    }

    fn text(&self, limit: u64) -> Result<Vec<u8>> {
        let bytes = file::text(self)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            return Ok(bytes);
        }
        Err(Error::failed("write", PATH)
            .because(format!("it would be larger than {limit} bytes"))
            .remedy("remove lines that nobody needs from the users' authorized_keys"))
    }
}

/// Writes a file of ours, 0600, below a folder of ours, 0700; durable when it returns.
///
/// # Errors
/// When the folder cannot be made or the file cannot be written.
pub fn write_private(root: &Root, path: &ImagePath, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        change::make_dirs(root, &folder, 0o700)?;
    }
    let target = root.target(path, Links::InRoot)?.ok_or_else(|| Error::failed("create", path))?;
    let (uid, gid) = manifest::writer();
    change::create(&target, bytes, 0o600, uid, gid)
}

#[cfg(test)]
mod tests {
    use super::file::parse;
    use super::*;

    #[test]
    fn the_first_published_form_is_read_for_ever() {
        let pinned = br#"{"schema":1,"state":"adopted","identity":{"dmi-product-uuid":
            "4c4c4544-0042-3510-8052-b4c04f4a4d31"},"keys":[]}"#;
        assert!(matches!(parse(pinned), Some(Record::Adopted(a)) if a.changed.is_none()));
        let pinned = br#"{"schema":1,"state":"stripping","identity":{},"removal":{"allbut":[]}}"#;
        assert!(matches!(parse(pinned), Some(Record::Stripping { .. })));
        let pinned = br#"{"schema":1,"state":"stripped","identity":{},"kept":[]}"#;
        assert!(matches!(parse(pinned), Some(Record::Stripped { .. })));
    }

    #[test]
    fn broken_text_is_never_adopted() {
        let whole = br#"{"schema":1,"state":"adopted","identity":{},"keys":[]}"#;
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse(br#"{"schema":2,"state":"adopted","identity":{},"keys":[]}"#), None);
    }

    fn adopted(keys: u32) -> Record {
        let hash = |number: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            KeyHash(hash)
        };
        let revoked = (0..keys).map(hash).collect();
        Record::Adopted(Box::new(Adopted { revoked, ..Adopted::default() }))
    }

    #[test]
    fn a_former_owner_with_many_keys_makes_no_unreadable_state() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let root = Root::offline(dir.path()).unwrap();
        let many = adopted(100_000);
        many.write(&root).unwrap();
        assert_eq!(State::read(&root).record, Some(many));
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let record = adopted(3);
        let length = record.text(u64::MAX).unwrap().len() as u64;
        assert_eq!(record.text(length).unwrap().len() as u64, length);
        assert!(record.text(length - 1).unwrap_err().report().contains("authorized_keys"));
    }
}
