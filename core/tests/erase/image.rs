//! A file system in a sparse file, on a loop device, mounted.

use std::cell::Cell;
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) size: u64,
    /// Program and options; the device is added.
    pub(crate) mkfs: &'static [&'static str],
    /// For `mount -o`.
    pub(crate) options: &'static str,
    pub(crate) discard: bool,
}

/// A mounted image; unmounted and detached when dropped.
pub(crate) struct Image {
    pub(crate) file: PathBuf,
    pub(crate) device: PathBuf,
    pub(crate) point: PathBuf,
    folder: TempDir,
    /// False once the device may be somebody else's.
    attached: Cell<bool>,
}

impl Image {
    pub(crate) fn new(recipe: Recipe) -> Result<Self, Box<dyn Error>> {
        let image = Self::unformatted(recipe.size, recipe.discard)?;
        let (program, options) = recipe.mkfs.split_first().unwrap();
        run(Command::new(program).args(options).arg(&image.device))?;
        image.mount(recipe.options)?;
        Ok(image)
    }

    /// Leaves only the file: a second file system with the same UUID is refused by some.
    pub(crate) fn retire(&self) -> Result<(), Box<dyn Error>> {
        self.unmount()?;
        run(Command::new("losetup").arg("--detach").arg(&self.device))?;
        self.attached.set(false);
        Ok(())
    }

    /// Another image with the same bytes, mounted; this one is retired.
    pub(crate) fn copy(&self) -> Result<Self, Box<dyn Error>> {
        let copy = Self::backed(true, |file| {
            run(Command::new("cp").arg("--sparse=always").args([&self.file, file])).map(drop)
        })?;
        copy.mount("")?;
        Ok(copy)
    }

    /// A loop device without a file system. It refuses to discard where its file lies on a ramfs,
    /// which cannot punch holes; a limit set in /sys would stay with the loop device for ever.
    pub(crate) fn unformatted(size: u64, discard: bool) -> Result<Self, Box<dyn Error>> {
        Self::backed(discard, |file| Ok(File::create(file)?.set_len(size)?))
    }

    fn backed(
        discard: bool,
        make: impl FnOnce(&PathBuf) -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("erase-").tempdir()?;
        let ram = folder.path().join("ram");
        std::fs::create_dir(&ram)?;
        if !discard {
            run(Command::new("mount").args(["-t", "ramfs", "ramfs"]).arg(&ram))?;
        }
        let file = ram.join("image");
        make(&file)?;
        let point = folder.path().join("mnt");
        std::fs::create_dir(&point)?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&file))?;
        let device = PathBuf::from(device.trim());
        Ok(Self { file, device, point, folder, attached: Cell::new(true) })
    }

    pub(crate) fn mount(&self, options: &str) -> Result<(), Box<dyn Error>> {
        let options = if options.is_empty() { "rw" } else { options };
        run(Command::new("mount").args(["-o", options]).args([&self.device, &self.point]))?;
        Ok(())
    }

    pub(crate) fn unmount(&self) -> Result<(), Box<dyn Error>> {
        run(Command::new("umount").arg(&self.point))?;
        Ok(())
    }

    /// Bytes that the sparse file takes on the host.
    pub(crate) fn taken(&self) -> u64 {
        File::open(&self.file)
            .and_then(|f| f.sync_all().and_then(|()| f.metadata()))
            .unwrap()
            .blocks()
            * 512
    }

    /// The lines of `words` that a foreign search finds in the image, each once.
    pub(crate) fn grep(&self, words: &[String]) -> Vec<String> {
        let list = self.folder.path().join("words");
        std::fs::write(&list, words.join("\n")).unwrap();
        // Records end at zero bytes: a device has few newlines and many of these.
        let script = "LC_ALL=C grep -azoF -f \"$1\" \"$2\" | tr '\\0' '\\n' | sort -u";
        let found = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([&list, &self.file])
            .output()
            .unwrap();
        assert!(found.stderr.is_empty(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn kernel_name(&self) -> &str {
        self.device.file_name().unwrap().to_str().unwrap()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let quietly = |command: &mut Command| drop(command.output());
        quietly(Command::new("umount").arg("--quiet").arg(&self.point));
        if self.attached.get() {
            quietly(Command::new("losetup").arg("--detach").arg(&self.device));
        }
        // A loop device lets go of its file some time after it is detached.
        quietly(Command::new("umount").arg("--lazy").arg(self.folder.path().join("ram")));
    }
}

/// Runs a program and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) const EXT4: Recipe =
    Recipe { size: 256 << 20, mkfs: &["mkfs.ext4", "-q"], options: "", discard: false };
pub(crate) const XFS: Recipe =
    Recipe { size: 400 << 20, mkfs: &["mkfs.xfs", "-q"], options: "", discard: false };
pub(crate) const BTRFS: Recipe =
    Recipe { size: 256 << 20, mkfs: &["mkfs.btrfs", "-q"], options: "nodiscard", discard: true };
