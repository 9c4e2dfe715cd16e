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

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;
use crate::root::Root;

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

/// UUIDs that vendors forgot to replace, beside nil and all ones.
const JUNK: [&str; 4] = [
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "feeefeee-feee-feee-feee-feeefeeefeee",
    "01020304-0506-0708-090a-0b0c0d0e0f10",
];

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

/// Lower case with hyphens; `None` for text that is no UUID, and for values that name no machine.
fn normalise(raw: &str) -> Option<String> {
    let digits: String = raw
        .trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '{' || c == '}')
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let first = digits.bytes().next()?;
    if (first == b'0' || first == b'f') && digits.bytes().all(|b| b == first) {
        return None;
    }
    let uuid = hyphenate(&digits)?;
    let junk = JUNK.iter().any(|known| same_uuid(&uuid, known));
    (!junk).then_some(uuid)
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

fn hyphenate(digits: &str) -> Option<String> {
    let part = |from, to| digits.get(from..to);
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8)?,
        part(8, 12)?,
        part(12, 16)?,
        part(16, 20)?,
        part(20, 32)?
    ))
}

/// SMBIOS 2.6 stores the first three fields little-endian; firmware before it, and some after it,
/// did not. An update of the firmware may therefore swap them without making another machine.
fn same_uuid(a: &str, b: &str) -> bool {
    a == b || swapped(a).as_deref() == Some(b)
}

fn swapped(uuid: &str) -> Option<String> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let reversed = |from: usize, to: usize| -> Option<String> {
        let field = digits.get(from..to)?;
        let pairs: Vec<&str> = (0..field.len())
            .step_by(2)
            .rev()
            .map(|i| field.get(i..i + 2))
            .collect::<Option<_>>()?;
        Some(pairs.concat())
    };
    let text = [reversed(0, 8)?, reversed(8, 12)?, reversed(12, 16)?, digits.get(16..)?.to_owned()];
    hyphenate(&text.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dmi(value: &str) -> Identity {
        Identity::from_sources([("dmi-product-uuid", Some(value.to_owned()))])
    }

    #[test]
    fn case_hyphens_and_line_ends_do_not_matter() {
        let plain = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
        for other in [
            "4C4C4544-0042-3510-8052-B4C04F4A4D31\n",
            "{4c4c4544-0042-3510-8052-b4c04f4a4d31}",
            "4c4c45440042351080 52b4c04f4a4d31".replace(' ', "").as_str(),
            "4c4c4544-0042-3510-8052-b4c04f4a4d31\0",
        ] {
            assert_eq!(dmi(other), plain, "{other:?}");
        }
    }

    #[test]
    fn the_byte_swapped_form_is_the_same_machine() {
        let before = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
        let after = dmi("44454c4c-4200-1035-8052-b4c04f4a4d31");
        assert_eq!(after.compare(&before), Comparison::Same);
        let other = dmi("44454c4c-4200-1035-8052-b4c04f4a4d32");
        assert!(matches!(other.compare(&before), Comparison::Different { .. }));
    }

    #[test]
    fn junk_names_no_machine() {
        for junk in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
            "Not Settable",
            "",
        ] {
            assert!(dmi(junk).is_empty(), "{junk}");
        }
    }

    #[test]
    fn a_source_that_comes_or_goes_is_no_change() {
        let with = dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
        let without = Identity::default();
        assert_eq!(without.compare(&with), Comparison::Unknown);
        assert_eq!(with.compare(&without), Comparison::Unknown);
        let mut recorded = without;
        assert!(recorded.complete(&with));
        assert_eq!(recorded, with);
    }

    #[test]
    fn containers_take_the_managers_credential_and_machines_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        put("etc/passwd", "");
        put("sys/class/dmi/id/product_uuid", "4c4c4544-0042-3510-8052-b4c04f4a4d31\n");
        put("run/credentials/@system/disinherit.identity", "0a0a0a0a-1111-2222-3333-444444444444");
        let read = || Identity::read(&Root::offline(dir.path()).unwrap()).to_string();
        assert_eq!(read(), "dmi-product-uuid 4c4c4544-0042-3510-8052-b4c04f4a4d31");
        put("run/systemd/container", "systemd-nspawn\n");
        assert_eq!(read(), "credential 0a0a0a0a-1111-2222-3333-444444444444");
    }

    #[test]
    fn mainframes_name_the_guest_and_not_its_partition() {
        let lpar =
            "LPAR Number:          8\nLPAR UUID:            aaaaaaaa-1111-2222-3333-444444444444\n";
        assert_eq!(s390(lpar).unwrap(), "aaaaaaaa-1111-2222-3333-444444444444");
        let vm = format!(
            "{lpar}VM00 Name:            guest\nVM00 UUID:            bbbbbbbb-1111-2222-3333-444444444444\n"
        );
        assert_eq!(s390(&vm).unwrap(), "bbbbbbbb-1111-2222-3333-444444444444");
        assert_eq!(s390(&format!("{lpar}VM00 Name:            zvm\n")), None, "z/VM gives none");
    }

    #[test]
    fn the_instance_id_decides_only_where_nothing_else_does() {
        let with = |id: &str, mut identity: Identity| {
            identity.0.insert(INSTANCE_ID.to_owned(), id.to_owned());
            identity
        };
        let uuid = || dmi("4c4c4544-0042-3510-8052-b4c04f4a4d31");
        let none = Identity::default;
        assert_eq!(with("two", uuid()).compare(&with("one", uuid())), Comparison::Same);
        assert!(matches!(
            with("two", none()).compare(&with("one", none())),
            Comparison::Different { .. }
        ));
        assert_eq!(with("one", none()).compare(&with("one", uuid())), Comparison::Same);
        assert_eq!(none().compare(&with("one", none())), Comparison::Unknown);
    }

    proptest! {
        #[test]
        fn swapping_twice_is_nothing(digits in "[0-9a-f]{32}") {
            let uuid = hyphenate(&digits).unwrap();
            prop_assert_eq!(swapped(&swapped(&uuid).unwrap()), Some(uuid));
        }

        #[test]
        fn any_text_is_taken_without_a_panic(text in "\\PC*") {
            let _identity = dmi(&text);
        }
    }
}
