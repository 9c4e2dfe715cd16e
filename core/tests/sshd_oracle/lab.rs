//! A folder of configuration files, and sshd asked about it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use disinherit_core::Root;
use disinherit_core::accounts::Accounts;
use disinherit_core::sshd::{Config, What, Who};

pub(crate) const SSHD: &str = "/usr/sbin/sshd";

/// A folder that sshd sees as `/etc/ssh` and that is the same below our root.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ssh = dir.path().join("etc/ssh");
        fs::create_dir_all(&ssh).unwrap();
        for (name, text) in files {
            fs::create_dir_all(ssh.join(name).parent().unwrap()).unwrap();
            fs::write(ssh.join(name), text).unwrap();
        }
        let key = ssh.join("test_key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()])
            .status();
        assert!(made.is_ok_and(|status| status.success()));
        Self { dir }
    }

    /// sshd's settings by keyword, those of one keyword joined; its complaint when it refuses.
    pub(crate) fn ask(&self, who: Option<&Who>) -> Result<BTreeMap<String, String>, String> {
        let script = "mount -t tmpfs none /run && mkdir /run/sshd && mount --bind \"$1\" /etc/ssh && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]).arg(self.dir.path().join("etc/ssh"));
        command.args([SSHD, "-T", "-f", "/etc/ssh/sshd_config", "-h", "/etc/ssh/test_key"]);
        if let Some(who) = who {
            command.arg("-C").arg(specification(who));
        }
        let output = command.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "));
        }
        let mut settings = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            if !value.ends_with("test_key") {
                let joined: &mut String = settings.entry(keyword.to_string()).or_default();
                *joined = format!("{joined} {value}").trim().to_string();
            }
        }
        Ok(settings)
    }

    pub(crate) fn load(&self) -> (Config, Vec<What>) {
        let (config, problems) = Config::load(&Root::offline(self.dir.path()).unwrap()).unwrap();
        (config, problems.into_iter().map(|problem| problem.what).collect())
    }
}

fn specification(who: &Who) -> String {
    let name = String::from_utf8_lossy(&who.user.name);
    let (addr, local) = (who.addr.unwrap(), who.local_addr.unwrap());
    let host = String::from_utf8_lossy(who.host.as_deref().unwrap());
    format!("user={name},host={host},addr={addr},laddr={local},lport={}", who.local_port.unwrap())
}

/// Accounts that every system has, with the groups they have here.
pub(crate) fn people() -> Vec<Who> {
    let accounts = Accounts::load(&Root::live().unwrap()).unwrap();
    let known = |name: &str, addr: &str, host: &str, port| {
        let user = accounts.user(accounts.by_name(name.as_bytes())?);
        Some(Who {
            addr: Some(addr.parse().unwrap()),
            host: Some(host.into()),
            local_addr: Some("192.0.2.1".parse().unwrap()),
            local_port: Some(port),
            ..Who::new(user)
        })
    };
    [
        known("root", "10.1.2.3", "a.example.org", 22),
        known("nobody", "2001:db8::7", "b.example.net", 22),
        known("daemon", "127.0.0.1", "localhost", 2222),
    ]
    .into_iter()
    .flatten()
    .collect()
}
