//! The ways by which a platform gives a key to an instance.

use std::os::unix::fs::{PermissionsExt, chown};

use disinherit_tests::base::Base;
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::seed::{self, Metadata};
use disinherit_tests::ssh::KeyPair;
use disinherit_tests::{Result, expect};

use super::disk::{Disk, Instance, Platform};

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// cloud-init reads it from a NoCloud seed.
    NoCloud,
    /// cloud-init reads it from OpenStack's config drive.
    ConfigDrive,
    /// systemd's credential `ssh.authorized_keys.root`; no cloud-init.
    Credential,
    /// A program of the initial RAM disk writes a drop-in of authorized_keys before the system
    /// starts, as Ignition does; no cloud-init.
    DropIn,
    /// Somebody writes authorized_keys on the disk while the machine is off; no cloud-init.
    Offline,
    /// The platform's assistant asks for it, as root, in the running machine; no cloud-init.
    Authorize,
}

/// An account of the image that is not the builder's.
const OPERATOR: &str = "ann";
const IGNITION: &str = "/home/ann/.ssh/authorized_keys.d/ignition";
const OFFLINE: &str = "/home/ann/.ssh/authorized_keys";

impl Way {
    /// Who logs in.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::NoCloud | Self::ConfigDrive => DEFAULT_USER,
            Self::Credential => "root",
            Self::DropIn | Self::Offline | Self::Authorize => OPERATOR,
        }
    }

    /// A sealed disk of an image that is made for this way.
    pub(crate) fn disk(self, base: Base) -> Result<Disk> {
        let disk = Disk::of(base)?;
        match self {
            Self::NoCloud => {}
            Self::ConfigDrive => disk.write(
                "/etc/cloud/cloud.cfg.d/91_drive.cfg",
                "datasource_list: [ConfigDrive, None]\n",
            )?,
            _ => {
                disk.write("/etc/cloud/cloud-init.disabled", "")?;
                disk.sh(&format!("useradd --create-home --shell /bin/bash {OPERATOR}"))?;
            }
        }
        if self == Self::DropIn {
            let files = "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys.d/ignition\n";
            disk.write("/etc/ssh/sshd_config.d/40-drop-ins.conf", files)?;
        }
        disk.seal()?;
        Ok(disk)
    }

    /// Boots a machine to which `key` is given for the first time.
    pub(crate) fn give(self, disk: &Disk, platform: Platform, key: &KeyPair) -> Result<Instance> {
        match self {
            Self::DropIn => {
                self.write_login_file(disk, IGNITION, key)?;
                // What Ignition leaves behind when it has run.
                let result = format!(
                    r#"{{"provisioningDate":"2026-01-01T00:00:00Z","run":"{}","userConfigProvided":true}}"#,
                    key.public()?.len()
                );
                disk.write("/etc/.ignition-result.json", &result)?;
            }
            Self::Offline => self.write_login_file(disk, OFFLINE, key)?,
            _ => {}
        }
        let instance = disk.boot(&platform)?;
        if self == Self::Authorize {
            instance.expect_closed("no-key")?;
            instance.authorize(self.user(), key)?;
        }
        Ok(instance)
    }

    /// What the platform says in every boot of a machine that belongs to `key`; `None`: nothing.
    pub(crate) fn platform(self, identity: &str, key: Option<&KeyPair>) -> Result<Platform> {
        let Some(key) = key else { return Platform::silent(identity) };
        let metadata = Metadata {
            instance_id: format!("i-{identity}"),
            public_keys: vec![key.public()?],
            ..Metadata::default()
        };
        match self {
            Self::NoCloud => Platform::metadata(identity, &metadata),
            Self::ConfigDrive => {
                Platform::seeded(identity, seed::config_drive_folder(&metadata)?, "config_drive")
            }
            Self::Credential => Platform::credential(identity, key),
            Self::DropIn | Self::Offline | Self::Authorize => Platform::silent(identity),
        }
    }

    fn write_login_file(self, disk: &Disk, path: &str, key: &KeyPair) -> Result {
        disk.layer.write(path, 0o600, key.public()? + "\n")?;
        let id = disk.sh(&format!("id -u {OPERATOR}"))?;
        let id: u32 = id.trim().parse()?;
        let mut place = disk.path(path);
        while !place.ends_with(OPERATOR) {
            chown(&place, Some(id), Some(id))?;
            if place.is_dir() {
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o700))?;
            }
            expect(place.pop(), || "the home is above".to_owned())?;
        }
        Ok(())
    }
}
