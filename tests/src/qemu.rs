//! A virtual machine: a disk as a throw-away overlay, a port for ssh on loopback, its console
//! in a file, an SMBIOS identity.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;

use crate::command::{ended_with_us, run, start_logged, wait_end};
use crate::deadline::wait_for;
use crate::{Context, Result, failed};

/// Software emulation on a loaded machine; an idle one needs about 40 s.
pub const BOOT: Duration = Duration::from_secs(600);
const POWER_OFF: Duration = Duration::from_secs(180);
/// A guest that has not started systemd by then does not run under KVM.
const KVM_PROBE: Duration = Duration::from_secs(20);

/// A qcow2 overlay. What a machine writes stays in it; the image below is never written.
#[derive(Debug)]
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// A new overlay over `image`.
    ///
    /// # Errors
    /// When `qemu-img` fails.
    pub fn over(image: &Path) -> Result<Self> {
        let disk = Self { folder: tempfile::tempdir()? };
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(image)
            .arg(disk.path()))?;
        Ok(disk)
    }

    /// A copy of everything on the disk now, as copying a machine's disk makes it. The machine
    /// must be off.
    ///
    /// # Errors
    /// When the overlay cannot be copied.
    pub fn copy(&self) -> Result<Self> {
        let copy = Self { folder: tempfile::tempdir()? };
        fs::copy(self.path(), copy.path()).context(|| "copy a disk".to_owned())?;
        Ok(copy)
    }

    /// The file; for tools that work on a disk while its machine is off.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk.qcow2")
    }
}

/// What the machine is, apart from its disk.
#[derive(Debug, Clone, Default)]
pub struct Hardware {
    /// SMBIOS system UUID, what a cloud gives each instance. `None`: no UUID at all.
    pub uuid: Option<String>,
    /// A NoCloud seed (see [`crate::seed`]) as a second disk.
    pub seed: Option<PathBuf>,
}

/// A running virtual machine. Dropped while it runs, it is killed.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Starts a machine with `disk`, under KVM where that works, and returns at once.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn boot(disk: &Disk, hardware: &Hardware) -> Result<Self> {
        let accelerator = accelerator(disk)?;
        Self::boot_with(accelerator, disk, hardware)
    }

    fn boot_with(accelerator: &str, disk: &Disk, hardware: &Hardware) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = ended_with_us("qemu-system-x86_64");
        command
            .args(["-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", "1024"])
            .args(["-display", "none", "-monitor", "none", "-device", "virtio-rng-pci"])
            .arg("-drive")
            .arg(format!("file={},if=virtio,format=qcow2,discard=unmap", disk.path().display()))
            .arg("-nic")
            .arg(format!("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"))
            .arg("-serial")
            .arg(format!("file:{}", folder.path().join("serial.log").display()))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", folder.path().join("qmp").display()));
        if let Some(uuid) = &hardware.uuid {
            command.args(["-uuid", uuid]);
        }
        if let Some(seed) = &hardware.seed {
            let drive = format!("file={},if=virtio,format=raw,readonly=on", seed.display());
            command.arg("-drive").arg(drive);
        }
        let qemu = start_logged(&mut command, &folder.path().join("qemu.log"))?;
        Ok(Self { qemu, port, folder })
    }

    /// The port on 127.0.0.1 that leads to port 22 of the guest.
    pub fn ssh_port(&self) -> u16 {
        self.port
    }

    /// Everything that the serial console has shown so far.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.folder.path().join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the serial console shows `text`.
    ///
    /// # Errors
    /// When it does not within `limit`, or QEMU ends; the end of the console is in the text.
    pub fn wait_console(&mut self, text: &str, limit: Duration) -> Result {
        let found = wait_for(&format!("{text:?} on the console"), limit, || {
            if self.console().contains(text) {
                return Ok(Some(()));
            }
            self.still_runs()?;
            Ok(None)
        });
        found.context(|| format!("console:\n{}", last_lines(&self.console(), 60)))
    }

    /// Fails when the machine is off or QEMU refused to start.
    ///
    /// # Errors
    /// The end of QEMU, with what it said.
    pub fn still_runs(&mut self) -> Result {
        match self.qemu.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(self.folder.path().join("qemu.log"));
                Err(failed(format!("QEMU ended ({status}): {}", log.unwrap_or_default())))
            }
        }
    }

    /// Presses the power button and waits for the guest to switch itself off.
    ///
    /// # Errors
    /// When it is not off within three minutes.
    pub fn power_off(mut self) -> Result {
        self.qmp("system_powerdown")?;
        wait_end(&mut self.qemu, "power off of the machine", POWER_OFF)
            .context(|| format!("console:\n{}", last_lines(&self.console(), 60)))?;
        Ok(())
    }

    /// One command of QEMU's machine protocol (docs/interop/qmp-spec in QEMU).
    fn qmp(&self, execute: &str) -> Result {
        let socket = UnixStream::connect(self.folder.path().join("qmp"))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answers = BufReader::new(socket.try_clone()?).lines();
        let mut socket = socket;
        let mut answer =
            || answers.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()));
        answer().context(|| "greeting of QEMU".to_owned())?;
        for command in ["qmp_capabilities", execute] {
            writeln!(socket, r#"{{"execute":"{command}"}}"#)?;
            // Events may come in between.
            while !answer().context(|| format!("answer to {command}"))?.contains(r#""return""#) {}
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if matches!(self.qemu.try_wait(), Ok(None)) && self.qemu.kill().is_ok() {
            drop(self.qemu.wait());
        }
    }
}

/// `kvm` if a guest really comes up under it, else `tcg`. `/dev/kvm` alone says too little:
/// there are machines where it exists and every guest hangs.
///
/// # Errors
/// When the probe's own overlay cannot be made.
pub fn accelerator(disk: &Disk) -> Result<&'static str> {
    static FOUND: OnceLock<&'static str> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let usable = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok()
        && boots_under_kvm(&disk.path())?;
    Ok(FOUND.get_or_init(|| if usable { "kvm" } else { "tcg" }))
}

fn boots_under_kvm(image: &Path) -> Result<bool> {
    let probe = Disk::over(image)?;
    let mut machine = Machine::boot_with("kvm", &probe, &Hardware::default())?;
    Ok(machine.wait_console("Welcome to ", KVM_PROBE).is_ok())
}

/// The last `count` lines of `text`.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

/// Nobody else gets the same port between this call and QEMU's start, or QEMU says so.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn last_lines_are_the_last_ones() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
