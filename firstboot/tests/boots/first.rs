//! First boots of a sealed image, and ordinary boots after them.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::{authorize, early, flag};

use crate::disk::{A, B, Disk, HASH, Platform, hash, key};

#[test]
fn without_a_manifest_nothing_changes() {
    let disk = Disk::new();
    disk.write("var/lib/disinherit/state.json", "left over");
    let before = disk.tree();
    let platform = Platform::silent(A);
    let decision = disk.boot(&platform).unwrap();
    assert_eq!((decision.open, decision.reason), (true, Reason::NotSealed));
    assert_eq!(disk.differences(&before), [""; 0].map(std::path::PathBuf::from));
    assert!(flag::is_set(&disk.root()).unwrap());
}

#[test]
fn an_injected_key_opens_and_the_builders_logins_are_gone() {
    let disk = Disk::sealed();
    let decision = disk.boot(&Platform::new(A, &[key(2)])).unwrap();
    assert_eq!((decision.open, decision.reason), (true, Reason::KeyAccepted), "{decision:?}");
    assert!(flag::is_set(&disk.root()).unwrap());
    assert_eq!(disk.password("builder"), "*");
    assert_eq!(disk.login_keys("builder"), "");
    assert!(disk.login_keys("debian").contains(&key(2)));
    assert!(disk.read("etc/ssh/ssh_host_ed25519_key").contains("PRIVATE KEY"));
    assert!(disk.read("etc/shadow").contains("debian:!::"), "a demanded change was taken back");
    assert!(disk.read("var/lib/disinherit/state.json").contains("\"adopted\""));
}

#[test]
fn no_key_means_closed_and_says_how_to_open() {
    let disk = Disk::sealed();
    let decision = disk.boot(&Platform::silent(A)).unwrap();
    assert_eq!(decision.reason, Reason::NoKey);
    assert!(!flag::is_set(&disk.root()).unwrap());
    let text = decision.text();
    assert!(text.starts_with("SSH IS CLOSED [no-key]"), "{text}");
    assert!(text.contains("disinherit-firstboot authorize USER FILE"), "{text}");
    assert!(text.contains("not on this console either"), "{text}");
}

#[test]
fn scripts_run_once_over_three_denied_boots_and_a_later_key_still_opens() {
    let disk = Disk::sealed();
    for _ in 0..3 {
        assert!(!disk.boot(&Platform::new(A, &[])).unwrap().open);
    }
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open, "injected once more");
    assert_eq!(disk.read("root/script-runs"), "x");
}

#[test]
fn a_login_put_in_after_sealing_stays_and_opens() {
    let disk = Disk::sealed();
    disk.write_mode("home/debian/.ssh/authorized_keys", &(key(3) + "\n"), 0o600);
    let shadow = disk.read("etc/shadow") + &format!("later:{HASH}:19000:0:99999:7:::\n");
    disk.write_mode("etc/shadow", &shadow, 0o600);
    assert!(disk.boot(&Platform::silent(A)).unwrap().open);
    assert!(disk.login_keys("debian").contains(&key(3)));
    assert_eq!(disk.password("later"), HASH);
    assert_eq!(disk.password("builder"), "*");
}

#[test]
fn adopted_stays_adopted_whatever_else() {
    let disk = Disk::sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let host_key = disk.read("etc/ssh/ssh_host_ed25519_key");
    disk.write_mode("home/debian/.ssh/authorized_keys", "", 0o600);
    disk.write_mode(
        "etc/shadow",
        &disk.read("etc/shadow").replace("builder:*", "builder:$6$mine"),
        0o600,
    );
    let before = disk.tree();
    for uuid in [A, "aaaaaaaa-0000-0040-8000-000000000001", "", "Not Settable"] {
        let decision = disk.boot(&Platform::silent(uuid)).unwrap();
        assert_eq!((decision.open, decision.reason), (true, Reason::Adopted), "{uuid}");
    }
    assert_eq!(
        disk.differences(&before),
        [""; 0].map(std::path::PathBuf::from),
        "an ordinary boot writes nothing"
    );
    disk.write("var/lib/disinherit/manifest.json", "{ broken");
    assert!(disk.boot(&Platform::silent(A)).unwrap().open, "broken manifest");
    assert_eq!(disk.read("etc/ssh/ssh_host_ed25519_key"), host_key);
}

