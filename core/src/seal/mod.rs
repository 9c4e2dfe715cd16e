//! What makes an image sealed: units, links and drop-ins, and the manifest that comes first.
//!
//! `scrub` puts [`files`] into its plan, `disinherit-firstboot seal` writes them itself. A package
//! only brings the program; nothing here is active before an image is sealed.

mod inventory;
mod mounts;
mod order;
mod record;
mod sshd_dropin;
mod units;

use std::borrow::Cow;

pub use inventory::Inventory;
pub use order::{Cycle, cycles};
pub(crate) use record::{keys_in, read};
pub use record::{mentioned, record, seed_digest};
pub use units::{SSH_UNITS, Units};

use crate::ImagePath;

/// One file or link of a sealed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where it lies.
    pub path: ImagePath,
    /// What it is.
    pub kind: Kind,
    /// Why it is there, for the plan and the report.
    pub why: &'static str,
}

/// A file with its content, or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, owned by root.
    File {
        /// All of it.
        content: Cow<'static, [u8]>,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        target: Cow<'static, str>,
    },
}

impl Installed {
    /// A regular file.
    pub fn file(
        path: ImagePath,
        content: impl Into<Cow<'static, [u8]>>,
        mode: u32,
        why: &'static str,
    ) -> Self {
        Self { path, kind: Kind::File { content: content.into(), mode }, why }
    }

    fn link(path: ImagePath, target: &'static str, why: &'static str) -> Self {
        Self { path, kind: Kind::Link { target: Cow::Borrowed(target) }, why }
    }
}

/// Where the first-boot program lies, mode 0755.
pub fn binary_path() -> ImagePath {
    ImagePath::literal("/usr/lib/disinherit/disinherit-firstboot")
}

/// State of an earlier life of the disk. Sealing removes it, after the manifest is written: the next
/// boot is a first boot again.
pub fn state_paths() -> [ImagePath; 2] {
    [
        ImagePath::literal("/var/lib/disinherit/state.json"),
        ImagePath::literal("/var/lib/disinherit/quarantine"),
    ]
}

const UNIT_DIR: &str = "/usr/lib/systemd/system";
const DROPIN: &str = "05-disinherit.conf";

/// Units as they are installed.
const UNITS: [(&str, &str); 4] = [
    ("disinherit-early.service", include_str!("../../../firstboot/units/disinherit-early.service")),
    ("disinherit-gate.service", include_str!("../../../firstboot/units/disinherit-gate.service")),
    ("disinherit-retry.service", include_str!("../../../firstboot/units/disinherit-retry.service")),
    ("disinherit-retry.timer", include_str!("../../../firstboot/units/disinherit-retry.timer")),
];

/// Static links: presets and `systemctl disable` do not reach them.
const WANTS: [(&str, &str); 3] = [
    ("sysinit.target.wants/disinherit-early.service", "../disinherit-early.service"),
    ("multi-user.target.wants/disinherit-gate.service", "../disinherit-gate.service"),
    ("timers.target.wants/disinherit-retry.timer", "../disinherit-retry.timer"),
];

/// A drop-in for a unit that the image lacks does nothing; one for a unit that is installed later
/// closes it. The copies for ssh and sshd must be equal: on Debian one is an alias of the other.
const SERVICES: [&str; 3] = ["ssh.service", "sshd.service", "dropbear.service"];
const CONNECTIONS: [&str; 4] =
    ["ssh@.service", "sshd@.service", "sshd-generated@.service", "dropbear@.service"];

/// Everything but the manifest and the program, in the order in which it is to be written.
pub fn files(inventory: &Inventory) -> Vec<Installed> {
    let below =
        |name: &str| ImagePath::new(format!("{UNIT_DIR}/{name}")).unwrap_or_else(ImagePath::root);
    let text = |name: &str, text: &'static str, why| {
        Installed::file(below(name), text.as_bytes(), 0o644, why)
    };
    let unit = |name: &str, content: &str| {
        let content =
            if inventory.own_mounts { mounts::without_cycle(content) } else { content.into() };
        Installed::file(below(name), content.into_bytes(), 0o644, "first-boot unit")
    };
    let mut files: Vec<Installed> =
        UNITS.iter().map(|(name, content)| unit(name, content)).collect();
    let service = include_str!("../../../firstboot/units/service.conf");
    for unit in SERVICES {
        files.push(text(
            &format!("{unit}.d/{DROPIN}"),
            service,
            "closes sshd until the gate passes",
        ));
    }
    let connection = include_str!("../../../firstboot/units/connection.conf");
    for unit in CONNECTIONS {
        files.push(text(&format!("{unit}.d/{DROPIN}"), connection, "closes sshd per connection"));
    }
    if inventory.gate_socket {
        let socket = include_str!("../../../firstboot/units/socket.conf");
        files.push(text(&format!("ssh.socket.d/{DROPIN}"), socket, "closes sshd's socket"));
    }
    if let Some(sshd) = inventory.sshd_dropin() {
        let path = ImagePath::literal(sshd_dropin::PATH);
        files.push(Installed::file(path, sshd.into_bytes(), 0o600, "no password for SSH"));
    }
    if inventory.cloud_init {
        let path = ImagePath::literal("/etc/cloud/cloud.cfg.d/99-disinherit.cfg");
        let content = include_bytes!("../../../cloud-init/99-disinherit.cfg").as_slice();
        files.push(Installed::file(path, content, 0o644, "host keys are left to the gate"));
    }
    // Last: from here on the image is closed.
    let links = WANTS
        .iter()
        .map(|(name, target)| Installed::link(below(name), target, "runs the unit at every boot"));
    files.extend(links);
    files
}

#[cfg(test)]
mod tests;
