//! A disk that was sealed, the platforms that boot it in a container, and what one sees then.
//!
//! A container has no SMBIOS of its own: its identity is the credential that its manager gives it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use disinherit_tests::base::Base;
use disinherit_tests::command::run;
use disinherit_tests::deadline::wait_for;
use disinherit_tests::layer::Layer;
use disinherit_tests::nspawn::{Boot, Container};
use disinherit_tests::seed::{self, Metadata};
use disinherit_tests::ssh::{Answer, Door, KeyPair, Proof};
use disinherit_tests::{Context, Result, dist, expect, failed};
use serde_json::Value;

/// Identities of machines.
pub(crate) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
pub(crate) const C: &str = "cccccccc-0000-4000-8000-000000000003";

pub(crate) const PROGRAM: &str = "/usr/lib/disinherit/disinherit-firstboot";
pub(crate) const UNITS: &str = "/usr/lib/systemd/system";

/// Enough for a container's sshd on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(180);

/// A disk, as long as it lives.
pub(crate) struct Disk {
    pub(crate) base: Base,
    pub(crate) layer: Layer,
}

impl Disk {
    /// The dirty base as it is.
    pub(crate) fn of(base: Base) -> Result<Self> {
        let layer = Layer::over(&base.tree()?)?;
        Ok(Self { base, layer })
    }

    /// Sealed and not scrubbed: the builder's key and password are still there, and the first boot
    /// has to remove them.
    pub(crate) fn sealed() -> Result<Self> {
        let disk = Self::of(Base::bookworm()?)?;
        disk.seal()?;
        Ok(disk)
    }

    pub(crate) fn seal(&self) -> Result {
        let mut seal = Command::new(dist::firstboot()?);
        seal.args(["seal", "--root"]).arg(self.layer.root());
        let said = run(&mut seal)?;
        expect(!said.contains("not tried"), || format!("sshd was not asked: {said}"))?;
        let again = run(&mut seal)?;
        let idle = again.lines().all(|line| line.starts_with("warning:"));
        expect(idle, || format!("sealing again is not idle: {again}"))
    }

    /// Captured through `scrub`, which seals it again.
    pub(crate) fn scrub(&self) -> Result {
        run(Command::new(dist::plugin()?)
            .args(["scrub", "--root"])
            .arg(self.layer.root())
            .arg("--firstboot")
            .arg(dist::firstboot()?))?;
        Ok(())
    }

    /// What a copy of a machine that is off holds.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(Self { base: self.base.clone(), layer: self.layer.copy()? })
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.layer.root().join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).context(|| format!("read {path}"))
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> Result {
        self.layer.write(path, 0o644, text)
    }

    /// A shell script run in the tree, before it boots.
    pub(crate) fn sh(&self, script: &str) -> Result<String> {
        self.layer.chroot(&["sh", "-euc", script])
    }

    pub(crate) fn boot(&self, platform: &Platform) -> Result<Instance> {
        Instance::boot(&self.layer, platform)
    }
}

/// What a machine is and what its platform says in one boot.
pub(crate) struct Platform {
    pub(crate) boot: Boot,
    seed: Option<(tempfile::TempDir, &'static str)>,
    nothing: tempfile::TempDir,
    seeds_of_the_disk: bool,
}

impl Platform {
    /// A machine about which nothing is said.
    pub(crate) fn silent(identity: &str) -> Result<Self> {
        let boot = Boot {
            options: vec![format!("--set-credential=disinherit.identity:{identity}")],
            ..Boot::default()
        };
        let nothing = tempfile::tempdir()?;
        Ok(Self { boot, seed: None, nothing, seeds_of_the_disk: false })
    }

    /// NoCloud with `key` for the image's default user, under an instance-id of that machine.
    pub(crate) fn nocloud(identity: &str, key: &KeyPair) -> Result<Self> {
        let metadata = Metadata {
            instance_id: format!("i-{identity}"),
            public_keys: vec![key.public()?],
            ..Metadata::default()
        };
        Self::metadata(identity, &metadata)
    }

    /// NoCloud with a user-data document of cloud-init's own format and without keys of its own.
    pub(crate) fn user_data(identity: &str, document: &Value) -> Result<Self> {
        let metadata = Metadata {
            instance_id: format!("i-{identity}"),
            // JSON is YAML.
            user_data: format!("#cloud-config\n{document}\n"),
            ..Metadata::default()
        };
        Self::metadata(identity, &metadata)
    }

    /// NoCloud with everything as given.
    pub(crate) fn metadata(identity: &str, metadata: &Metadata) -> Result<Self> {
        Self::seeded(identity, seed::nocloud_folder(metadata)?, "nocloud")
    }

    /// A folder of a seed, below `/var/lib/cloud/seed` by `name`.
    pub(crate) fn seeded(
        identity: &str,
        folder: tempfile::TempDir,
        name: &'static str,
    ) -> Result<Self> {
        Ok(Self { seed: Some((folder, name)), ..Self::silent(identity)? })
    }

    /// systemd's credential for root.
    pub(crate) fn credential(identity: &str, key: &KeyPair) -> Result<Self> {
        let key = key.public()?;
        Ok(Self::silent(identity)?.with(format!("--set-credential=ssh.authorized_keys.root:{key}")))
    }

