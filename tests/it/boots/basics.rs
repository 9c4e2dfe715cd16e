//! disinherit-firstboot under a real systemd, cloud-init and sshd, in containers.

use std::fs;

use disinherit_tests::base::{Base, repository};
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{Answer, KeyPair, Proof};
use disinherit_tests::{Context, Result, dist, expect};

use super::disk::{A, B, C, Disk, PROGRAM, Platform, SOON, UNITS};

pub(crate) fn opens() -> Result {
    let disk = Disk::sealed()?;
    let owner = KeyPair::generate("owner")?;
    let builder = disk.base.builder()?;
    let first = disk.boot(&Platform::nocloud(A, &owner)?)?;
    first.expect_in(DEFAULT_USER, &owner)?;
    for user in [builder.user.as_str(), "root", DEFAULT_USER] {
        first.expect_refused(user, Proof::Key(&builder.key))?;
    }
    first.expect_refused(&builder.user, Proof::Password(&builder.password))?;
    let shadow = first.file("/etc/shadow")?;
    let hashed = |line: &&str| line.split(':').nth(1).is_some_and(|field| field.contains('$'));
    let left: Vec<&str> =
        shadow.lines().filter(hashed).filter_map(|l| l.split(':').next()).collect();
    expect(left.is_empty(), || format!("hashes of {left:?}"))?;
    let open = first.run(&[PROGRAM, "status", "--json"])?;
    let status: serde_json::Value = serde_json::from_str(&open)?;
    let says = |pointer, wanted: serde_json::Value| status.pointer(pointer) == Some(&wanted);
    let adopted = says("/passed", true.into()) && says("/decision/reason", "adopted".into());
    expect(adopted, || open.clone())?;
    let effective = first.run(&["sshd", "-T"])?;
    for line in ["passwordauthentication no", "kbdinteractiveauthentication no"] {
        expect(effective.contains(line), || format!("{line} is not in effect"))?;
    }
    let host_keys = first.host_keys()?;
    let failed = first.run(&["systemctl", "--failed", "--plain", "--no-legend"])?;
    expect(failed.trim().is_empty(), || format!("failed: {failed}"))?;
    first.off()?;

    // An ordinary reboot, with nothing from the platform.
    let again = disk.boot(&Platform::silent(A)?)?;
    again.expect_in(DEFAULT_USER, &owner)?;
    expect(again.host_keys()? == host_keys, || "host keys changed over a reboot".to_owned())?;
    again.off()
}

pub(crate) fn copies() -> Result {
    let disk = Disk::sealed()?;
    let owner = KeyPair::generate("owner")?;
    let first = disk.boot(&Platform::nocloud(A, &owner)?)?;
    first.expect_in(DEFAULT_USER, &owner)?;
    let host_keys = first.host_keys()?;
    first.run(&["sh", "-c", "echo debian:owners-password | chpasswd"])?;
    let shadow = first.file("/etc/shadow")?;
    first.off()?;

    let foreign = disk.boot(&Platform::silent(B)?)?;
    foreign.expect_closed("identity-changed")?;
    let locked = foreign.file("/etc/shadow")?;
    expect(!locked.contains("debian:$"), || "a password works under another identity".to_owned())?;
    foreign.off()?;

    let home = disk.boot(&Platform::silent(A)?)?;
    home.expect_in(DEFAULT_USER, &owner)?;
    expect(home.host_keys()? == host_keys, || "host keys did not come back".to_owned())?;
    expect(home.file("/etc/shadow")? == shadow, || "shadow did not come back".to_owned())?;
    home.off()?;

    let heir = KeyPair::generate("heir")?;
    let new = disk.boot(&Platform::nocloud(C, &heir)?)?;
    new.expect_in(DEFAULT_USER, &heir)?;
    new.expect_refused(DEFAULT_USER, Proof::Key(&owner.private()))?;
    let kept: Vec<String> = new.host_keys()?.intersection(&host_keys).cloned().collect();
    expect(kept.is_empty(), || format!("host keys of the original: {kept:?}"))?;
    let quarantine = new.exists("/var/lib/disinherit/quarantine")?;
    expect(!quarantine, || "the quarantine was not burned".to_owned())?;
    new.off()
}

