//! A disk image on a loop device: a sparse raw file, or a real qcow2 that QEMU serves.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use crate::command::{ended_with_us, run, start_logged};
use crate::deadline::wait_for;
use crate::{Context, Result, expect};

/// What keeps the bytes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A sparse file, read and written past the page cache; discards punch holes.
    Raw,
    /// A qcow2 whose clusters are given back when the guest discards (`discard=unmap`).
    Qcow2,
    /// A qcow2 as QEMU has it by default (`discard=ignore`): discards are accepted and do nothing.
    Qcow2Ignoring,
}

/// An attached image; detached when dropped.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    device: PathBuf,
    point: PathBuf,
    folder: tempfile::TempDir,
    server: Option<Child>,
}

impl Volume {
    /// An image of `size` bytes without content, in a new folder below `parent`.
    ///
    /// # Errors
    /// When a tool fails.
    pub fn new(format: Format, size: u64, parent: &Path) -> Result<Self> {
        Self::attach(format, parent, |image| {
            if format == Format::Raw {
                return Ok(File::create(image)?.set_len(size)?);
            }
            let size = size.to_string();
            run(Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2"])
                .arg(image)
                .arg(size))?;
            Ok(())
        })
    }

    /// A copy of an image file, attached.
    ///
    /// # Errors
    /// When a tool fails.
    pub fn copy_of(image: &Path, format: Format, parent: &Path) -> Result<Self> {
        Self::attach(format, parent, |copy| {
            run(Command::new("cp").arg("--sparse=always").args([image, copy]))?;
            run(Command::new("sync").arg("--file-system").arg(copy)).map(drop)
        })
    }

    fn attach(format: Format, parent: &Path, make: impl FnOnce(&Path) -> Result) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("volume-").tempdir_in(parent)?;
        let (image, point) = (folder.path().join("image"), folder.path().join("mnt"));
        make(&image)?;
        fs::create_dir(&point)?;
        let mut volume = Self { image, device: PathBuf::new(), point, folder, server: None };
        let (file, direct) = match format {
            Format::Raw => (volume.image.clone(), "--direct-io=on"),
            // Read past the page cache, an export over FUSE came back damaged (Linux 6.18).
            _ => (volume.serve(format == Format::Qcow2)?, "--direct-io=off"),
        };
        let device = run(Command::new("losetup").args(["--find", "--show", direct]).arg(file))?;
        volume.device = PathBuf::from(device.trim());
        Ok(volume)
    }

    /// QEMU shows the content of the qcow2 as a file.
    fn serve(&mut self, discards: bool) -> Result<PathBuf> {
        let export = self.folder.path().join("export");
        File::create(&export)?;
        let discard = if discards { "unmap" } else { "ignore" };
        let image = self.image.display();
        let node = format!(
            "driver=qcow2,node-name=q,discard={discard},file.driver=file,file.filename={image},\
             file.discard={discard}"
        );
        let mut command = ended_with_us("qemu-storage-daemon");
        command.args(["--blockdev", &node, "--export"]);
        command
            .arg(format!("type=fuse,id=e,node-name=q,writable=on,mountpoint={}", export.display()));
        let server = start_logged(&mut command, &self.folder.path().join("server.log"))?;
        self.server = Some(server);
        wait_for("the export of the qcow2", Duration::from_secs(30), || {
            Ok((fs::metadata(&export)?.len() > 0).then_some(()))
        })
        .context(|| {
            fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
        })?;
        Ok(export)
    }

    /// The block device.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// The image file.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Mounts its file system.
    ///
    /// # Errors
    /// When mount(8) fails.
    pub fn mount(&self) -> Result {
        run(Command::new("mount").args([&self.device, &self.point])).map(drop)
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// When umount(8) fails.
    pub fn unmount(&self) -> Result {
        run(Command::new("umount").arg(&self.point)).map(drop)
    }

    /// Bytes that the image takes on the host.
    ///
    /// # Errors
    /// When it cannot be inspected.
    pub fn taken(&self) -> Result<u64> {
        let image = File::open(&self.image).context(|| "open the image".to_owned())?;
        image.sync_all()?;
        Ok(image.metadata()?.blocks() * 512)
    }

    /// Bytes that were written to the device so far. Source: Documentation/block/stat.rst of Linux.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn written(&self) -> Result<u64> {
        let name = self.device.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let sectors = text.split_whitespace().nth(6).and_then(|field| field.parse::<u64>().ok());
        expect(sectors.is_some(), || format!("/sys/block/{name}/stat says {text}"))?;
        Ok(sectors.unwrap_or_default() * 512)
    }

    /// How often `word` stands on the device.
    ///
    /// # Errors
    /// When grep fails.
    pub fn count(&self, word: &str) -> Result<u64> {
        // Records end at zero bytes: a disk has few newlines and many of these.
        let script = r#"LC_ALL=C grep -azoF -e "$1" "$2" | tr -cd '\0' | wc -c"#;
        let text = run(Command::new("sh").args(["-c", script, "sh", word]).arg(&self.device))?;
        Ok(text.trim().parse()?)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let quietly = |command: &mut Command| drop(command.output());
        quietly(Command::new("umount").arg("--quiet").arg(&self.point));
        if self.device.exists() {
            quietly(Command::new("losetup").arg("--detach").arg(&self.device));
        }
        if let Some(mut server) = self.server.take() {
            // One that has ended by itself is reaped all the same.
            drop(server.kill());
            drop(server.wait());
        }
        quietly(
            Command::new("umount")
                .args(["--quiet", "--lazy"])
                .arg(self.folder.path().join("export")),
        );
    }
}
