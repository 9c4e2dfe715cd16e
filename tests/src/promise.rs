//! The promise, step by step: a captured image holds nothing of its builder and opens only to
//! an injected key. `make demo` tells it, the tests check it, both through these functions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::base::Base;
use crate::command::{run, said};
pub use crate::launch::DEFAULT_USER;
use crate::launch::{Instance, Running, uuid};
use crate::packer::Built;
use crate::qemu::{BOOT, Disk, Hardware, Machine};
use crate::ssh::{Answer, Door, Proof};
use crate::{Context, Result, expect};

/// What a denied console says; the text of disinherit-firstboot.
pub const CLOSED: &str = "SSH IS CLOSED";

/// How long a listening port may take for its first line in an emulated guest.
const BANNER: Duration = Duration::from_secs(30);

/// An instance that was launched with a key, was adopted by it, and is off now.
#[derive(Debug)]
pub struct Adopted {
    instance: Instance,
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
pub fn opens_to_the_injected_key(base: &Base, image: &Path) -> Result<Adopted> {
    opens_and(base, image, |_| Ok(()))
}

/// The same; `look` sees the running machine.
///
/// # Errors
/// Names the expectation that does not hold, and those of `look`.
pub fn opens_and(
    base: &Base,
    image: &Path,
    look: impl FnOnce(&Running<'_>) -> Result,
) -> Result<Adopted> {
    let instance = Instance::of(image, 1)?;
    let running = instance.boot()?;
    refuses_the_builder(base, running.door())?;
    look(&running)?;
    let host_keys = running.host_keys()?;
    running.off()?;
    Ok(Adopted { instance, host_keys })
}

/// The adopted instance starts again while its platform says nothing: the owner gets in, the host
/// keys are the same, the builder stays outside.
///
/// # Errors
/// Names the expectation that does not hold.
pub fn stays_open_to_its_owner(base: &Base, adopted: &Adopted) -> Result {
    let running = adopted.instance.boot_without_seed()?;
    refuses_the_builder(base, running.door())?;
    let host_keys = running.host_keys()?;
    expect(host_keys == adopted.host_keys, || {
        format!("host keys changed from {:?} to {host_keys:?}", adopted.host_keys)
    })?;
    running.off()
}

/// Launches the image without a key: nothing answers on port 22, and the console says why and
/// what to do. Returns what it says.
///
/// # Errors
/// Names the expectation that does not hold.
pub fn stays_closed_without_a_key(image: &Path) -> Result<String> {
    let disk = Disk::over(image)?;
    let hardware = Hardware { uuid: Some(uuid(2)), ..Hardware::default() };
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
    let heir = adopted.instance.copy_as(3)?;
    let running = heir.boot()?;
    let former = adopted.instance.owner().private();
    refused(running.door(), DEFAULT_USER, Proof::Key(&former), "the former owner's key")?;
    refuses_the_builder(base, running.door())?;
    let host_keys = running.host_keys()?;
    let kept: Vec<&String> = host_keys.intersection(&adopted.host_keys).collect();
    expect(kept.is_empty(), || format!("host keys of the original: {kept:?}"))?;
    running.off()
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
