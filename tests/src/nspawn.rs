//! A container booted with systemd as PID 1.
//!
//! `systemd-nspawn -b` needs neither a systemd on the host nor unified cgroups when it does not
//! register the machine. Its console goes to a file. There is no network but `lo`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::command::{ended_with_us, start_logged, wait_end};
use crate::deadline::wait_for;
use crate::layer::Layer;
use crate::{Context, Result, failed};

/// Long enough for a loaded machine with two cores; a boot takes about 6 s.
const BOOT: Duration = Duration::from_secs(180);
const POWER_OFF: Duration = Duration::from_secs(120);
const NSPAWN: &str = "systemd-nspawn";

/// How to boot a [`Layer`].
#[derive(Debug, Default, Clone)]
pub struct Boot {
    /// Further options of systemd-nspawn, such as `--set-credential=ID:VALUE`.
    pub options: Vec<String>,
    /// Words for the kernel command line, as systemd reads them from its arguments.
    pub kernel: Vec<String>,
    /// Mounts what the tree's fstab says; else it is hidden.
    pub fstab: bool,
    /// Run on one processor only.
    pub one_processor: bool,
}

impl Boot {
    /// With the folder of the released programs bound to `/opt/programs`.
    ///
    /// # Errors
    /// When they have not been built.
    pub fn with_programs() -> Result<Self> {
        let plugin = crate::dist::plugin()?;
        let folder = plugin.parent().unwrap_or(&plugin);
        let options = vec![format!("--bind-ro={}:/opt/programs", folder.display())];
        Ok(Self { options, ..Self::default() })
    }
}

/// A booted container. Dropped while it runs, it is killed.
#[derive(Debug)]
pub struct Container {
    nspawn: Child,
    leader: Pid,
    log: PathBuf,
    _log_folder: tempfile::TempDir,
}

impl Container {
    /// Boots `layer` and returns as soon as PID 1 runs; see [`Self::wait_running`].
    ///
    /// # Errors
    /// When nspawn ends at once; its console is in the text.
    pub fn boot(layer: &Layer, boot: &Boot) -> Result<Self> {
        let log_folder = tempfile::tempdir()?;
        let log = log_folder.path().join("console.log");
        let mut command = ended_with_us(if boot.one_processor { "taskset" } else { NSPAWN });
        if boot.one_processor {
            command.args(["--cpu-list", "0", NSPAWN]);
        }
        if !boot.fstab {
            // The tree's fstab is a virtual machine's.
            command.arg("--bind-ro=/dev/null:/etc/fstab");
        }
        command
            .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--private-network"])
            .args(["--console=read-only", "--machine", &machine_name(layer)])
            .arg("--directory")
            .arg(layer.root())
            .args(&boot.options)
            // So is its wait for a lease.
            .arg("systemd.mask=systemd-networkd-wait-online.service")
            .args(["systemd.log_target=console", "systemd.log_color=no", "systemd.show_status=1"])
            .args(&boot.kernel);
        let mut nspawn = start_logged(&mut command, &log)?;
        let leader = wait_for("PID 1 of the container", BOOT, || match nspawn.try_wait()? {
            Some(status) => Err(failed(format!("systemd-nspawn: {status}: {}", read_log(&log)))),
            None => Ok(find_leader(nspawn.id())),
        })?;
        Ok(Self { nspawn, leader, log, _log_folder: log_folder })
    }

    /// Waits until systemd has nothing left to start and returns its state, such as `running`
    /// or `degraded` (systemctl(1), is-system-running).
    ///
    /// # Errors
    /// When it does not come to that within three minutes.
    pub fn wait_running(&self) -> Result<String> {
        wait_for("a finished boot", BOOT, || {
            // Without a bus yet, and while it starts, the answer is none of the final states.
            let output = self.exec(&["systemctl", "is-system-running"])?;
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let last =
                matches!(state.as_str(), "running" | "degraded" | "maintenance" | "stopping");
            Ok(last.then_some(state))
        })
        .context(|| format!("console:\n{}", self.console()))
    }