pub(crate) fn denies() -> Result {
    let disk = Disk::sealed()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_closed("no-key")?;
    for start in [
        &["systemctl", "start", "ssh.service"][..],
        &["systemctl", "restart", "ssh.service"],
        &["systemctl", "start", "--job-mode=ignore-dependencies", "ssh.service"],
        &["service", "ssh", "start"],
    ] {
        let output = instance.container.exec(start)?;
        expect(!output.status.success(), || format!("{start:?} succeeded"))?;
    }
    instance.expect_closed("no-key")?;
    let shadow = instance.file("/etc/shadow")?;
    let root = shadow.lines().find(|row| row.starts_with("root:")).unwrap_or_default();
    expect(root.starts_with("root:*:") && !shadow.contains(":$"), || {
        "a password of the image is left".to_owned()
    })?;

    // An agent of the platform comes late, with root's rights.
    let late = KeyPair::generate("late")?;
    let line = late.public()?;
    instance.run(&["sh", "-c", &format!("echo '{line}' > /run/late.pub")])?;
    let user = disk.base.builder()?.user;
    instance.run(&[PROGRAM, "authorize", &user, "/run/late.pub"])?;
    instance.expect_in(&user, &late)?;
    let issue = instance.exists("/run/issue.d/disinherit.issue")?;
    expect(!issue, || "the notice stayed".to_owned())?;
    instance.off()
}

/// An agent that writes a key and tells nobody.
pub(crate) fn late_agent() -> Result {
    let disk = Disk::sealed()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_closed("no-key")?;
    let (key, user) = (KeyPair::generate("agent")?, disk.base.builder()?.user);
    let file = format!("/home/{user}/.ssh/authorized_keys");
    let write = format!("echo '{}' > {file}", key.public()?);
    instance.run(&["sh", "-c", &write])?;
    // 20 s after boot, then after 10, 20, 40 s.
    instance
        .door()
        .wait_login(&user, Proof::Key(&key.private()), 3 * SOON)
        .context(|| format!("console:\n{}", instance.container.console()))?;
    let console = instance.container.console();
    let lines = console.lines().filter(|line| line.contains("retry: SSH IS CLOSED")).count();
    expect(lines <= 1, || format!("{lines} lines for one state:\n{console}"))?;
    instance.off()
}

/// A seed in the image is no platform's word: its key opens none of the copies.
pub(crate) fn baked_seed() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    let key = KeyPair::generate("baked")?;
    let user_data = format!("#cloud-config\nssh_authorized_keys: ['{}']\n", key.public()?);
    disk.write("/var/lib/cloud/seed/nocloud/user-data", &user_data)?;
    disk.seal()?;
    let instance = disk.boot(&Platform::silent(A)?.with_the_disks_seeds())?;
    instance.expect_closed("no-key-counts")?;
    let console = instance.container.console();
    expect(console.contains("came with the disk"), || console)?;
    instance.off()
}

/// The files of `cloud-init/nocloud` as they are, but for the key, and the platform's vendor-data.
pub(crate) fn reference_seed() -> Result {
    let disk = Disk::sealed()?;
    let seed = tempfile::tempdir()?;
    let key = KeyPair::generate("operator")?;
    let folder = repository().join("cloud-init/nocloud");
    for (name, replaced) in [("meta-data", false), ("user-data", true)] {
        let text = fs::read_to_string(folder.join(name))?;
        let example = |line: &str| line.trim_start().starts_with("- ssh-ed25519 ");
        let lines = text.lines().map(|line| match example(line) {
            true if replaced => Ok(format!("      - {}", key.public()?)),
            _ => Ok(line.to_owned()),
        });
        let lines: Result<Vec<String>> = lines.collect();
        fs::write(seed.path().join(name), lines?.join("\n") + "\n")?;
    }
    fs::copy(repository().join("cloud-init/vendor-data"), seed.path().join("vendor-data"))?;
    let instance = disk.boot(&Platform::seeded(A, seed, "nocloud")?)?;
    instance.expect_in("deploy", &key)?;
    let vendor = instance.run(&["cloud-init", "query", "vendordata"])?;
    expect(vendor.contains("\ndisable_root: true\n"), || format!("vendor-data: {vendor:?}"))?;
    let status = instance.run(&[PROGRAM, "status"])?;
    expect(status.contains("passed in this boot"), || status)?;
    instance.off()
}

pub(crate) fn unsealed() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    let program = fs::read(dist::firstboot()?)?;
    disk.layer.write(PROGRAM, 0o755, program)?;
    let units = repository().join("firstboot/units");
    for unit in ["disinherit-early.service", "disinherit-gate.service"] {
        let text = fs::read(units.join(unit))?;
        disk.layer.write(&format!("{UNITS}/{unit}"), 0o644, text)?;
    }
    let before = disk.read("/etc/shadow")?;
    let builder = disk.base.builder()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    // Even when somebody starts the units.
    instance.run(&["systemctl", "start", "disinherit-gate.service"])?;
    let answer = instance.door().login(&builder.user, Proof::Key(&builder.key), "true")?;
    expect(matches!(answer, Answer::In(_)), || format!("{answer:?}"))?;
    instance.off()?;
    // cloud-init adds its default user; every row of before is still there.
    let after = disk.read("/etc/shadow")?;
    let lost = before.lines().filter(|row| !after.lines().any(|other| other == *row)).count();
    expect(lost == 0, || format!("{lost} rows of shadow changed"))
}
