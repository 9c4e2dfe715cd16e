//! Login files: what sshd would read for each account, and how keys leave them.

use std::collections::BTreeSet;

use disinherit_core::accounts::Accounts;
use disinherit_core::manifest::{KeyHash, Manifest};
use disinherit_core::root::{Links, Root};
use disinherit_core::seal;
use disinherit_core::sshd::User;
use disinherit_core::text::authorized_keys::{self, Line};
use disinherit_core::text::public_key;
use disinherit_core::{ImagePath, Result};
use zeroize::Zeroizing;

use crate::edit::{self, edit};

/// A file that sshd would read for an account.
#[derive(Debug)]
pub struct LoginFile {
    /// The account.
    pub user: User,
    /// The file, which need not exist.
    pub path: ImagePath,
}

/// One entry for each account and file that some sshd of the image would read for it.
///
/// # Errors
/// When accounts or sshd's configuration cannot be read.
pub fn each(root: &Root) -> Result<Vec<LoginFile>> {
    let configs = seal::configs(root, &Manifest::read(root).ok().flatten().unwrap_or_default())?;
    let mut all = Vec::new();
    let accounts = Accounts::load(root)?;
    for account in accounts.iter() {
        let user = accounts.user(account);
        for file in configs.iter().flat_map(|config| config.login_files(&user)) {
            all.push(LoginFile { user: user.clone(), path: file.path });
        }
    }
    Ok(all)
}

/// The login files that exist, each once.
///
/// # Errors
/// As [`each`].
pub fn files(root: &Root) -> Result<Vec<ImagePath>> {
    let mut files = BTreeSet::new();
    for file in each(root)? {
        files.extend(root.canonical(&file.path)?);
    }
    Ok(files.into_iter().collect())
}

/// Keys in all login files.
///
/// # Errors
/// As [`each`], and when a file cannot be read.
pub fn keys(root: &Root) -> Result<BTreeSet<KeyHash>> {
    let mut keys = BTreeSet::new();
    for path in files(root)? {
        keys.extend(keys_of(root, &path)?);
    }
    Ok(keys)
}

/// Keys in one login file; none where it is missing.
///
/// # Errors
/// When it cannot be read.
pub fn keys_of(root: &Root, path: &ImagePath) -> Result<Vec<KeyHash>> {
    let text = root.read(path, edit::LIMIT)?.unwrap_or_default();
    Ok(hashes(&text).map(|(_, key)| key).collect())
}

/// Takes the lines out whose key `goes`; every other byte stays. Returns whether any was there.
///
/// # Errors
/// When the file cannot be read or replaced.
pub fn remove(root: &Root, path: &ImagePath, goes: impl Fn(&KeyHash) -> bool) -> Result<bool> {
    edit(root, path, Links::OwnerMatched, |text| {
        let lines: Vec<usize> =
            hashes(text).filter(|(_, key)| goes(key)).map(|(number, _)| number).collect();
        Ok((!lines.is_empty()).then(|| without(text, &lines)))
    })
}

/// The lines of `old`, then those lines of `now` whose keys are neither in `old` nor in `dropped`.
pub fn merge(old: &[u8], now: &[u8], dropped: &BTreeSet<KeyHash>) -> Zeroizing<Vec<u8>> {
    let known: Vec<KeyHash> = hashes(old).map(|(_, key)| key).collect();
    let extra: Vec<usize> = hashes(now)
        .filter(|(_, key)| !known.contains(key) && !dropped.contains(key))
        .map(|(number, _)| number)
        .collect();
    let mut text = Zeroizing::new(old.to_vec());
    for (_, line) in numbered(now).filter(|(number, _)| extra.contains(number)) {
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line);
    }
    text
}

/// 1-based line number and key of each key line.
fn hashes(text: &[u8]) -> impl Iterator<Item = (usize, KeyHash)> {
    authorized_keys::lines(text).filter_map(|line| match line {
        Line::Key(key) => Some((key.number, KeyHash(public_key::digest(&key.blob)))),
        Line::Skipped { .. } => None,
    })
}

fn without(text: &[u8], lines: &[usize]) -> Zeroizing<Vec<u8>> {
    let kept = numbered(text).filter(|(number, _)| !lines.contains(number));
    Zeroizing::new(kept.flat_map(|(_, line)| line).copied().collect())
}

/// Lines with their ends, counted as `authorized_keys::lines` does.
fn numbered(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    text.split_inclusive(|b| *b == b'\n').enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMHqQ09cxMBkOQfwTcVhfA1Z3eFJmrhDc6kuJ1ZwFAJ7 one";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQ9Hx8h2Hj0pEiZ0mJzj0qwk3v0cLAVLqIbBuAs3+9k two";

    fn key(line: &str) -> KeyHash {
        hashes(line.as_bytes()).next().unwrap().1
    }

    #[test]
    fn other_bytes_stay() {
        let text = format!("# note\r\n{ONE}\r\n\nno key\n{TWO}");
        let lines: Vec<usize> =
            hashes(text.as_bytes()).filter(|(_, k)| *k == key(ONE)).map(|(n, _)| n).collect();
        let left = without(text.as_bytes(), &lines);
        assert_eq!(*left, format!("# note\r\n\nno key\n{TWO}").into_bytes());
    }

    #[test]
    fn merging_keeps_the_owner_and_what_came_from_elsewhere() {
        let now = format!("{ONE}\n{TWO}\n");
        assert_eq!(
            *merge(ONE.as_bytes(), now.as_bytes(), &BTreeSet::new()),
            now.trim_end().as_bytes().iter().copied().chain(*b"\n").collect::<Vec<u8>>()
        );
        let offered = BTreeSet::from([key(TWO)]);
        assert_eq!(*merge(ONE.as_bytes(), now.as_bytes(), &offered), ONE.as_bytes());
    }
}
