//! `scrub` of a real Debian disk is killed in the middle: the disk boots, and the next run leaves
//! nothing that a foreign search finds.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::{run, said};
use disinherit_tests::deadline::wait_for;
use disinherit_tests::layer::Layer;
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::volume::{Format, Volume};
use disinherit_tests::{Context, Result, dist, expect, failed};
use rand::distr::{Alphanumeric, SampleString as _};

const SIZE: u64 = 3 << 30;
const SWAP: usize = 256 << 20;
/// A scrub of this disk takes a few seconds.
const LONG: Duration = Duration::from_secs(300);

/// Where a run is killed.
pub(super) struct When {
    pub(super) name: &'static str,
    /// In `make test` too.
    pub(super) always: bool,
    options: &'static [&'static str],
    /// Whether it has come so far, as the disk at the path tells.
    reached: fn(&Disk) -> bool,
}

pub(super) const WHEN: &[When] = &[
    When {
        name: "a_kill_while_files_change",
        always: false,
        options: &[],
        reached: |disk| !disk.at("root/.bash_history").exists(),
    },
    When {
        name: "a_kill_while_swap_is_overwritten",
        always: false,
        options: &[],
        reached: |disk| disk.first_page_is_zero(),
    },
    When {
        name: "a_kill_while_free_space_is_filled",
        always: true,
        options: &[],
        reached: |disk| disk.fillers_take_space(),
    },
    When {
        name: "a_kill_while_e2fsck_runs",
        always: true,
        options: &["--offline"],
        reached: |disk| !disk.is_mounted(),
    },
];

/// A mounted disk with a Debian on it.
struct Disk {
    layer: Layer,
}

impl Disk {
    fn at(&self, path: &str) -> PathBuf {
        self.layer.root().join(path)
    }

    /// The first page of swapped memory; the header lies before it.
    fn first_page_is_zero(&self) -> bool {
        use std::os::unix::fs::FileExt as _;
        let mut page = [1; 512];
        let file = fs::File::open(self.at("swapfile"));
        file.and_then(|f| f.read_exact_at(&mut page, 8192)).is_ok() && page == [0; 512]
    }

    fn fillers_take_space(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let files = fs::read_dir(self.at(".disinherit-fill")).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|meta| meta.blocks() > 1 << 16)
    }

    fn is_mounted(&self) -> bool {
        self.at("etc").exists()
    }
}

pub(super) fn boots(when: &When) -> Result {
    let parent = tempfile::Builder::new().prefix("kill-").tempdir_in(repository().join("build"))?;
    let volume = Volume::new(Format::Raw, SIZE, parent.path())?;
    run(Command::new("mkfs.ext4").arg("-q").arg(volume.device()))?;
    let disk = Disk { layer: Layer::on_device(volume.device())? };
    let secrets = plant(&disk)?;

    let mut child = scrub(&disk, when.options)?.stdout(Stdio::null()).spawn()?;
    kill_when(&mut child, || (when.reached)(&disk))?;
    if !disk.is_mounted() {
        mounted_again(&volume, &disk)?;
    }
    boot(&disk.layer)?;

    let output = scrub(&disk, when.options)?.output()?;
    expect(output.status.code() == Some(0), || format!("{}: {}", output.status, said(&output)))?;
    expect(!disk.at(".disinherit-fill").exists(), || "fillers are left".to_owned())?;
    drop(disk);
    run(Command::new("e2fsck").args(["-f", "-n"]).arg(volume.device()))?;
    let left = left(&volume, &secrets)?;
    expect(left.is_empty(), || format!("{} of {} left", left.len(), secrets.len()))
}

