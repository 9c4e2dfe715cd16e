//! Debian's Packer 1.6.6, and a sshd of our own on a loopback port for it to log in to.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::tools::find;

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}

pub(crate) fn user() -> String {
    first_line("id", &["-un"])
}

/// sshd lets nobody in whose shell is nologin.
pub(crate) fn may_log_in() -> bool {
    let entry = first_line("getent", &["passwd", &user()]);
    !entry.is_empty() && !entry.ends_with("nologin") && !entry.ends_with("false")
}

/// A sshd in the foreground that lets one key in; killed when dropped.
pub(crate) struct Sshd {
    child: Child,
    /// On 127.0.0.1.
    pub(crate) port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sshd {
    pub(crate) fn start(folder: &Path) -> Self {
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"]);
            assert!(keygen.arg(folder.join(key)).status().unwrap().success());
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized_keys")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Packer 1.6.6 knows only the SHA-1 signatures of RSA keys.
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\n\
             AuthorizedKeysFile {0}/authorized_keys\nPubkeyAuthentication yes\nUsePAM no\n\
             PasswordAuthentication no\nStrictModes no\nPermitRootLogin yes\n\
             HostKeyAlgorithms +ssh-rsa\nPubkeyAcceptedAlgorithms +ssh-rsa\n",
            folder.display()
        );
        let file = folder.join("sshd_config");
        fs::write(&file, config).unwrap();
        // Debian's sshd wants this folder when root starts it; its unit makes it.
        if !Path::new("/run/sshd").exists() {
            drop(fs::create_dir("/run/sshd"));
        }
        let child = Command::new(find("sshd").unwrap())
            .args(["-D", "-e", "-f"])
            .arg(&file)
            .stderr(fs::File::create(folder.join("sshd.log")).unwrap())
            .spawn()
            .unwrap();
        let mut sshd = Self { child, port };
        let log = || fs::read_to_string(folder.join("sshd.log")).unwrap_or_default();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(sshd.child.try_wait().unwrap().is_none(), "{}", log());
            assert!(begin.elapsed() < Duration::from_secs(20), "sshd does not listen: {}", log());
            std::thread::yield_now();
        }
        sshd
    }
}

pub(crate) fn packer(folder: &Path, verb: &str, template: &str) -> Output {
    Command::new("packer")
        .args([verb, "-color=false"].iter().filter(|arg| verb == "build" || **arg == verb))
        .arg(template)
        .current_dir(folder)
        .env("HOME", folder)
        .env("PACKER_PLUGIN_PATH", folder.join("plugins"))
        .env("PACKER_CACHE_DIR", folder.join("cache"))
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
