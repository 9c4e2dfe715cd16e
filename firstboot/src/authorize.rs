//! `authorize USER FILE`: the platform's assistant, or somebody with root's rights by another way,
//! accepts a key for this instance.

use std::path::Path;

use disinherit_core::identity::Identity;
use disinherit_core::manifest::KeyHash;
use disinherit_core::root::Root;
use disinherit_core::text::authorized_keys::{self, Line};
use disinherit_core::text::public_key;
use disinherit_core::{Error, Result};

use crate::deliver::{self, deliver};
use crate::evidence::key_fault;
use crate::phase::Phase;
use crate::revoked;
use crate::state::{Record, State};

/// Puts the keys of `file` into `user`'s login file and declares them for this instance.
///
/// # Errors
/// Refused when the system is not sealed or not stripped, and for a key that anybody could use.
/// Failed when the file holds no key or something cannot be written.
pub fn authorize(root: &Root, user: &str, file: &Path) -> Result<Vec<KeyHash>> {
    let text = read(file)?;
    let mut keys = Vec::new();
    for line in authorized_keys::lines(&text) {
        let Line::Key(line) = line else { continue };
        let key = KeyHash(public_key::digest(&line.blob));
        if let Some(why) = key_fault(&key, &line) {
            let what = format!("{} ({why})", key.fingerprint());
            return Err(Error::refused("authorize", what).remedy("take another key"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Error::failed("find a public key in", file.display())
            .remedy("give lines as in authorized_keys"));
    }
    let state = State::read(root);
    let declared = match (Phase::decide(&state, &Identity::read(root)), state.record) {
        (Phase::Waiting, Some(Record::Stripped { identity, kept, mut authorized })) => {
            authorized.extend(&keys);
            Some(Record::Stripped { identity, kept, authorized })
        }
        (Phase::Changed { new: false, .. }, Some(Record::Adopted(mut adopted))) => {
            if let Some(changed) = &mut adopted.changed {
                changed.authorized.extend(&keys);
            }
            Some(Record::Adopted(adopted))
        }
        (Phase::Adopted, Some(Record::Adopted(mut adopted))) => {
            adopted.accepted.extend(&keys);
            Some(Record::Adopted(adopted))
        }
        (Phase::NotSealed, _) => {
            return Err(Error::refused("authorize a key on", "a system that is not sealed")
                .remedy("add it to authorized_keys yourself"));
        }
        _ => {
            return Err(Error::refused("authorize a key before", "inherited logins are removed")
                .remedy("see journalctl -b -u disinherit-early.service"));
        }
    };
    // Declared first: a key in the file that nobody has declared would be the worse half.
    if let Some(record) = declared {
        record.write(root)?;
    }
    revoked::write(root)?;
    deliver(root, user, &text)?;
    Ok(keys)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let open = std::fs::File::open(file);
    let mut text = Vec::new();
    open.and_then(|file| file.take(deliver::LIMIT).read_to_end(&mut text))
        .map_err(|e| Error::failed("read", file.display()).because(e))?;
    Ok(text)
}
