//! Deleted files that a process still holds open: their blocks are in use until it ends.

use std::path::Path;

use rustix::fs::{Stat, stat};
use serde::{Deserialize, Serialize};

use super::filesystem::FileSystem;
use crate::path::escape;

/// A process and the deleted file that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The process.
    pub pid: u32,
    /// Its name. Source: proc_pid_comm(5).
    pub process: String,
    /// Where the file was, as the kernel says it, with ` (deleted)` behind it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The deleted files of `fs` that processes hold open, through descriptors that we may look at.
/// Processes that end meanwhile are passed over.
pub fn held(fs: &FileSystem) -> Vec<Held> {
    let Ok(own) = rustix::fs::fstat(fs.root()) else { return Vec::new() };
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for descriptor in
            std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten()
        {
            let Ok(meta) = stat(descriptor.path()) else { continue };
            if meta.st_dev == own.st_dev && meta.st_nlink == 0 {
                found.push(entry(pid, &process.path(), &descriptor.path(), &meta));
            }
        }
    }
    found.sort_by(|a, b| (a.pid, &a.path).cmp(&(b.pid, &b.path)));
    found
}

fn entry(pid: u32, process: &Path, descriptor: &Path, meta: &Stat) -> Held {
    let name = std::fs::read(process.join("comm")).unwrap_or_default();
    let link = rustix::fs::readlink(descriptor, Vec::new()).unwrap_or_default();
    Held {
        pid,
        process: escape(name.trim_ascii_end()).into_owned(),
        path: escape(link.to_bytes()).into_owned(),
        size: u64::try_from(meta.st_size).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_deleted_file_is_named_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"secret").unwrap();
        std::fs::remove_file(&path).unwrap();
        let fs = FileSystem::of(folder.path()).unwrap();
        let ours = held(&fs).into_iter().find(|h| h.path.contains("/kept")).unwrap();
        assert_eq!((ours.pid, ours.size), (std::process::id(), 6));
    }
}
