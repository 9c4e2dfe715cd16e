//! Debian's package of the first-boot program, installed, renewed and removed on running systems.

use std::path::{Path, PathBuf};
use std::process::Command;

use disinherit_tests::base::{Base, repository};
use disinherit_tests::command::run;
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{Answer, KeyPair, Proof};
use disinherit_tests::{Context, Result, expect, failed};

use super::disk::{A, Disk, Instance, Platform};

/// The newest package that `make packages` has left.
fn built() -> Result<PathBuf> {
    let folder = repository().join("build/packages");
    let entries =
        std::fs::read_dir(&folder).context(|| "look for make packages' result".to_owned())?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = names.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let age = |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).ok();
    deb.max_by_key(age).ok_or_else(|| failed("no .deb in build/packages: make packages"))
}

/// The same package as a later version.
fn next_version(deb: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(deb).arg(&tree))?;
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control)?;
    let newer = |line: &str| match line.strip_prefix("Version: ") {
        Some(version) => format!("Version: {version}+later\n"),
        None => format!("{line}\n"),
    };
    std::fs::write(&control, text.lines().map(newer).collect::<String>())?;
    let next = folder.join("next.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&next))?;
    Ok(next)
}

fn dpkg(instance: &Instance, deb: &Path) -> Result {
    let content = std::fs::read(deb).context(|| format!("read {}", deb.display()))?;
    instance.container.exec_with(&["dd", "of=/run/ours.deb", "status=none"], &content)?;
    instance.run(&["dpkg", "--install", "/run/ours.deb"])?;
    Ok(())
}

/// A live Debian that nobody has sealed: after installing and a reboot everybody gets in as before.
pub(crate) fn installed_on_a_live_system() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    disk.write("/etc/cloud/cloud-init.disabled", "")?;
    let builder = disk.base.builder()?;
    let opens = |instance: &Instance| -> Result {
        for proof in [Proof::Key(&builder.key), Proof::Password(&builder.password)] {
            let answer = instance.door().login(&builder.user, proof, "true")?;
            expect(matches!(answer, Answer::In(_)), || format!("{proof:?}: {answer:?}"))?;
        }
        Ok(())
    };
    let instance = disk.boot(&Platform::silent(A)?)?;
    opens(&instance)?;
    let (shadow, host_keys) = (instance.file("/etc/shadow")?, instance.host_keys()?);
    dpkg(&instance, &built()?)?;
    opens(&instance)?;
    instance.off()?;
    let again = disk.boot(&Platform::silent(A)?)?;
    opens(&again)?;
    expect(again.host_keys()? == host_keys, || "host keys changed".to_owned())?;
    expect(again.file("/etc/shadow")? == shadow, || "shadow changed".to_owned())?;
    let failed_units = again.run(&["systemctl", "--failed", "--plain", "--no-legend"])?;
    expect(failed_units.trim().is_empty(), || failed_units.clone())?;
    again.off()
}

/// Adopted yesterday, renewed and then removed today: its owner gets in all the time.
pub(crate) fn renewed_and_removed() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    let folder = tempfile::tempdir()?;
    let deb = built()?;
    std::fs::copy(&deb, disk.path("/root/ours.deb"))?;
    disk.sh("dpkg --install /root/ours.deb; rm /root/ours.deb")?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let platform = Platform::nocloud(A, &key)?;
    let first = disk.boot(&platform)?;
    first.expect_in(DEFAULT_USER, &key)?;
    first.expect_builder_refused(&disk.base)?;
    let host_keys = first.host_keys()?;
    dpkg(&first, &next_version(&deb, folder.path())?)?;
    first.expect_in(DEFAULT_USER, &key)?;
    first.off()?;

    let renewed = disk.boot(&platform)?;
    renewed.expect_in(DEFAULT_USER, &key)?;
    expect(renewed.host_keys()? == host_keys, || "host keys changed".to_owned())?;
    renewed.run(&["dpkg", "--purge", "disinherit-firstboot"])?;
    // The sshd that runs was started with our list of revoked keys: without it, it refuses every key.
    renewed.expect_in(DEFAULT_USER, &key)?;
    renewed.run(&["systemctl", "restart", "ssh.service"])?;
    renewed.expect_in(DEFAULT_USER, &key)?;
    renewed.off()?;

    let removed = disk.boot(&platform)?;
    removed.expect_in(DEFAULT_USER, &key)?;
    expect(removed.host_keys()? == host_keys, || "host keys changed".to_owned())?;
    let failed_units = removed.run(&["systemctl", "--failed", "--plain", "--no-legend"])?;
    expect(failed_units.trim().is_empty(), || failed_units.clone())?;
    removed.off()
}
