//! Settings of ext4 in /sys that are changed while the fillers exist.
//!
//! Source: Documentation/ABI/testing/sysfs-fs-ext4 of Linux.

use std::path::PathBuf;

use super::filesystem::FileSystem;
use super::filler::Fillers;
use crate::Result;

/// Blocks that ext4 keeps from everybody, root included: 2 % of the file system, at most 4096
/// clusters. Deleted secrets lie in them as anywhere else, so they are handed out for the time.
pub(super) const RESERVE: &str = "reserved_clusters";
/// The inode that the next new file takes if it is free, 0 for the file system's choice.
pub(super) const INODE_GOAL: &str = "inode_goal";

/// A changed setting. Dropping puts it back, and a note beside the fillers lets the next run do it
/// after a kill.
#[derive(Debug)]
pub(super) struct Tunable {
    name: &'static str,
    file: PathBuf,
    before: Option<u64>,
}

impl Tunable {
    /// Notes the value as it is. `None` where there is no such setting: not ext4, or no /sys.
    ///
    /// # Errors
    /// The value cannot be noted.
    pub(super) fn open(
        fs: &FileSystem,
        fillers: &Fillers,
        name: &'static str,
    ) -> Result<Option<Self>> {
        let Some(file) = setting(fs, name) else { return Ok(None) };
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let Ok(before) = text.trim().parse() else { return Ok(None) };
        fillers.note(fs, name, &format!("{before}\n"))?;
        Ok(Some(Self { name, file, before: Some(before) }))
    }

    /// Changes the value.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn set(&self, fs: &FileSystem, value: u64) -> Result<()> {
        std::fs::write(&self.file, value.to_string()).map_err(|e| fs.failed("tune", e))
    }

    /// Puts the value back and removes the note.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn restore(mut self, fs: &FileSystem, fillers: &Fillers) -> Result<()> {
        if let Some(before) = self.before {
            self.set(fs, before)?;
            self.before = None;
        }
        fillers.forget(fs, self.name)
    }
}

impl Drop for Tunable {
    fn drop(&mut self) {
        let Some(before) = self.before else { return };
        if let Err(error) = std::fs::write(&self.file, before.to_string()) {
            log::warn!("{} stays changed until the next mount: {error}", self.file.display());
        }
    }
}

/// Puts back what a killed run noted.
///
/// # Errors
/// The value cannot be written.
pub(super) fn put_back(fs: &FileSystem, name: &str, note: &str) -> Result<()> {
    let (Some(file), Ok(value)) = (setting(fs, name), note.trim().parse::<u64>()) else {
        return Ok(());
    };
    std::fs::write(&file, value.to_string()).map_err(|e| fs.failed("put back a setting of", e))
}

fn setting(fs: &FileSystem, name: &str) -> Option<PathBuf> {
    let file = PathBuf::from(format!("/sys/fs/ext4/{}/{name}", fs.kernel_name()?));
    (fs.fstype() == "ext4" && file.exists()).then_some(file)
}
