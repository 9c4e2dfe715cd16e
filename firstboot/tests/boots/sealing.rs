//! `seal` on an image in a folder.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::seal::seal;

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
