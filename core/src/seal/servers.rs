//! SSH servers of an image, by the names of their units and by what their units start.

use super::command::{Environment, started};
use super::units::{DIRS, Units};
use super::{openrc, systemd};
use crate::root::{FileKind, Root};
use crate::{ImagePath, Result};

/// Services and sockets of SSH servers that the image starts by itself, services first.
///
/// # Errors
/// When units or runlevels cannot be read.
pub fn enabled_ssh(root: &Root) -> Result<Vec<String>> {
    if openrc::boots(root)? {
        return Ok(openrc::enabled_ssh(root)?.into_iter().map(str::to_owned).collect());
    }
    let units = Units::new(root);
    let mut enabled: Vec<String> = units.enabled_ssh()?.into_iter().map(str::to_owned).collect();
    for other in other(root)? {
        if units.enabled(&other)? {
            enabled.push(other);
        }
    }
    Ok(enabled)
}

/// Services that start an SSH server and have none of the usual names. Aliases are links, and count
/// under their own name only.
///
/// # Errors
/// When a folder of units cannot be read.
pub(super) fn other(root: &Root) -> Result<Vec<String>> {
    let units = Units::new(root);
    let mut found = Vec::new();
    for dir in DIRS {
        for entry in root.read_dir(&ImagePath::literal(dir))? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let candidate = entry.kind == FileKind::Regular
                && name.ends_with(".service")
                && !systemd::is_known(&name)
                && !found.contains(&name);
            if candidate && units.load(&name)?.is_some_and(|unit| unit.commands().any(is_server)) {
                found.push(name);
            }
        }
    }
    Ok(found)
}

/// The variables of the unit do not matter: they name options, not programs.
fn is_server(command: &str) -> bool {
    started(command, &Environment::new()).is_server()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_what_they_start() {
        let image = tempfile::tempdir().unwrap();
        let put = |name: &str, command: &str| {
            let path = image.path().join("etc/systemd/system").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("[Service]\nExecStart={command}\n")).unwrap();
        };
        put("backdoor.service", "-/usr/sbin/sshd -D -p 2222");
        put("admin@.service", "!/usr/sbin/dropbear -i");
        put("blue.service", "/sbin/ip netns exec blue /usr/sbin/sshd -D");
        put("web.service", "/usr/sbin/nginx --prefix=/sshd");
        put("keys.service", "/usr/bin/ssh-keygen -A");
        put("ssh.service", "/usr/sbin/sshd -D");
        let root = Root::offline(image.path()).unwrap();
        let mut found = other(&root).unwrap();
        found.sort();
        assert_eq!(found, ["admin@.service", "backdoor.service", "blue.service"]);
        put("multi-user.target.wants/backdoor.service", "");
        assert_eq!(enabled_ssh(&root).unwrap(), ["backdoor.service"]);
    }
}
