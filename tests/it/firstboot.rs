//! disinherit-firstboot under a real systemd, cloud-init and sshd, in containers.
//!
//! The dirty base is sealed and not scrubbed, so the builder's key and password are still there and
//! the first boot has to remove them. A container has no SMBIOS of its own: its identity is the
//! credential that its manager gives it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use disinherit_tests::base::Base;
use disinherit_tests::command::run;
use disinherit_tests::layer::Layer;
use disinherit_tests::needs::{Need, trial};
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{Answer, Door, KeyPair, Proof};
use disinherit_tests::{Context, Result, dist, expect};
use libtest_mimic::Trial;

const NEEDS: &[Need] =
    &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Ssh, Need::Dist];

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const C: &str = "cccccccc-0000-4000-8000-000000000003";

/// Enough for a container's sshd on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("firstboot::opens_to_an_injected_key_and_only_to_it", NEEDS, opens),
        trial("firstboot::a_copy_is_closed_until_its_platform_offers_a_key", NEEDS, copies),
        trial("firstboot::without_a_key_nothing_answers", NEEDS, denies),
        trial("firstboot::a_late_agent_is_met_by_the_retry", NEEDS, late_agent),
        trial("firstboot::closed_when_our_own_parts_are_missing", NEEDS, broken_parts),
        trial("firstboot::a_credential_opens_without_cloud_init", NEEDS, credential),
        trial("firstboot::the_reference_seed_opens_by_user_data", NEEDS, reference_seed),
        trial("firstboot::an_installed_but_unsealed_system_is_left_alone", NEEDS, unsealed),
    ]
}

/// A sealed disk, as long as it lives.
struct Disk {
    base: Base,
    layer: Layer,
}

impl Disk {
    fn unsealed() -> Result<Self> {
        let base = Base::bookworm()?;
        let layer = Layer::over(&base.tree()?)?;
        Ok(Self { base, layer })
    }

    fn sealed() -> Result<Self> {
        let disk = Self::unsealed()?;
        let mut seal = Command::new(dist::firstboot()?);
        seal.args(["seal", "--root"]).arg(disk.layer.root());
        let said = run(&mut seal)?;
        expect(!said.contains("not tried"), || format!("sshd was not asked: {said}"))?;
        let again = run(&mut seal)?;
        expect(again.is_empty(), || format!("sealing again is not idle: {again}"))?;
        Ok(disk)
    }

    /// Boots under `identity`; with a key the platform declares it for an instance of that name.
    fn boot(&self, identity: &str, key: Option<&KeyPair>) -> Result<Instance> {
        let seed = tempfile::tempdir()?;
        if let Some(key) = key {
            let meta = serde_json::json!({
                "instance-id": format!("i-{identity}"), "public-keys": [key.public()?],
            });
            fs::write(seed.path().join("meta-data"), meta.to_string())?;
            fs::write(seed.path().join("user-data"), "#cloud-config\nlocale: false\n")?;
        }
        self.boot_with(identity, seed)
    }

    /// Boots with a folder of NoCloud files.
    fn boot_with(&self, identity: &str, seed: tempfile::TempDir) -> Result<Instance> {
        let mut boot = Boot {
            options: vec![format!("--set-credential=disinherit.identity:{identity}")],
            ..Boot::default()
        };
        // Over the seed that the builder left.
        boot.options
            .push(format!("--bind-ro={}:/var/lib/cloud/seed/nocloud", seed.path().display()));
        let container = Container::boot(&self.layer, &boot)?;
        container.wait_running()?;
        Ok(Instance { container, _seed: seed })
    }
}

struct Instance {
    container: Container,
    _seed: tempfile::TempDir,
}

impl Instance {
    fn door(&self) -> Door {
        Door::of_container(&self.container)
    }

    fn expect_in(&self, user: &str, key: &KeyPair) -> Result {
        self.door()
            .wait_login(user, Proof::Key(&key.private()), SOON)
            .context(|| format!("console:\n{}", self.container.console()))
    }

    fn expect_refused(&self, user: &str, proof: Proof<'_>) -> Result {
        let answer = self.door().login(user, proof, "true")?;
        expect(answer == Answer::Refused, || format!("{user} with {proof:?}: {answer:?}"))
    }

    /// No listener on port 22, and nothing of ssh in any state but stopped.
    fn expect_closed(&self, reason: &str) -> Result {
        let listeners = self.container.run(&["ss", "-Hltn", "sport = :22"])?;
        expect(listeners.trim().is_empty(), || {
            format!("port 22 listens: {listeners}\n{}", self.container.console())
        })?;
        let console = self.container.console();
        expect(console.contains(&format!("SSH IS CLOSED [{reason}]")), || console)
    }

