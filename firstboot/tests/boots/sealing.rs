//! `seal` on an image in a folder.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::seal::{refresh, seal, unseal};

use crate::disk::{A, B, Disk, Platform, key};

/// As Debian has it, as far as ordering goes.
fn debian() -> Disk {
    let disk = Disk::new();
    let unit = |name: &str, text: &str| {
        disk.write(&format!("usr/lib/systemd/system/{name}"), &format!("[Unit]\n{text}"));
    };
    unit("ssh.service", "After=network.target\n");
    unit("default.target", "Requires=multi-user.target\nAfter=multi-user.target\n");
    unit("multi-user.target", "Wants=ssh.service\nAfter=basic.target\nRequires=basic.target\n");
    unit("basic.target", "Requires=sysinit.target\nAfter=sysinit.target\n");
    unit("sysinit.target", "");
    unit("cloud-init.target", "After=multi-user.target\n");
    disk.write("etc/systemd/system/multi-user.target.wants/ssh.service", "");
    disk
}

#[test]
fn sealing_again_changes_nothing_and_the_image_then_has_a_first_boot() {
    let disk = debian();
    let said = seal(&disk.root()).unwrap();
    assert!(said.iter().any(|line| line.contains("manifest.json")), "{said:?}");
    assert!(disk.exists("usr/lib/systemd/system/sysinit.target.wants/disinherit-early.service"));
    assert!(disk.login_keys("builder").contains(&key(1)), "seal removes no login");
    let before = disk.tree();
    let left = |line: &String| line.starts_with("wrote") || line.starts_with("removed");
    assert!(!seal(&disk.root()).unwrap().iter().any(left));
    assert_eq!(disk.tree(), before);
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    assert_eq!(disk.login_keys("builder"), "");
}

#[test]
fn an_adopted_disk_that_is_sealed_again_is_a_new_image() {
    let disk = debian();
    seal(&disk.root()).unwrap();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    seal(&disk.root()).unwrap();
    let decision = disk.boot(&Platform::silent(B)).unwrap();
    assert_eq!(decision.reason, Reason::NoKey, "{}", decision.text());
    assert_eq!(disk.login_keys("debian"), "", "the owner's key is sealed now");
}

#[test]
fn a_cycle_is_refused_before_anything_is_written() {
    let disk = debian();
    disk.write(
        "etc/systemd/system/disinherit-gate.service.d/site.conf",
        "[Unit]\nAfter=cloud-init.target\n",
    );
    let before = disk.tree();
    let error = seal(&disk.root()).unwrap_err();
    assert_eq!(error.kind().exit_code(), 4);
    assert!(
        error.report().contains("cloud-init.target before disinherit-gate.service"),
        "{}",
        error.report()
    );
    assert_eq!(disk.tree(), before);
}

#[test]
fn unsealing_leaves_the_image_as_it_was() {
    let disk = debian();
    disk.write("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n");
    disk.write("etc/cloud/cloud.cfg", "");
    disk.write("usr/bin/cloud-init", "");
    disk.write(
        "etc/systemd/system/rescue-door.service",
        "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    );
    let before = disk.tree();
    seal(&disk.root()).unwrap();
    let dropin = "usr/lib/systemd/system/rescue-door.service.d/05-disinherit.conf";
    assert!(disk.read(dropin).contains("AssertPathExists=/run/disinherit/passed"));
    assert!(!unseal(&disk.root(), false).unwrap().is_empty());
    let left: Vec<String> =
        disk.differences(&before).iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        left,
        ["usr/lib/disinherit/disinherit-firstboot", "var/lib/disinherit/manifest.json"],
        "the program and the manifest"
    );
    assert!(!disk.exists("usr/lib/systemd/system/rescue-door.service.d"), "no empty folder");
    assert!(unseal(&disk.root(), false).unwrap().is_empty());
    assert!(refresh(&disk.root()).unwrap().is_empty(), "an upgrade does not seal again");
}

/// An sshd that was started with the list refuses every key once it is gone.
#[test]
fn unsealing_a_running_system_keeps_the_list_that_its_sshd_reads() {
    let (dropin, list) =
        ("etc/ssh/sshd_config.d/00-disinherit.conf", "etc/ssh/disinherit_revoked_keys");
    let disk = debian();
    disk.write(
        "etc/ssh/sshd_config",
        "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nHostKey /etc/ssh/ssh_host_ed25519_key\n",
    );
    seal(&disk.root()).unwrap();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let before = std::fs::read(disk.path(list)).unwrap();
    let said = unseal(&disk.root(), true).unwrap();
    assert!(
        said.iter().any(|line| line.contains(list) && line.contains("reload sshd")),
        "{said:?}"
    );
    assert!(!disk.exists(dropin));
    assert_eq!(std::fs::read(disk.path(list)).unwrap(), before);
    assert!(unseal(&disk.root(), true).unwrap().is_empty());
    assert!(refresh(&disk.root()).unwrap().is_empty(), "a list alone is no sealed system");
    assert!(!disk.exists(dropin));
    assert_eq!(unseal(&disk.root(), false).unwrap().len(), 2, "an image's sshd does not run");
    assert!(!disk.exists(list));
}

#[test]
fn an_upgrade_renews_the_units_and_keeps_an_adopted_instance() {
    let disk = debian();
    assert!(refresh(&disk.root()).unwrap().is_empty(), "installing is not activating");
    seal(&disk.root()).unwrap();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let gate = "usr/lib/systemd/system/disinherit-gate.service";
    let now = disk.read(gate);
    disk.write(gate, "# of an earlier version\n");
    let state = disk.read("var/lib/disinherit/state.json");
    assert_eq!(refresh(&disk.root()).unwrap().len(), 1);
    assert_eq!(disk.read(gate), now);
    assert_eq!(disk.read("var/lib/disinherit/state.json"), state);
    assert_eq!(disk.boot(&Platform::silent(A)).unwrap().reason, Reason::Adopted);
}

/// Alpine's layout: OpenRC, its sshd enabled in a runlevel, no systemd.
#[test]
fn an_image_with_openrc_gets_services_and_no_units() {
    let disk = Disk::new();
    disk.write_mode("sbin/openrc-run", "", 0o755);
    disk.write_mode("etc/init.d/sshd", "#!/sbin/openrc-run\n", 0o755);
    disk.folder("etc/runlevels/default");
    std::os::unix::fs::symlink("/etc/init.d/sshd", disk.path("etc/runlevels/default/sshd"))
        .unwrap();
    let before = disk.tree();
    let said = seal(&disk.root()).unwrap();
    assert!(!said.iter().any(|line| line.contains("no SSH server")), "{said:?}");
    assert!(!disk.exists("usr/lib/systemd"));
    assert!(
        disk.read("etc/rc.conf.d/disinherit.conf").contains("rc_sshd_need=\"disinherit-gate\"")
    );
    for link in ["boot/disinherit-early", "default/disinherit-gate", "default/disinherit-retry"] {
        assert!(disk.exists(&format!("etc/runlevels/{link}")), "{link}");
    }
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let sealed = disk.tree();
    unseal(&disk.root(), false).unwrap();
    assert!(sealed.len() > disk.tree().len());
    assert!(
        !disk.exists("etc/init.d/disinherit-gate") && !disk.exists("etc/rc.conf.d/disinherit.conf")
    );
    assert!(before.keys().all(|path| disk.exists(path.to_str().unwrap())));
}
