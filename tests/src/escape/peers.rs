//! Other ways to clean an image, each on a copy of the same disk, and what they leave.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::judge::{ACCOUNT_FILES, open_accounts};
use super::search::Search;
use super::world::World;
use crate::base::{Base, repository};
use crate::command::{run, said};
use crate::layer::Layer;
use crate::tree::Tree;
use crate::{Context, Result, dist, failed};

/// One way to clean an image.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// Nothing at all.
    Nothing,
    /// A script of `tests/peers`, run inside the image.
    Script(&'static str),
    /// virt-sysprep(1) with its defaults and its own appliance.
    VirtSysprep,
    /// Our program with these options.
    Ours(&'static [&'static str]),
}

/// What one way left.
#[derive(Debug, Clone)]
pub struct Remains {
    /// Planted values that are readable in files.
    pub files: usize,
    /// Planted values that are readable in the raw disk.
    pub disk: usize,
    /// Accounts that need no password.
    pub open: usize,
    /// Files that had to stay and did not.
    pub controls: usize,
    /// How long it took.
    pub took: Duration,
}

/// A file system with a world in it, as a file.
#[derive(Debug)]
pub struct Image {
    folder: tempfile::TempDir,
    world: World,
}

const SIZE: &str = "2200m";

impl Image {
    /// Makes the disk that every peer gets a copy of.
    ///
    /// # Errors
    /// When the tree or the file system cannot be made.
    pub fn make(
        plant: impl FnOnce(&mut World) -> Result,
        mut world: World,
        layer: &Layer,
    ) -> Result<Self> {
        plant(&mut world)?;
        let build = repository().join("build");
        let folder = tempfile::Builder::new().prefix("peers-").tempdir_in(build)?;
        let image = Self { folder, world };
        run(Command::new("mke2fs")
            .args([
                "-q",
                "-t",
                "ext4",
                "-m",
                "1",
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0",
                "-d",
            ])
            .arg(layer.root())
            .arg(image.disk())
            .arg(SIZE))?;
        Ok(image)
    }

    /// What is planted in it.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    /// Lets `peer` clean a copy and looks at what is left.
    ///
    /// # Errors
    /// When the peer cannot be started or breaks off.
    pub fn clean(&self, peer: Peer) -> Result<Remains> {
        let copy = self.folder.path().join("copy.raw");
        run(Command::new("cp").arg("--sparse=always").args([self.disk(), copy.clone()]))?;
        let before = { Mounted::mount(&copy, true)?.tree()? };
        let started = Instant::now();
        peer.clean(&copy)?;
        let took = started.elapsed();
        let search = Search::new(self.world.secrets())?;
        let disk = on_disk(&search, &copy)?.len();
        let mounted = Mounted::mount(&copy, true)?;
        let files: BTreeSet<usize> = search.tree(mounted.root())?.into_values().flatten().collect();
        let changed = before.differences(&mounted.tree()?);
        let controls: BTreeSet<&PathBuf> = self.world.controls().iter().collect();
        let controls = changed.iter().filter(|found| controls.contains(&found.path)).count();
        let open = open_accounts(mounted.root(), &ACCOUNT_FILES)?.len();
        Ok(Remains { files: files.len(), disk, open, controls, took })
    }
}

impl Peer {
    /// What the table calls it.
    pub fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Script(name) => name.to_owned(),
            Self::VirtSysprep => "virt-sysprep".to_owned(),
            Self::Ours(options) => {
                format!("disinherit scrub {}", options.join(" ")).trim_end().to_owned()
            }
        }
    }

    fn clean(self, disk: &Path) -> Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Script(name) => in_the_image(name, &Mounted::mount(disk, false)?),
            Self::VirtSysprep => {
                let mut command = Command::new("virt-sysprep");
                command.args(["--quiet", "--format", "raw", "--add"]).arg(disk);
                // Where KVM is there but does not work, the appliance would not start.
                command.env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg");
                run(command.env("LIBGUESTFS_BACKEND", "direct")).map(drop)
            }
            Self::Ours(options) => ours(options, &Mounted::mount(disk, false)?),
        }
    }
}