    fn host_keys(&self) -> Result<BTreeSet<String>> {
        self.door().host_keys()
    }

    fn file(&self, path: &str) -> Result<String> {
        self.container.run(&["cat", path])
    }

    fn off(self) -> Result {
        self.container.power_off()
    }
}

fn opens() -> Result {
    let disk = Disk::sealed()?;
    let owner = KeyPair::generate("owner")?;
    let builder = disk.base.builder()?;
    let first = disk.boot(A, Some(&owner))?;
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
    let open =
        first.container.run(&["/usr/lib/disinherit/disinherit-firstboot", "status", "--json"])?;
    let status: serde_json::Value = serde_json::from_str(&open)?;
    let says = |pointer, wanted: serde_json::Value| status.pointer(pointer) == Some(&wanted);
    let adopted = says("/passed", true.into()) && says("/decision/reason", "adopted".into());
    expect(adopted, || open.clone())?;
    let effective = first.container.run(&["sshd", "-T"])?;
    for line in ["passwordauthentication no", "kbdinteractiveauthentication no"] {
        expect(effective.contains(line), || format!("{line} is not in effect"))?;
    }
    let host_keys = first.host_keys()?;
    let failed = first.container.run(&["systemctl", "--failed", "--plain", "--no-legend"])?;
    expect(failed.trim().is_empty(), || format!("failed: {failed}"))?;
    first.off()?;

    // An ordinary reboot, with nothing from the platform.
    let again = disk.boot(A, None)?;
    again.expect_in(DEFAULT_USER, &owner)?;
    expect(again.host_keys()? == host_keys, || "host keys changed over a reboot".to_owned())?;
    again.off()
}

fn copies() -> Result {
    let disk = Disk::sealed()?;
    let owner = KeyPair::generate("owner")?;
    let first = disk.boot(A, Some(&owner))?;
    first.expect_in(DEFAULT_USER, &owner)?;
    let host_keys = first.host_keys()?;
    first.container.run(&["sh", "-c", "echo debian:owners-password | chpasswd"])?;
    let shadow = first.file("/etc/shadow")?;
    first.off()?;

    let foreign = disk.boot(B, None)?;
    foreign.expect_closed("identity-changed")?;
    let locked = foreign.file("/etc/shadow")?;
    expect(!locked.contains("debian:$"), || "a password works under another identity".to_owned())?;
    foreign.off()?;

    let home = disk.boot(A, None)?;
    home.expect_in(DEFAULT_USER, &owner)?;
    expect(home.host_keys()? == host_keys, || "host keys did not come back".to_owned())?;
    expect(home.file("/etc/shadow")? == shadow, || "shadow did not come back".to_owned())?;
    home.off()?;

    let heir = KeyPair::generate("heir")?;
    let new = disk.boot(C, Some(&heir))?;
    new.expect_in(DEFAULT_USER, &heir)?;
    new.expect_refused(DEFAULT_USER, Proof::Key(&owner.private()))?;
    let kept: Vec<String> = new.host_keys()?.intersection(&host_keys).cloned().collect();
    expect(kept.is_empty(), || format!("host keys of the original: {kept:?}"))?;
    let quarantine = new.container.exec(&["test", "-e", "/var/lib/disinherit/quarantine"])?;
    expect(!quarantine.status.success(), || "the quarantine was not burned".to_owned())?;
    new.off()
}

fn denies() -> Result {
    let disk = Disk::sealed()?;
    let instance = disk.boot(A, None)?;
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
    let issue = instance.file("/run/issue.d/disinherit.issue")?;
    expect(issue.contains("SSH IS CLOSED"), || issue.clone())?;

    // An agent of the platform comes late, with root's rights.
    let late = KeyPair::generate("late")?;
    let line = late.public()?;
    instance.container.run(&["sh", "-c", &format!("echo '{line}' > /run/late.pub")])?;
    let user = disk.base.builder()?.user;
    let program = "/usr/lib/disinherit/disinherit-firstboot";
    instance.container.run(&[program, "authorize", &user, "/run/late.pub"])?;
    instance.expect_in(&user, &late)?;
    let issue = instance.container.exec(&["test", "-e", "/run/issue.d/disinherit.issue"])?;
    expect(!issue.status.success(), || "the notice stayed".to_owned())?;
    instance.off()
}