/// A Debian whose disk holds secrets in what is there, in what was deleted, and in a swap file.
fn plant(disk: &Disk) -> Result<Vec<String>> {
    let base = Base::bookworm()?;
    base.unpack_to(&disk.layer.root())?;
    let mut secrets: Vec<String> = base.planted()?.into_iter().map(|p| p.value).collect();
    let mut word = || {
        secrets.push(Alphanumeric.sample_string(&mut rand::rng(), 32));
        secrets.last().cloned().unwrap_or_default()
    };
    let mut swap = vec![0; SWAP];
    for page in swap.chunks_mut(1 << 20) {
        let text = word();
        for at in [8192, 500_000] {
            page.get_mut(at..).unwrap_or_default().write_all(text.as_bytes())?;
        }
    }
    fs::write(disk.at("swapfile"), &swap)?;
    run(Command::new("chmod").arg("600").arg(disk.at("swapfile")))?;
    run(Command::new("mkswap").arg(disk.at("swapfile")))?;
    fs::write(disk.at("etc/fstab"), "/swapfile none swap sw 0 0\n")?;
    fs::write(disk.at("root/.bash_history"), format!("mysql -p{}\n", word()))?;
    for number in 0..300 {
        let text = format!("token = {}\n", word());
        fs::write(disk.at(&format!("opt/{number}")), text.repeat(1 + number % 100))?;
        let last = format!("export TOKEN={}\n", word());
        fs::write(disk.at(&format!("tmp/{number}")), last)?;
    }
    run(Command::new("sync").arg("--file-system").arg(disk.layer.root()))?;
    (0..300).try_for_each(|number| fs::remove_file(disk.at(&format!("opt/{number}"))))?;
    run(Command::new("sync").arg("--file-system").arg(disk.layer.root()))?;
    Ok(secrets)
}

/// The released program, as a user would start it. No discard, so that every step has work to do.
fn scrub(disk: &Disk, options: &[&str]) -> Result<Command> {
    let mut command = Command::new(dist::plugin()?);
    command.args(["scrub", "--format", "json", "--erase", "fill", "--root"]);
    command.arg(disk.layer.root()).arg("--firstboot").arg(dist::firstboot()?).args(options);
    Ok(command)
}

fn kill_when(child: &mut Child, reached: impl Fn() -> bool) -> Result {
    let end = Instant::now() + LONG;
    while !reached() {
        let ended = child.try_wait()?;
        expect(ended.is_none(), || format!("it ended before it could be killed: {ended:?}"))?;
        expect(Instant::now() < end, || "it did not come so far".to_owned())?;
        std::thread::yield_now();
    }
    child.kill()?;
    let status = child.wait()?;
    use std::os::unix::process::ExitStatusExt as _;
    expect(status.signal() == Some(9), || format!("it ended before it was killed: {status}"))
}

/// The tool that the killed run had started works on; the device is its own until it ends.
fn mounted_again(volume: &Volume, disk: &Disk) -> Result {
    let mount = || Command::new("mount").args([volume.device(), &disk.layer.root()]).output();
    wait_for("the end of e2fsck", LONG, || Ok(mount()?.status.success().then_some(())))
}

/// It comes up to its services, and has somebody who can be asked.
fn boot(layer: &Layer) -> Result {
    let container = Container::boot(layer, &Boot::default())?;
    let state = container.wait_running()?;
    let up = matches!(state.as_str(), "running" | "degraded");
    expect(up, || format!("{state}: {}", container.console()))?;
    container.run(&["getent", "passwd", "root"])?;
    container.power_off()
}

/// The secrets that the device still shows.
fn left(volume: &Volume, secrets: &[String]) -> Result<Vec<String>> {
    let list = tempfile::NamedTempFile::new()?;
    fs::write(list.path(), secrets.join("\n"))?;
    // Records end at zero bytes: a device has few newlines and many of these.
    let script = "LC_ALL=C grep -azoF -f \"$1\" \"$2\" | tr '\\0' '\\n' | sort -u";
    let device: &Path = volume.device();
    let output = Command::new("sh").args(["-c", script, "sh"]).args([list.path(), device]).output();
    let output = output.context(|| "start grep".to_owned())?;
    if !output.stderr.is_empty() {
        return Err(failed(said(&output)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
