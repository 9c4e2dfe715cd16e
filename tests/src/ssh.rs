//! Logins with the real `ssh`, and what the port says without one.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{run, said};
use crate::deadline::wait_for;
use crate::nspawn::Container;
use crate::{Context, Result, failed};

/// An emulated guest needs seconds for one key exchange.
const CONNECT: &str = "ConnectTimeout=60";

/// What somebody shows at the door.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A private key file, and nothing else.
    Key(&'a Path),
    /// A password, asked for once; never in an argument list.
    Password(&'a str),
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(path) => f.debug_tuple("Key").field(path).finish(),
            Self::Password(_) => f.write_str("Password"),
        }
    }
}

/// How a login ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Logged in and the command succeeded; its standard output.
    In(String),
    /// Logged in, but the command failed.
    CommandFailed(String),
    /// sshd answered and refused the proof.
    Refused,
    /// No sshd: refused, reset or silent connection; what ssh said.
    Silent(String),
}

/// Where sshd listens.
#[derive(Debug, Clone)]
pub struct Door {
    port: u16,
    prefix: Vec<String>,
}

impl Door {
    /// Port `port` on 127.0.0.1, as a virtual machine forwards it.
    pub fn at_port(port: u16) -> Self {
        Self { port, prefix: Vec::new() }
    }

    /// Port 22 on the loopback interface of a container.
    pub fn of_container(container: &Container) -> Self {
        Self::in_container(container, 22)
    }

    /// Another port there.
    pub fn in_container(container: &Container, port: u16) -> Self {
        Self { port, prefix: container.network_prefix() }
    }

    /// Logs in as `user` and runs `command` in its shell.
    ///
    /// # Errors
    /// When ssh itself cannot be started; every outcome of a login is an [`Answer`].
    pub fn login(&self, user: &str, proof: Proof<'_>, command: &str) -> Result<Answer> {
        let mut ssh = self.ssh(proof);
        ssh.arg("--").arg(format!("{user}@127.0.0.1")).arg(command);
        let output = ssh.output().context(|| "start ssh".to_owned())?;
        let told = said(&output);
        if output.status.success() {
            return Ok(Answer::In(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        // sshpass answers 5 to a second prompt, ssh 255 to everything before the command.
        Ok(match output.status.code() {
            _ if told.contains("Permission denied") => Answer::Refused,
            Some(5) => Answer::Refused,
            Some(255) => Answer::Silent(told),
            _ => Answer::CommandFailed(told),
        })
    }

    /// Tries until the login works.
    ///
    /// # Errors
    /// The last answer, when it does not within `limit`.
    pub fn wait_login(&self, user: &str, proof: Proof<'_>, limit: Duration) -> Result {
        let mut last = None;
        let waited = wait_for(&format!("login as {user}"), limit, || {
            let answer = self.login(user, proof, "true")?;
            let inside = matches!(answer, Answer::In(_));
            last = Some(answer);
            Ok(inside.then_some(()))
        });
        waited.context(|| format!("{last:?}"))
    }

    /// The line that a server sends first (RFC 4253, 4.2); `None` when the port is closed or
    /// silent. For a port on this machine only.
    pub fn banner(&self, limit: Duration) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        let mut line = [0_u8; 64];
        let length = stream.read(&mut line).ok().filter(|&length| length > 0)?;
        line.get(..length).map(|bytes| String::from_utf8_lossy(bytes).trim_end().to_owned())
    }

    /// The public host keys that the server shows, as `type base64`.
    ///
    /// # Errors
    /// When it shows none.
    pub fn host_keys(&self) -> Result<BTreeSet<String>> {
        let mut scan = self.program("ssh-keyscan");
        scan.args(["-T", "60", "-p", &self.port.to_string(), "127.0.0.1"]);
        let keys: BTreeSet<String> = run(&mut scan)?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(' ').map(|(_, key)| key.to_owned()))
            .collect();
        if keys.is_empty() { Err(failed("the server shows no host key")) } else { Ok(keys) }
    }

    fn ssh(&self, proof: Proof<'_>) -> Command {
        let mut ssh = match proof {
            Proof::Key(key) => {
                let mut ssh = self.program("ssh");
                ssh.args(["-o", "PreferredAuthentications=publickey", "-o", "BatchMode=yes"]);
                ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
                ssh
            }
            Proof::Password(password) => {
                let mut ssh = self.program("sshpass");
                ssh.env("SSHPASS", password).args(["-e", "ssh"]);
                ssh.args(["-o", "PreferredAuthentications=password,keyboard-interactive"]);
                ssh.args(["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]);
                ssh
            }
        };
        // Nothing of the person who runs the tests: no configuration, agent or known hosts.
        ssh.args(["-F", "none", "-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"]);
        ssh.args(["-o", "LogLevel=ERROR", "-o", CONNECT, "-p", &self.port.to_string()]);
        ssh
    }

    fn program(&self, name: &str) -> Command {
        match self.prefix.split_first() {
            None => Command::new(name),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(name);
                command
            }
        }
    }
}

/// A new key pair; both halves go with the value.
#[derive(Debug)]
pub struct KeyPair {
    folder: tempfile::TempDir,
}

impl KeyPair {
    /// Makes an ed25519 pair without a passphrase.
    ///
    /// # Errors
    /// When ssh-keygen fails.
    pub fn generate(comment: &str) -> Result<Self> {
        Self::of_kind(&["-t", "ed25519"], comment)
    }

    /// Makes a pair as ssh-keygen's options say, such as `-t rsa -b 1024`.
    ///
    /// # Errors
    /// When ssh-keygen fails.
    pub fn of_kind(options: &[&str], comment: &str) -> Result<Self> {
        let pair = Self { folder: tempfile::tempdir()? };
        run(Command::new("ssh-keygen")
            .args(options)
            .args(["-q", "-N", "", "-C", comment, "-f"])
            .arg(pair.private()))?;
        Ok(pair)
    }

    /// Signs the public key `line` as a certificate for `user`, with this key as the authority.
    ///
    /// # Errors
    /// When ssh-keygen fails.
    pub fn certify(&self, line: &str, user: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("id.pub");
        std::fs::write(&file, format!("{line}\n"))?;
        run(Command::new("ssh-keygen")
            .args(["-q", "-I", user, "-n", user, "-s"])
            .arg(self.private())
            .arg(&file))?;
        let text = std::fs::read_to_string(folder.path().join("id-cert.pub"))?;
        Ok(text.trim_end().to_owned())
    }

    /// Path of the private key.
    pub fn private(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The line of authorized_keys.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn public(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.folder.path().join("key.pub"))?;
        Ok(text.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_has_no_banner() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Door::at_port(port).banner(Duration::from_millis(50)), None, "silent");
        drop(listener);
        assert_eq!(Door::at_port(port).banner(Duration::from_millis(50)), None, "closed");
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", Proof::Password("hunter2")), "Password");
    }
}
