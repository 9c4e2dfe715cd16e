//! No sshd of a sealed image takes a password, whatever file and options its service gives it.

use std::collections::BTreeMap;
use std::process::Command;

use disinherit_tests::base::Base;
use disinherit_tests::command::{run, said};
use disinherit_tests::promise::DEFAULT_USER;
use disinherit_tests::ssh::{Answer, Door, KeyPair, Proof};
use disinherit_tests::{Result, dist, expect};

use super::disk::{A, Disk, Platform, SOON};
use super::trouble::set_password;

/// What an author may have meant for his own tests: everybody by password.
const OPEN: &str = "UsePAM yes\nPermitRootLogin yes\nPasswordAuthentication yes\n\
                    KbdInteractiveAuthentication yes\nX11Forwarding no\n\
                    Match User root,debian\n    PasswordAuthentication yes\n    X11Forwarding yes\n";
const OPTIONS: &str = "-o PasswordAuthentication=yes -o PermitRootLogin=yes";

/// Port, main file, and how the daemon is started; on port 22 that is Debian's own service.
const DAEMONS: [(u16, &str, &str); 5] = [
    (22, "/etc/ssh/by_variable", ""),
    (2201, "/etc/ssh/own_config", "/usr/sbin/sshd -D -p 2201 -f /etc/ssh/own_config"),
    (2202, "/opt/door/config", "/bin/sh -c 'exec /usr/sbin/sshd -D -p 2202 -f /opt/door/config'"),
    // Its version cannot be read, so it counts as one that knows no Include.
    (2203, "/etc/ssh/old_config", "/usr/local/sbin/sshd -D -p 2203 -f /etc/ssh/old_config"),
    (2204, "/etc/ssh/sshd_config", "/usr/sbin/sshd -D -p 2204"),
];

fn dirty() -> Result<Disk> {
    let disk = Disk::of(Base::bookworm()?)?;
    let variable = format!("SSHD_OPTS='{OPTIONS} -f /etc/ssh/by_variable'\n");
    disk.write("/etc/default/ssh", &variable)?;
    disk.layer.write("/usr/local/sbin/sshd", 0o755, "#!/bin/sh\nexec /usr/sbin/sshd \"$@\"\n")?;
    for (port, main, command) in DAEMONS {
        disk.write(main, OPEN)?;
        if !command.is_empty() {
            let unit = format!(
                "[Service]\nRuntimeDirectory=sshd\nRuntimeDirectoryPreserve=yes\nExecStart={command}\n"
            );
            let unit = unit.replace("sshd -D", &format!("sshd -D {OPTIONS}"));
            disk.write(&format!("/etc/systemd/system/door-{port}.service"), &unit)?;
            disk.sh(&format!(
                "ln -s ../door-{port}.service /etc/systemd/system/multi-user.target.wants/"
            ))?;
        }
    }
    Ok(disk)
}

pub(crate) fn of_every_daemon() -> Result {
    let disk = dirty()?;
    let before = mains(&disk)?;
    disk.seal()?;
    unseal(&disk)?;
    let after = mains(&disk)?;
    expect(after == before, || format!("unsealing left something in a main file: {after:#?}"))?;
    disk.seal()?;
    let key = KeyPair::generate("owner")?;
    let instance = disk.boot(&Platform::nocloud(A, &key)?)?;
    let users = ["root", DEFAULT_USER];
    // The same settings without what sealing puts in: they do take a password.
    let write = instance.container.exec_with(&["tee", "/run/open"], OPEN.as_bytes())?;
    expect(write.status.success(), || said(&write))?;
    instance.run(&["/usr/sbin/sshd", "-p", "2299", "-f", "/run/open"])?;
    let passwords = users.map(|user| set_password(&instance, user));
    for (user, password) in users.into_iter().zip(passwords) {
        let password = password?;
        for (port, main, _) in DAEMONS {
            let door = Door::in_container(&instance.container, port);
            door.wait_login(DEFAULT_USER, Proof::Key(&key.private()), SOON)?;
            let answer = door.login(user, Proof::Password(&password), "true")?;
            expect(answer == Answer::Refused, || format!("{user} by {main}: {answer:?}"))?;
        }
        Door::in_container(&instance.container, 2299).wait_login(
            user,
            Proof::Password(&password),
            SOON,
        )?;
    }
    instance.off()?;
    // cloud-init has changed what it understands (ssh_pwauth); of ours nothing stays.
    unseal(&disk)?;
    let after = mains(&disk)?;
    let left = after.values().any(|text| text.contains("disinherit"));
    expect(!left, || format!("unsealing left something in a main file: {after:#?}"))
}

fn unseal(disk: &Disk) -> Result {
    run(Command::new(dist::firstboot()?).args(["unseal", "--root"]).arg(disk.layer.root()))
        .map(drop)
}

fn mains(disk: &Disk) -> Result<BTreeMap<&'static str, String>> {
    DAEMONS.into_iter().map(|(_, main, _)| Ok((main, disk.read(main)?))).collect()
}

/// What cannot be closed is refused, with the reason, and nothing is written.
pub(crate) fn refused() -> Result {
    for (path, text, why) in [
        (
            "/etc/systemd/system/ssh.service.d/site.conf",
            "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/%H\n",
            "only a running system can tell",
        ),
        (
            "/etc/ssh/sshd_config.d/50-site.conf",
            "AuthenticationMethods password\n",
            "asks for no key",
        ),
        (
            "/etc/ssh/sshd_config.d/00-aaa.conf",
            "Match User builder\n    PasswordAuthentication yes\n",
            "passwordauthentication yes for builder",
        ),
    ] {
        let disk = Disk::of(Base::bookworm()?)?;
        disk.write(path, text)?;
        let seal = Command::new(dist::firstboot()?)
            .args(["seal", "--root"])
            .arg(disk.layer.root())
            .output()?;
        let told = said(&seal);
        expect(seal.status.code() == Some(4) && told.contains(why), || format!("{path}: {told}"))?;
        let manifest = disk.path("/var/lib/disinherit/manifest.json").exists();
        expect(!manifest, || "a refused image is sealed in part".to_owned())?;
    }
    Ok(())
}
