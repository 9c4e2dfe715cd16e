//! Disks that cannot be written, tables that are missing, sites that reorder units, settings that
//! beat settings.

use std::process::Command;

use disinherit_tests::base::Base;
use disinherit_tests::command::said;
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{KeyPair, Proof};
use disinherit_tests::{Result, dist, expect};

use super::disk::{A, Disk, Instance, Platform};

/// A first boot that can write nothing is closed, and what is on the disk stays whole.
pub(crate) fn full_disk() -> Result {
    let disk = Disk::sealed()?;
    let rows = disk.read("/etc/shadow")?;
    disk.layer.fill()?;
    let instance = disk.boot(&Platform::nocloud(A, &KeyPair::generate("owner")?)?)?;
    instance.expect_silent()?;
    expect(instance.file("/etc/shadow")? == rows, || "shadow was changed".to_owned())?;
    drop(instance);
    // Repaired, the same platform opens it.
    disk.layer.resize("2g")?;
    opens(&disk)
}

pub(crate) fn read_only_etc() -> Result {
    let disk = Disk::sealed()?;
    let rows = disk.read("/etc/shadow")?;
    let key = KeyPair::generate("owner")?;
    let bind = format!("--bind-ro={}:/etc", disk.path("/etc").display());
    let instance = disk.boot(&Platform::nocloud(A, &key)?.with(bind))?;
    instance.expect_silent()?;
    instance.off()?;
    expect(disk.read("/etc/shadow")? == rows, || "shadow was changed".to_owned())?;
    opens(&disk)
}

pub(crate) fn no_shadow() -> Result {
    let disk = Disk::sealed()?;
    disk.sh("mv /etc/shadow /etc/shadow.away; rm -f /etc/shadow-")?;
    let key = KeyPair::generate("owner")?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    // No password table: neither a password nor, under PAM, a key lets anybody in.
    let builder = disk.base.builder()?;
    for proof in [Proof::Key(&builder.key), Proof::Password(&builder.password)] {
        refused_or_down(&instance, &builder.user, proof)?;
    }
    instance.off()
}

fn opens(disk: &Disk) -> Result {
    let key = KeyPair::generate("owner")?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    instance.expect_in(DEFAULT_USER, &key)?;
    instance.expect_builder_refused(&disk.base)?;
    instance.off()
}

/// `After=cloud-init.target` in the gate makes a cycle through multi-user.target.
pub(crate) fn reordered_gate() -> Result {
    let site = "/etc/systemd/system/disinherit-gate.service.d/site.conf";
    let text = "[Unit]\nAfter=cloud-init.target\n";
    let disk = Disk::of(Base::bookworm()?)?;
    disk.write(site, text)?;
    let seal = Command::new(dist::firstboot()?)
        .args(["seal", "--root"])
        .arg(disk.layer.root())
        .output()?;
    let told = said(&seal);
    expect(seal.status.code() == Some(4) && told.contains("cloud-init.target"), || told.clone())?;
    let manifest = disk.path("/var/lib/disinherit/manifest.json").exists();
    expect(!manifest, || "a refused image is sealed in part".to_owned())?;

    // Added after sealing, nobody has looked: closed, never silently open.
    let disk = Disk::sealed()?;
    disk.write(site, text)?;
    disk.sh("rm -f /etc/ssh/ssh_host_*; ssh-keygen -A")?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_silent()?;
    instance.off()
}

/// The owner sets a password, and the image's settings would take it.
pub(crate) fn match_block() -> Result {
    let (_disk, instance, key) = beside(|disk| {
        disk.write(
            "/etc/ssh/sshd_config.d/99-site.conf",
            "Match User root,debian\n    PasswordAuthentication yes\n    PermitEmptyPasswords yes\n",
        )
    })?;
    instance.expect_in(DEFAULT_USER, &key)?;
    for user in ["root", DEFAULT_USER] {
        let password = set_password(&instance, user)?;
        instance.expect_refused(user, Proof::Password(&password))?;
    }
    instance.off()
}

/// Either sshd takes no password, or systemd says that it could not start.
pub(crate) fn options_of_the_daemon() -> Result {
    let (_disk, instance, key) = beside(|disk| {
        disk.write("/etc/default/ssh", "SSHD_OPTS='-o PasswordAuthentication=yes'\n")
    })?;
    if !is_down(&instance)? {
        instance.expect_in(DEFAULT_USER, &key)?;
    }
    for user in ["root", DEFAULT_USER] {
        let password = set_password(&instance, user)?;
        refused_or_down(&instance, user, Proof::Password(&password))?;
    }
    instance.off()
}

/// A booted instance whose disk had these settings when it was sealed.
fn beside(settings: impl FnOnce(&Disk) -> Result) -> Result<(Disk, Instance, KeyPair)> {
    let disk = Disk::of(Base::bookworm()?)?;
    settings(&disk)?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    Ok((disk, instance, key))
}

pub(super) fn set_password(instance: &Instance, user: &str) -> Result<String> {
    let password = format!("pw{:x}", rand::random::<u64>());
    let row = format!("{user}:{password}\n");
    let set = instance.container.exec_with(&["chpasswd"], row.as_bytes())?;
    expect(set.status.success(), || format!("no password for {user}"))?;
    Ok(password)
}

/// Silence alone proves nothing: sshd must have answered, or have failed to start.
fn refused_or_down(instance: &Instance, user: &str, proof: Proof<'_>) -> Result {
    if is_down(instance)? { instance.expect_silent() } else { instance.expect_refused(user, proof) }
}

fn is_down(instance: &Instance) -> Result<bool> {
    let state = instance.container.exec(&["systemctl", "is-active", "ssh.service"])?;
    Ok(state.stdout.starts_with(b"failed"))
}

/// A shell that asks for root's password is no way in for whoever knows the image's, and stays one for
/// the owner.
pub(crate) fn rescue_and_emergency() -> Result {
    for target in ["rescue.target", "emergency.target"] {
        let disk = Disk::sealed()?;
        let platform = || -> Result<Platform> {
            let mut platform = Platform::silent(A)?;
            platform.boot.kernel.push(format!("systemd.unit={target}"));
            Ok(platform)
        };
        let inherited = disk.read("/etc/shadow")?;
        expect(inherited.contains("root:$"), || "the image's root has no password".to_owned())?;
        let instance = disk.boot(&platform()?)?;
        instance.run(&["systemctl", "is-active", target])?;
        let shadow = instance.file("/etc/shadow")?;
        expect(shadow.contains("root:*:") && !shadow.contains(":$"), || {
            format!("{target}: a password of the image is left")
        })?;
        instance.expect_silent()?;
        instance.off()?;

        // The next boot goes on where this one stopped, and the owner's password is his.
        let key = KeyPair::generate("owner")?;
        let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
        instance.expect_in(DEFAULT_USER, &key)?;
        set_password(&instance, "root")?;
        instance.off()?;
        let owners = disk.read("/etc/shadow")?;
        let instance = disk.boot(&platform()?)?;
        instance.run(&["systemctl", "is-active", target])?;
        expect(instance.file("/etc/shadow")? == owners, || format!("{target}: changed"))?;
        instance.off()?;
    }
    Ok(())
}