/// An agent that writes a key and tells nobody.
fn late_agent() -> Result {
    let disk = Disk::sealed()?;
    let instance = disk.boot(A, None)?;
    instance.expect_closed("no-key")?;
    let (key, user) = (KeyPair::generate("agent")?, disk.base.builder()?.user);
    let file = format!("/home/{user}/.ssh/authorized_keys");
    let write = format!("echo '{}' > {file}", key.public()?);
    instance.container.run(&["sh", "-c", &write])?;
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

fn broken_parts() -> Result {
    let key = KeyPair::generate("owner")?;
    let units = "usr/lib/systemd/system";
    let program = "usr/lib/disinherit/disinherit-firstboot";
    type Damage<'a> = &'a dyn Fn(&std::path::Path) -> std::io::Result<()>;
    let cases: [(&str, Damage<'_>); 4] = [
        ("the program is gone", &|root| fs::remove_file(root.join(program))),
        ("the program is empty", &|root| fs::write(root.join(program), "")),
        ("the gate is gone", &|root| {
            fs::remove_file(root.join(units).join("disinherit-gate.service"))
        }),
        ("the gate is masked", &|root| {
            std::os::unix::fs::symlink(
                "/dev/null",
                root.join("etc/systemd/system/disinherit-gate.service"),
            )
        }),
    ];
    for (what, damage) in cases {
        let disk = Disk::sealed()?;
        // Host keys from after sealing stay: without any, sshd would fail by itself.
        disk.layer.chroot(&["sh", "-c", "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A"])?;
        damage(&disk.layer.root())?;
        let instance = disk.boot(A, Some(&key))?;
        let listeners = instance.container.run(&["ss", "-Hltn", "sport = :22"])?;
        expect(listeners.trim().is_empty(), || format!("{what}: {listeners}"))?;
        let start = instance.container.exec(&["systemctl", "start", "ssh.service"])?;
        expect(!start.status.success(), || format!("{what}: sshd started by hand"))?;
        instance.off()?;
    }
    Ok(())
}

fn credential() -> Result {
    let disk = Disk::sealed()?;
    disk.layer.write("/etc/cloud/cloud-init.disabled", 0o644, "")?;
    let key = KeyPair::generate("operator")?;
    let boot = Boot {
        options: vec![format!("--set-credential=ssh.authorized_keys.root:{}", key.public()?)],
        ..Boot::default()
    };
    let container = Container::boot(&disk.layer, &boot)?;
    container.wait_running()?;
    let instance = Instance { container, _seed: tempfile::tempdir()? };
    instance.expect_in("root", &key)?;
    let console = instance.container.console();
    expect(console.contains("BEGIN SSH HOST KEY FINGERPRINTS"), || console)?;
    instance.off()
}

/// The files of `cloud-init/nocloud` as they are, but for the key.
fn reference_seed() -> Result {
    let disk = Disk::sealed()?;
    let seed = tempfile::tempdir()?;
    let key = KeyPair::generate("operator")?;
    let folder = disinherit_tests::base::repository().join("cloud-init/nocloud");
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
    let instance = disk.boot_with(A, seed)?;
    instance.expect_in("deploy", &key)?;
    let program = "/usr/lib/disinherit/disinherit-firstboot";
    let status = instance.container.run(&[program, "status"])?;
    expect(status.contains("passed in this boot"), || status)?;
    instance.off()
}

fn unsealed() -> Result {
    let disk = Disk::unsealed()?;
    let program = fs::read(dist::firstboot()?)?;
    disk.layer.write("/usr/lib/disinherit/disinherit-firstboot", 0o755, program)?;
    let units = disinherit_tests::base::repository().join("firstboot/units");
    for unit in ["disinherit-early.service", "disinherit-gate.service"] {
        let text = fs::read(units.join(unit))?;
        disk.layer.write(&format!("/usr/lib/systemd/system/{unit}"), 0o644, text)?;
    }
    let before = fs::read_to_string(disk.layer.root().join("etc/shadow"))?;
    let builder = disk.base.builder()?;
    let instance = disk.boot(A, None)?;
    // Even when somebody starts the units.
    instance.container.run(&["systemctl", "start", "disinherit-gate.service"])?;
    let answer = instance.door().login(&builder.user, Proof::Key(&builder.key), "true")?;
    expect(matches!(answer, Answer::In(_)), || format!("{answer:?}"))?;
    instance.off()?;
    // cloud-init adds its default user; every row of before is still there.
    let after = fs::read_to_string(disk.layer.root().join("etc/shadow"))?;
    let lost = before.lines().filter(|row| !after.lines().any(|other| other == *row)).count();
    expect(lost == 0, || format!("{lost} rows of shadow changed"))
}
