//! What of the image matters to its first boot: is there an SSH server, who makes host keys.

use super::accounts::LIMIT;
use crate::facts::Services;
use crate::root::{FileKind, Root};
use crate::sshd;
use crate::{ImagePath, Result};

/// Where systemd(1) looks for units, the administrator's first.
const UNIT_DIRS: &[&str] =
    &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Units that make host keys at boot on their own. Debian 13 and Fedora ship them; on Fedora
/// cloud-init's drop-in switches them off, and then cloud-init makes the keys.
const KEY_MAKERS: &[&str] = &["sshd-keygen.service", "sshd-keygen@.service", "ssh-keygen.service"];

/// Looks at the unit files and programs of the image.
///
/// # Errors
/// A directory of units that cannot be read.
pub(super) fn discover(root: &Root, config: &sshd::Config) -> Result<Services> {
    let mut services = Services {
        cloud_init: exists(root, "/usr/bin/cloud-init")?
            || exists(root, "/usr/local/bin/cloud-init")?,
        systemd: exists(root, "/usr/lib/systemd/systemd")? || exists(root, "/lib/systemd/systemd")?,
        ..Services::default()
    };
    services.sudo = exists(root, "/usr/bin/sudo")? || exists(root, "/usr/bin/doas")?;
    services.root_by_key = root_login_wanted(root)?
        && !config.possible("permitrootlogin").iter().any(|v| v.eq_ignore_ascii_case(b"no"));
    services.ssh_enabled = ssh_enabled(root)?;
    if services.cloud_init {
        services.host_key_makers.push("cloud-init".into());
    }
    for unit in KEY_MAKERS {
        for dir in UNIT_DIRS {
            if exists(root, &format!("{dir}/{unit}"))? {
                services.host_key_makers.push((*unit).to_owned());
                break;
            }
        }
    }
    services.host_keys = config.host_keys();
    services.other_logins = config.other_login_sources().iter().map(login_text).collect();
    Ok(services)
}

/// A login source as it is named to people and in `evidence`: keyword first. Of a command only the
/// program is named: its arguments may hold a token.
pub(super) fn login_text(source: &sshd::LoginSource) -> String {
    let command = source.keyword.ends_with("command");
    let mut words = source.value.split(|b| *b == b' ');
    let value = if command { words.next().unwrap_or_default() } else { &source.value };
    format!("{} {}", source.keyword, crate::path::escape(value))
}

/// The last `disable_root` of cloud-init's configuration; true is its default. A file that is no
/// YAML is passed over, as cloud-init does with a warning.
fn root_login_wanted(root: &Root) -> Result<bool> {
    let mut files = vec![ImagePath::literal("/etc/cloud/cloud.cfg")];
    let dir = ImagePath::literal("/etc/cloud/cloud.cfg.d");
    for entry in root.read_dir(&dir)? {
        if entry.name.ends_with(b".cfg") {
            files.extend(dir.join(&entry.name));
        }
    }
    let mut disabled = true;
    for file in files {
        let Some(text) = root.read(&file, LIMIT)? else { continue };
        let value: Option<serde_yaml::Value> = serde_yaml::from_slice(&text).ok();
        let word = value.as_ref().and_then(|v| v.get("disable_root"));
        disabled = word.and_then(serde_yaml::Value::as_bool).unwrap_or(disabled);
    }
    Ok(!disabled)
}

fn exists(root: &Root, path: &str) -> Result<bool> {
    match ImagePath::new(path) {
        Some(path) => Ok(root.stat(&path)?.is_some()),
        None => Ok(false),
    }
}

/// Enabled means: something below `*.wants`, `*.requires` or a runlevel names an SSH server.
fn ssh_enabled(root: &Root) -> Result<bool> {
    const NAMES: &[&[u8]] = &[
        b"ssh.service",
        b"sshd.service",
        b"ssh.socket",
        b"sshd.socket",
        b"dropbear.service",
        b"dropbear.socket",
    ];
    for dir in UNIT_DIRS {
        let Some(dir) = ImagePath::new(dir) else { continue };
        for entry in root.read_dir(&dir)? {
            let pulls = entry.name.ends_with(b".wants") || entry.name.ends_with(b".requires");
            if !pulls || entry.kind != FileKind::Directory {
                continue;
            }
            let Some(path) = dir.join(&entry.name) else { continue };
            if root.read_dir(&path)?.iter().any(|e| NAMES.contains(&e.name.as_slice())) {
                return Ok(true);
            }
        }
    }
    for runlevel in ["/etc/runlevels/default", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d"] {
        let Some(dir) = ImagePath::new(runlevel) else { continue };
        let ssh = |name: &[u8]| {
            matches!(name, b"sshd" | b"dropbear")
                || name.starts_with(b"S") && (name.ends_with(b"ssh") || name.ends_with(b"sshd"))
        };
        // Debian keeps links for sysvinit beside systemd; only an image without it starts by them.
        if !exists(root, "/usr/lib/systemd/systemd")?
            && !exists(root, "/lib/systemd/systemd")?
            && root.read_dir(&dir)?.iter().any(|e| ssh(&e.name))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_a_command_are_not_shown() {
        let text = |line: &str| {
            let image = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(image.path().join("etc/ssh")).unwrap();
            std::fs::write(image.path().join("etc/ssh/sshd_config"), line).unwrap();
            let root = Root::offline(image.path()).unwrap();
            let (config, _) = sshd::Config::load(&root).unwrap();
            config.other_login_sources().first().map(login_text).unwrap()
        };
        assert_eq!(
            text("AuthorizedKeysCommand /bin/k --token x\n"),
            "authorizedkeyscommand /bin/k"
        );
        assert_eq!(text("TrustedUserCAKeys /etc/ca.pub\n"), "trustedusercakeys /etc/ca.pub");
    }
}
