//! A base's disk as somebody without a machine works on it: a raw file whose file system is mounted.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::repository;
use crate::command::{find, run};
use crate::{Context, Result};

/// Where the base's one partition begins.
pub const PARTITION: u64 = 1 << 20;

/// A private copy of a disk; unmounted and removed with the value.
#[derive(Debug)]
pub struct MountedDisk {
    folder: tempfile::TempDir,
    device: PathBuf,
}

/// A disk to boot from, qcow2; removed with the value.
#[derive(Debug)]
pub struct FinishedDisk {
    folder: tempfile::TempDir,
}

impl MountedDisk {
    /// Copies `image` (qcow2) and mounts its partition; root only.
    ///
    /// # Errors
    /// When a tool fails.
    pub fn of(image: &Path) -> Result<Self> {
        let parent = repository().join("build");
        let folder = tempfile::Builder::new().prefix("disk-").tempdir_in(parent)?;
        std::fs::create_dir(folder.path().join("root"))?;
        let mut disk = Self { folder, device: PathBuf::new() };
        run(Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(image).arg(disk.raw()))?;
        let offset = PARTITION.to_string();
        let device = run(Command::new("losetup")
            .args(["--find", "--show", "--offset", &offset])
            .arg(disk.raw()))?;
        disk.device = PathBuf::from(device.trim());
        run(Command::new("mount").arg(&disk.device).arg(disk.root()))?;
        Ok(disk)
    }

    /// Its mounted file system.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Unmounts it, has e2fsck look at it, and makes a disk of it that machines boot from.
    ///
    /// # Errors
    /// When it is busy, when e2fsck finds anything, or when it cannot be converted.
    pub fn finish(self) -> Result<FinishedDisk> {
        run(Command::new("umount").arg(self.root()))?;
        let e2fsck = find("e2fsck").unwrap_or_else(|| "e2fsck".into());
        run(Command::new(e2fsck).args(["-f", "-n"]).arg(&self.device))
            .context(|| "the file system of the finished disk".to_owned())?;
        run(Command::new("losetup").arg("--detach").arg(&self.device))?;
        let folder =
            tempfile::Builder::new().prefix("disk-").tempdir_in(repository().join("build"))?;
        let finished = FinishedDisk { folder };
        run(Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", "qcow2"])
            .args([self.raw(), finished.path()]))?;
        Ok(finished)
    }

    fn raw(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }
}

impl FinishedDisk {
    /// The image file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk.qcow2")
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        // After `finish` neither is there any more, and both say so.
        drop(Command::new("umount").arg("--quiet").arg(self.root()).output());
        let backing = Command::new("losetup").args(["--associated"]).arg(self.raw()).output();
        if backing.is_ok_and(|output| !output.stdout.is_empty()) {
            drop(Command::new("losetup").arg("--detach").arg(&self.device).output());
        }
    }
}
