//! The resolver against `sshd -T -C ...`: the same files, the same questions, the same answers.
//!
//! sshd runs in a mount namespace in which the test's folder is `/etc/ssh` and `/run/sshd` exists,
//! so that nothing of the host is read but its accounts, and nothing of it is changed.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod closing;
mod dice;
mod lab;
#[path = "../oracle/mod.rs"]
mod oracle;
mod risks;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lab::{Lab, SSHD, people};
use libtest_mimic::Failed;
use tables::{REFUSED, TABLE, TREES};

fn main() {
    oracle::run(
        missing(),
        vec![
            ("table_of_configurations", table),
            ("made_up_configurations", made_up),
            ("refused_configurations", refused),
            ("risky_settings_in_effect", risks::in_effect),
            ("settings_of_a_sealing_win", closing::wins),
        ],
    );
}

fn missing() -> Option<String> {
    if !Path::new(SSHD).exists() {
        return Some("sshd is not installed".to_string());
    }
    for program in ["ssh-keygen", "unshare"] {
        if Command::new(program).arg("--help").output().is_err() {
            return Some(format!("{program} is not installed"));
        }
    }
    let lab = Lab::new(&[("sshd_config", "Port 22\n")]);
    lab.ask(None).err().map(|text| format!("sshd cannot be asked here: {text}"))
}

const KEYWORDS: [&str; 14] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "authorizedkeysfile",
    "banner",
    "denyusers",
    "hostkey",
    "kbdinteractiveauthentication",
    "maxauthtries",
    "maxsessions",
    "passwordauthentication",
    "permitrootlogin",
    "port",
    "usepam",
];

/// Compares every keyword for everybody.
fn compare(files: &[(&str, &str)], default: &BTreeMap<String, String>) {
    let lab = Lab::new(files);
    let (config, problems) = lab.load();
    assert!(problems.is_empty(), "{problems:?} in {files:?}");
    for who in people() {
        let theirs = lab.ask(Some(&who)).unwrap_or_else(|text| panic!("{text} for {files:?}"));
        for keyword in KEYWORDS {
            let ours = config
                .effective(keyword, &who)
                .map(|args| String::from_utf8(args.join(&b' ')).unwrap())
                .or_else(|| default.get(keyword).cloned());
            let name = String::from_utf8_lossy(&who.user.name);
            assert_eq!(ours.as_ref(), theirs.get(keyword), "{keyword} for {name} in {files:?}");
            assert_eq!(config.candidates(keyword, &who).len(), 1, "everything is decidable");
        }
    }
}

fn default() -> BTreeMap<String, String> {
    Lab::new(&[("sshd_config", "\n")]).ask(None).unwrap()
}

fn table() -> Result<(), Failed> {
    let default = default();
    for text in TABLE {
        compare(&[("sshd_config", text)], &default);
    }
    for files in TREES {
        compare(files, &default);
    }
    Ok(())
}

/// Configurations that nobody would write, the same ones in every run.
fn made_up() -> Result<(), Failed> {
    let default = default();
    for seed in 1..=40 {
        let made_up = dice::made_up(seed);
        let files: Vec<_> = made_up.iter().map(|(name, text)| (*name, text.as_str())).collect();
        compare(&files, &default);
    }
    Ok(())
}

/// What keeps sshd from starting is a problem here too.
fn refused() -> Result<(), Failed> {
    for (files, expected) in REFUSED {
        let lab = Lab::new(files);
        let who = people().remove(0);
        assert!(lab.ask(Some(&who)).is_err(), "sshd accepts {files:?}");
        assert!(lab.load().1.contains(expected), "{expected:?} not found in {files:?}");
    }
    Ok(())
}
