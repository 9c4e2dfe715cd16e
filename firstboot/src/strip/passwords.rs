//! Inherited passwords: the field becomes `*`. Never `!` (sshd without PAM would refuse the account's
//! keys, and `passwd -u` would bring a hash back), never empty (that lets everybody in).

use std::time::Duration;

use disinherit_core::lock::PasswdLock;
use disinherit_core::manifest::Manifest;
use disinherit_core::path::escape;
use disinherit_core::root::{Links, Root};
use disinherit_core::text::{GShadow, Passwd, Shadow};
use disinherit_core::{Error, ImagePath, Result};

use crate::edit::{self, Change, edit};

/// How long another program may hold the password lock at boot.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whose passwords are locked.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Accounts that had a password when the image was sealed. A password of any other account was
    /// put in after sealing.
    Sealed(&'a Manifest),
    /// Every account.
    All,
}

/// Locks passwords in `/etc/shadow`, `/etc/passwd`, `/etc/gshadow` and their backups. Empty fields
/// are locked for every account, and a demanded password change is taken back: without a password
/// nobody could make it, not even with a key.
///
/// # Errors
/// When a file cannot be read or replaced, when `/etc/passwd` is missing, or when a line that is no
/// proper row seems to hold a hash.
pub fn lock(root: &Root, whose: Whose<'_>) -> Result<()> {
    let _lock = PasswdLock::acquire(root, PATIENCE)?;
    if root.stat(&ImagePath::literal("/etc/passwd"))?.is_none() {
        return Err(Error::failed("find", "/etc/passwd").remedy("restore it from a backup"));
    }
    for path in ["/etc/shadow", "/etc/shadow-"] {
        edit(root, &ImagePath::literal(path), Links::InRoot, |text| shadow(path, text, whose))?;
    }
    let shadowed = names(root, "/etc/shadow")?;
    for path in ["/etc/passwd", "/etc/passwd-"] {
        let change = |text: &[u8]| passwd(path, text, whose, &shadowed);
        edit(root, &ImagePath::literal(path), Links::InRoot, change)?;
    }
    for path in ["/etc/gshadow", "/etc/gshadow-"] {
        edit(root, &ImagePath::literal(path), Links::InRoot, |text| gshadow(path, text))?;
    }
    Ok(())
}

impl Whose<'_> {
    fn includes(self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Sealed(manifest) => {
                manifest.accounts.get(escape(name).as_ref()).is_some_and(|a| a.had_password)
            }
        }
    }
}

fn shadow(path: &str, text: &[u8], whose: Whose<'_>) -> Result<Change> {
    let mut table = Shadow::parse(text);
    understood(path, &table.suspicious())?;
    let rows: Vec<(usize, bool, bool)> = table
        .entries()
        .map(|e| {
            let inherited = e.field.holds_secret() && whose.includes(e.name);
            let lock = e.field == disinherit_core::text::Field::Empty || inherited;
            (e.index, lock, e.last_change == Some(b"0"))
        })
        .collect();
    for (index, lock, expired) in rows {
        if lock {
            table.lock(index)?;
        }
        if expired {
            table.set_last_change(index, b"")?;
        }
    }
    Ok(table.changed().then(|| table.to_bytes()))
}

/// A hash in field 2 of passwd works like one in shadow; `x` sends the reader to shadow.
fn passwd(path: &str, text: &[u8], whose: Whose<'_>, shadowed: &[Vec<u8>]) -> Result<Change> {
    let mut table = Passwd::parse(text);
    understood(path, &table.suspicious())?;
    let rows: Vec<(usize, bool)> = table
        .entries()
        .filter(|e| e.password.needs_lock())
        .filter(|e| !e.password.holds_secret() || whose.includes(e.name))
        .map(|e| (e.index, shadowed.iter().any(|name| name == e.name)))
        .collect();
    for (index, in_shadow) in rows {
        table.set_password(index, if in_shadow { b"x" } else { b"*" })?;
    }
    Ok(table.changed().then(|| table.to_bytes()))
}

fn gshadow(path: &str, text: &[u8]) -> Result<Change> {
    let mut table = GShadow::parse(text);
    understood(path, &table.suspicious())?;
    let rows: Vec<usize> =
        table.entries().filter(|e| e.field.holds_secret()).map(|e| e.index).collect();
    for index in rows {
        table.lock(index)?;
    }
    Ok(table.changed().then(|| table.to_bytes()))
}

/// Nobody may conclude "no hash left" from a line that was not understood.
fn understood(path: &str, lines: &[usize]) -> Result<()> {
    match lines.first() {
        None => Ok(()),
        Some(line) => Err(Error::failed("understand", format!("{path} line {line}"))
            .remedy("repair the line: it is no account row and looks like a password hash")),
    }
}

fn names(root: &Root, path: &'static str) -> Result<Vec<Vec<u8>>> {
    let Some(text) = root.read(&ImagePath::literal(path), edit::LIMIT)? else {
        return Ok(Vec::new());
    };
    Ok(Shadow::parse(&text).entries().map(|e| e.name.to_vec()).collect())
}
