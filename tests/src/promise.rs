//! The promise, step by step: a captured image holds nothing of its builder and opens only to
//! an injected key. `make demo` tells it, the tests check it, both through these functions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::base::Base;
use crate::command::{run, said};
use crate::packer::Built;
use crate::qemu::{BOOT, Disk, Hardware, Machine, last_lines};
use crate::seed::{Metadata, Seed};
use crate::ssh::{Answer, Door, KeyPair, Proof};
use crate::{Context, Result, expect};

/// The user that cloud-init gives an injected key to, in Debian's configuration.
pub const DEFAULT_USER: &str = "debian";

/// What a denied console says; the text of disinherit-firstboot.
pub const CLOSED: &str = "SSH IS CLOSED";

/// How long a listening port may take for its first line in an emulated guest.
const BANNER: Duration = Duration::from_secs(30);

/// An instance that was launched with a key, was adopted by it, and is off now.
#[derive(Debug)]
pub struct Adopted {
    disk: Disk,
    owner: KeyPair,
    host_keys: BTreeSet<String>,
}

/// Searches the whole disk, free blocks and journal included, for every planted secret.
///
/// # Errors
/// Names the secrets that are still there.
pub fn nothing_planted_on_the_disk(base: &Base, built: &Built) -> Result {
    let folder = tempfile::tempdir_in(built.folder())?;
    let raw = raw_copy(&built.image(), folder.path())?;
    let planted = base.planted()?;
    let patterns: String = planted.iter().map(|secret| secret.value.clone() + "\n").collect();
    let list = folder.path().join("patterns");
    std::fs::write(&list, patterns).context(|| "write the patterns".to_owned())?;
    // Records end at zero bytes: a disk has few newlines and many of these.
    let output = Command::new("grep")
        .args(["--text", "--null-data", "--only-matching", "--fixed-strings", "--file"])
        .args([&list, &raw])
        .env("LC_ALL", "C")
        .output()
        .context(|| "start grep".to_owned())?;
    expect(matches!(output.status.code(), Some(0 | 1)), || format!("grep: {}", said(&output)))?;
    let found: BTreeSet<&[u8]> = output.stdout.split(|&byte| byte == 0).collect();
    let left: Vec<String> = planted
        .iter()
        .filter(|secret| found.contains(secret.value.as_bytes()))
        .map(|secret| format!("{} ({})", secret.id, secret.path))
        .collect();
    expect(left.is_empty(), || format!("still on the disk: {}", left.join(", ")))
}

/// All bytes of the disk `image` as a file in `folder`.
///
/// # Errors
/// When `qemu-img` fails.
pub fn raw_copy(image: &Path, folder: &Path) -> Result<PathBuf> {
    let raw = folder.join("disk.raw");
    run(Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(image).arg(&raw))?;
    Ok(raw)
}

/// Launches the image as an instance with an injected key: the key works, everything that the
/// builder knew is refused.
///
/// # Errors
/// Names the expectation that does not hold.
pub fn opens_to_the_injected_key(base: &Base, built: &Built) -> Result<Adopted> {
    let owner = KeyPair::generate("owner@laptop")?;
    let disk = Disk::over(&built.image())?;
    let seed = Seed::make(&Metadata {
        instance_id: "i-first".to_owned(),
        public_keys: vec![owner.public()?],
        ..Metadata::default()
    })?;
    let mut machine =
        Machine::boot(&disk, &hardware("5e7d1a3c-0001-4a6b-9d2e-000000000001", &seed))?;
    let door = Door::at_port(machine.ssh_port());
    wait_open(&mut machine, &door, &owner)?;
    refuses_the_builder(base, &door)?;
    let host_keys = door.host_keys()?;
    machine.power_off()?;
    Ok(Adopted { disk, owner, host_keys })
}

