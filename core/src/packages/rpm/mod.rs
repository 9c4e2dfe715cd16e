//! rpm's database: a table of package headers in one of three forms, by the name of its file (rpm,
//! lib/backend). Read only, by the project's own code: a kept library would bring a whole SQLite in C
//! for one table, and there is none for the other two forms.

mod berkeley;
mod bytes;
mod header;
mod ndb;
mod sqlite;
#[cfg(test)]
mod tests;
mod wal;

use std::io;

pub use bytes::{Bytes, OnDisk};
pub use header::{Owned, files};

use super::Packages;
use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

/// Where the database may lie; mostly one is a link to another. The last is rpm-ostree's.
const FOLDERS: [&str; 3] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];
/// The largest header that is read; those of the largest packages (kernels, firmware) have 3 MiB.
const HEADER: u32 = 64 << 20;

/// How a database keeps its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Fedora 33, RHEL 9 and later.
    Sqlite,
    /// rpm's own, of openSUSE and SUSE.
    Ndb,
    /// A hash table of Berkeley DB: RHEL 8, Amazon Linux 2 and before.
    Berkeley,
}

/// A later one is what an upgrade left of the time before.
const FORMS: [(&[u8], Form); 3] =
    [(b"rpmdb.sqlite", Form::Sqlite), (b"Packages.db", Form::Ndb), (b"Packages", Form::Berkeley)];

/// Hands each header of the database to `each`, in no order. `log` is SQLite's write-ahead log.
///
/// # Errors
/// The database cannot be read, is damaged, or of a form that is not known. What came before was
/// handed over.
pub fn headers(
    form: Form,
    database: &dyn Bytes,
    log: Option<&dyn Bytes>,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    match form {
        Form::Sqlite => sqlite::headers(database, log, each),
        Form::Ndb => ndb::headers(database, each),
        Form::Berkeley => berkeley::headers(database, each),
    }
}

pub(super) fn load(root: &Root, packages: &mut Packages) -> Result<()> {
    let mut seen = Vec::new();
    for folder in FOLDERS.map(ImagePath::literal) {
        let Some(folder) = root.canonical(&folder)? else { continue };
        if !seen.contains(&folder) {
            database(root, &folder, packages)?;
            seen.push(folder);
        }
    }
    Ok(())
}

/// The database in one folder. One that cannot be read owns what was read of it until then, and the
/// rest is not known.
fn database(root: &Root, folder: &ImagePath, packages: &mut Packages) -> Result<()> {
    for (name, form) in FORMS {
        let Some(path) = folder.join(name) else { continue };
        if root.stat(&path)?.is_none_or(|meta| meta.kind != FileKind::Regular) {
            continue;
        }
        if let Err(error) = one(root, folder, &path, form, packages) {
            packages.unread.push((path, error.to_string()));
        }
        return Ok(());
    }
    Ok(())
}

fn one(
    root: &Root,
    folder: &ImagePath,
    path: &ImagePath,
    form: Form,
    packages: &mut Packages,
) -> io::Result<()> {
    let open = |path: &ImagePath| {
        let opened = root.open(path).map_err(|error| io::Error::other(error.report()))?;
        Ok::<_, io::Error>(opened.map(|(file, meta)| OnDisk::new(file, meta.size)))
    };
    let Some(database) = open(path)? else { return Ok(()) };
    let beside = |name: &[u8]| folder.join(name).map_or(Ok(None), |path| open(&path));
    let log = if form == Form::Sqlite { beside(b"rpmdb.sqlite-wal")? } else { None };
    if form == Form::Sqlite && beside(b"rpmdb.sqlite-journal")?.is_some_and(|j| j.len() > 0) {
        return Err(damaged("a transaction was cut and waits for its way back"));
    }
    let mut broken = None;
    let log = log.as_ref().map(|log| log as &dyn Bytes);
    headers(form, &database, log, &mut |header| {
        if let Err(error) = files(header, &mut |file| packages.add(&file.path, file.sum())) {
            broken = Some(error);
        }
    })?;
    broken.map_or(Ok(()), Err)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
