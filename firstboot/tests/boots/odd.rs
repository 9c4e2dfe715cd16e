//! Worlds that no builder meant: tables that are damaged or empty, no machine ID.

use disinherit_firstboot::decision::Reason;
use disinherit_firstboot::{flag, gate};

use crate::disk::{A, Disk, HASH, Platform, key};

/// Nobody can tell whose hash that is, so it cannot be removed.
#[test]
fn a_hash_in_a_line_that_is_no_row_keeps_sshd_shut_until_it_is_repaired() {
    let disk = Disk::sealed();
    let rows = disk.read("etc/shadow");
    let damaged = format!("{rows}oops {HASH}\n");
    disk.write_mode("etc/shadow", &damaged, 0o600);
    let platform = Platform::new(A, &[key(2)]);
    let error = disk.boot(&platform).unwrap_err().report();
    assert!(error.contains("/etc/shadow") && !error.contains(HASH), "{error}");
    let decision = gate::run(&disk.root(), &mut |_| Ok(())).unwrap();
    assert_eq!(decision.reason, Reason::NotStripped);
    assert!(!flag::is_set(&disk.root()).unwrap());
    assert_eq!(disk.read("etc/shadow"), damaged, "nothing is lost");

    disk.write_mode("etc/shadow", &rows, 0o600);
    assert_eq!(disk.boot(&platform).unwrap().reason, Reason::KeyAccepted);
    assert_eq!(disk.password("builder"), "*");
}

/// An account without a row has no password, and PAM lets nobody into it.
#[test]
fn an_empty_shadow_stays_empty() {
    let disk = Disk::sealed();
    disk.write_mode("etc/shadow", "", 0o600);
    disk.boot(&Platform::silent(A)).unwrap();
    assert!(!flag::is_set(&disk.root()).unwrap());
    assert_eq!(disk.read("etc/shadow"), "");
    assert_eq!(disk.login_keys("builder"), "");
}

/// The machine ID decides nothing: an image has none, and some machines never get one.
#[test]
fn a_machine_without_an_id_of_its_own_is_the_same_one_tomorrow() {
    for id in ["", "uninitialized\n", "not an id"] {
        let disk = Disk::sealed();
        disk.write("etc/machine-id", id);
        assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open, "{id:?}");
        disk.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let decision = disk.boot(&Platform::silent(A)).unwrap();
        assert_eq!(decision.reason, Reason::Adopted, "{id:?}");
        assert_eq!(disk.read("etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    }
}
