//! Trials with Debian's Packer 1.6.6, ssh to a sshd of our own on a loopback port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::tools::{find, install_as, missing, needing};

pub(crate) fn trials() -> Vec<Trial> {
    let mut missing = missing(&["packer", "sshd", "ssh-keygen"]);
    if !may_log_in() {
        missing.push("a login shell of the account that runs the tests".to_owned());
    }
    let name = "packer166::validates_and_builds_over_ssh";
    vec![needing(missing, name, validates_and_builds_over_ssh)]
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}

fn user() -> String {
    first_line("id", &["-un"])
}

/// sshd lets nobody in whose shell is nologin.
fn may_log_in() -> bool {
    let entry = first_line("getent", &["passwd", &user()]);
    !entry.is_empty() && !entry.ends_with("nologin") && !entry.ends_with("false")
}

/// A sshd in the foreground that lets one key in; killed when dropped.
struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sshd {
    fn start(folder: &Path) -> Self {
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

fn packer(folder: &Path, verb: &str, template: &str) -> Output {
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

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn validates_and_builds_over_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("plugins")).unwrap();
    install_as(&folder.join("plugins"), "packer-provisioner-disinherit");
    let sshd = Sshd::start(folder);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    fs::write(folder.join("a"), &content).unwrap();
    let source = format!(
        "source \"null\" \"n\" {{\n communicator = \"ssh\"\n ssh_host = \"127.0.0.1\"\n \
         ssh_port = {}\n ssh_username = \"{}\"\n ssh_private_key_file = \"{}/user\"\n}}\n",
        sshd.port,
        user(),
        folder.display()
    );
    let template = |name: &str, body: &str| {
        let text = format!(
            "{source}build {{\n sources = [\"source.null.n\"]\n provisioner \"disinherit\" {{\n{body}\n }}\n}}\n"
        );
        fs::write(folder.join(name), text).unwrap();
    };
    let at = folder.display();
    template(
        "good.pkr.hcl",
        &format!(
            "steps = [\"say hello\", \"run echo tok-$((40+2)); exit 3\", \"feed wc -c\", \
             \"upload {at}/a {at}/b\", \"download {at}/b {at}/c\"]\n text = build.ID\n \
             rows = [{{ a = \"b\" }}]"
        ),
    );
    template("bad.pkr.hcl", "steps = [\"bad\"]");
    template("unknown.pkr.hcl", "steps = []\n tex = \"x\"");

    let good = packer(folder, "validate", "good.pkr.hcl");
    assert!(good.status.success(), "{}", text(&good));
    let bad = packer(folder, "validate", "bad.pkr.hcl");
    assert!(!bad.status.success(), "{}", text(&bad));
    assert!(text(&bad).contains("* first\n* second"), "{}", text(&bad));
    let unknown = packer(folder, "validate", "unknown.pkr.hcl");
    assert!(text(&unknown).contains("Did you mean \"text\"?"), "{}", text(&unknown));

    let build = packer(folder, "build", "good.pkr.hcl");
    let log = fs::read_to_string(folder.join("sshd.log")).unwrap();
    let shown = text(&build);
    assert!(build.status.success(), "{shown}\n{log}");
    for line in ["null.n: hello", "out tok-42", "status 3", "out 1048576", "status 0"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(fs::read(folder.join("c")).unwrap() == content, "the copy differs");
}
