//! The one list of options.

use crate::wire::spec::{Attr, AttrType};

/// One option of the provisioner block.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Its name in the template.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What counts when it is not set, as the reference prints it.
    pub default: &'static str,
    /// What it does; one or more sentences for the reference.
    pub help: &'static str,
}

/// The types that options have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `string`
    Text,
    /// `bool`
    Bool,
    /// `list(string)`
    List,
    /// `map(string)`
    Map,
}

impl Kind {
    /// The type as HCL writes it.
    #[must_use]
    pub const fn hcl(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "bool",
            Self::List => "list(string)",
            Self::Map => "map(string)",
        }
    }

    fn attr(self) -> AttrType {
        match self {
            Self::Text => AttrType::String,
            Self::Bool => AttrType::Bool,
            Self::List => AttrType::List(Box::new(AttrType::String)),
            Self::Map => AttrType::Map(Box::new(AttrType::String)),
        }
    }
}

const fn opt(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Opt {
    Opt { name, kind, default, help }
}

/// Every option, in the order of the reference.
pub const TABLE: &[Opt] = &[
    opt(
        "policy_files",
        Kind::List,
        "[]",
        "Policy files on Packer's machine (see policy.md). Later ones win, lists in them add up.",
    ),
    opt(
        "rules",
        Kind::Map,
        "{}",
        "Rules by id, each `on`, `off` or `report`; counts more than the policy files. `packer-plugin-disinherit rules` lists them.",
    ),
    opt(
        "keep_users",
        Kind::List,
        "[]",
        "Accounts whose password and public keys stay in the image.",
    ),
    opt("remove_users", Kind::List, "[]", "Accounts that are removed together with their homes."),
    opt(
        "firstboot",
        Kind::Bool,
        "true",
        "Install disinherit-firstboot, which keeps sshd closed until this instance was given a key of its own. Needs a plugin that carries it (`make dist`), or `firstboot_binary`.",
    ),
    opt(
        "firstboot_binary",
        Kind::Text,
        "from the plugin",
        "A disinherit-firstboot on Packer's machine to install instead of the one in the plugin.",
    ),
    opt(
        "guest_binary",
        Kind::Text,
        "the plugin itself",
        "The program to upload and run in the guest, on Packer's machine; needed where the guest's architecture is not the plugin's and the plugin carries no program for it.",
    ),
    opt(
        "content",
        Kind::Text,
        "report",
        "What is done about secrets that only the content scan finds (see content.md): `report` removes what is sure from homes and from temporary, backup and log places and reports the rest, `remove` removes all. When set, it counts more than the policy files.",
    ),
    opt(
        "erase",
        Kind::Text,
        "auto",
        "How free space and journal are treated: `auto`, `trim`, `fill`, `files` (only what the scrub itself removes), `off`. When set, it counts more than the policy files.",
    ),
    opt(
        "proof",
        Kind::Text,
        "full",
        "How much of the raw disk is searched for what was removed: `full` (every block device below the root), `touched` (where the files stood that go, journals and swap) or `off`.",
    ),
    opt(
        "proof_limit",
        Kind::Text,
        "none",
        "How long that search may take, for example `10m`. What was not searched by then is said in the report and fails a strict run.",
    ),
    opt(
        "strict",
        Kind::Bool,
        "false",
        "Fail on every finding, on residual risks and on less than a full proof.",
    ),
    opt(
        "fail_on",
        Kind::Text,
        "high",
        "The severity from which findings fail the build: `low`, `medium`, `high`, `critical`. When set, it counts more than the policy files.",
    ),
    opt(
        "keep_going",
        Kind::Bool,
        "false",
        "Findings become a warning and the build goes on. A scrub that could not run, was refused or finished in part fails the build all the same.",
    ),
    opt(
        "report_path",
        Kind::Text,
        "not written",
        "Where the report (JSON) is written on Packer's machine, with mode 0600.",
    ),
    opt(
        "power_off",
        Kind::Text,
        "auto",
        "Switch the guest off some time after the scrub: `true`, `false`, or `auto`, which does it for qemu, virtualbox, vmware, vsphere, proxmox and parallels builders. After a scrub `sudo` with the build password no longer works, so the usual `shutdown_command` does not either.",
    ),
    opt(
        "power_off_delay",
        Kind::Text,
        "20s",
        "How long after the scrub the guest switches itself off.",
    ),
    opt(
        "execute_command",
        Kind::Text,
        "sudo -n env {{.Vars}} {{.Path}}",
        "The command that runs a program as root in the guest. `{{.Path}}` is the program, `{{.Vars}}` its environment. The default is `{{.Vars}} {{.Path}}` when the SSH user is root, and `sudo -S` with the password on standard input when `sudo_password` is set.",
    ),
    opt(
        "sudo_password",
        Kind::Text,
        "none",
        "The password that sudo asks for. It is written to the standard input of the command and stands in no command line.",
    ),
    opt(
        "remote_folder",
        Kind::Text,
        "/tmp",
        "The folder in which a folder of mode 0700 is made for the upload. When it is not set and `/tmp` cannot be written or executed from, `$HOME`, `/var/tmp`, `/run` and `/dev/shm` are tried.",
    ),
    opt(
        "start_retry_timeout",
        Kind::Text,
        "5m",
        "How long to wait for a guest that cannot be reached when the provisioner starts, for example because it is rebooting.",
    ),
];

/// The table as Packer's schema.
#[must_use]
pub fn attributes() -> Vec<Attr> {
    TABLE
        .iter()
        .map(|opt| Attr { name: opt.name, kind: opt.kind.attr(), required: false, help: opt.help })
        .collect()
}

/// The table as docs/packer.md shows it.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| option | type | default | what it does |\n|---|---|---|---|\n");
    for Opt { name, kind, default, help } in TABLE {
        let row = format!("| `{name}` | {} | `{default}` | {help} |\n", kind.hcl());
        text.push_str(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that Packer keeps for itself, so that they would never arrive.
    const RESERVED: &[&str] = &[
        "name",
        "type",
        "pause_before",
        "max_retries",
        "timeout",
        "only",
        "except",
        "override",
        "continue_on_error",
    ];

    #[test]
    fn names_are_unique_and_not_packers() {
        let mut names: Vec<&str> = TABLE.iter().map(|opt| opt.name).collect();
        assert!(names.iter().all(|name| !RESERVED.contains(name) && !name.starts_with("packer_")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn nothing_is_required_and_no_cell_breaks_the_table() {
        assert!(attributes().iter().all(|attr| !attr.required));
        assert!(TABLE.iter().all(|opt| !opt.help.contains(['|', '\n']) && opt.help.ends_with('.')));
    }
}
