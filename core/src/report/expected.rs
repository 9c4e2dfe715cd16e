//! The keys that somebody expects, compared with those that sshd accepts.

use std::collections::BTreeSet;

use super::{Finding, Report};
use crate::ImagePath;
use crate::catalogue::Severity;
use crate::text::public_key::is_fingerprint;
use crate::{Error, Result};

/// The category of the findings here, that of the rule they stand for.
const CATEGORY: &str = "ssh-login";
/// The rule that finds whole files of keys.
const FILES: &str = "login-authkeys";

/// Replaces the findings about files of keys by findings about single keys: one for each key that is
/// not expected, and one for each expected key that opens no account.
///
/// A file stays a finding where no key could be read from it. Counts and exit code are the caller's
/// to derive again.
///
/// # Errors
/// [`crate::Kind::Usage`] for what is no fingerprint: a slip of the pen would make every key a
/// stranger.
pub fn expect(report: &mut Report, expected: &[String]) -> Result<()> {
    if let Some(word) = expected.iter().find(|word| !is_fingerprint(word)) {
        return Err(Error::usage("expect the key", word)
            .remedy("write its fingerprint as ssh-keygen -l prints it, SHA256:..."));
    }
    if expected.is_empty() {
        return Ok(());
    }
    let read: BTreeSet<&ImagePath> = report.logins.iter().map(|login| &login.path).collect();
    report.findings.retain(|f| f.rule != FILES || !read.contains(&f.path));
    for login in report.logins.iter().filter(|l| !expected.contains(&l.fingerprint)) {
        report.findings.push(Finding {
            rule: "key-unexpected".into(),
            category: CATEGORY.into(),
            severity: Severity::High,
            path: login.path.clone(),
            subject: Some(format!("{} {}", login.user, login.fingerprint)),
            what: "public key that nobody expects".into(),
            why: "whoever holds its private half gets in".into(),
            remedy: format!("remove it, or expect it: --expect-key {}", login.fingerprint),
        });
    }
    let opens: BTreeSet<&String> = report.logins.iter().map(|login| &login.fingerprint).collect();
    for missing in expected.iter().filter(|key| !opens.contains(key)) {
        report.findings.push(Finding {
            rule: "key-missing".into(),
            category: CATEGORY.into(),
            severity: Severity::Medium,
            path: ImagePath::root(),
            subject: Some(missing.clone()),
            what: "expected public key that opens no account".into(),
            why: "who counts on it does not get in; sshd reads it from no file of this system"
                .into(),
            remedy: "add it to the account's authorized_keys, or do not expect it".into(),
        });
    }
    report.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.path.cmp(&b.path)));
    report.findings.dedup();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Login;
    use crate::manifest::KeyHash;

    fn key(letter: char) -> String {
        format!("SHA256:{}A", letter.to_string().repeat(42))
    }

    fn login(user: &str, path: &str, fingerprint: String) -> Login {
        Login {
            user: user.into(),
            path: ImagePath::new(path).unwrap(),
            hash: KeyHash::of(fingerprint.as_bytes()),
            fingerprint,
            key_type: "ssh-ed25519".into(),
            weakness: None,
        }
    }

    fn file(path: &str) -> Finding {
        Finding {
            rule: FILES.into(),
            category: CATEGORY.into(),
            severity: Severity::Critical,
            path: ImagePath::new(path).unwrap(),
            subject: None,
            what: "w".into(),
            why: "y".into(),
            remedy: "r".into(),
        }
    }

    fn found(expected: &[String]) -> Result<Vec<String>> {
        let mut report = Report::of_nothing();
        report.logins = vec![login("ann", "/a", key('A')), login("root", "/r", key('B'))];
        report.findings = vec![file("/a"), file("/r"), file("/unread")];
        expect(&mut report, expected)?;
        Ok(report.findings.iter().map(|f| format!("{} {}", f.rule, f.path)).collect())
    }

    #[test]
    fn a_stranger_is_named_and_a_friend_is_not() {
        assert_eq!(found(&[key('A')]).unwrap(), ["login-authkeys /unread", "key-unexpected /r"]);
        assert_eq!(found(&[key('A'), key('B')]).unwrap(), ["login-authkeys /unread"]);
    }

    #[test]
    fn whoever_is_missed_is_named() {
        let all = [key('A'), key('B'), key('C')];
        assert_eq!(found(&all).unwrap(), ["login-authkeys /unread", "key-missing /"]);
    }

    #[test]
    fn nothing_expected_changes_nothing() {
        assert_eq!(found(&[]).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        for word in ["SHA256:short", "MD5:00:11", "ssh-ed25519"] {
            assert_eq!(found(&[word.into()]).unwrap_err().kind(), crate::Kind::Usage, "{word}");
        }
    }
}
