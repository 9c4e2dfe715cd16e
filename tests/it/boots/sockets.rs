//! sshd behind a socket, as Ubuntu has it, and the sockets that systemd 256 and newer make.

use disinherit_tests::base::Base;
use disinherit_tests::ssh::KeyPair;
use disinherit_tests::{Result, expect};

use super::disk::{A, Disk, Instance, Platform};

const SWITCH: &str = "systemctl disable ssh.service; systemctl enable ssh.socket";

/// Connections in bash, which is in the image.
const KNOCK: &str = "for i in $(seq 1000); do (exec 3<>/dev/tcp/127.0.0.1/22) 2>&-; done; true";

pub(crate) fn socket_of_debian_12() -> Result {
    socket(Base::bookworm()?)
}

pub(crate) fn socket_of_debian_13() -> Result {
    socket(Base::trixie()?)
}

/// A thousand connections during the denial change nothing, and a later key still opens.
fn socket(base: Base) -> Result {
    let disk = Disk::of(base)?;
    disk.write("/etc/cloud/cloud-init.disabled", "")?;
    disk.sh(SWITCH)?;
    disk.seal()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_closed("no-key")?;
    let before = gate_runs(&instance)?;
    instance.run(&["bash", "-c", KNOCK])?;
    let after = gate_runs(&instance)?;
    expect(before == after, || format!("the gate ran {before} times, then {after}"))?;
    instance.expect_closed("no-key")?;
    let key = KeyPair::generate("owner")?;
    instance.authorize("builder", &key)?;
    instance.expect_in("builder", &key)?;
    instance.off()?;
    let again = disk.boot(&Platform::silent(A)?)?;
    again.expect_in("builder", &key)?;
    again.off()
}

/// How often the gate has decided in this boot.
fn gate_runs(instance: &Instance) -> Result<usize> {
    let journal = instance.run(&["journalctl", "-b", "-o", "cat", "-u", "disinherit-gate"])?;
    Ok(journal.matches("SSH IS CLOSED").count())
}

/// systemd-ssh-generator offers a socket of its own in every container and machine, and one
/// instance of sshd for each connection. The socket stays, nobody answers on it.
pub(crate) fn generated_sockets() -> Result {
    let disk = Disk::of(Base::trixie()?)?;
    disk.seal()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    instance.expect_closed("no-key")?;
    let socket = "/run/ssh-unix-local/socket";
    expect(instance.exists(socket)?, || "systemd makes no socket".to_owned())?;
    let greeting = || -> Result<String> {
        let read = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(20); \
                    s.connect(sys.argv[1]); print(s.recv(64))";
        let output = instance.container.exec(&["python3", "-c", read, socket])?;
        Ok(disinherit_tests::command::said(&output))
    };
    let told = greeting()?;
    expect(!told.contains("SSH-2.0"), || format!("sshd answers on {socket}: {told}"))?;
    let key = KeyPair::generate("owner")?;
    instance.authorize("builder", &key)?;
    instance.expect_in("builder", &key)?;
    let told = greeting()?;
    expect(told.contains("SSH-2.0"), || format!("nobody answers on {socket}: {told}"))?;
    instance.off()
}