    /// Runs a program inside, with a clean environment.
    ///
    /// # Errors
    /// When it cannot be started; its own failure is in the output's status.
    pub fn exec(&self, argv: &[&str]) -> Result<Output> {
        self.inside(argv).output().context(|| format!("enter the container for {argv:?}"))
    }

    fn inside(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.leader_pid(), "--all", "--", "/usr/bin/env", "-i"])
            .args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
            .args(argv);
        command
    }

    /// The same with `input` as its standard input.
    ///
    /// # Errors
    /// When it cannot be started or does not take the input.
    pub fn exec_with(&self, argv: &[&str], input: &[u8]) -> Result<Output> {
        let mut child = self
            .inside(argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(|| format!("enter the container for {argv:?}"))?;
        let pipe = child.stdin.take();
        // Beside the reading: a program that echoes would wait for its reader, and we for it.
        let (output, written) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| pipe.map_or(Ok(()), |mut pipe| pipe.write_all(input)));
            let output = child.wait_with_output();
            (output, writer.join())
        });
        let output = output.context(|| format!("wait for {argv:?}"))?;
        match written {
            Ok(written) => written.context(|| format!("write to {argv:?}"))?,
            Err(_) => return Err(failed(format!("writing to {argv:?} panicked"))),
        }
        Ok(output)
    }

    /// Standard output of a program inside that must succeed.
    ///
    /// # Errors
    /// When it fails; both outputs are in the text.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        let output = self.exec(argv)?;
        if !output.status.success() {
            let said = crate::command::said(&output);
            return Err(failed(format!("{argv:?} in the container: {}: {said}", output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Words in front of a host's command that put it into the container's network.
    pub fn network_prefix(&self) -> Vec<String> {
        ["nsenter", "--target", &self.leader_pid(), "--net", "--"].map(str::to_owned).to_vec()
    }

    /// Everything that the console has shown so far.
    pub fn console(&self) -> String {
        read_log(&self.log)
    }

    /// Waits until the console shows `text`.
    ///
    /// # Errors
    /// When it does not within `limit`; the console is in the text.
    pub fn wait_console(&self, text: &str, limit: Duration) -> Result {
        wait_for(&format!("{text:?} on the console"), limit, || {
            Ok(self.console().contains(text).then_some(()))
        })
        .context(|| format!("console:\n{}", self.console()))
    }

    /// An ordinary shutdown.
    ///
    /// # Errors
    /// When it takes longer than two minutes.
    pub fn power_off(mut self) -> Result {
        self.exec(&["systemctl", "--no-block", "poweroff"])?;
        wait_end(&mut self.nspawn, "power off of the container", POWER_OFF)?;
        Ok(())
    }

    /// A power cut: PID 1 and all with it is killed.
    ///
    /// # Errors
    /// When nspawn does not end after that.
    pub fn cut_power(mut self) -> Result {
        kill_process(self.leader, Signal::KILL).context(|| "kill PID 1".to_owned())?;
        wait_end(&mut self.nspawn, "end of the container", POWER_OFF)?;
        Ok(())
    }

    fn leader_pid(&self) -> String {
        self.leader.as_raw_nonzero().to_string()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if matches!(self.nspawn.try_wait(), Ok(None)) {
            // Nobody is left to hear of a failure; nspawn itself dies with this thread.
            if kill_process(self.leader, Signal::KILL).is_ok() {
                drop(wait_end(&mut self.nspawn, "end of the container", POWER_OFF));
            }
        }
    }
}

/// PID 1 of the container is nspawn's child once it has become systemd.
fn find_leader(nspawn: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        let became_init = matches!(name.trim(), "systemd" | "init");
        became_init.then(|| child.parse().ok().and_then(Pid::from_raw)).flatten()
    })
}

/// Machine names must be unique among running containers; the layer's folder already is.
fn machine_name(layer: &Layer) -> String {
    let folder = layer.root().parent().map(Path::to_path_buf).unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn read_log(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
