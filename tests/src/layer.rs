//! A throw-away writable layer over an unpacked tree.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::Base;
use crate::command::run;
use crate::{Context, Result, failed};

/// An overlay mount: reads come from the tree below, writes stay in memory.
///
/// Live for as long as the value; several boots of one layer see each other's changes, as a
/// disk would keep them.
#[derive(Debug)]
pub struct Layer {
    mounts: tempfile::TempDir,
    /// What lies below; nothing below an unpacked copy.
    tree: Option<PathBuf>,
}

impl Layer {
    /// Mounts a layer over `tree`.
    ///
    /// # Errors
    /// When the machine refuses the mounts; see [`crate::needs::Need::Mount`].
    pub fn over(tree: &Path) -> Result<Self> {
        let layer = Self::memory(tree)?;
        fs::create_dir(layer.upper())?;
        layer.mount(tree)?;
        Ok(layer)
    }

    /// What a copy of the disk holds; nothing may run from this one meanwhile.
    ///
    /// # Errors
    /// When it cannot be copied or mounted.
    pub fn copy(&self) -> Result<Self> {
        let tree = self.tree.as_ref().ok_or_else(|| failed("copy an overlay, not a tree"))?;
        let copy = Self::memory(tree)?;
        // What the overlay notes of removed entries are devices and attributes, and come along.
        run(Command::new("cp").arg("--archive").arg(self.upper()).arg(copy.upper()))?;
        copy.mount(tree)?;
        Ok(copy)
    }

    /// A file system in memory: an overlay cannot be the upper layer of another one, and a
    /// container's own root often is one.
    fn memory(tree: &Path) -> Result<Self> {
        let mounts = tempfile::Builder::new().prefix("disinherit-layer-").tempdir()?;
        let layer = Self { mounts, tree: Some(tree.to_path_buf()) };
        fs::create_dir(layer.place())?;
        fs::create_dir(layer.root())?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2g,mode=0755", "layer"])
            .arg(layer.place()))?;
        fs::create_dir(layer.place().join("work"))?;
        Ok(layer)
    }

    fn mount(&self, tree: &Path) -> Result {
        let mut options = OsString::from("lowerdir=");
        options.push(tree);
        options.push(",upperdir=");
        options.push(self.upper());
        options.push(",workdir=");
        options.push(self.place().join("work"));
        run(Command::new("mount")
            .args(["-t", "overlay", "layer", "-o"])
            .arg(options)
            .arg(self.root()))
        .context(|| format!("layer over {}", tree.display()))?;
        Ok(())
    }

    /// Makes the disk larger or smaller: `size` as tmpfs(5) takes it, such as `3g`. A size that is
    /// in use already leaves no room at all.
    ///
    /// # Errors
    /// When it cannot be mounted anew.
    pub fn resize(&self, size: &str) -> Result {
        run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(self.place()))?;
        Ok(())
    }

    /// Does `work` while the folder `from` of the layer is mounted over its folder `to`.
    ///
    /// # Errors
    /// When it cannot be mounted, and those of `work`.
    pub fn bound(&self, from: &str, to: &str, work: impl FnOnce() -> Result) -> Result {
        let place = |path: &str| self.root().join(path.trim_start_matches('/'));
        run(Command::new("mount").arg("--bind").args([place(from), place(to)]))?;
        let done = work();
        run(Command::new("umount").arg(place(to)))?;
        done
    }

    /// Leaves no room on the disk; [`Self::resize`] makes it.
    ///
    /// # Errors
    /// When it cannot be measured or mounted anew.
    pub fn fill(&self) -> Result {
        let used =
            run(Command::new("df").args(["--output=used", "--block-size=4096"]).arg(self.place()))?;
        let pages = used.lines().last().unwrap_or_default().trim();
        run(Command::new("mount")
            .args(["-o", &format!("remount,nr_blocks={pages}")])
            .arg(self.place()))?;
        Ok(())
    }

    fn place(&self) -> PathBuf {
        self.mounts.path().join("memory")
    }

    fn upper(&self) -> PathBuf {
        self.place().join("upper")
    }

    /// A copy of the tree of `base` in memory, with nothing below it.
    ///
    /// # Errors
    /// As [`Self::unpacked`].
    pub fn copy_of(base: &Base) -> Result<Self> {
        Self::unpacked(&base.archive())
    }

    /// The tree in the tar file `archive`, in memory, with nothing below it.
    ///
    /// # Errors
    /// When the machine refuses the mount, or the tree cannot be unpacked.
    pub fn unpacked(archive: &Path) -> Result<Self> {
        let mounts = tempfile::Builder::new().prefix("disinherit-copy-").tempdir()?;
        let layer = Self { mounts, tree: None };
        fs::create_dir(layer.root())?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6g,mode=0755", "copy"])
            .arg(layer.root()))?;
        unpack(archive, &layer.root())?;
        Ok(layer)
    }

    /// The file system on the block device `device`, with nothing below it: what is written stays
    /// there when the value is gone.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn on_device(device: &Path) -> Result<Self> {
        let mounts = tempfile::Builder::new().prefix("disinherit-disk-").tempdir()?;
        let layer = Self { mounts, tree: None };
        fs::create_dir(layer.root())?;
        run(Command::new("mount").args([device, &layer.root()]))?;
        Ok(layer)
    }

    /// The merged tree, readable and writable.
    pub fn root(&self) -> PathBuf {
        self.mounts.path().join("root")
    }

    /// Writes a file of the layer with `mode`, parents included.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Result {
        use std::os::unix::fs::PermissionsExt;
        let target = self.root().join(path.trim_start_matches('/'));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).context(|| format!("create parents of {path}"))?;
        }
        fs::write(&target, content).context(|| format!("write {path}"))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))
            .context(|| format!("set the mode of {path}"))
    }

    /// Runs a program of the tree in a chroot and returns its output.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn chroot(&self, argv: &[&str]) -> Result<String> {
        run(Command::new("chroot").arg(self.root()).args(argv))
    }
}

/// Unpacks with owners and extended attributes as they are in the archive.
pub(crate) fn unpack(archive: &Path, target: &Path) -> Result {
    run(Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(archive)
        .arg("-C")
        .arg(target))
    .map(drop)
}

impl Drop for Layer {
    fn drop(&mut self) {
        // Lazy, because a killed container may still hold it; the folder is removed afterwards.
        for mount in ["root", "memory"] {
            let unmounted =
                Command::new("umount").arg("--lazy").arg(self.mounts.path().join(mount)).output();
            drop(unmounted);
        }
    }
}
