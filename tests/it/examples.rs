//! `disinherit-firstboot seal` in other people's builders, as `examples/` shows it: each makes an
//! image with a login of its author inside, which boots closed and opens to an injected key alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::{find, run};
use disinherit_tests::layer::Layer;
use disinherit_tests::mounted::MountedDisk;
use disinherit_tests::needs::{Need, full, trial};
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::qemu::Disk as Overlay;
use disinherit_tests::ssh::{KeyPair, Proof};
use disinherit_tests::{Context, Result, dist, expect, failed};
use libtest_mimic::Trial;
use rand::Rng;

use crate::boots::disk::{A, B, Instance, PROGRAM, Platform};

/// One builder's test: its name, what it needs, and the test.
type Example = (&'static str, &'static [Need], fn() -> Result);

const EXAMPLES: [Example; 4] = [
    ("examples::image_builder", &[Need::Packer, Need::Jq, Need::Dist], image_builder),
    (
        "examples::mkosi",
        &[Need::Root, Need::Mount, Need::Nspawn, Need::Ssh, Need::Dist, Need::Mkosi],
        mkosi,
    ),
    (
        "examples::live_build",
        &[Need::Root, Need::Mount, Need::Nspawn, Need::Ssh, Need::Dist, Need::LiveBuild],
        live_build,
    ),
    (
        "examples::virt_customize",
        &[Need::Root, Need::Mount, Need::Nspawn, Need::Ssh, Need::Dist, Need::Libguestfs],
        virt_customize,
    ),
];

/// All of them, also those that this run leaves out.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|(name, _, _)| *name)
}

pub(crate) fn trials() -> Vec<Trial> {
    // Most fetch and unpack a Debian, or boot an appliance.
    let wanted = EXAMPLES.into_iter().filter(|_| full());
    wanted.map(|(name, needs, test)| trial(name, needs, test)).collect()
}

/// Who made the image, and how he gets in before it is sealed: root's key and password.
struct Author {
    key: KeyPair,
    password: String,
}

impl Author {
    fn new() -> Result<Self> {
        let password = format!("pw-{:016x}", rand::rng().random::<u64>());
        Ok(Self { key: KeyPair::generate("author@laptop")?, password })
    }

    /// Below a folder that a builder copies into the image: the key, and the program to seal with.
    fn leave_in(&self, extra: &Path) -> Result {
        let login = extra.join("root/.ssh");
        fs::create_dir_all(&login).context(|| format!("create {}", login.display()))?;
        fs::write(login.join("authorized_keys"), self.key.public()? + "\n")?;
        let program = extra.join(PROGRAM.trim_start_matches('/'));
        run(Command::new("install").arg("-D").arg(dist::firstboot()?).arg(program)).map(drop)
    }
}

fn mkosi() -> Result {
    let (work, author) = (copy_of("mkosi")?, Author::new()?);
    author.leave_in(&work.path().join("mkosi.extra"))?;
    let mut mkosi = Command::new("mkosi");
    // No systemd is needed on the host that way.
    mkosi.arg("--force").args(["--nspawn-keep-unit", "--password", &author.password]);
    if let Some(mirror) = mirrors()?.first() {
        mkosi.args(["--mirror", mirror]);
    }
    run(mkosi.current_dir(work.path()))?;
    let tree = work.path().join("mkosi.output/debian~bookworm/image");
    opens_to_an_injected_key_alone(&tree, |image| {
        for proof in [Proof::Key(&author.key.private()), Proof::Password(&author.password)] {
            image.expect_refused("root", proof)?;
        }
        Ok(())
    })
}

/// The chroot is what an image of live-build is packed from; packing needs boot loaders and shows
/// nothing of ours.
fn live_build() -> Result {
    let (work, author) = (copy_of("live-build")?, Author::new()?);
    author.leave_in(&work.path().join("config/includes.chroot"))?;
    let hook = work.path().join("config/hooks/normal/0500-password.hook.chroot");
    fs::write(hook, format!("#!/bin/sh\necho 'root:{}' | chpasswd\n", author.password))?;
    let mut config = Command::new("lb");
    config.arg("config").args(["--linux-packages", "none", "--initramfs", "none"]);
    config.args(["--firmware-chroot", "false"]);
    if let [main, security] = mirrors()?.as_slice() {
        let options = [
            ("bootstrap", main),
            ("chroot", main),
            ("chroot-security", security),
            ("binary", main),
            ("binary-security", security),
        ];
        for (option, value) in options {
            config.args([format!("--mirror-{option}"), value.clone()]);
        }
    }
    run(config.current_dir(work.path()))?;
    run(Command::new("lb").arg("bootstrap").current_dir(work.path()))?;
    let said = run(Command::new("lb").arg("chroot").current_dir(work.path()))?;
    expect(!said.contains("not tried"), || format!("sshd was not asked: {said}"))?;
    opens_to_an_injected_key_alone(&work.path().join("chroot"), |image| {
        for proof in [Proof::Key(&author.key.private()), Proof::Password(&author.password)] {
            image.expect_refused("root", proof)?;
        }
        Ok(())
    })
}

