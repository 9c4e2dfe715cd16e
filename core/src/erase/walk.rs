//! Every file of one file system, opened without following links.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::filesystem::FileSystem;
use crate::sys::{self, Extent};
use crate::{Error, ImagePath, Result};

/// Calls `each` with every extent that has an address on the device, of every file and directory
/// on this file system, and the path from its top. What is gone or unreadable by now is passed over.
///
/// # Errors
/// A directory cannot be read.
pub(crate) fn extents(fs: &FileSystem, each: &mut dyn FnMut(&ImagePath, &Extent)) -> Result<()> {
    walk(fs, true, &mut |path, file| of_file(file, &mut |extent| each(path, extent)))
}

/// Calls `each` with every directory on this file system.
///
/// # Errors
/// A directory cannot be read.
pub(super) fn directories(fs: &FileSystem, each: &mut dyn FnMut(&File)) -> Result<()> {
    walk(fs, false, &mut |_, directory| each(directory))
}

type Visit<'a> = &'a mut dyn FnMut(&ImagePath, &File);

/// Opens every directory, and with `files` every regular file.
fn walk(fs: &FileSystem, files: bool, visit: Visit<'_>) -> Result<()> {
    let root = ImagePath::root();
    let top = fs.root().try_clone().map_err(|e| failed(&root, e))?;
    let number = rustix::fs::fstat(&top).map_err(|e| failed(&root, e))?.st_dev;
    let mut rest: Vec<ImagePath> = vec![root];
    while let Some(path) = rest.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(directory) = rustix::fs::openat(&top, path.relative(), flags, Mode::empty()) else {
            continue;
        };
        let directory = File::from(directory);
        visit(&path, &directory);
        for (below, kind) in entries(&directory, &path, number)? {
            match kind {
                FileType::Directory => rest.push(below),
                FileType::RegularFile if files => open(&directory, &below, visit),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The paths and types of what a directory holds on the device `number`.
fn entries(directory: &File, path: &ImagePath, number: u64) -> Result<Vec<(ImagePath, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory).map_err(|e| failed(path, e))? {
        let entry = entry.map_err(|e| failed(path, e))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Some(below) = path.join(name.to_bytes()) else { continue };
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        if let Ok(stat) = stat.as_ref().map(|stat| (stat.st_dev, stat.st_mode)) {
            if stat.0 == number {
                found.push((below, FileType::from_raw_mode(stat.1)));
            }
        }
    }
    Ok(found)
}

fn open(directory: &File, path: &ImagePath, visit: Visit<'_>) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = path.file_name().unwrap_or_default();
    let file: Result<OwnedFd, _> = rustix::fs::openat(directory, name, flags, Mode::empty());
    if let Ok(file) = file {
        visit(path, &File::from(file));
    }
}

/// Calls `each` with every extent of one file that has an address; none where there is no map.
pub(crate) fn of_file(file: &File, each: &mut dyn FnMut(&Extent)) {
    let mut at = 0;
    loop {
        let Ok(batch) = sys::fiemap(file, at) else { return };
        batch.iter().filter(|e| e.has_address()).for_each(&mut *each);
        match batch.last() {
            Some(last) if !last.is_last() => at = last.logical_end(),
            _ => return,
        }
    }
}

fn failed(path: &ImagePath, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::failed("read the directory", path).because(cause)
}
