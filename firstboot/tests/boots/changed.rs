//! The disk of an adopted instance under another identity.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::flag;

use crate::disk::{A, B, Disk, Platform, key};

const C: &str = "cccccccc-0000-4000-8000-000000000003";
const MINE: &str = "$6$salt$of.the.owner";

/// Adopted by A with key 2; the owner has set a password for himself.
fn adopted() -> Disk {
    adopted_by(&Platform::new(A, &[key(2)]))
}

fn adopted_by(platform: &Platform) -> Disk {
    let disk = Disk::sealed();
    assert!(disk.boot(platform).unwrap().open);
    let shadow = disk.read("etc/shadow").replace("debian:!", &format!("debian:{MINE}"));
    disk.write_mode("etc/shadow", &shadow, 0o600);
    disk
}

#[test]
fn without_an_offer_nothing_is_lost_and_the_way_back_restores_everything() {
    let disk = adopted();
    let before = disk.tree();
    for uuid in [B, B, C] {
        let decision = disk.boot(&Platform::silent(uuid)).unwrap();
        assert_eq!(decision.reason, Reason::IdentityChanged);
        assert!(!flag::is_set(&disk.root()).unwrap());
        assert_eq!(disk.password("debian"), "*", "no password login under another identity");
        assert!(disk.login_keys("debian").contains(&key(2)), "nothing is removed");
        let text = decision.text();
        assert!(text.contains(A) && text.contains(uuid), "both identities: {text}");
        assert!(text.contains("old identity"), "{text}");
    }
    let decision = disk.boot(&Platform::silent(A)).unwrap();
    assert_eq!((decision.open, decision.reason), (true, Reason::Adopted));
    assert_eq!(disk.differences(&before), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn an_offered_key_makes_a_new_instance() {
    let disk = adopted();
    let old_host_key = disk.read("etc/ssh/ssh_host_ed25519_key");
    let platform = Platform { instance: "i-two", ..Platform::new(B, &[key(4)]) };
    let decision = disk.boot(&platform).unwrap();
    assert_eq!(
        (decision.open, decision.reason),
        (true, Reason::KeyAccepted),
        "{}",
        decision.text()
    );
    assert_eq!(disk.login_keys("debian"), key(4) + "\n", "the former owner is out");
    assert_ne!(disk.read("etc/ssh/ssh_host_ed25519_key"), old_host_key);
    assert_eq!(disk.password("debian"), "*");
    assert!(!disk.exists("var/lib/disinherit/quarantine"), "burned");
    assert!(disk.boot(&Platform::silent(B)).unwrap().open, "adopted by B");
    assert_eq!(disk.boot(&Platform::silent(A)).unwrap().reason, Reason::IdentityChanged);
}

#[test]
fn the_old_platforms_word_does_not_count_for_the_new_identity() {
    let disk = adopted();
    // cloud-init's folders of A lie on the disk, and a seed that A's host put there.
    disk.write("var/lib/cloud/instances/i-one/cloud-config.txt", &key(2));
    assert_eq!(disk.boot(&Platform::silent(B)).unwrap().reason, Reason::IdentityChanged);

    let disk = Disk::sealed();
    disk.write("var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-one\n");
    let seeded = |uuid| Platform {
        subplatform: "seed-dir (/var/lib/cloud/seed/nocloud)",
        ..Platform::new(uuid, &[key(2)])
    };
    assert!(disk.boot(&seeded(A)).unwrap().open);
    let decision = disk.boot(&seeded(B)).unwrap();
    assert_eq!(decision.reason, Reason::IdentityChanged, "{}", decision.text());
}

#[test]
fn a_key_offered_elsewhere_leaves_when_the_old_identity_returns() {
    let disk = adopted();
    // The offer is there, but the account is not usable, so B does not adopt.
    disk.write("etc/ssh/sshd_config", "UsePAM yes\nDenyUsers debian\n");
    let platform = Platform { instance: "i-two", ..Platform::new(B, &[key(4)]) };
    assert!(!disk.boot(&platform).unwrap().open);
    assert!(disk.login_keys("debian").contains(&key(4)));
    assert!(disk.boot(&Platform::silent(A)).unwrap().open);
    assert_eq!(disk.login_keys("debian"), key(2) + "\n");
    assert_eq!(disk.password("debian"), MINE);
}

#[test]
fn a_password_that_the_new_platform_set_survives_a_reboot_before_adoption() {
    let disk = adopted();
    assert!(!disk.boot(&Platform::silent(B)).unwrap().open);
    let shadow = disk.read("etc/shadow").replace("debian:*", "debian:$6$set.by.b");
    disk.write_mode("etc/shadow", &shadow, 0o600);
    assert!(!disk.boot(&Platform::silent(B)).unwrap().open);
    assert_eq!(disk.password("debian"), "$6$set.by.b");
    assert!(!disk.boot(&Platform::silent(C)).unwrap().open);
    assert_eq!(disk.password("debian"), "*", "not for a third one");
}

/// As on a full disk: what was set aside cannot be read back, or nothing can be written.
#[test]
fn the_old_identity_opens_though_not_everything_can_be_restored() {
    opens_though_not_everything_can_be_restored(
        &adopted(),
        &Platform::silent(B),
        &Platform::silent(A),
    );
}

/// The same where the gate alone can tell, by cloud-init's instance-id.
#[test]
fn it_opens_too_where_only_the_instance_id_tells() {
    let first = Platform { instance: "i-one", ..Platform::new("", &[key(2)]) };
    let other = Platform { instance: "i-two", ..Platform::new("", &[]) };
    opens_though_not_everything_can_be_restored(&adopted_by(&first), &other, &first);
}

fn opens_though_not_everything_can_be_restored(disk: &Disk, other: &Platform, owner: &Platform) {
    assert_eq!(disk.boot(other).unwrap().reason, Reason::IdentityChanged);
    let copies = disk.path("var/lib/disinherit/quarantine");
    let aside = disk.path("var/lib/disinherit/elsewhere");
    std::fs::create_dir(&aside).unwrap();
    for entry in std::fs::read_dir(&copies).unwrap().map(Result::unwrap) {
        if entry.file_name() != "index.json" {
            std::fs::rename(entry.path(), aside.join(entry.file_name())).unwrap();
        }
    }
    let decision = disk.boot(owner).unwrap();
    assert_eq!((decision.open, decision.reason), (true, Reason::Adopted), "{}", decision.text());
    assert!(decision.text().contains("passwords stay locked"), "{}", decision.text());
    assert!(flag::is_set(&disk.root()).unwrap());
    assert_eq!(disk.password("debian"), "*");
    for entry in std::fs::read_dir(&aside).unwrap().map(Result::unwrap) {
        std::fs::rename(entry.path(), copies.join(entry.file_name())).unwrap();
    }
    assert!(disk.boot(owner).unwrap().open);
    assert_eq!(disk.password("debian"), MINE, "a later boot restores the rest");
}

/// A key that B's platform has offered lies in a file that cannot be cleaned: it must not open A.
#[test]
fn the_old_identity_stays_closed_while_an_offered_key_would_open_it() {
    let disk = adopted();
    let weak = "restrict,command=\"x\" ".to_owned() + &key(4);
    let platform = Platform { instance: "i-two", ..Platform::new(B, &[weak]) };
    assert!(!disk.boot(&platform).unwrap().open, "a forced command opens nothing");
    assert!(disk.login_keys("debian").contains(&key(4)));
    let index = "var/lib/disinherit/quarantine/index.json";
    let whole = disk.read(index);
    disk.write_mode(index, "{ broken", 0o600);
    assert!(!disk.boot(&Platform::silent(A)).unwrap().open);
    disk.write_mode(index, &whole, 0o600);
    assert!(disk.boot(&Platform::silent(A)).unwrap().open);
    assert!(!disk.login_keys("debian").contains(&key(4)));
}

/// No SMBIOS, no hypervisor: cloud-init's instance-id is all there is.
#[test]
fn where_nothing_else_tells_the_instance_id_does() {
    let disk = Disk::sealed();
    let first = Platform { instance: "i-one", ..Platform::new("", &[key(2)]) };
    assert!(disk.boot(&first).unwrap().open);
    assert_eq!(disk.boot(&first).unwrap().reason, Reason::Adopted);
    let lost = Platform { instance: "iid-datasource-none", ..Platform::new("", &[]) };
    assert_eq!(disk.boot(&lost).unwrap().reason, Reason::Adopted, "a lost datasource is no change");
    let silent = Platform { instance: "i-two", ..Platform::new("", &[]) };
    let denied = disk.boot(&silent).unwrap();
    assert_eq!(denied.reason, Reason::IdentityChanged, "{}", denied.text());
    assert!(disk.login_keys("debian").contains(&key(2)), "nothing is removed");
    assert_eq!(disk.boot(&first).unwrap().reason, Reason::Adopted, "back under its own id");
    let second = Platform { instance: "i-two", ..Platform::new("", &[key(4)]) };
    assert_eq!(disk.boot(&second).unwrap().reason, Reason::KeyAccepted);
    assert!(!disk.login_keys("debian").contains(&key(2)));
}

#[test]
fn with_an_identity_of_the_machine_another_instance_id_is_no_change() {
    let disk = Disk::sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let renamed = Platform { instance: "i-settings-changed", ..Platform::new(A, &[]) };
    assert_eq!(disk.boot(&renamed).unwrap().reason, Reason::Adopted);
}
