//! A disk with accounts, an sshd configuration and a manifest, and a platform that boots it.
//!
//! Everything belongs to whoever runs the tests, so they pass as root and as nobody.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use disinherit_core::Result;
use disinherit_core::manifest::{self, KeyHash, Manifest};
use disinherit_core::root::Root;
use disinherit_firstboot::decision::Decision;
use disinherit_firstboot::{early, gate, strip};

pub(crate) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
pub(crate) const CONFIG: &str = "UsePAM yes\nHostKey /etc/ssh/ssh_host_ed25519_key\n";
pub(crate) const HASH: &str = "$6$saltsalt$inherited.hash";

/// A public key line that is nobody's but well formed; another one for each number.
pub(crate) fn key(number: u8) -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend((0..32).map(|i| number.wrapping_mul(7).wrapping_add(i * 3 + 1)));
    format!("ssh-ed25519 {} key{number}", STANDARD.encode(blob))
}

pub(crate) fn hash(line: &str) -> KeyHash {
    let blob = line.split(' ').nth(1).unwrap();
    KeyHash::of(&STANDARD.decode(blob).unwrap())
}

pub(crate) struct Disk {
    dir: tempfile::TempDir,
}

/// What the platform says in one boot.
#[derive(Default, Clone)]
pub(crate) struct Platform {
    pub(crate) uuid: &'static str,
    pub(crate) instance: &'static str,
    pub(crate) keys: Vec<String>,
    pub(crate) user: &'static str,
    pub(crate) subplatform: &'static str,
    pub(crate) credential: Option<String>,
}

impl Platform {
    pub(crate) fn new(uuid: &'static str, keys: &[String]) -> Self {
        Self { uuid, instance: "i-one", keys: keys.to_vec(), user: "debian", ..Self::default() }
    }

    pub(crate) fn silent(uuid: &'static str) -> Self {
        Self { uuid, ..Self::default() }
    }
}

impl Disk {
    /// Debian as a builder left it: his password, his key, his host key.
    pub(crate) fn new() -> Self {
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        let (uid, gid) = manifest::writer();
        let row = |name: &str, home: &str| format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n");
        let passwd = row("root", "/root")
            + &row("builder", "/home/builder")
            + &row("debian", "/home/debian");
        disk.write("etc/passwd", &passwd);
        let shadow = format!(
            "root:*:19000:0:99999:7:::\nbuilder:{HASH}:19000:0:99999:7:::\ndebian:!:0:0:99999:7:::\n"
        );
        disk.write_mode("etc/shadow", &shadow, 0o600);
        disk.write("etc/group", "");
        disk.write("etc/ssh/sshd_config", CONFIG);
        disk.write_mode("bin/sh", "", 0o755);
        for home in ["root", "home/builder", "home/debian"] {
            disk.folder(home);
        }
        disk.write_mode("home/builder/.ssh/authorized_keys", &(key(1) + "\n"), 0o600);
        disk
    }

    /// The same, sealed: the manifest lists the builder's key and password.
    pub(crate) fn sealed() -> Self {
        let disk = Self::new();
        disk.seal(|_| {});
        disk
    }

    pub(crate) fn seal(&self, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = disinherit_core::seal::record(&self.root()).unwrap();
        change(&mut manifest);
        manifest.write(&self.root()).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn root(&self) -> Root {
        Root::offline(self.dir.path()).unwrap()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub(crate) fn folder(&self, path: &str) {
        let mut made = self.dir.path().to_path_buf();
        for part in path.split('/') {
            made.push(part);
            if !made.exists() {
                fs::create_dir(&made).unwrap();
                fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_mode(path, text, 0o644);
    }

    pub(crate) fn write_mode(&self, path: &str, text: &str, mode: u32) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        fs::write(self.path(path), text).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn password(&self, user: &str) -> String {
        let shadow = self.read("etc/shadow");
        let row = shadow.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
        row.split(':').nth(1).unwrap().to_owned()
    }

    pub(crate) fn login_keys(&self, user: &str) -> String {
        self.read(&format!("home/{user}/.ssh/authorized_keys"))
    }

    /// Every file but those in `/run` and `/sys`, with mode and content.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut tree = BTreeMap::new();
        let mut todo = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.dir.path()).unwrap().to_owned();
                let meta = path.symlink_metadata().unwrap();
                if meta.is_dir() {
                    if !["run", "sys"].iter().any(|skip| name.starts_with(skip)) {
                        todo.push(path);
                    }
                } else if meta.is_file() {
                    tree.insert(name, (meta.permissions().mode(), fs::read(&path).unwrap()));
                }
            }
        }
        tree
    }

