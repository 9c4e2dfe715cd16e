//! What an audit calls risky is what sshd itself says is in effect, account by account.

use std::collections::BTreeSet;

use disinherit_core::discover::risks;
use libtest_mimic::Failed;

use super::lab::{Lab, people};

/// Keywords that one word decides, with the words that an audit minds.
const WORDS: [(&str, &[&str]); 10] = [
    ("PasswordAuthentication", &["yes"]),
    ("PermitEmptyPasswords", &["yes"]),
    ("PermitRootLogin", &["yes"]),
    ("PubkeyAuthentication", &["no"]),
    ("StrictModes", &["no"]),
    ("PermitUserEnvironment", &["yes"]),
    ("IgnoreRhosts", &["no"]),
    ("GatewayPorts", &["yes", "clientspecified"]),
    ("PermitTunnel", &["yes", "point-to-point", "ethernet"]),
    ("LogLevel", &["SILENT", "QUIET", "FATAL"]),
];

const CONFIGURATIONS: [&str; 9] = [
    "",
    "PasswordAuthentication no\n",
    "passwordauthentication=no\nPermitRootLogin yes\nPermitRootLogin no\n",
    "PermitEmptyPasswords yes\nGatewayPorts clientspecified\nPermitTunnel ethernet\n",
    "PasswordAuthentication no\nMatch User nobody\n PasswordAuthentication yes\n PermitEmptyPasswords yes\n",
    "PermitRootLogin no\nMatch Address 10.0.0.0/8,2001:db8::/32\n PermitRootLogin yes\n PermitTunnel yes\nMatch all\n PasswordAuthentication no\n",
    "StrictModes no\nIgnoreRhosts no\nLogLevel QUIET\nPermitUserEnvironment yes\n",
    "Match Group root\n PubkeyAuthentication no\n GatewayPorts yes\nMatch User !root,*\n LogLevel FATAL\n PasswordAuthentication no\n",
    "Match LocalPort 2222 User daemon\n PasswordAuthentication no\nMatch Host *.org\n PermitTunnel point-to-point\n",
];

/// Nothing that sshd says is passed over, and nothing is said that sshd does not do.
pub(crate) fn in_effect() -> Result<(), Failed> {
    let mut risky = 0;
    for text in CONFIGURATIONS {
        let lab = Lab::new(&[("sshd_config", text)]);
        let (config, problems) = lab.load();
        assert!(problems.is_empty(), "{problems:?} in {text}");
        for who in people() {
            let theirs = lab.ask(Some(&who)).map_err(|error| format!("{error} for {text}"))?;
            let expected: BTreeSet<String> = WORDS
                .iter()
                .filter(|(keyword, _)| *keyword != "PermitRootLogin" || who.user.uid == 0)
                .filter(|(keyword, words)| {
                    let value = theirs.get(&keyword.to_lowercase());
                    value.is_some_and(|v| words.iter().any(|word| v.eq_ignore_ascii_case(word)))
                })
                .map(|(keyword, _)| (*keyword).to_owned())
                .collect();
            let ours = risks(&config, std::slice::from_ref(&who));
            assert!(ours.iter().all(|risk| risk.always), "everything is decidable: {ours:?}");
            let ours: BTreeSet<String> = ours
                .iter()
                .map(|risk| risk.keyword.to_owned())
                .filter(|keyword| WORDS.iter().any(|(known, _)| known == keyword))
                .collect();
            let name = String::from_utf8_lossy(&who.user.name).into_owned();
            assert_eq!(ours, expected, "for {name} in {text}");
            risky += expected.len();
        }
    }
    if risky < 20 { Err(format!("only {risky} risks were compared").into()) } else { Ok(()) }
}
