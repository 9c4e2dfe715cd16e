//! What seals an image that boots with OpenRC, as Alpine does.
//!
//! sshd's service gets a dependency on the gate through `/etc/rc.conf.d`: that also holds when the
//! gate's script is missing. `rc-service --nodeps` passes by it; root may do that.

use super::Installed;
use crate::root::Root;
use crate::{ImagePath, Result};

/// Where openrc-run(8) lies; without it there is no OpenRC.
const OPENRC: [&str; 3] = ["/sbin/openrc-run", "/usr/sbin/openrc-run", "/bin/openrc-run"];
/// systemd itself; an image that has both boots with systemd unless told otherwise.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

const CONF: &str = "/etc/rc.conf.d/disinherit.conf";
const SCRIPTS: [(&str, &str); 3] = [
    ("/etc/init.d/disinherit-early", include_str!("../../../firstboot/openrc/disinherit-early")),
    ("/etc/init.d/disinherit-gate", include_str!("../../../firstboot/openrc/disinherit-gate")),
    ("/etc/init.d/disinherit-retry", include_str!("../../../firstboot/openrc/disinherit-retry")),
];
const LINKS: [(&str, &str); 3] = [
    ("/etc/runlevels/boot/disinherit-early", "/etc/init.d/disinherit-early"),
    ("/etc/runlevels/default/disinherit-gate", "/etc/init.d/disinherit-gate"),
    ("/etc/runlevels/default/disinherit-retry", "/etc/init.d/disinherit-retry"),
];

/// Services that are SSH servers.
const SERVERS: [&str; 2] = ["sshd", "dropbear"];

/// True when the image boots with OpenRC.
///
/// # Errors
/// When the image cannot be searched.
pub(super) fn boots(root: &Root) -> Result<bool> {
    Ok(any(root, &OPENRC)? && !any(root, &SYSTEMD)?)
}

/// SSH servers that some runlevel starts.
///
/// # Errors
/// When the runlevels cannot be read.
pub(super) fn enabled_ssh(root: &Root) -> Result<Vec<&'static str>> {
    let runlevels = ImagePath::literal("/etc/runlevels");
    let mut enabled = Vec::new();
    for level in root.read_dir(&runlevels)? {
        let Some(level) = runlevels.join(&level.name) else { continue };
        for server in SERVERS {
            let Some(link) = level.join(server) else { continue };
            if root.lstat(&link)?.is_some() && !enabled.contains(&server) {
                enabled.push(server);
            }
        }
    }
    Ok(enabled)
}

/// The scripts and their configuration.
pub(super) fn files() -> Vec<Installed> {
    let script = |(path, text): &(&'static str, &'static str)| {
        Installed::file(ImagePath::literal(path), text.as_bytes(), 0o755, "first-boot service")
    };
    let mut files: Vec<Installed> = SCRIPTS.iter().map(script).collect();
    let conf = include_bytes!("../../../firstboot/openrc/disinherit.conf").as_slice();
    files.push(Installed::file(ImagePath::literal(CONF), conf, 0o644, "sshd needs the gate"));
    files
}

/// What makes the services active.
pub(super) fn links() -> Vec<Installed> {
    let link = |(path, target): &(&'static str, &'static str)| {
        Installed::link(ImagePath::literal(path), target, "runs the service at every boot")
    };
    LINKS.iter().map(link).collect()
}

fn any(root: &Root, paths: &[&'static str]) -> Result<bool> {
    for path in paths {
        if root.stat(&ImagePath::literal(path))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