    /// Names of the files that differ from `before`, cloud-init's own folders apart.
    pub(crate) fn differences(&self, before: &BTreeMap<PathBuf, (u32, Vec<u8>)>) -> Vec<PathBuf> {
        let after = self.tree();
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        names
            .filter(|name| before.get(*name) != after.get(*name))
            .filter(|name| !name.starts_with("var/lib/cloud"))
            .cloned()
            .collect()
    }

    /// One boot: an empty `/run`, the early unit, injection, the gate.
    pub(crate) fn boot(&self, platform: &Platform) -> Result<Decision> {
        self.boot_until(platform, &mut |_| Ok(()), &mut |_| Ok(()))
    }

    pub(crate) fn boot_until(
        &self,
        platform: &Platform,
        early_step: &mut dyn FnMut(strip::Step) -> Result<()>,
        gate_step: &mut dyn FnMut(gate::Step) -> Result<()>,
    ) -> Result<Decision> {
        self.power_on(platform);
        early::run(&self.root(), early_step)?;
        self.inject(platform);
        gate::run(&self.root(), gate_step)
    }

    pub(crate) fn power_on(&self, platform: &Platform) {
        if self.exists("run") {
            fs::remove_dir_all(self.path("run")).unwrap();
        }
        self.folder("run");
        self.write("sys/class/dmi/id/product_uuid", platform.uuid);
        if let Some(lines) = &platform.credential {
            self.write("run/credentials/@system/ssh.authorized_keys.root", lines);
        }
    }

    /// As cloud-init: keys once per instance-id, merged into what is there; scripts once too.
    pub(crate) fn inject(&self, platform: &Platform) {
        if platform.instance.is_empty() {
            return;
        }
        let folder = format!("var/lib/cloud/instances/{}", platform.instance);
        self.folder("var/lib/cloud");
        if self.exists("var/lib/cloud/instance") {
            fs::remove_file(self.path("var/lib/cloud/instance")).unwrap();
        }
        let target = format!("/{folder}");
        std::os::unix::fs::symlink(target, self.path("var/lib/cloud/instance")).unwrap();
        let data = serde_json::json!({ "v1": {
            "instance_id": platform.instance, "platform": "nocloud",
            "subplatform": platform.subplatform, "public_ssh_keys": platform.keys,
        }});
        self.write("run/cloud-init/instance-data.json", &data.to_string());
        self.write("run/cloud-init/status.json", "{}");
        self.write(&format!("{folder}/obj.pkl"), "pickle");
        if !self.exists(&format!("{folder}/sem/config_ssh")) {
            self.write(&format!("{folder}/sem/config_ssh"), "");
            let file = format!("home/{}/.ssh/authorized_keys", platform.user);
            let mut lines = self.read(&file);
            for key in &platform.keys {
                if !lines.contains(key) {
                    lines.push_str(&format!("{key}\n"));
                }
            }
            self.write_mode(&file, &lines, 0o600);
        }
        if !self.exists(&format!("{folder}/sem/config_scripts_user")) {
            self.write(&format!("{folder}/sem/config_scripts_user"), "");
            let runs = self.read("root/script-runs") + "x";
            self.write("root/script-runs", &runs);
        }
    }
}
