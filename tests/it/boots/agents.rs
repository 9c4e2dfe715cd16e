//! Keys that come after sshd would have started.

use std::time::Duration;

use disinherit_tests::base::Base;
use disinherit_tests::ssh::{KeyPair, Proof};
use disinherit_tests::{Context, Result, expect};

use super::disk::{A, Disk, Instance, Platform, SOON};

/// A minute for the agent, and one interval of the retry.
const LATE: Duration = Duration::from_secs(180);

/// cloud-init fetches them in its config stage. The fetching program is replaced by one that needs
/// no network.
pub(crate) fn imported_keys() -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    let key = KeyPair::generate("imported")?;
    let fetch = format!(
        "#!/bin/sh\nmkdir -p -m 0700 ~/.ssh\necho '{}' >>~/.ssh/authorized_keys\n",
        key.public()?
    );
    disk.layer.write("/usr/bin/ssh-import-id", 0o755, fetch)?;
    disk.seal()?;
    let document = serde_json::json!({ "users": [
        { "name": "ann", "shell": "/bin/bash", "ssh_import_id": ["gh:ann"] },
    ]});
    let instance = disk.boot(&Platform::user_data(A, &document)?)?;
    comes_late(&instance, "ann", &key)?;
    instance.off()
}

/// google-guest-agent says that it is ready before it writes keys.
pub(crate) fn google_guest_agent() -> Result {
    agent("google-guest-agent.service", 20)
}

/// waagent provisions in its daemon, long after sshd would have started.
pub(crate) fn waagent() -> Result {
    agent("walinuxagent.service", 60)
}

/// An agent as its unit is ordered, and as late as it may be; it tells nobody that it is done.
fn agent(unit: &str, seconds: u32) -> Result {
    let disk = Disk::of(Base::bookworm()?)?;
    let key = KeyPair::generate("agent")?;
    let write = format!(
        "#!/bin/sh\nsystemd-notify --ready\nsleep {seconds}\nmkdir -p -m 0700 /root/.ssh\n\
         echo '{}' >>/root/.ssh/authorized_keys\nexec sleep infinity\n",
        key.public()?
    );
    disk.layer.write("/usr/bin/agent", 0o755, write)?;
    let text = "[Unit]\nAfter=network.target\nBefore=sshd.service ssh.service\n\
                [Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/agent\n\
                [Install]\nWantedBy=multi-user.target\n";
    disk.write(&format!("/usr/lib/systemd/system/{unit}"), text)?;
    disk.write("/etc/cloud/cloud-init.disabled", "")?;
    disk.sh(&format!("systemctl enable {unit}"))?;
    disk.seal()?;
    let instance = disk.boot(&Platform::silent(A)?)?;
    comes_late(&instance, "root", &key)?;
    instance.off()
}

fn comes_late(instance: &Instance, user: &str, key: &KeyPair) -> Result {
    let console = || instance.container.console();
    instance.container.wait_console("SSH IS CLOSED", SOON)?;
    instance
        .door()
        .wait_login(user, Proof::Key(&key.private()), LATE)
        .context(|| format!("console:\n{}", console()))?;
    let cycle = console().contains("ordering cycle");
    expect(!cycle, || format!("systemd has dropped a unit:\n{}", console()))
}
