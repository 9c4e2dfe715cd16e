//! Guest programs that a released plugin carries behind its own end.
//!
//! ```text
//! the plugin's ELF file | program | program ... | index (JSON) | length of the index, u64 LE | magic
//! ```
//!
//! The index names each program, its architecture, its place and its SHA-256. A plugin without an
//! index is complete without one and carries nothing. The hidden subcommand `bundle` writes it.

mod blob;
mod write;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use disinherit_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::elf::Arch;

pub use blob::{Blob, hex};
pub use write::write;

/// The name under which a plugin carries itself for other architectures.
pub const PLUGIN: &str = "packer-plugin-disinherit";
/// The name under which it carries the first-boot program.
pub const FIRSTBOOT: &str = "disinherit-firstboot";

/// Last bytes of a plugin that carries programs.
const MAGIC: &[u8; 8] = b"DISINH\x01\n";
const FOOTER: u64 = 16;
/// An index is some hundred bytes; a larger one is damage.
const MAX_INDEX: u64 = 64 * 1024;

/// A program in the index; `offset` counts from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    arch: String,
    offset: u64,
    size: u64,
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    schema: u32,
    /// Where the plugin's own program ends.
    base: u64,
    programs: Vec<Entry>,
}

/// The plugin's file and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    path: PathBuf,
    index: Index,
}

impl Bundle {
    /// Reads the index of a plugin. One that carries nothing has an empty index.
    ///
    /// # Errors
    /// When the file cannot be read, or ends in an index that is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: io::Error| Error::failed("read", path.display()).because(e);
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let none = Index { schema: 1, base: size, programs: Vec::new() };
        let footer = read_at(&mut file, size.saturating_sub(FOOTER), FOOTER).map_err(failed)?;
        let Some((length, magic)) = footer.split_first_chunk::<8>() else {
            return Ok(Self { path: path.to_owned(), index: none });
        };
        if magic != MAGIC {
            return Ok(Self { path: path.to_owned(), index: none });
        }
        let length = u64::from_le_bytes(*length);
        let damaged = || {
            Error::failed("read the programs that are carried by", path.display())
                .remedy("install the plugin again")
        };
        if length > MAX_INDEX || length > size.saturating_sub(FOOTER) {
            return Err(damaged().because("its index has no sane length"));
        }
        let start = size - FOOTER - length;
        let bytes = read_at(&mut file, start, length).map_err(failed)?;
        let index: Index = serde_json::from_slice(&bytes).map_err(|e| damaged().because(e))?;
        index.check(start).map_err(|what| damaged().because(what))?;
        Ok(Self { path: path.to_owned(), index })
    }

    /// The plugin's own program, without what it carries.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn own(&self) -> Result<Blob> {
        Blob::part(&self.path, 0, self.index.base)
    }

    /// A program for an architecture, checked against its sum.
    ///
    /// # Errors
    /// When it is carried and cannot be read, or is damaged.
    pub fn find(&self, name: &str, arch: Arch) -> Result<Option<Blob>> {
        let wanted = |entry: &&Entry| entry.name == name && entry.arch == arch;
        let Some(entry) = self.index.programs.iter().find(wanted) else { return Ok(None) };
        let blob = Blob::part(&self.path, entry.offset, entry.size)?;
        if blob.sha256 != entry.sha256 {
            return Err(Error::failed(
                "use",
                format!("{name} for {arch} in {}", self.path.display()),
            )
            .because("its SHA-256 is not the recorded one")
            .remedy("install the plugin again"));
        }
        Ok(Some(blob))
    }

    /// The architectures for which a program is carried.
    pub fn architectures<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.index.programs.iter().filter(move |e| e.name == name).map(|e| e.arch.as_str())
    }
}

impl Index {
    fn check(&self, end: u64) -> Result<(), &'static str> {
        if self.schema != 1 {
            return Err("its index has a later form");
        }
        let inside = |entry: &Entry| {
            entry.offset >= self.base
                && entry.offset.checked_add(entry.size).is_some_and(|stop| stop <= end)
        };
        let sane = self.base <= end && self.programs.iter().all(inside);
        if sane { Ok(()) } else { Err("its index points outside of the file") }
    }
}

fn read_at(file: &mut File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn text(blob: &Blob) -> Vec<u8> {
        let mut bytes = Vec::new();
        blob.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn program(dir: &Path, folder: &str, machine: u8) -> PathBuf {
        let path = dir.join(folder).join("disinherit-firstboot");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
        bytes.extend([machine, 0]);
        bytes.extend(folder.as_bytes());
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn what_is_bundled_is_found_and_bundling_again_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = dir.path().join("plugin");
        fs::write(&plugin, b"the plugin itself, longer than a footer").unwrap();
        assert_eq!(Bundle::open(&plugin).unwrap().architectures("disinherit-firstboot").count(), 0);

        let programs = [program(dir.path(), "x", 62), program(dir.path(), "arm", 183)];
        let out = dir.path().join("out");
        write(&plugin, &programs, &out).unwrap();
        write(&out, &programs, &out).unwrap();
        let bundle = Bundle::open(&out).unwrap();
        assert_eq!(text(&bundle.own().unwrap()), b"the plugin itself, longer than a footer");
        let found = bundle.find("disinherit-firstboot", "aarch64").unwrap().unwrap();
        assert_eq!(text(&found), fs::read(&programs[1]).unwrap());
        assert_eq!(bundle.find("disinherit-firstboot", "riscv64").unwrap(), None);
        let carried: Vec<&str> = bundle.architectures("disinherit-firstboot").collect();
        assert_eq!(carried, ["x86_64", "aarch64"]);
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = dir.path().join("plugin");
        fs::write(&plugin, b"the plugin itself").unwrap();
        let out = dir.path().join("out");
        write(&plugin, &[program(dir.path(), "x", 62)], &out).unwrap();
        let good = fs::read(&out).unwrap();

        let mut bytes = good.clone();
        let inside = "the plugin itself".len() + 20;
        bytes[inside] ^= 1;
        fs::write(&out, &bytes).unwrap();
        let bundle = Bundle::open(&out).unwrap();
        let error = bundle.find("disinherit-firstboot", "x86_64").unwrap_err().report();
        assert!(error.contains("SHA-256") && error.contains("install the plugin again"), "{error}");

        let mut bytes = good.clone();
        let footer = bytes.len() - 16;
        bytes[footer..footer + 8].fill(0xff);
        fs::write(&out, &bytes).unwrap();
        assert!(Bundle::open(&out).unwrap_err().report().contains("sane length"));

        fs::write(&out, &good[..good.len() - 1]).unwrap();
        assert_eq!(Bundle::open(&out).unwrap().architectures("disinherit-firstboot").count(), 0);
        fs::write(&out, b"short").unwrap();
        assert!(Bundle::open(&out).is_ok());
    }

    #[test]
    fn scripts_are_not_carried() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("disinherit-firstboot");
        fs::write(&script, b"#!/bin/sh\n").unwrap();
        let error = write(&script, std::slice::from_ref(&script), &dir.path().join("o"));
        assert!(error.unwrap_err().report().contains("no ELF program"));
    }
}
