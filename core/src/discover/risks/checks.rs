//! Which values of which keyword are risky.

use crate::catalogue::Severity;
use crate::sshd::pattern_matches;

/// What a risky setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// It lets a password in.
    Password,
    /// It loosens sshd otherwise.
    Loose,
}

/// One keyword.
pub(super) struct Check {
    pub(super) keyword: &'static str,
    pub(super) topic: Topic,
    pub(super) severity: Severity,
    /// Only matters for uid 0.
    pub(super) root_only: bool,
    /// Does something only where this keyword is `yes`.
    pub(super) only_with: Option<&'static str>,
    /// What sshd takes where no line says otherwise.
    pub(super) default: &'static str,
    /// `None` asks about the default.
    pub(super) risky: fn(Option<&[Vec<u8>]>) -> bool,
}

/// A check with everything in it.
const fn check(
    keyword: &'static str,
    topic: Topic,
    severity: Severity,
    default: &'static str,
    risky: fn(Option<&[Vec<u8>]>) -> bool,
) -> Check {
    Check { keyword, topic, severity, root_only: false, only_with: None, default, risky }
}

use Severity::{High, Low, Medium};
use Topic::{Loose, Password};

/// Defaults are those of OpenSSH's own sources, which distributions keep.
pub(super) const CHECKS: &[Check] = &[
    check("PasswordAuthentication", Password, Medium, "yes", |args| args.is_none() || yes(args)),
    check("PermitEmptyPasswords", Password, High, "no", yes),
    Check {
        root_only: true,
        ..check("PermitRootLogin", Password, Medium, "prohibit-password", yes)
    },
    Check {
        // Without PAM there is no conversation that could ask for a password.
        only_with: Some("UsePAM"),
        ..check("KbdInteractiveAuthentication", Password, Medium, "yes", |args| {
            args.is_none() || yes(args)
        })
    },
    check("AuthenticationMethods", Loose, High, "any", |args| one_of(args, &["none"])),
    check("PubkeyAuthentication", Loose, Medium, "yes", |args| one_of(args, &["no"])),
    check("StrictModes", Loose, Medium, "yes", |args| one_of(args, &["no"])),
    check("PermitUserEnvironment", Loose, Medium, "no", |args| {
        args.is_some() && !one_of(args, &["no"])
    }),
    check("IgnoreRhosts", Loose, Medium, "yes", |args| one_of(args, &["no"])),
    check("GatewayPorts", Loose, Low, "no", |args| one_of(args, &["yes", "clientspecified"])),
    check("PermitTunnel", Loose, Low, "no", |args| args.is_some() && !one_of(args, &["no"])),
    check("LogLevel", Loose, Low, "INFO", |args| one_of(args, &["silent", "quiet", "fatal"])),
    check("AuthorizedKeysFile", Loose, High, ".ssh/authorized_keys", |args| {
        any(args, |path| EVERYBODYS.iter().any(|dir| path.starts_with(dir)))
    }),
    check("Ciphers", Loose, Medium, "", |args| offers(args, &["3des-cbc", "arcfour*", "*-cbc"])),
    check("MACs", Loose, Medium, "", |args| {
        offers(args, &["hmac-md5*", "hmac-sha1-96*", "umac-64*"])
    }),
    check("KexAlgorithms", Loose, Medium, "", |args| {
        offers(
            args,
            &[
                "diffie-hellman-group1-*",
                "diffie-hellman-group-exchange-sha1",
                "diffie-hellman-group14-sha1",
            ],
        )
    }),
    check("PubkeyAcceptedAlgorithms", Loose, Medium, "", |args| {
        offers(args, &["ssh-dss*", "ssh-rsa", "ssh-rsa-cert*"])
    }),
    check("HostKeyAlgorithms", Loose, Low, "", |args| {
        offers(args, &["ssh-dss*", "ssh-rsa", "ssh-rsa-cert*"])
    }),
];

/// Where everybody can put a file.
const EVERYBODYS: [&[u8]; 3] = [b"/tmp/", b"/var/tmp/", b"/dev/shm/"];

fn any(args: Option<&[Vec<u8>]>, judge: impl Fn(&[u8]) -> bool) -> bool {
    args.unwrap_or_default().iter().any(|arg| judge(arg))
}

fn one_of(args: Option<&[Vec<u8>]>, words: &[&str]) -> bool {
    any(args, |arg| words.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes())))
}

fn yes(args: Option<&[Vec<u8>]>) -> bool {
    one_of(args, &["yes"])
}

/// A list of algorithms that takes one of these: as it stands, or added to the defaults (`+`, `^`).
/// A list that begins with `-` takes away.
fn offers(args: Option<&[Vec<u8>]>, weak: &[&str]) -> bool {
    let Some(list) = args.and_then(<[Vec<u8>]>::first) else { return false };
    if list.starts_with(b"-") {
        return false;
    }
    let list = list.strip_prefix(b"+").or_else(|| list.strip_prefix(b"^")).unwrap_or(list);
    list.split(|b| *b == b',')
        .any(|name| weak.iter().any(|pattern| pattern_matches(name, pattern.as_bytes())))
}
