//! The settings that sealing puts into a main file, asked of the real sshd: they win for everybody, and
//! nothing else changes.

use disinherit_core::sshd::{with_blocks, with_include, without};
use libtest_mimic::Failed;

use super::dice;
use super::lab::{Lab, people};

const OFF: [(&str, &str); 2] = [("PasswordAuthentication", "no"), ("PermitEmptyPasswords", "no")];
const OURS: &str = "PasswordAuthentication no\nPermitEmptyPasswords no\n\
                    Match all\n    PasswordAuthentication no\n    PermitEmptyPasswords no\n";
/// What an author may have done so that passwords work.
const OPEN: [&str; 3] = [
    "PasswordAuthentication yes\nPermitEmptyPasswords yes\n",
    "X11Forwarding yes\nMatch User root\n    PasswordAuthentication yes\n    X11Forwarding no\nMatch all\n    PermitEmptyPasswords yes\n",
    "Match Address 10.0.0.0/8,127.0.0.1\n    PasswordAuthentication yes\nMatch User nobody\n    PermitEmptyPasswords yes",
];

pub(crate) fn wins() -> Result<(), Failed> {
    for text in OPEN {
        check(&[("sshd_config", text)]);
    }
    for seed in 1..=25 {
        let made_up = dice::made_up(seed);
        let files: Vec<_> = made_up.iter().map(|(name, text)| (*name, text.as_str())).collect();
        check(&files);
    }
    Ok(())
}

fn check(files: &[(&str, &str)]) {
    let before = Lab::new(files);
    let (config, _) = before.load();
    let main = files[0].1.as_bytes();
    let mut ways = vec![with_include(main, "/etc/ssh/ours.conf")];
    if !config.uses_include() {
        ways.push(with_blocks(main, &OFF, &OFF));
    }
    for way in ways {
        assert_eq!(without(&way).as_deref(), Some(main));
        let text = String::from_utf8(way).unwrap();
        let mut files = files.to_vec();
        files[0].1 = &text;
        files.push(("ours.conf", OURS));
        let after = Lab::new(&files);
        for who in people() {
            let mut expected = before.ask(Some(&who)).unwrap();
            for (keyword, value) in OFF {
                expected.insert(keyword.to_ascii_lowercase(), value.to_owned());
            }
            let found = after.ask(Some(&who)).unwrap_or_else(|why| panic!("{why} for {files:?}"));
            assert_eq!(found, expected, "{files:?}");
        }
    }
}
