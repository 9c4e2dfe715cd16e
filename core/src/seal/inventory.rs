//! What of an image decides which files seal it.

use super::Units;
use super::sshd_files::SshdFiles;
use crate::manifest::InjectedPassword;
use crate::root::Root;
use crate::{Error, ImagePath, Result};

/// Agents that write keys after sshd's sockets would have to be ordered. A socket that waits for one
/// makes a cycle through `basic.target`.
const LATE_AGENTS: [&str; 5] = [
    "google-guest-agent.service",
    "google-guest-agent-manager.service",
    "walinuxagent.service",
    "waagent.service",
    "azure-init.service",
];

/// cloud-init's network stage, by its old and its new name.
const NETWORK_STAGE: [&str; 2] = ["cloud-init.service", "cloud-init-network.service"];

/// What an image has.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// cloud-init is installed.
    pub cloud_init: bool,
    /// `ssh.socket` may wait for the gate without an ordering cycle.
    pub gate_socket: bool,
    /// The image boots with OpenRC, and not with systemd.
    pub openrc: bool,
    /// Services of SSH servers that the image enables.
    pub ssh_enabled: Vec<String>,
    /// Services that start an SSH server under a name of their own.
    pub other_servers: Vec<String>,
    /// Units of late agents that the image enables.
    pub agents: Vec<&'static str>,
    /// `/var`, `/root` or another folder that the first boot needs is a file system of its own.
    pub own_mounts: bool,
    /// Policy for passwords that the platform sets; `allow` leaves sshd's settings alone.
    pub passwords: InjectedPassword,
    /// What makes each sshd take no password.
    pub sshd: SshdFiles,
}

impl Inventory {
    /// Looks at units and at sshd's configuration.
    ///
    /// # Errors
    /// When these cannot be read.
    pub fn discover(root: &Root) -> Result<Self> {
        let units = Units::new(root);
        let exists = |path: &'static str| Ok(root.stat(&ImagePath::literal(path))?.is_some());
        let mut agents = Vec::new();
        for agent in LATE_AGENTS {
            if units.enabled(agent)? {
                agents.push(agent);
            }
        }
        let cloud_init = exists("/etc/cloud/cloud.cfg")? && exists("/usr/bin/cloud-init")?;
        Ok(Self {
            cloud_init,
            gate_socket: agents.is_empty() && (!cloud_init || early_network_stage(&units)?),
            openrc: super::openrc::boots(root)?,
            ssh_enabled: super::enabled_ssh(root)?,
            other_servers: super::servers::other(root)?,
            agents,
            own_mounts: super::mounts::own(root)?,
            passwords: InjectedPassword::default(),
            sshd: SshdFiles::discover(root)?,
        })
    }

    /// Refuses an image of which some sshd would go on taking passwords, unless policy allows that.
    ///
    /// # Errors
    /// Refused, naming the daemon and the reason.
    pub fn check(&self) -> Result<()> {
        match self.sshd.obstacles.first() {
            Some(obstacle) if self.closes_passwords() => {
                Err(Error::refused("keep passwords out of SSH:", obstacle).remedy(
                    "change that, or take the service away, or write `injected_password: allow` into the policy",
                ))
            }
            _ => Ok(()),
        }
    }

    /// True where policy keeps passwords out of SSH.
    pub fn closes_passwords(&self) -> bool {
        self.passwords != InjectedPassword::Allow
    }
}

/// Debian and Ubuntu run it before `sysinit.target`; elsewhere it comes after `basic.target`, and
/// with it after the sockets.
fn early_network_stage(units: &Units<'_>) -> Result<bool> {
    for name in NETWORK_STAGE {
        if let Some(unit) = units.load(name)? {
            return Ok(unit.words("Before").any(|other| other == "sysinit.target"));
        }
    }
    Ok(true)
}
