//! The settings with which sshd takes no password. They only tighten.
//!
//! sshd takes the first value, and a Match block beats every global value, also one of the command
//! line. So what is read first says everything twice: globally, and for `Match all`, which then is the
//! first block.

use crate::sshd::{Config, Line, parse};

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

/// Settings of one main file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    off: Vec<&'static str>,
    root: RootLogin,
    revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RootLogin {
    Keep,
    Global,
    Everywhere,
}

impl Settings {
    /// For a main file with this configuration, read by daemons with these `-o` options.
    pub(super) fn of(config: &Config, options: &[&str]) -> Self {
        let demanded = methods(&values(config, options, "authenticationmethods"));
        let is_demanded = |method: &Option<&str>| {
            method.is_some_and(|m| demanded.iter().flatten().any(|d| d == m))
        };
        Self {
            off: OFF.iter().filter(|(_, m)| !is_demanded(m)).map(|(keyword, _)| *keyword).collect(),
            root: root_login(&values(config, options, "permitrootlogin")),
            // A list of the image's own revokes more than ours would.
            revoked: values(config, options, "revokedkeys").is_empty(),
        }
    }

    /// What is switched off, by keyword.
    pub(super) fn off(&self) -> &[&'static str] {
        &self.off
    }

    /// True when the list of revoked keys is named.
    pub(super) fn names_revoked(&self) -> bool {
        self.revoked
    }

    /// Lines outside every block.
    pub(super) fn global(&self) -> Vec<Line<'static>> {
        self.lines(self.root != RootLogin::Keep)
    }

    /// Lines of a block for everybody.
    pub(super) fn matched(&self) -> Vec<Line<'static>> {
        self.lines(self.root == RootLogin::Everywhere)
    }

    fn lines(&self, root: bool) -> Vec<Line<'static>> {
        let off = self.off.iter().map(|keyword| (*keyword, "no"));
        let root = root.then_some(("PermitRootLogin", "prohibit-password"));
        let revoked = self.revoked.then_some(("RevokedKeys", super::REVOKED));
        off.chain(root).chain(revoked).collect()
    }

    /// The file that a main file includes.
    pub(super) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        let mut add = |indent: &str, lines: Vec<Line<'_>>| {
            for (keyword, value) in lines {
                for part in [indent, keyword, " ", value, "\n"] {
                    text.push_str(part);
                }
            }
        };
        add("", self.global());
        add("", vec![("Match", "all")]);
        add("    ", self.matched());
        text
    }
}

/// A list of AuthenticationMethods that asks for no key. Switching passwords off would leave nothing
/// of it, and nobody could come in.
pub(super) fn without_a_key(config: &Config, options: &[&str]) -> Option<String> {
    let lists = values(config, options, "authenticationmethods");
    let open = |list: &&String| {
        methods(std::slice::from_ref(*list)).iter().any(|methods| {
            let asks = |name: &str| methods.iter().any(|method| method == name);
            (asks("password") || asks("keyboard-interactive")) && !asks("publickey")
        })
    };
    lists.iter().find(open).cloned()
}

/// `prohibit-password` is tighter than `yes` only. Where some Match block says `no`, a Match block of
/// ours would loosen that.
fn root_login(values: &[String]) -> RootLogin {
    let says = |value: &str| values.iter().any(|v| v.eq_ignore_ascii_case(value));
    if !says("yes") {
        RootLogin::Keep
    } else if says("no") || says("forced-commands-only") {
        RootLogin::Global
    } else {
        RootLogin::Everywhere
    }
}

/// The methods of each list of AuthenticationMethods, without their submethods.
fn methods(values: &[String]) -> Vec<Vec<String>> {
    let lists = values.iter().flat_map(|value| value.split_whitespace());
    let name = |method: &str| method.split(':').next().unwrap_or_default().to_ascii_lowercase();
    lists.map(|list| list.split(',').map(name).collect()).collect()
}

/// Every value that could be in effect for somebody.
fn values(config: &Config, options: &[&str], keyword: &str) -> Vec<String> {
    let of_file = config.possible(keyword);
    let of_options = options.iter().flat_map(|option| parse(option.as_bytes()).0);
    let of_options = of_options.filter(|d| d.keyword == keyword).map(|d| d.args.join(&b' '));
    let all = of_file.into_iter().chain(of_options);
    all.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}
