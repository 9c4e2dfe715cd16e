//! What lets people in: key files, host keys, and the sources beside them.

use super::config::{Config, Setting, Source};
use super::problem::{Problem, What};
use super::who::{User, Who};
use crate::ImagePath;

/// A file in which sshd looks for keys of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFile {
    /// The file, tokens expanded. It need not exist.
    pub path: ImagePath,
    /// The line that names it; `None` for sshd's default.
    pub source: Option<Source>,
}

/// A way in beside `authorized_keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSource {
    /// The keyword in lower case.
    pub keyword: String,
    /// Its arguments, joined by one blank: a path, a command, or `yes`.
    pub value: Vec<u8>,
    /// Where it stands.
    pub source: Source,
}

/// sshd's default for `AuthorizedKeysFile`.
const DEFAULT_FILES: [&[u8]; 2] = [b".ssh/authorized_keys", b".ssh/authorized_keys2"];

/// Sources that are on unless their value is `none`.
const NAMED_SOURCES: [&str; 4] = [
    "authorizedkeyscommand",
    "authorizedprincipalscommand",
    "authorizedprincipalsfile",
    "trustedusercakeys",
];

/// Sources that are on when their value is `yes`. `PasswordAuthentication` is none of them: it
/// opens nothing where no password is.
const SWITCHED_SOURCES: [&str; 3] =
    ["gssapiauthentication", "hostbasedauthentication", "kerberosauthentication"];

impl Config {
    /// Every file that any line could make sshd read for this user, whoever connects and from
    /// where: the union over the global text and all `Match` blocks, each path once.
    pub fn login_files(&self, user: &User) -> Vec<LoginFile> {
        let mut files = Vec::new();
        for setting in self.named(FILES) {
            add(&mut files, user, &setting.args, Some(&setting.source));
        }
        if self.may_be_default(FILES) {
            add(&mut files, user, &DEFAULT_FILES, None);
        }
        files
    }

    /// The files that sshd reads for this connection, in its order. Undecidable conditions count
    /// as not fulfilled.
    pub fn effective_login_files(&self, who: &Who) -> Vec<ImagePath> {
        let mut files = Vec::new();
        match self.effective(FILES, who) {
            Some(args) => add(&mut files, &who.user, &args, None),
            None => add(&mut files, &who.user, &DEFAULT_FILES, None),
        }
        files.into_iter().map(|file| file.path).collect()
    }

    /// The host keys: those that are configured, else those of sshd's defaults that exist.
    pub fn host_keys(&self) -> Vec<ImagePath> {
        let configured = self.paths("hostkey");
        if configured.is_empty() { self.default_host_keys.clone() } else { configured }
    }

    /// The host certificates that are configured.
    pub fn host_certificates(&self) -> Vec<ImagePath> {
        self.paths("hostcertificate")
    }

    fn paths(&self, keyword: &str) -> Vec<ImagePath> {
        let mut found = Vec::new();
        for path in self.named(keyword).flat_map(|setting| setting.args.first()) {
            let path = (!is_none(path)).then(|| ImagePath::new(path)).flatten();
            found.extend(path.filter(|path| !found.contains(path)));
        }
        found
    }

    /// The ways in beside key files that could be open for somebody.
    pub fn other_login_sources(&self) -> Vec<LoginSource> {
        let named = NAMED_SOURCES.iter().map(|keyword| (keyword, false));
        let switched = SWITCHED_SOURCES.iter().map(|keyword| (keyword, true));
        let mut sources = Vec::new();
        for (keyword, switch) in named.chain(switched) {
            for Setting { keyword, args, source, .. } in self.reachable(keyword) {
                let first = args.first().map(Vec::as_slice).unwrap_or_default();
                let on = if switch { first.eq_ignore_ascii_case(b"yes") } else { !is_none(first) };
                if on {
                    let (keyword, value) = (keyword.clone(), args.join(&b' '));
                    sources.push(LoginSource { keyword, value, source: source.clone() });
                }
            }
        }
        sources
    }

    pub(super) fn bad_tokens(&self) -> Vec<Problem> {
        let nobody = User { name: Vec::new(), uid: 0, home: Vec::new(), groups: Vec::new() };
        let unknown = |arg: &Vec<u8>| {
            let foreign = arg.strip_prefix(b"~").is_some_and(|rest| root_home(rest).is_none());
            foreign || percent(arg, &nobody).is_none()
        };
        self.named(FILES)
            .filter(|setting| setting.args.iter().any(unknown))
            .map(|setting| Problem { source: setting.source.clone(), what: What::BadToken })
            .collect()
    }
}

const FILES: &str = "authorizedkeysfile";

fn is_none(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"none")
}

fn add(
    files: &mut Vec<LoginFile>,
    user: &User,
    patterns: &[impl AsRef<[u8]>],
    source: Option<&Source>,
) {
    for pattern in patterns {
        let Some(path) = expand(pattern.as_ref(), user) else { continue };
        if !files.iter().any(|file| file.path == path) {
            files.push(LoginFile { path, source: source.cloned() });
        }
    }
}

/// The path for a user: `none` is no path, a relative one lies in the home. `~/` is root's home,
/// not the user's: sshd expands it while it reads the file.
fn expand(pattern: &[u8], user: &User) -> Option<ImagePath> {
    if pattern.is_empty() || is_none(pattern) {
        return None;
    }
    if let Some(rest) = pattern.strip_prefix(b"~") {
        let rest = root_home(rest)?;
        return ImagePath::new(percent(&[b"/root", rest].concat(), user)?);
    }
    let path = percent(pattern, user)?;
    if path.starts_with(b"/") {
        ImagePath::new(path)
    } else {
        ImagePath::new(&user.home)?.join(path)
    }
}

/// What follows root's home in `~`, `~/x` and `~root/x`, without the `~`; `None` for the home of
/// anybody else, which is not looked up here.
fn root_home(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b"root").unwrap_or(rest);
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

/// Expands `%%`, `%h`, `%u` and `%U`; `None` for any other token.
fn percent(pattern: &[u8], user: &User) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        match bytes.next()? {
            b'%' => out.push(b'%'),
            b'h' => out.extend_from_slice(&user.home),
            b'u' => out.extend_from_slice(&user.name),
            b'U' => out.extend_from_slice(user.uid.to_string().as_bytes()),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_relative_paths() {
        let ann =
            User { name: b"ann".into(), uid: 1007, home: b"/srv/Ann L".into(), groups: vec![] };
        let path = |pattern: &str| expand(pattern.as_bytes(), &ann).map(|p| p.to_string());
        for (pattern, expected) in [
            (".ssh/authorized_keys", "/srv/Ann L/.ssh/authorized_keys"),
            ("/etc/keys/%u/%U%%", "/etc/keys/ann/1007%"),
            ("%h/k", "/srv/Ann L/k"),
            ("~/k", "/root/k"),
            ("~root/k", "/root/k"),
            ("../x", "/srv/Ann L/../x"),
        ] {
            assert_eq!(path(pattern).as_deref(), Some(expected), "{pattern}");
        }
        for pattern in ["none", "NONE", "", "/etc/%x", "/etc/%", "~bob/k"] {
            assert_eq!(path(pattern), None, "{pattern}");
        }
    }
}
