//! Keys that sshd itself refuses: sealed ones, and those of a former owner.
//!
//! Removing them from login files does not reach a home that is mounted after the gate. sshd's
//! settings therefore name a revocation list (sshd_config(5), RevokedKeys). Only hashes are known here, which
//! the list can hold (OpenSSH: PROTOCOL.krl, KRL_SECTION_FINGERPRINT_SHA256; since 7.9).

use std::collections::BTreeSet;

use disinherit_core::manifest::{KeyHash, Manifest, writer};
use disinherit_core::root::{Links, Root};
use disinherit_core::{Error, ImagePath, Result, change, seal};

use crate::edit;
use crate::state::{Adopted, Record, State};

/// Writes the list that belongs to the state on the disk.
///
/// # Errors
/// When it cannot be written.
pub fn write(root: &Root) -> Result<()> {
    let state = State::read(root);
    let adopted = match &state.record {
        Some(Record::Adopted(adopted)) => Some(adopted.as_ref()),
        _ => None,
    };
    write_for(root, &state.manifest(), adopted)
}

/// Writes the list again when it is gone: without the file sshd would refuse every key.
///
/// # Errors
/// When it cannot be written.
pub fn restore(root: &Root) -> Result<()> {
    let missing = root.stat(&ImagePath::literal(seal::REVOKED))?.is_none();
    if missing { write(root) } else { Ok(()) }
}

/// Writes the list for a state that is not yet on the disk; nothing where no settings of ours name it.
///
/// # Errors
/// When it cannot be written.
pub fn write_for(root: &Root, manifest: &Manifest, adopted: Option<&Adopted>) -> Result<()> {
    if !seal::has_sshd_settings(root, manifest)? {
        return Ok(());
    }
    let mut keys: BTreeSet<KeyHash> = BTreeSet::new();
    keys.extend(manifest.keys.iter().filter(|key| manifest.seals(key)));
    if let Some(adopted) = adopted {
        keys.extend(&adopted.revoked);
        keys.retain(|key| !adopted.accepted.contains(key));
    }
    let path = ImagePath::literal(seal::REVOKED);
    let text = seal::revocation_list(&keys);
    if root.read(&path, edit::LIMIT)?.is_some_and(|old| *old == text) {
        return Ok(());
    }
    let target =
        root.target(&path, Links::InRoot)?.ok_or_else(|| Error::failed("create", &path))?;
    let (uid, gid) = writer();
    change::create(&target, &text, 0o644, uid, gid)
}
