//! sshd's list of revoked keys: what a home that is mounted late may bring back.

use disinherit_core::manifest::KeyHash;
use disinherit_firstboot::authorize;
use disinherit_firstboot::seal::seal;

use crate::disk::{A, B, Disk, Platform, hash, key};

const LIST: &str = "etc/ssh/disinherit_revoked_keys";

fn sealed() -> Disk {
    let disk = Disk::new();
    let config = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nHostKey /etc/ssh/ssh_host_ed25519_key\n";
    disk.write("etc/ssh/sshd_config", config);
    seal(&disk.root()).unwrap();
    disk
}

fn revokes(disk: &Disk, key: &KeyHash) -> bool {
    let list = std::fs::read(disk.path(LIST)).unwrap();
    list.windows(32).any(|part| part == key.0)
}

#[test]
fn sealed_keys_are_revoked_and_declared_ones_are_not() {
    let disk = sealed();
    assert!(
        disk.read("etc/ssh/sshd_config.d/00-disinherit.conf").contains("RevokedKeys /etc/ssh/")
    );
    assert!(!revokes(&disk, &hash(&key(1))), "sealing removes no login");
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    assert!(revokes(&disk, &hash(&key(1))) && !revokes(&disk, &hash(&key(2))));
    disk.write("tmp/key", &key(1));
    authorize::authorize(&disk.root(), "debian", &disk.path("tmp/key")).unwrap();
    assert!(!revokes(&disk, &hash(&key(1))), "the owner may take it after all");

    let disk = sealed();
    assert!(disk.boot(&Platform::new(A, &[key(1)])).unwrap().open, "one key for the whole team");
    assert!(!revokes(&disk, &hash(&key(1))));
}

#[test]
fn the_former_owners_keys_are_revoked_in_a_copy() {
    let disk = sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    let mine = disk.login_keys("debian") + &key(3) + "\n";
    disk.write_mode("home/debian/.ssh/authorized_keys", &mine, 0o600);
    let new = Platform { instance: "i-two", ..Platform::new(B, &[key(4)]) };
    assert!(disk.boot(&new).unwrap().open);
    for number in [1, 2, 3] {
        assert!(revokes(&disk, &hash(&key(number))), "key {number}");
    }
    assert!(!revokes(&disk, &hash(&key(4))));
}

#[test]
fn a_list_that_is_gone_is_written_again() {
    let disk = sealed();
    assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
    std::fs::remove_file(disk.path(LIST)).unwrap();
    assert!(disk.boot(&Platform::silent(A)).unwrap().open);
    assert!(revokes(&disk, &hash(&key(1))), "without the file sshd would refuse every key");
}
