//! What is not there, or cannot be written, at the moment when the early unit runs.

use std::os::unix::fs::PermissionsExt;

use crate::disk::{A, Disk, Platform, hash, key};

#[test]
fn a_home_that_is_mounted_after_removal_brings_no_inherited_key_back() {
    let disk = Disk::sealed();
    let platform = Platform::new(A, &[key(2)]);
    std::fs::rename(disk.path("home/builder"), disk.path("unmounted")).unwrap();
    disk.power_on(&platform);
    disinherit_firstboot::early::run(&disk.root(), &mut |_| Ok(())).unwrap();
    std::fs::rename(disk.path("unmounted"), disk.path("home/builder")).unwrap();
    disk.inject(&platform);
    let decision = disinherit_firstboot::gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
    assert!(decision.open);
    let left = disk.login_keys("builder");
    assert!(!left.contains(key(1).trim()), "{} opens builder", hash(&key(1)).fingerprint());
    assert!(disk.login_keys("debian").contains(key(2).trim()));
}

/// Root writes whatever the mode says; for root this only tells that such a boot opens.
#[test]
fn an_adopted_instance_opens_though_its_state_cannot_be_completed() {
    let disk = Disk::sealed();
    assert!(disk.boot(&Platform::new("", &[key(2)])).unwrap().open);
    let folder = disk.path("var/lib/disinherit");
    let mode =
        |bits| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(bits)).unwrap();
    mode(0o500);
    let decision = disk.boot(&Platform::silent(A));
    mode(0o700);
    assert!(decision.unwrap().open);
}
