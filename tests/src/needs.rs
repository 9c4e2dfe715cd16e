//! What a test needs of the machine, and what happens where it is missing.
//!
//! A missing need counts the test as ignored, with the reason in the output. Where everything
//! must run (`CI=true` or `DISINHERIT_REQUIRE=1`) the same test fails instead.

use std::process::Command;

use libtest_mimic::{Completion, Trial};

use crate::{Result, command, failed};

/// One thing that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// User id 0: mounts, foreign owners, containers.
    Root,
    /// `mount` in a mount namespace of our own.
    Mount,
    /// `systemd-nspawn`.
    Nspawn,
    /// `qemu-system-x86_64` and `qemu-img`.
    Qemu,
    /// `packer`.
    Packer,
    /// What the base image is made with.
    BaseTools,
    /// `mkfs.vfat`.
    Fat,
    /// Clients for key and password logins, and the maker of seeds.
    Ssh,
    /// The released programs.
    Dist,
    /// `strace`.
    Strace,
    /// `jq`.
    Jq,
    /// `mkosi`.
    Mkosi,
    /// `lb` of live-build.
    LiveBuild,
    /// `virt-customize` and a kernel for its appliance.
    Libguestfs,
}

impl Need {
    /// Why it is missing and how to get it; `None` when it is there.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Root => (!is_root()).then(|| "root's rights: run it through sudo".to_owned()),
            Self::Mount => missing_mount(),
            Self::Nspawn => missing_tools(&["systemd-nspawn", "nsenter"], "systemd-container"),
            Self::Qemu => {
                missing_tools(&["qemu-system-x86_64", "qemu-img"], "qemu-system-x86 qemu-utils")
            }
            Self::Packer => missing_tools(&["packer"], "packer"),
            Self::BaseTools => missing_tools(
                &["mmdebstrap", "mke2fs", "sfdisk", "grub-mkimage", "qemu-img"],
                "mmdebstrap e2fsprogs fdisk grub-common grub-pc-bin qemu-utils",
            ),
            Self::Fat => missing_tools(&["mkfs.vfat"], "dosfstools"),
            Self::Ssh => missing_tools(
                &["ssh", "ssh-keygen", "ssh-keyscan", "sshpass", "genisoimage"],
                "openssh-client sshpass genisoimage",
            ),
            Self::Strace => missing_tools(&["strace"], "strace"),
            Self::Jq => missing_tools(&["jq"], "jq"),
            Self::Mkosi => missing_tools(&["mkosi", "debootstrap"], "mkosi debootstrap"),
            Self::LiveBuild => missing_tools(&["lb", "debootstrap"], "live-build debootstrap"),
            Self::Libguestfs => missing_tools(&["virt-customize"], "guestfs-tools"),
            Self::Dist => {
                (!crate::dist::is_built()).then(|| "the released programs: make dist".to_owned())
            }
        }
    }
}

/// Whether whole matrices and other people's tools are asked for, `make test-full`.
pub fn full() -> bool {
    std::env::var_os("DISINHERIT_FULL").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Whether this process has user id 0.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a test that cannot run is a failure here.
pub fn everything_must_run() -> bool {
    let says = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    says("CI", "true") || says("DISINHERIT_REQUIRE", "1")
}

/// A test that runs where all `needs` are met.
pub fn trial(
    name: &str,
    needs: &'static [Need],
    test: impl FnOnce() -> Result + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            return Ok(test().map(|()| Completion::Completed)?);
        }
        let reason = format!("needs {}", missing.join("; "));
        if everything_must_run() {
            Err(failed(reason).into())
        } else {
            Ok(Completion::ignored_with(reason))
        }
    })
}

fn missing_tools(tools: &[&str], packages: &str) -> Option<String> {
    let missing: Vec<&str> =
        tools.iter().copied().filter(|tool| command::find(tool).is_none()).collect();
    (!missing.is_empty()).then(|| format!("{}: apt-get install {packages}", missing.join(", ")))
}

/// A container without CAP_SYS_ADMIN has root but no mounts: only trying tells.
fn missing_mount() -> Option<String> {
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    let worked = tried.is_ok_and(|output| output.status.success());
    (!worked).then(|| "the right to mount: root outside of an unprivileged container".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_named_with_their_packages() {
        let missing = missing_tools(&["sh", "no-such-tool"], "a-package").unwrap();
        assert_eq!(missing, "no-such-tool: apt-get install a-package");
        assert_eq!(missing_tools(&["sh"], "a-package"), None);
    }
}
