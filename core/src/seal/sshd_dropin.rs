//! `/etc/ssh/sshd_config.d/00-disinherit.conf`: no password for SSH. It only tightens.
//!
//! sshd takes the first value, and a Match block beats every global value. So the file is read first
//! and says everything twice: globally, and for `Match all`, which then is the first block.

use crate::sshd::Config;

/// Where it lies: before any other file of that folder.
pub(super) const PATH: &str = "/etc/ssh/sshd_config.d/00-disinherit.conf";

const HEAD: &str = "\
# Installed by disinherit when the image was sealed: keys open it, passwords do not.
# The first value wins in sshd, and a Match block beats a global value; hence both.
";

/// What is switched off, and the name of the method in AuthenticationMethods that needs it: sshd
/// refuses to start when a method that is asked for is off.
const OFF: [(&str, Option<&str>); 4] = [
    ("PasswordAuthentication", Some("password")),
    ("KbdInteractiveAuthentication", Some("keyboard-interactive")),
    ("PermitEmptyPasswords", None),
    ("HostbasedAuthentication", Some("hostbased")),
];

/// The file for an image with this configuration.
pub(super) fn text(config: &Config) -> String {
    let demanded = methods(config);
    let off: Vec<&str> = OFF
        .iter()
        .filter(|(_, method)| !method.is_some_and(|m| demanded.iter().any(|d| d == m)))
        .map(|(keyword, _)| *keyword)
        .collect();
    let root = root_login(config);
    // A list of the image's own revokes more than ours would.
    let revoked = config.possible("revokedkeys").is_empty();
    let mut text = HEAD.to_owned();
    text.push_str(&lines("", &off, root != RootLogin::Keep, revoked));
    text.push_str("Match all\n");
    text.push_str(&lines("    ", &off, root == RootLogin::Everywhere, revoked));
    text
}

fn lines(indent: &str, off: &[&str], root: bool, revoked: bool) -> String {
    let mut text = String::new();
    let mut line = |keyword: &str, value: &str| {
        for part in [indent, keyword, " ", value, "\n"] {
            text.push_str(part);
        }
    };
    for keyword in off {
        line(keyword, "no");
    }
    if root {
        line("PermitRootLogin", "prohibit-password");
    }
    if revoked {
        line("RevokedKeys", super::REVOKED);
    }
    text
}

#[derive(PartialEq, Eq)]
enum RootLogin {
    Keep,
    Global,
    Everywhere,
}

/// `prohibit-password` is tighter than `yes` only. Where some Match block says `no`, a Match block of
/// ours would loosen that.
fn root_login(config: &Config) -> RootLogin {
    let values = words(config, "permitrootlogin");
    let says = |value: &str| values.iter().any(|v| v.eq_ignore_ascii_case(value));
    if !says("yes") {
        RootLogin::Keep
    } else if says("no") || says("forced-commands-only") {
        RootLogin::Global
    } else {
        RootLogin::Everywhere
    }
}

/// Methods of every AuthenticationMethods list that could be in effect, without their submethods.
fn methods(config: &Config) -> Vec<String> {
    words(config, "authenticationmethods")
        .iter()
        .flat_map(|list| list.split(','))
        .map(|method| method.split(':').next().unwrap_or_default().to_ascii_lowercase())
        .collect()
}

fn words(config: &Config, keyword: &str) -> Vec<String> {
    let values = config.possible(keyword);
    values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect()
}
