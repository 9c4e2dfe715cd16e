//! What an adopted instance had, set aside while its disk is booted under another identity.
//!
//! Copies lie in `/var/lib/disinherit/quarantine`, root only. Going back to the old identity restores
//! them; adoption by the new one burns them. The index is written last: without it the copies are
//! incomplete and are made again, with it they are never overwritten (by then the originals have been
//! changed).

use std::collections::BTreeSet;

use disinherit_core::identity::Identity;
use disinherit_core::manifest::KeyHash;
use disinherit_core::root::{Links, Root};
use disinherit_core::text::Shadow;
use disinherit_core::{Error, ImagePath, Result, change};
use serde::{Deserialize, Serialize};

use crate::edit::{self, edit};
use crate::{host_keys, logins, state};

/// Folder of the copies.
pub const DIR: &str = "/var/lib/disinherit/quarantine";
const INDEX: &str = "/var/lib/disinherit/quarantine/index.json";
const SHADOW: &str = "/etc/shadow";

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    schema: u32,
    from: Identity,
    files: Vec<Copy>,
    host_keys: BTreeSet<KeyHash>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    path: ImagePath,
    kind: Kind,
    name: String,
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Shadow,
    Login,
    HostKey,
}

/// Copies passwords, login files and host keys of the instance `from`; nothing is changed. Does
/// nothing when that was done before.
///
/// # Errors
/// When a file cannot be read or a copy cannot be written.
pub fn store(root: &Root, from: &Identity) -> Result<()> {
    if index(root)?.is_some_and(|index| index.from == *from) {
        return Ok(());
    }
    burn(root)?;
    let mut sources = vec![(Kind::Shadow, ImagePath::literal(SHADOW))];
    sources.extend(logins::files(root)?.into_iter().map(|path| (Kind::Login, path)));
    for private in host_keys::files(root)? {
        for file in host_keys::with_companions(&private)? {
            sources.push((Kind::HostKey, file));
        }
    }
    let mut files = Vec::new();
    for (number, (kind, path)) in sources.into_iter().enumerate() {
        let Some(path) = root.canonical(&path)? else { continue };
        let (Some(meta), Some(text)) = (root.stat(&path)?, root.read(&path, edit::LIMIT)?) else {
            continue;
        };
        let name = number.to_string();
        state::write_private(root, &copy_path(&name)?, &text)?;
        files.push(Copy {
            path,
            kind,
            name,
            mode: meta.mode & 0o7777,
            uid: meta.uid,
            gid: meta.gid,
        });
    }
    let host_keys = host_keys::present(root)?;
    let index = Index { schema: 1, from: from.clone(), files, host_keys };
    let text =
        serde_json::to_vec_pretty(&index).map_err(|e| Error::failed("write", INDEX).because(e))?;
    state::write_private(root, &ImagePath::literal(INDEX), &text)
}

/// Host keys of the instance whose data is set aside: the new one may not answer with them.
///
/// # Errors
/// When the index is there and cannot be read.
pub fn host_keys(root: &Root) -> Result<BTreeSet<KeyHash>> {
    Ok(index(root)?.map(|index| index.host_keys).unwrap_or_default())
}

/// Puts everything back. Keys in `offered` (declared by the other identity's platform) leave the
/// login files; keys that came from elsewhere meanwhile stay. May be repeated.
///
/// # Errors
/// When a copy cannot be read, or a file cannot be written.
pub fn restore(root: &Root, offered: &BTreeSet<KeyHash>) -> Result<()> {
    let Some(index) = index(root)? else { return Ok(()) };
    for copy in &index.files {
        let text = root
            .read(&copy_path(&copy.name)?, edit::LIMIT)?
            .ok_or_else(|| Error::failed("find", format!("{DIR}/{}", copy.name)))?;
        match copy.kind {
            Kind::Shadow => restore_passwords(root, &copy.path, &text)?,
            Kind::Login => {
                let now = root.read(&copy.path, edit::LIMIT)?.unwrap_or_default();
                put(root, copy, &logins::merge(&text, &now, offered))?;
            }
            Kind::HostKey => put(root, copy, &text)?,
        }
    }
    let restored = |path| index.files.iter().any(|copy| copy.path == path);
    for path in logins::files(root)? {
        if root.canonical(&path)?.is_some_and(|path| !restored(path)) {
            logins::remove(root, &path, |key| offered.contains(key))?;
        }
    }
    Ok(())
}

/// True when what is set aside, all of it, is the instance `owner`'s.
///
/// # Errors
/// When the index is there and cannot be read.
pub fn is_of(root: &Root, owner: &Identity) -> Result<bool> {
    Ok(index(root)?.is_some_and(|index| index.from == *owner))
}

/// Overwrites and removes everything that was set aside, the index first: what is left of it after an
/// error is never taken for a whole copy.
///
/// # Errors
/// When something cannot be removed.
pub fn burn(root: &Root) -> Result<()> {
    if let Some(index) = root.target(&ImagePath::literal(INDEX), Links::InRoot)?
        && let Some(meta) = index.meta()?
    {
        change::delete(&index, &meta)?;
    }
    let Some(target) = root.target(&ImagePath::literal(DIR), Links::InRoot)? else {
        return Ok(());
    };
    if target.meta()?.is_some() {
        change::delete_tree(&target, &mut |_, _| {})?;
    }
    Ok(())
}

/// Only the two fields that were changed go back: accounts made meanwhile keep their rows.
fn restore_passwords(root: &Root, path: &ImagePath, old: &[u8]) -> Result<()> {
    edit(root, path, Links::InRoot, |now| {
        let mut table = Shadow::parse(now);
        let rows: Vec<(usize, Vec<u8>)> =
            table.entries().map(|e| (e.index, e.name.to_vec())).collect();
        for (index, name) in rows {
            let Some(fields) = old.split(|b| *b == b'\n').find_map(|line| fields_of(line, &name))
            else {
                continue;
            };
            table.set_password(index, fields.0)?;
            table.set_last_change(index, fields.1)?;
        }
        Ok(table.changed().then(|| table.to_bytes()))
    })?;
    Ok(())
}

/// Password and day of last change of `name`'s row in shadow(5).
fn fields_of<'a>(line: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut fields = line.split(|b| *b == b':');
    if fields.next()? != name {
        return None;
    }
    Some((fields.next()?, fields.next()?))
}

fn put(root: &Root, copy: &Copy, text: &[u8]) -> Result<()> {
    if root.read(&copy.path, edit::LIMIT)?.is_some() {
        let text = zeroize::Zeroizing::new(text.to_vec());
        edit(root, &copy.path, Links::InRoot, |_| Ok(Some(text)))?;
        return Ok(());
    }
    let target = root
        .target(&copy.path, Links::InRoot)?
        .ok_or_else(|| Error::failed("restore", &copy.path).remedy("make its folder"))?;
    change::create(&target, text, copy.mode, copy.uid, copy.gid)
}

fn index(root: &Root) -> Result<Option<Index>> {
    let Some(text) = root.read(&ImagePath::literal(INDEX), edit::LIMIT)? else { return Ok(None) };
    // It is replaced atomically, so a broken one was broken later: it must not pass for none.
    let index: Index = serde_json::from_slice(&text).map_err(|e| {
        Error::failed("parse", INDEX).because(e).remedy("move the folder away to give it up")
    })?;
    Ok(Some(index))
}

fn copy_path(name: &str) -> Result<ImagePath> {
    ImagePath::literal(DIR).join(name).ok_or_else(|| Error::failed("name", "a copy"))
}