#[test]
fn a_broken_state_strips_again_and_never_adopts() {
    let disk = Disk::sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    disk.write("var/lib/disinherit/state.json", "{\"schema\":1,\"state\":\"adop");
    let decision = disk.boot(&Platform::new(A, &[key(2)])).unwrap();
    assert_eq!(decision.reason, Reason::KeyAccepted, "the owner's key was not in the image");
    assert_eq!(disk.read("root/script-runs"), "x");
}

#[test]
fn a_broken_manifest_closes_a_first_boot() {
    let disk = Disk::sealed();
    disk.write("var/lib/disinherit/manifest.json", "{ broken");
    assert!(disk.boot(&Platform::new(A, &[key(2)])).is_err());
    let decision = disinherit_firstboot::gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
    assert_eq!(decision.reason, Reason::NotStripped);
    assert!(decision.text().contains("seal the image again"), "{}", decision.text());
    assert!(!flag::is_set(&disk.root()).unwrap());
}

#[test]
fn a_copy_of_a_waiting_instance_forgets_what_arrived_there() {
    let disk = Disk::sealed();
    assert!(!disk.boot(&Platform::new(A, &[])).unwrap().open);
    // It arrived for A after the gate had asked.
    disk.write_mode("home/debian/.ssh/authorized_keys", &(key(2) + "\n"), 0o600);
    let platform = Platform { instance: "i-two", ..Platform::new(B, &[]) };
    assert!(!disk.boot(&platform).unwrap().open);
    assert!(!disk.login_keys("debian").contains(&key(2)));
}

#[test]
fn removal_is_refused_after_injection() {
    let disk = Disk::sealed();
    let platform = Platform::new(A, &[key(1)]);
    disk.power_on(&platform);
    disk.inject(&platform);
    let error = early::run(&disk.root(), &mut |_| Ok(())).unwrap_err();
    assert!(error.report().contains("reboot"), "{}", error.report());
    assert!(disk.login_keys("debian").contains(&key(1)));
}

#[test]
fn a_soft_reboot_asks_again() {
    let disk = Disk::sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    // /run and the flag stay; the identity does not.
    disk.write("sys/class/dmi/id/product_uuid", B);
    early::run(&disk.root(), &mut |_| Ok(())).unwrap();
    assert!(!flag::is_set(&disk.root()).unwrap());
}

#[test]
fn a_line_that_may_hide_a_hash_closes() {
    let disk = Disk::sealed();
    let shadow = disk.read("etc/shadow") + &format!(" builder:{HASH}:1::::::\n");
    disk.write_mode("etc/shadow", &shadow, 0o600);
    let error = disk.boot(&Platform::new(A, &[key(2)])).unwrap_err();
    assert!(error.report().contains("/etc/shadow line 4"), "{}", error.report());
    assert!(!error.report().contains("salt"), "no content");
    assert!(!flag::is_set(&disk.root()).unwrap());
}

#[test]
fn authorize_opens_for_an_assistant_even_with_a_sealed_key_and_not_with_a_weak_one() {
    let disk = Disk::sealed();
    assert!(!disk.boot(&Platform::silent(A)).unwrap().open);
    disk.write(
        "tmp/weak",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x\n",
    );
    let weak = authorize::authorize(&disk.root(), "debian", &disk.path("tmp/weak"));
    assert_eq!(weak.unwrap_err().kind().exit_code(), 4);
    disk.write("tmp/key", &key(1));
    let keys = authorize::authorize(&disk.root(), "debian", &disk.path("tmp/key")).unwrap();
    assert_eq!(keys, [hash(&key(1))]);
    let decision = disinherit_firstboot::gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
    assert!(decision.open, "{decision:?}");
}

#[test]
fn a_password_of_the_platform_is_locked_where_policy_refuses_it() {
    for refuse in [true, false] {
        let disk = Disk::new();
        disk.seal(|manifest| {
            if refuse {
                manifest.policy.injected_password =
                    disinherit_core::manifest::InjectedPassword::Refuse;
            }
        });
        let platform = Platform::new(A, &[key(2)]);
        disk.power_on(&platform);
        early::run(&disk.root(), &mut |_| Ok(())).unwrap();
        disk.inject(&platform);
        let shadow = disk.read("etc/shadow").replace("debian:!", "debian:$6$of$theplatform");
        disk.write_mode("etc/shadow", &shadow, 0o600);
        disinherit_firstboot::gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
        assert_eq!(disk.password("debian") == "*", refuse);
    }
}