fn in_the_image(name: &str, mounted: &Mounted) -> Result {
    let script = repository().join(format!("tests/peers/{name}.sh"));
    let output = Command::new("chroot")
        .arg(mounted.root())
        .args([
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "bash",
            "-s",
        ])
        .stdin(File::open(&script).context(|| format!("open {}", script.display()))?)
        .output()
        .context(|| "start chroot".to_owned())?;
    output
        .status
        .success()
        .then_some(())
        .ok_or_else(|| failed(format!("{name}: {}", said(&output))))
}

fn ours(options: &[&str], mounted: &Mounted) -> Result {
    let output = Command::new(dist::plugin()?)
        .args(["scrub", "--firstboot"])
        .arg(dist::firstboot()?)
        .arg("--root")
        .arg(mounted.root())
        .args(options)
        .stdin(Stdio::null())
        .output()
        .context(|| "start the scrub".to_owned())?;
    let ended = output.status.code().is_some_and(|code| code < 2);
    ended
        .then_some(())
        .ok_or_else(|| failed(format!("scrub: {}: {}", output.status, said(&output))))
}

/// The disk's file system, mounted for as long as the value lives.
struct Mounted {
    point: tempfile::TempDir,
}

impl Mounted {
    fn mount(disk: &Path, read_only: bool) -> Result<Self> {
        let point = tempfile::Builder::new().prefix("peer-").tempdir()?;
        // Without the journal's replay a read-only mount would not be one.
        let options = if read_only { "loop,ro" } else { "loop" };
        run(Command::new("mount").args(["-o", options]).arg(disk).arg(point.path()))?;
        Ok(Self { point })
    }

    fn root(&self) -> &Path {
        self.point.path()
    }

    fn tree(&self) -> Result<Tree> {
        Tree::read(self.root())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.root()).output());
    }
}

/// Blocks overlap by more than the longest value.
fn on_disk(search: &Search, disk: &Path) -> Result<BTreeSet<usize>> {
    const BLOCK: usize = 16 << 20;
    const OVERLAP: usize = 4096;
    let mut file = File::open(disk).context(|| format!("open {}", disk.display()))?;
    let mut found = BTreeSet::new();
    let mut window: Vec<u8> = Vec::new();
    loop {
        let length = (&mut file).take(BLOCK as u64).read_to_end(&mut window)?;
        found.extend(search.bytes(&window));
        if length < BLOCK {
            return Ok(found);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}

/// A fresh tree in memory to plant in.
///
/// # Errors
/// When it cannot be unpacked.
pub fn fresh() -> Result<Layer> {
    Layer::copy_of(&Base::bookworm()?)
}

/// The rows as the README has them.
pub fn table(rows: &[(Peer, Remains)], planted: usize, controls: usize) -> String {
    let mut text = format!(
        "{planted} credentials and {controls} files that have to stay, on one ext4 disk; a fresh copy each.\n\n\
         {:<36} {:>8} {:>9} {:>13} {:>9} {:>7}\n{:<36} {:>8} {:>9} {:>13} {:>9} {:>7}\n",
        "",
        "in files",
        "on disk",
        "passwordless",
        "controls",
        "time",
        "",
        "",
        "",
        "accounts",
        "changed",
        ""
    );
    for (peer, left) in rows {
        text.push_str(&format!(
            "{:<36} {:>8} {:>9} {:>13} {:>9} {:>5.0} s\n",
            peer.name(),
            left.files,
            left.disk,
            left.open,
            left.controls,
            left.took.as_secs_f64()
        ));
    }
    text
}

/// All ways that the table compares, ours last.
pub const ALL: &[Peer] = &[
    Peer::Nothing,
    Peer::Script("alibaba-cloud"),
    Peer::Script("cloud-init-clean"),
    Peer::Script("ec2-image-builder"),
    Peer::Script("digitalocean"),
    Peer::VirtSysprep,
    Peer::Ours(&[]),
    Peer::Ours(&["--content", "remove"]),
];
