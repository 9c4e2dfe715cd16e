//! Makes a plugin that carries programs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use disinherit_core::{Error, Result};

use super::{Blob, Bundle, Entry, Index, MAGIC};
use crate::elf;

/// Writes `output`: the program of `plugin` without anything it carries, then `programs`. Their
/// names are their file names, their architecture is read from them.
///
/// # Errors
/// When a file cannot be read or written, or is no ELF program.
pub fn write(plugin: &Path, programs: &[PathBuf], output: &Path) -> Result<()> {
    let bundle = Bundle::open(plugin)?;
    let own = bundle.own()?;
    let mut index = Index { schema: 1, base: own.size, programs: Vec::new() };
    let mut blobs = vec![own];
    let mut offset = index.base;
    for path in programs {
        let blob = Blob::of_file(path)?;
        index.programs.push(entry(path, &blob, offset)?);
        offset += blob.size;
        blobs.push(blob);
    }
    let temporary = output.with_extension("new");
    store(&temporary, &blobs, &index)
        .and_then(|()| fs::rename(&temporary, output).map_err(Into::into))
        .map_err(|e| Error::failed("write", output.display()).because(e))
}

fn entry(path: &Path, blob: &Blob, offset: u64) -> Result<Entry> {
    let unfit = |what: &'static str| Error::usage("carry", path.display()).because(what);
    let elf::Kind::Elf(arch) =
        elf::kind(path).map_err(|e| Error::failed("read", path.display()).because(e))?
    else {
        return Err(unfit("it is no ELF program of a known architecture"));
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| unfit("bad name"))?;
    Ok(Entry {
        name: name.to_owned(),
        arch: arch.to_owned(),
        offset,
        size: blob.size,
        sha256: blob.sha256.clone(),
    })
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn store(path: &Path, blobs: &[Blob], index: &Index) -> Result<(), AnyError> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    for blob in blobs {
        io::copy(&mut blob.open()?, &mut file)?;
    }
    let bytes = serde_json::to_vec(index)?;
    file.write_all(&bytes)?;
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(MAGIC)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(file.sync_all()?)
}
