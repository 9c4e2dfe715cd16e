//! Keys that Ignition, Afterburn, google-guest-agent and waagent write.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::{early, gate};

use crate::disk::{A, B, Disk, Platform, key};

const BOOT: &str = "3f1c2c5e-1111-4222-8333-444455556666";

/// Where each agent puts a key of the user `debian`, and the text around it.
fn write(disk: &Disk, agent: &str, line: &str) {
    let keys = "home/debian/.ssh/authorized_keys";
    match agent {
        "google" => {
            let text = disk.read(keys) + &format!("# Added by Google\n{line}\n");
            disk.write_mode(keys, &text, 0o600);
        }
        "waagent" => {
            disk.write_mode(keys, &(disk.read(keys) + line + "\n"), 0o600);
            let xml = format!(
                "<Environment><PublicKeys><PublicKey><Value>{line}</Value></PublicKey></PublicKeys></Environment>"
            );
            disk.write("var/lib/waagent/ovf-env.xml", &xml);
        }
        _ => disk.write_mode(
            &format!("home/debian/.ssh/authorized_keys.d/{agent}"),
            &(line.to_owned() + "\n"),
            0o600,
        ),
    }
}

fn sealed() -> Disk {
    let disk = Disk::new();
    let config = "UsePAM yes\nHostKey /etc/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys.d/ignition .ssh/authorized_keys.d/afterburn\n";
    disk.write("etc/ssh/sshd_config", config);
    disk.seal(|_| {});
    disk
}

fn boot(disk: &Disk, uuid: &'static str, write: impl FnOnce(&Disk)) -> Reason {
    disk.power_on(&Platform::silent(uuid));
    early::run(&disk.root(), &mut |_| Ok(())).unwrap();
    write(disk);
    gate::run(&disk.root(), &mut |_| Ok(())).unwrap().reason
}

#[test]
fn a_copy_opens_to_the_key_that_its_agent_writes_and_to_no_earlier_one() {
    for agent in ["afterburn", "google", "waagent"] {
        let disk = sealed();
        let reason = boot(&disk, A, |disk| write(disk, agent, &key(2)));
        assert_eq!(reason, Reason::KeyAccepted, "{agent}");
        assert_eq!(boot(&disk, A, |_| {}), Reason::Adopted, "{agent}");
        // The agent is still at work for the owner after the last boot of the original.
        write(&disk, agent, &key(5));
        assert_eq!(
            boot(&disk, B, |_| {}),
            Reason::IdentityChanged,
            "{agent}: his keys declare nothing"
        );
        assert_eq!(
            boot(&disk, B, |disk| write(disk, agent, &key(4))),
            Reason::KeyAccepted,
            "{agent}"
        );
        let left =
            disk.login_keys("debian") + &disk.read("home/debian/.ssh/authorized_keys.d/afterburn");
        assert!(left.contains(&key(4)), "{agent}");
        assert!(!left.contains(&key(2)) && !left.contains(&key(5)), "{agent}: {left}");
    }
}

#[test]
fn ignition_writes_before_the_early_unit() {
    let disk = sealed();
    write(&disk, "ignition", &key(2));
    assert_eq!(boot(&disk, A, |_| {}), Reason::KeyAccepted);
    assert_eq!(boot(&disk, B, |_| {}), Reason::IdentityChanged, "the owner's key is not for B");
    write(&disk, "ignition", &key(4));
    assert_eq!(boot(&disk, B, |_| {}), Reason::KeyAccepted);
    assert!(!disk.read("home/debian/.ssh/authorized_keys.d/ignition").contains(&key(2)));
}

#[test]
fn a_sealed_key_that_ignition_writes_in_this_boot_is_declared() {
    for (of_this_boot, reason) in [(true, Reason::KeyAccepted), (false, Reason::NoKey)] {
        let disk = Disk::new();
        let config = "UsePAM yes\nAuthorizedKeysFile .ssh/authorized_keys.d/ignition\nHostKey /etc/ssh/ssh_host_ed25519_key\n";
        disk.write("etc/ssh/sshd_config", config);
        write(&disk, "ignition", &key(1));
        disk.seal(|_| {});
        disk.write("proc/sys/kernel/random/boot_id", &format!("{BOOT}\n"));
        let boot_of_record =
            if of_this_boot { BOOT } else { "00000000-1111-4222-8333-444455556666" };
        disk.write(
            "etc/.ignition-result.json",
            &format!("{{\"provisioningBootID\":\"{boot_of_record}\"}}"),
        );
        assert_eq!(boot(&disk, A, |_| {}), reason);
    }
}