    /// The seed, and nothing over the one that the builder left.
    fn seeds(&self) -> Vec<String> {
        let bind = |from: &Path, name: &str| {
            format!("--bind-ro={}:/var/lib/cloud/seed/{name}", from.display())
        };
        let given = self.seed.as_ref().map(|(folder, name)| bind(folder.path(), name));
        let hides = self.seed.as_ref().is_some_and(|(_, name)| *name == "nocloud");
        let hidden =
            (!hides && !self.seeds_of_the_disk).then(|| bind(self.nothing.path(), "nocloud"));
        given.into_iter().chain(hidden).collect()
    }

    /// The seeds that lie on the disk are seen.
    pub(crate) fn with_the_disks_seeds(mut self) -> Self {
        self.seeds_of_the_disk = true;
        self
    }

    /// One more option of systemd-nspawn.
    pub(crate) fn with(mut self, option: String) -> Self {
        self.boot.options.push(option);
        self
    }
}

/// A booted disk.
pub(crate) struct Instance {
    pub(crate) container: Container,
}

impl Instance {
    pub(crate) fn boot(layer: &Layer, platform: &Platform) -> Result<Self> {
        let mut boot = platform.boot.clone();
        boot.options.extend(platform.seeds());
        let container = Container::boot(layer, &boot)?;
        container.wait_running()?;
        Ok(Self { container })
    }

    pub(crate) fn door(&self) -> Door {
        Door::of_container(&self.container)
    }

    pub(crate) fn expect_in(&self, user: &str, key: &KeyPair) -> Result {
        self.door()
            .wait_login(user, Proof::Key(&key.private()), SOON)
            .context(|| format!("console:\n{}", self.container.console()))
    }

    pub(crate) fn expect_refused(&self, user: &str, proof: Proof<'_>) -> Result {
        // On a loaded machine a connection may break before sshd has answered.
        let answer = wait_for(&format!("an answer to {user}"), SOON, || {
            let answer = self.door().login(user, proof, "true")?;
            Ok((!matches!(answer, Answer::Silent(_))).then_some(answer))
        })?;
        expect(answer == Answer::Refused, || format!("{user} with {proof:?}: {answer:?}"))
    }

    /// Everything that let the image's builder in.
    pub(crate) fn expect_builder_refused(&self, base: &Base) -> Result {
        let builder = base.builder()?;
        for user in [builder.user.as_str(), "root"] {
            self.expect_refused(user, Proof::Key(&builder.key))?;
            self.expect_refused(user, Proof::Password(&builder.password))?;
        }
        Ok(())
    }

    /// No listener on port 22.
    pub(crate) fn expect_silent(&self) -> Result {
        let listeners = self.run(&["ss", "-Hltn", "sport = :22"])?;
        expect(listeners.trim().is_empty(), || {
            format!("port 22 listens: {listeners}\n{}", self.container.console())
        })
    }

    /// No listener, and the console, the login prompt and `status` say why.
    pub(crate) fn expect_closed(&self, reason: &str) -> Result {
        self.expect_silent()?;
        let console = self.container.console();
        let told = format!("SSH IS CLOSED [{reason}]");
        expect(console.contains(&told) && console.contains("repair:"), || {
            format!("the console does not say {told} with a way back:\n{console}")
        })?;
        let issue = self.file("/run/issue.d/disinherit.issue")?;
        expect(issue.contains(&told), || issue.clone())?;
        let status = self.status()?;
        let same = status.pointer("/decision/reason").and_then(Value::as_str) == Some(reason);
        expect(same && status.get("passed") == Some(&Value::Bool(false)), || format!("{status:#}"))
    }

    /// What `status --json` prints.
    pub(crate) fn status(&self) -> Result<Value> {
        let output = self.container.exec(&[PROGRAM, "status", "--json"])?;
        serde_json::from_slice(&output.stdout).context(|| disinherit_tests::command::said(&output))
    }

    /// Why each key does not count, as `status` says; fails when one counts.
    pub(crate) fn refusals(&self) -> Result<Vec<String>> {
        let status = self.status()?;
        let keys = status.pointer("/decision/keys").and_then(Value::as_array);
        let refused = |key: &Value| {
            let why = key.pointer("/verdict/why")?.as_str()?;
            Some(format!("{} {why}", key.get("account")?.as_str()?))
        };
        let refusals: Option<Vec<String>> = keys.into_iter().flatten().map(refused).collect();
        refusals.ok_or_else(|| failed(format!("a key counts: {status:#}")))
    }

    /// The platform's assistant accepts a key, as root.
    pub(crate) fn authorize(&self, user: &str, key: &KeyPair) -> Result {
        let line = key.public()? + "\n";
        let write = self.container.exec_with(&["tee", "/run/offered.pub"], line.as_bytes())?;
        expect(write.status.success(), || "write the offered key".to_owned())?;
        self.run(&[PROGRAM, "authorize", user, "/run/offered.pub"])?;
        Ok(())
    }

    pub(crate) fn host_keys(&self) -> Result<BTreeSet<String>> {
        self.door().host_keys()
    }

    pub(crate) fn run(&self, argv: &[&str]) -> Result<String> {
        self.container.run(argv)
    }

    pub(crate) fn file(&self, path: &str) -> Result<String> {
        self.run(&["cat", path])
    }

    pub(crate) fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.container.exec(&["test", "-e", path])?.status.success())
    }

    pub(crate) fn off(self) -> Result {
        self.container.power_off()
    }
}
