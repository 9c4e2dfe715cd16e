//! What seals an image that boots with systemd.

use super::{DROPIN, Installed, Inventory, UNIT_DIR, mounts};
use crate::ImagePath;

/// Units as they are installed.
pub(super) const UNITS: [(&str, &str); 4] = [
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
/// What asks for a password on a console.
const PROMPTS: [&str; 4] = [
    "getty@.service",
    "serial-getty@.service",
    "console-getty.service",
    "container-getty@.service",
];

/// sulogin(8) asks for root's password.
const SHELLS: [&str; 2] = ["rescue.service", "emergency.service"];

const SERVICE_TEXT: &str = include_str!("../../../firstboot/units/service.conf");
const CONNECTION_TEXT: &str = include_str!("../../../firstboot/units/connection.conf");

/// True for a unit that gets a drop-in whatever the image has.
pub(super) fn is_known(unit: &str) -> bool {
    SERVICES.contains(&unit) || CONNECTIONS.contains(&unit)
}

/// Units and drop-ins.
pub(super) fn files(inventory: &Inventory) -> Vec<Installed> {
    let unit = |(name, content): &(&str, &str)| {
        let content =
            if inventory.own_mounts { mounts::without_cycle(content) } else { (*content).into() };
        Installed::file(below(name), content.into_bytes(), 0o644, "first-boot unit")
    };
    let mut files: Vec<Installed> = UNITS.iter().map(unit).collect();
    let mut dropin = |unit: &str, text: &'static str, why| {
        let path = below(&format!("{unit}.d/{DROPIN}"));
        files.push(Installed::file(path, text.as_bytes(), 0o644, why));
    };
    for unit in SERVICES {
        dropin(unit, SERVICE_TEXT, "closes sshd until the gate passes");
    }
    for unit in CONNECTIONS {
        dropin(unit, CONNECTION_TEXT, "closes sshd per connection");
    }
    for unit in &inventory.other_servers {
        let text = if unit.ends_with("@.service") { CONNECTION_TEXT } else { SERVICE_TEXT };
        dropin(unit, text, "closes an SSH server under a name of its own");
    }
    for unit in PROMPTS {
        let text = include_str!("../../../firstboot/units/getty.conf");
        dropin(unit, text, "no password prompt before inherited ones are removed");
    }
    for unit in SHELLS {
        let text = include_str!("../../../firstboot/units/rescue.conf");
        dropin(unit, text, "inherited passwords are removed before the shell asks");
    }
    if inventory.gate_socket {
        let text = include_str!("../../../firstboot/units/socket.conf");
        dropin("ssh.socket", text, "closes sshd's socket");
    }
    files
}

/// What makes the units active.
pub(super) fn links() -> Vec<Installed> {
    let link = |(name, target): &(&'static str, &'static str)| {
        Installed::link(below(name), target, "runs the unit at every boot")
    };
    WANTS.iter().map(link).collect()
}

fn below(name: &str) -> ImagePath {
    ImagePath::new(format!("{UNIT_DIR}/{name}")).unwrap_or_else(ImagePath::root)
}
