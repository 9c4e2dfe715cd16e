//! Which instance this is, from what the platform shows before the network is up.
//!
//! Only sources that stay the same over reboot, stop and start, resize, snapshot restore and live
//! migration, and differ in a copy, are used: the UUID that the hypervisor gives a machine. Serial
//! numbers, MAC addresses and `machine-id` change at other times or do not change in a copy.
//!
//! In a container these files describe the host, so they are ignored there. The container's manager
//! may pass an identity as the systemd credential `disinherit.identity`. The credential counts in
//! containers only: on a virtual machine an image could carry it on its own kernel command line, and
//! every copy would then look like the instance that was adopted.

mod uuid;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;
use crate::root::Root;

use uuid::{normalise, same_uuid};

/// SMBIOS system UUID, readable by root (Linux: drivers/firmware/dmi-id.c).
const DMI: &str = "/sys/class/dmi/id/product_uuid";
/// Xen domain UUID (Linux: Documentation/ABI/stable/sysfs-hypervisor-xen).
const XEN: &str = "/sys/hypervisor/uuid";
/// Device tree: KVM on POWER (`vm,uuid`) and PowerVM (`ibm,partition-uuid`).
const DEVICE_TREE: [&str; 2] =
    ["/proc/device-tree/vm,uuid", "/proc/device-tree/ibm,partition-uuid"];
/// IBM Z: what the machine and the hypervisors below say of themselves (Linux:
/// arch/s390/kernel/sysinfo.c).
const SYSINFO: &str = "/proc/sysinfo";
/// cloud-init's record of this boot.
const INSTANCE_DATA: &str = "/run/cloud-init/instance-data.json";
/// Name of the one weak source; see [`Identity::read_late`].
const INSTANCE_ID: &str = "cloud-init-instance-id";
/// What cloud-init says when it has found no datasource.
const NO_DATASOURCE: &str = "iid-datasource-none";

/// Written by systemd when it runs in a container (systemd, docs/CONTAINER_INTERFACE.md).
const CONTAINER: [&str; 2] = ["/run/systemd/container", "/run/host/container-manager"];
/// systemd credential of a container's manager; see the module's text.
const CREDENTIAL: &str = "/run/credentials/@system/disinherit.identity";

/// A file that holds one UUID is not longer.
const LIMIT: u64 = 4096;

/// Names and normalised values of the sources that were there. Empty when there was none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(BTreeMap<String, String>);

/// Two identities side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// At least one source is in both, and none differs.
    Same,
    /// No source is in both: nothing can be said, and nothing is concluded.
    Unknown,
    /// This source is in both with different values: another instance.
    Different {
        /// Name of the source.
        source: String,
    },
}

impl Identity {
    /// Reads the sources of the running system, or of a tree that has such files.
    ///
    /// A source that cannot be read counts as absent: a kernel without DMI must not look like
    /// another machine.
    pub fn read(root: &Root) -> Self {
        let file = |path: &'static str| {
            let bytes = root.read(&ImagePath::literal(path), LIMIT).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        if CONTAINER.iter().any(|path| matches!(root.stat(&ImagePath::literal(path)), Ok(Some(_))))
        {
            return Self::from_sources([("credential", file(CREDENTIAL))]);
        }
        let tree = DEVICE_TREE.iter().find_map(|path| file(path));
        Self::from_sources([
            ("dmi-product-uuid", file(DMI)),
            ("xen-uuid", file(XEN)),
            ("device-tree-uuid", tree),
            ("s390-uuid", file(SYSINFO).and_then(|text| s390(&text))),
        ])
    }

    /// The same after the network is up, with cloud-init's instance-id.
    ///
    /// It is weak: some platforms make a new one when only settings change (Proxmox), and a datasource
    /// may be missing in one boot. It is asked only where no other source is, which is better than to
    /// take every copy for the original.
    pub fn read_late(root: &Root) -> Self {
        let mut identity = Self::read(root);
        if !identity.is_empty() {
            return identity;
        }
        let bytes = root.read(&ImagePath::literal(INSTANCE_DATA), 16 << 20).ok().flatten();
        let data: Option<serde_json::Value> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let id = data.as_ref().and_then(|data| data.get("v1")?.get("instance_id")?.as_str());
        if let Some(id) = id.filter(|id| !id.is_empty() && *id != NO_DATASOURCE) {
            let id = crate::path::escape(id.as_bytes()).into_owned();
            identity.0.insert(INSTANCE_ID.to_owned(), id);
        }
        identity
    }

    /// Takes the sources that have a usable value.
    pub fn from_sources<'a>(sources: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Self {
        let known = sources
            .into_iter()
            .filter_map(|(name, raw)| Some((name.to_owned(), normalise(raw.as_deref()?)?)));
        let mut identity = Self::default();
        identity.0.extend(known);
        identity
    }

    /// True when no source was there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with an identity that was recorded before.
    pub fn compare(&self, before: &Self) -> Comparison {
        let mut common = false;
        for (source, value) in self.0.iter().filter(|(source, _)| *source != INSTANCE_ID) {
            let Some(old) = before.0.get(source) else { continue };
            common = true;
            if !same_uuid(value, old) {
                return Comparison::Different { source: source.clone() };
            }
        }
        match (common, self.0.get(INSTANCE_ID), before.0.get(INSTANCE_ID)) {
            (false, Some(now), Some(old)) if now != old => {
                Comparison::Different { source: INSTANCE_ID.to_owned() }
            }
            (false, None, _) | (false, _, None) => Comparison::Unknown,
            _ => Comparison::Same,
        }
    }

    /// Takes over sources that `newer` has and this one has not. Returns whether there were any.
    pub fn complete(&mut self, newer: &Self) -> bool {
        let before = self.0.len();
        for (source, value) in &newer.0 {
            self.0.entry(source.clone()).or_insert_with(|| value.clone());
        }
        self.0.len() != before
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let mut first = true;
        for (source, value) in &self.0 {
            let gap = if first { "" } else { ", " };
            write!(f, "{gap}{source} {value}")?;
            first = false;
        }
        Ok(())
    }
}

/// The UUID of the guest (`VM00 UUID:`), or of the partition where no hypervisor is below: a guest may
/// move to another partition.
fn s390(sysinfo: &str) -> Option<String> {
    let value = |name: &str| {
        let mut lines = sysinfo.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    let is_guest = sysinfo.lines().any(|line| line.starts_with("VM00"));
    value(if is_guest { "VM00 UUID" } else { "LPAR UUID" })
}

#[cfg(test)]
mod tests;