fn virt_customize() -> Result {
    let base = Base::bookworm()?;
    let overlay = Overlay::over(&base.image())?;
    let mut seal = Command::new(repository().join("examples/virt-customize/seal.sh"));
    seal.arg(overlay.path()).arg(dist::firstboot()?);
    // As for virt-sysprep: see escape::peers.
    seal.env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg").env("LIBGUESTFS_BACKEND", "direct");
    run(&mut seal)?;
    let disk = MountedDisk::of(&overlay.path())?;
    opens_to_an_injected_key_alone(&disk.root(), |image| image.expect_builder_refused(&base))
}

/// A template in JSON whose shutdown command and last steps are as the image-builder has them.
const TEMPLATE: &str = r#"{
  "variables": {"ssh_password": "builder"},
  "builders": [{
    "type": "qemu", "iso_url": "base.qcow2", "iso_checksum": "none", "disk_image": true,
    "ssh_username": "builder", "ssh_password": "{{user `ssh_password`}}",
    "shutdown_command": "echo '{{user `ssh_password`}}' | sudo -S -E sh -c 'usermod -L builder && shutdown -P now'"
  }],
  "provisioners": [{"type": "shell", "inline": ["true"]}]
}"#;

/// Packer itself, with the plugin, judges the template after the change.
fn image_builder() -> Result {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("packer.json"), TEMPLATE)?;
    std::os::unix::fs::symlink(dist::plugin()?, path("packer-provisioner-disinherit"))?;
    let change = repository().join("examples/image-builder/with-disinherit.sh");
    let changed = run(Command::new(change).arg(path("packer.json")))?;
    fs::write(path("changed.json"), &changed)?;
    let validate = |name: &str| {
        let mut packer = Command::new(find("packer").unwrap_or_else(|| "packer".into()));
        packer.args(["validate", name]).current_dir(folder.path());
        run(packer.env("HOME", folder.path()).env("CHECKPOINT_DISABLE", "1"))
    };
    validate("changed.json")?;
    fs::write(path("wrong.json"), changed.replace("report_path", "report_pth"))?;
    let judged = validate("wrong.json").is_err();
    expect(judged, || "Packer does not ask the plugin: the test means nothing".to_owned())
}

/// Boots `tree`, which stays as it is, as one instance without a key and as another one with.
fn opens_to_an_injected_key_alone(
    tree: &Path,
    strangers: impl FnOnce(&Instance) -> Result,
) -> Result {
    let closed = Instance::boot(&Layer::over(tree)?, &Platform::silent(A)?)?;
    closed.expect_closed("no-key")?;
    closed.off()?;
    let (layer, owner) = (Layer::over(tree)?, KeyPair::generate("owner")?);
    let open = Instance::boot(&layer, &Platform::nocloud(B, &owner)?)?;
    open.expect_in(DEFAULT_USER, &owner)?;
    strangers(&open)?;
    open.off()
}

/// The example's folder, to be built in.
fn copy_of(name: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix(name).tempdir_in(repository().join("build"))?;
    let from = repository().join("examples").join(name).join(".");
    run(Command::new("cp").arg("--recursive").arg(from).arg(folder.path()))?;
    let copied = fs::read_dir(folder.path())?.next().is_some();
    expect(copied, || format!("examples/{name} is empty"))?;
    Ok(folder)
}

/// Where this machine gets Debian 12 and its security updates; empty where it does not say.
fn mirrors() -> Result<Vec<String>> {
    let script = repository().join("examples/debian-qemu/sources.sh");
    let lines = run(Command::new(script).arg("bookworm"))?;
    let mut main = None;
    let mut security = None;
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["deb", url, "bookworm", ..] => main = Some((*url).to_owned()),
            ["deb", url, "bookworm-security", ..] => security = Some((*url).to_owned()),
            ["deb", _, "bookworm-updates", ..] => {}
            _ => return Err(failed(format!("sources.sh says {line:?}"))),
        }
    }
    Ok(main.into_iter().chain(security).collect())
}
