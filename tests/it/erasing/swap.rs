//! A swap area that a scrub takes out of use on the running system: used again where the run fails,
//! left alone where the machine is about to be captured.
//!
//! The system is an image of its own that the program sees as `/`, through chroot(1).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use disinherit_tests::base::repository;
use disinherit_tests::command::{ended_with_us, run, said};
use disinherit_tests::layer::Layer;
use disinherit_tests::volume::{Format, Volume};
use disinherit_tests::{Result, dist, expect};

/// A small system on a disk, which swaps to a file of its own until it is dropped.
struct System {
    layer: Layer,
    _volume: Volume,
}

impl System {
    fn new(parent: &std::path::Path) -> Result<Self> {
        let volume = Volume::new(Format::Raw, 256 << 20, parent)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(volume.device()))?;
        let layer = Layer::on_device(volume.device())?;
        let system = Self { layer, _volume: volume };
        for folder in ["etc", "root", "home/ann", "proc", "sys", "dev", "run", "tmp"] {
            fs::create_dir_all(system.at(folder))?;
        }
        fs::write(
            system.at("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nann:x:9:9::/home/ann:/bin/sh\n",
        )?;
        fs::write(system.at("etc/shadow"), "root:*:1::::::\nann:*:1::::::\n")?;
        fs::write(system.at("etc/fstab"), "/swapfile none swap sw 0 0\n")?;
        fs::write(system.at("home/ann/.bash_history"), "mysql -pk3J9xQ7vR2mT8wZ5\n")?;
        fs::write(system.at("swapfile"), vec![0; 32 << 20])?;
        fs::copy(dist::plugin()?, system.at("program"))?;
        run(Command::new("chmod").args(["600"]).arg(system.at("swapfile")))?;
        run(Command::new("mkswap").arg(system.at("swapfile")))?;
        // Nothing of this machine is in its reach but what its own disk is called.
        run(Command::new("mount").args(["-t", "proc", "proc"]).arg(system.at("proc")))?;
        run(Command::new("mount").args(["-t", "sysfs", "sys"]).arg(system.at("sys")))?;
        run(Command::new("mount").args(["-t", "tmpfs", "dev"]).arg(system.at("dev")))?;
        let device = system._volume.device();
        let node = system.at("dev").join(device.file_name().unwrap_or_default());
        let number = fs::metadata(device)?.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let numbers = [major.to_string(), minor.to_string()];
        run(Command::new("mknod").arg(node).arg("b").args(numbers))?;
        run(Command::new("swapon").args(["--priority", "7"]).arg(system.at("swapfile")))?;
        Ok(system)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.layer.root().join(path)
    }

    /// Scrubs as the provisioner does, behind the words of `wrapper`.
    fn scrub(&self, wrapper: &[&str]) -> Result<Output> {
        let (first, rest) = wrapper.split_first().unwrap_or((&"env", &[]));
        let mut command = Command::new(first);
        command.args(rest).arg("chroot").arg(self.layer.root()).arg("/program");
        command.args(["scrub", "--live", "--yes", "--packer", "--firstboot", "none"]);
        Ok(command.output()?)
    }

    /// The priority with which the system swaps to its file; `None` when it does not.
    fn priority(&self) -> Result<Option<String>> {
        let text = fs::read_to_string("/proc/swaps")?;
        let name = self.at("swapfile").display().to_string();
        let line = text.lines().find(|line| line.starts_with(&name));
        Ok(line.and_then(|line| line.split_whitespace().last()).map(str::to_owned))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // What is not in use any more, or not mounted, is said by the tool and no harm.
        let quietly = |command: &mut Command| drop(command.output());
        quietly(Command::new("swapoff").arg(self.at("swapfile")));
        quietly(Command::new("chattr").arg("-i").arg(self.at("home/ann/.bash_history")));
        for folder in ["dev", "sys", "proc"] {
            quietly(Command::new("umount").arg(self.at(folder)));
        }
    }
}

pub(super) fn is_used_again() -> Result {
    let parent = tempfile::Builder::new().prefix("swap-").tempdir_in(repository().join("build"))?;
    let used = Some("7".to_owned());

    // Files cannot be changed: somebody else holds the lock of the account files.
    let system = System::new(parent.path())?;
    expect(system.priority()? == used, || "it does not swap".to_owned())?;
    let lock = system.at("etc/.pwd.lock");
    let script = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX); \
                  print('locked',flush=True); sys.stdin.read()";
    fs::write(system.at("etc/shadow"), "root:$6$a$b:1::::::\nann:$6$a$b:1::::::\n")?;
    let mut holder = ended_with_us("python3");
    holder.args(["-c", script]).arg(&lock).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn()?;
    let mut line = String::new();
    if let Some(out) = holder.stdout.as_mut() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let output = system.scrub(&[]);
    holder.kill()?;
    holder.wait()?;
    let output = output?;
    expect(output.status.code() == Some(3), || format!("locked: {}", said(&output)))?;
    expect(system.priority()? == used, || format!("after an error: {}", said(&output)))?;

    // One file stays: the run ends with a report and code 3, and no builder captures that.
    run(Command::new("chattr").arg("+i").arg(system.at("home/ann/.bash_history")))?;
    let output = system.scrub(&["setpriv", "--bounding-set=-linux_immutable"])?;
    expect(output.status.code() == Some(3), || format!("immutable: {}", said(&output)))?;
    expect(system.priority()? == used, || format!("after code 3: {}", said(&output)))?;

    // All went well: what is paged out now would lie in the image.
    run(Command::new("chattr").arg("-i").arg(system.at("home/ann/.bash_history")))?;
    let output = system.scrub(&[])?;
    expect(output.status.code() == Some(0), || format!("well: {}", said(&output)))?;
    expect(system.priority()?.is_none(), || "it is used again before the capture".to_owned())
}
