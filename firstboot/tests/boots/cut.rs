//! Power cuts after every durable step, then an ordinary boot.

use disinherit_core::{Error, Result};
use disinherit_firstboot::{flag, gate, strip};

use crate::disk::{A, B, Disk, Platform, key};

const EARLY: [strip::Step; 6] = [
    strip::Step::Begun,
    strip::Step::Passwords,
    strip::Step::Logins,
    strip::Step::HostKeys,
    strip::Step::Forgotten,
    strip::Step::Done,
];
const CHANGE: [strip::Step; 3] = [strip::Step::SetAside, strip::Step::Locked, strip::Step::Changed];
const GATE: [gate::Step; 6] = [
    gate::Step::Logins,
    gate::Step::HostKeysRemoved,
    gate::Step::HostKeysMade,
    gate::Step::Adopted,
    gate::Step::Flag,
    gate::Step::Burned,
];

fn cut<T: PartialEq>(wanted: T) -> impl FnMut(T) -> Result<()> {
    move |step| if step == wanted { Err(Error::failed("go on", "power cut")) } else { Ok(()) }
}

fn never<T>(_: T) -> Result<()> {
    Ok(())
}

fn whole(disk: &Disk) {
    assert_eq!(disk.read("etc/shadow").lines().count(), 3);
    assert_eq!(disk.password("builder"), "*");
    assert_eq!(disk.login_keys("builder"), "");
    assert!(disk.login_keys("debian").contains(&key(2)));
    assert!(flag::is_set(&disk.root()).unwrap());
    assert_eq!(disk.read("root/script-runs"), "x");
}

#[test]
fn a_first_boot_cut_anywhere_is_finished_by_the_next() {
    for step in EARLY {
        let disk = Disk::sealed();
        let platform = Platform::new(A, &[key(2)]);
        disk.boot_until(&platform, &mut cut(step), &mut never).unwrap_err();
        assert!(!flag::is_set(&disk.root()).unwrap(), "{step:?}");
        assert!(disk.boot(&platform).unwrap().open, "{step:?}");
        whole(&disk);
    }
    for step in GATE {
        let disk = Disk::sealed();
        let platform = Platform::new(A, &[key(2)]);
        disk.boot_until(&platform, &mut never, &mut cut(step)).unwrap_err();
        assert!(disk.boot(&platform).unwrap().open, "{step:?}");
        whole(&disk);
    }
}

#[test]
fn a_copys_adoption_cut_anywhere_is_finished_or_taken_back() {
    for step in GATE {
        let adopted = step as usize >= gate::Step::Adopted as usize;
        for back in [false, true] {
            let disk = Disk::sealed();
            assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
            let before = disk.tree();
            let new = Platform { instance: "i-two", ..Platform::new(B, &[key(4)]) };
            disk.boot_until(&new, &mut never, &mut cut(step)).unwrap_err();
            if !back {
                assert!(disk.boot(&new).unwrap().open, "{step:?}");
                assert_eq!(disk.login_keys("debian"), key(4) + "\n", "{step:?}");
                assert!(!disk.exists("var/lib/disinherit/quarantine"), "{step:?}");
                continue;
            }
            let decision = disk.boot(&Platform::silent(A)).unwrap();
            assert_eq!(decision.open, !adopted, "{step:?}: {}", decision.text());
            if !adopted {
                let left = disk.differences(&before);
                assert!(
                    left.iter().all(|path| path.ends_with("script-runs")),
                    "{step:?}: {left:?}"
                );
            }
        }
    }
}

/// Passwords are locked before the state can say why: until then the copy is the only one.
#[test]
fn a_changed_identity_cut_anywhere_costs_the_owner_nothing() {
    for step in CHANGE {
        for (again, back) in [(false, true), (true, true), (false, false)] {
            let disk = Disk::sealed();
            assert!(disk.boot(&Platform::new(A, &[key(2)])).unwrap().open);
            let shadow = disk.read("etc/shadow").replace("debian:!", "debian:$6$salt$of.the.owner");
            disk.write_mode("etc/shadow", &shadow, 0o600);
            let before = disk.tree();
            disk.boot_until(&Platform::silent(B), &mut cut(step), &mut never).unwrap_err();
            if again {
                // Whole once the state is written, else cut at the same step.
                let second = disk.boot_until(&Platform::silent(B), &mut cut(step), &mut never);
                assert_eq!(second.is_ok(), step == strip::Step::Changed, "{step:?}");
            }
            if !back {
                let new = Platform { instance: "i-two", ..Platform::new(B, &[key(4)]) };
                assert!(disk.boot(&new).unwrap().open, "{step:?}");
                assert_eq!(disk.login_keys("debian"), key(4) + "\n", "{step:?}");
                assert_eq!(disk.password("debian"), "*", "{step:?}");
                continue;
            }
            assert!(disk.boot(&Platform::silent(A)).unwrap().open, "{step:?}");
            assert_eq!(
                disk.differences(&before),
                [""; 0].map(std::path::PathBuf::from),
                "{step:?}"
            );
            assert!(!disk.exists("var/lib/disinherit/quarantine"), "{step:?}");
        }
    }
}
