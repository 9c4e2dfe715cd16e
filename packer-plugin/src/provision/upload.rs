//! Files into the guest, each checked by its SHA-256 where it arrived.

use std::io::{Cursor, Read};

use disinherit_core::Error;
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::session::{Answer, Session, Stop};
use crate::payload::{Blob, hex};
use crate::plugin::FileInfo;

/// A file for the guest.
pub(super) struct Item {
    /// Its name in the folder.
    pub(super) name: String,
    /// Whether it is run.
    pub(super) program: bool,
    source: Source,
}

enum Source {
    Blob(Blob),
    Bytes(Vec<u8>),
}

impl Item {
    /// A program of this machine.
    pub(super) fn program(name: &str, blob: Blob) -> Self {
        Self { name: name.into(), program: true, source: Source::Blob(blob) }
    }

    /// A file of this machine.
    pub(super) fn file(name: String, blob: Blob) -> Self {
        Self { name, program: false, source: Source::Blob(blob) }
    }

    /// A text that was made here.
    pub(super) fn text(name: &str, program: bool, text: String) -> Self {
        Self { name: name.into(), program, source: Source::Bytes(text.into_bytes()) }
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        match &self.source {
            Source::Blob(blob) => blob.size,
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    fn sha256(&self) -> String {
        match &self.source {
            Source::Blob(blob) => blob.sha256.clone(),
            Source::Bytes(bytes) => hex(&Sha256::digest(bytes)),
        }
    }

    fn open(&self) -> Result<Box<dyn Read + '_>, Error> {
        Ok(match &self.source {
            Source::Blob(blob) => Box::new(blob.open()?),
            Source::Bytes(bytes) => Box::new(Cursor::new(bytes)),
        })
    }
}

/// Uploads all items and checks them.
///
/// # Errors
/// When the guest refuses one, or it did not arrive as it was sent.
pub(super) fn upload(session: &Session, folder: &Folder, items: &[Item]) -> Result<(), Stop> {
    for item in items {
        let path = format!("{}/{}", folder.path, item.name);
        let mode = if item.program { 0o700 } else { 0o600 };
        let info = FileInfo { name: item.name.clone(), size: item.size(), mode };
        let mut source = item.open()?;
        session
            .machine
            .upload(&path, &mut source, &info, &session.cancel)
            .map_err(|error| Stop::from_guest("upload", &path, error))?;
    }
    let answer = session.script("check the upload in", &script(folder, items))?;
    check(&answer, folder, items).map_err(Stop::from)
}

fn script(folder: &Folder, items: &[Item]) -> String {
    // Our own names: they need no quotes.
    let all: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let run: Vec<&str> = items.iter().filter(|i| i.program).map(|i| i.name.as_str()).collect();
    format!(
        "cd {} && chmod 600 {} && chmod 700 {} && sha256sum {}",
        folder.path,
        all.join(" "),
        run.join(" "),
        all.join(" ")
    )
}

fn check(answer: &Answer, folder: &Folder, items: &[Item]) -> Result<(), Error> {
    for item in items {
        let sum = item.sha256();
        let arrived = answer.out.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(sum.as_str()) && words.next() == Some(item.name.as_str())
        });
        if !arrived {
            let path = format!("{}/{}", folder.path, item.name);
            let why = if answer.err.is_empty() {
                "its SHA-256 in the guest is another one".to_owned()
            } else {
                answer.err.clone()
            };
            return Err(Error::failed("upload", path).because(why).remedy(
                "look for free space and a working sha256sum in the guest, and run again",
            ));
        }
    }
    Ok(())
}
