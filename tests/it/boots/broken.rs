//! What closes sshd when our own parts are missing or were tampered with.

use std::fs;
use std::os::unix::fs::symlink;

use disinherit_tests::ssh::KeyPair;
use disinherit_tests::{Result, expect};

use super::disk::{A, Disk, Instance, PROGRAM, Platform, UNITS};

pub(crate) fn program_is_gone() -> Result {
    stays_closed(|disk| Ok(fs::remove_file(disk.path(PROGRAM))?))?.off()
}

pub(crate) fn program_is_empty() -> Result {
    stays_closed(|disk| Ok(fs::write(disk.path(PROGRAM), "")?))?.off()
}

/// As if the image had been put together for another processor: `e_machine` of elf(5).
pub(crate) fn program_is_of_another_architecture() -> Result {
    stays_closed(|disk| {
        let mut program = fs::read(disk.path(PROGRAM))?;
        let machine = program.get_mut(18..20);
        machine
            .map(|field| field.copy_from_slice(&[0xf3, 0]))
            .ok_or_else(|| disinherit_tests::failed("the program is shorter than a header"))?;
        Ok(fs::write(disk.path(PROGRAM), program)?)
    })?
    .off()
}

pub(crate) fn program_lies_where_nothing_runs() -> Result {
    let instance = stays_closed(|disk| {
        let unit = "usr-lib-disinherit.mount";
        let text = "[Unit]\nDefaultDependencies=no\nBefore=disinherit-early.service\n\
                    [Mount]\nWhat=/usr/lib/disinherit\nWhere=/usr/lib/disinherit\n\
                    Options=bind,noexec\n";
        disk.write(&format!("/etc/systemd/system/{unit}"), text)?;
        disk.sh(&format!(
            "mkdir -p /etc/systemd/system/disinherit-early.service.requires
             ln -s ../{unit} /etc/systemd/system/disinherit-early.service.requires/"
        ))?;
        Ok(())
    })?;
    let options = instance.run(&["findmnt", "-no", "OPTIONS", "/usr/lib/disinherit"])?;
    expect(options.contains("noexec"), || options.clone())?;
    instance.off()
}

pub(crate) fn gate_is_gone() -> Result {
    stays_closed(|disk| Ok(fs::remove_file(disk.path(UNITS).join("disinherit-gate.service"))?))?
        .off()
}

pub(crate) fn gate_is_masked() -> Result {
    stays_closed(|disk| {
        Ok(symlink("/dev/null", disk.path("/etc/systemd/system/disinherit-gate.service"))?)
    })?
    .off()
}

/// A unit that is skipped counts as started for `Requires=`.
pub(crate) fn gate_is_skipped_by_a_condition() -> Result {
    stays_closed(|disk| {
        let place = "/etc/systemd/system/disinherit-gate.service.d/site.conf";
        disk.write(place, "[Unit]\nConditionPathExists=/nonexistent\n")
    })?
    .off()
}

/// With a key and host keys, so that nothing else keeps sshd shut.
fn stays_closed(damage: impl FnOnce(&Disk) -> Result) -> Result<Instance> {
    let key = KeyPair::generate("owner")?;
    let disk = Disk::sealed()?;
    disk.sh("rm -f /etc/ssh/ssh_host_*; ssh-keygen -A")?;
    damage(&disk)?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    instance.expect_silent()?;
    for how in ["replace", "ignore-dependencies", "ignore-requirements"] {
        let mode = format!("--job-mode={how}");
        let start = instance.container.exec(&["systemctl", "start", &mode, "ssh.service"])?;
        expect(!start.status.success(), || format!("sshd was started by hand, {how}"))?;
    }
    instance.expect_silent()?;
    Ok(instance)
}