/// Launches the image without a key: nothing answers on port 22, and the console says why and
/// what to do. Returns what it says.
///
/// # Errors
/// Names the expectation that does not hold.
pub fn stays_closed_without_a_key(built: &Built) -> Result<String> {
    let disk = Disk::over(&built.image())?;
    let hardware = Hardware {
        uuid: Some("5e7d1a3c-0002-4a6b-9d2e-000000000002".to_owned()),
        ..Hardware::default()
    };
    let mut machine = Machine::boot(&disk, &hardware)?;
    machine.wait_console(CLOSED, BOOT)?;
    // The prompt: everything that starts at boot has started.
    machine.wait_console("login:", BOOT)?;
    let banner = Door::at_port(machine.ssh_port()).banner(BANNER);
    expect(banner.is_none(), || format!("port 22 answers {banner:?}"))?;
    let told = told_on_console(&machine.console());
    machine.power_off()?;
    let helps = told.iter().any(|line| line.contains("repair:"));
    expect(helps, || format!("the console names no way back: {told:?}"))?;
    Ok(told.join("\n"))
}

/// What disinherit-firstboot says from [`CLOSED`] on, without the time stamps of the kernel log.
fn told_on_console(console: &str) -> Vec<String> {
    console
        .lines()
        .skip_while(|line| !line.contains(CLOSED))
        .filter_map(|line| line.split_once("disinherit-firstboot[")?.1.split_once("]: "))
        .map(|(_, text)| text.trim_end().to_owned())
        .take(8)
        .collect()
}

/// Copies the disk of an adopted instance and launches the copy as another one with another
/// key: new host keys, no way in for the former owner.
///
/// # Errors
/// Names the expectation that does not hold.
pub fn a_clone_starts_anew(base: &Base, adopted: &Adopted) -> Result {
    let owner = KeyPair::generate("new-owner@laptop")?;
    let disk = adopted.disk.copy()?;
    let seed = Seed::make(&Metadata {
        instance_id: "i-second".to_owned(),
        public_keys: vec![owner.public()?],
        ..Metadata::default()
    })?;
    let mut machine =
        Machine::boot(&disk, &hardware("5e7d1a3c-0003-4a6b-9d2e-000000000003", &seed))?;
    let door = Door::at_port(machine.ssh_port());
    wait_open(&mut machine, &door, &owner)?;
    let former = adopted.owner.private();
    refused(&door, DEFAULT_USER, Proof::Key(&former), "the former owner's key")?;
    refuses_the_builder(base, &door)?;
    let host_keys = door.host_keys()?;
    let kept: Vec<&String> = host_keys.intersection(&adopted.host_keys).collect();
    expect(kept.is_empty(), || format!("host keys of the original: {kept:?}"))?;
    machine.power_off()
}

fn hardware(uuid: &str, seed: &Seed) -> Hardware {
    Hardware { uuid: Some(uuid.to_owned()), seed: Some(seed.path()) }
}

fn wait_open(machine: &mut Machine, door: &Door, owner: &KeyPair) -> Result {
    let opened = door.wait_login(DEFAULT_USER, Proof::Key(&owner.private()), BOOT);
    opened.context(|| format!("console:\n{}", last_lines(&machine.console(), 60)))?;
    machine.still_runs()
}

/// Key and password of the builder, for every account that had them.
fn refuses_the_builder(base: &Base, door: &Door) -> Result {
    let builder = base.builder()?;
    for user in [builder.user.as_str(), "root", DEFAULT_USER] {
        refused(door, user, Proof::Key(&builder.key), "the builder's key")?;
    }
    for user in [builder.user.as_str(), "root"] {
        refused(door, user, Proof::Password(&builder.password), "the builder's password")?;
    }
    Ok(())
}

fn refused(door: &Door, user: &str, proof: Proof<'_>, what: &str) -> Result {
    let answer = door.login(user, proof, "true")?;
    expect(answer == Answer::Refused, || format!("{what} as {user}: {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consoles_text_is_found_between_other_lines() {
        let console = "[  1.0] x\r\n[ 48.4] disinherit-firstboot[374]: SSH IS CLOSED [no-key]\r\n\
                       [  OK  ] Started y\r\n[ 48.5] disinherit-firstboot[374]: Offer a key.\r\n";
        assert_eq!(told_on_console(console), ["SSH IS CLOSED [no-key]", "Offer a key."]);
    }
}
