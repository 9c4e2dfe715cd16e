//! The command line of a service: which program it starts, and with which options of sshd(8).
//! Quoting and variables: systemd.service(5), "Command lines"; options: OpenSSH, sshd.c.

use std::collections::BTreeMap;

/// Programs that are SSH servers.
const PROGRAMS: [&str; 4] = ["sshd", "dropbear", "dropbearmulti", "tinysshd"];
/// Programs that start what their arguments name. The first three take a script.
const WRAPPERS: [&str; 16] = [
    "sh", "bash", "dash", "ash", "busybox", "env", "exec", "nice", "ionice", "ip", "nsenter",
    "setpriv", "setsid", "stdbuf", "timeout", "unshare",
];
/// Options of sshd with a value, for getopt(3).
const VALUED: &str = "CEbcfghkopu";

/// Variables of a unit.
pub(super) type Environment = BTreeMap<String, String>;

/// How a service starts sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    /// As the command names it.
    pub(super) program: String,
    /// The last `-f`.
    pub(super) main: Option<String>,
    /// Each `-o`.
    pub(super) options: Vec<String>,
}

/// What a command line starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Started {
    /// No SSH server.
    Nothing,
    /// An SSH server that is not OpenSSH's, by the name of its program.
    Other(String),
    /// OpenSSH's.
    Sshd(Invocation),
    /// OpenSSH's, with options that only a running system could tell.
    Unclear,
}

impl Started {
    pub(super) fn is_server(&self) -> bool {
        *self != Self::Nothing
    }
}

/// What `line`, a value of `ExecStart=`, starts.
pub(super) fn started(line: &str, environment: &Environment) -> Started {
    let line = line.trim_start();
    let prefixes: usize = line.bytes().take_while(|b| b"-@:+!|".contains(b)).count();
    let (prefix, rest) = line.split_at_checked(prefixes).unwrap_or(("", line));
    let Some(mut words) = words(rest) else { return Started::Nothing };
    // The second word is then the name that the program is told.
    if prefix.contains('@') && words.len() > 1 {
        words.remove(1);
    }
    if !prefix.contains(':') {
        words = words.iter().flat_map(|word| expand(word, environment)).collect();
    }
    let Some(first) = words.first() else { return Started::Nothing };
    if PROGRAMS.contains(&base(first)) {
        return server(&words, false);
    }
    if !WRAPPERS.contains(&base(first)) {
        return Started::Nothing;
    }
    let cut = |c: char| c.is_whitespace() || "\"';&|()".contains(c);
    let flat: Vec<String> = words
        .iter()
        .flat_map(|w| w.split(cut))
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    match flat.iter().position(|word| PROGRAMS.contains(&base(word))) {
        Some(at) => server(flat.get(at..).unwrap_or_default(), true),
        None => Started::Nothing,
    }
}

fn server(words: &[String], script: bool) -> Started {
    let Some((program, arguments)) = words.split_first() else { return Started::Nothing };
    if base(program) != "sshd" {
        return Started::Other(base(program).to_owned());
    }
    let mut found = Invocation { program: program.clone(), main: None, options: Vec::new() };
    // What a shell would make of these, or a specifier (systemd.unit(5)), is not known here.
    if arguments.iter().any(|w| (script && w.contains(['$', '`', '*', '\\'])) || w.starts_with('%'))
    {
        return Started::Unclear;
    }
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        let Some(letters) = word.strip_prefix('-') else { continue };
        for (at, letter) in letters.char_indices().filter(|(_, l)| VALUED.contains(*l)).take(1) {
            let attached = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let value = if attached.is_empty() {
                arguments.next().map(String::as_str).unwrap_or_default()
            } else {
                attached
            };
            match letter {
                'f' if value.contains('%') => return Started::Unclear,
                'f' => found.main = Some(value.to_owned()),
                'o' => found.options.push(value.to_owned()),
                _ => {}
            }
        }
    }
    Started::Sshd(found)
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

/// Words with their quotes taken away; `None` where one stays open.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// `$NAME` alone is as many words as its value has; `${NAME}` stays inside its word.
fn expand(word: &str, environment: &Environment) -> Vec<String> {
    let value = |name: &str| environment.get(name).cloned().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
        return words(&value(name)).unwrap_or_default();
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(&value(name));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    vec![out]
}

/// Assignments of an environment file (systemd.exec(5), EnvironmentFile=) or of a shell's simple
/// configuration file.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = (String, String)> {
    let joined = text.replace("\\\n", "");
    let lines: Vec<String> = joined.lines().map(|line| line.trim().to_owned()).collect();
    lines.into_iter().filter(|line| !line.starts_with(['#', ';'])).filter_map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(&line).split_once('=')?;
        Some((name.trim().to_owned(), unquoted(value.trim())))
    })
}

/// Quotes and backslashes go, blanks stay.
fn unquoted(value: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => out.extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => quote = Some(letter),
            (letter, _) => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sshd(line: &str) -> (Option<String>, Vec<String>) {
        let environment: Environment = [
            ("SSHD_OPTS", "-o PasswordAuthentication=yes -f /etc/ssh/b"),
            ("F", "/etc/ssh/c"),
            ("EMPTY", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        match started(line, &environment) {
            Started::Sshd(found) => (found.main, found.options),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        for (line, main, options) in [
            (
                "/usr/sbin/sshd -D $SSHD_OPTS",
                Some("/etc/ssh/b"),
                &["PasswordAuthentication=yes"][..],
            ),
            ("/usr/sbin/sshd -D $EMPTY $OTHER", None, &[]),
            ("!/usr/sbin/sshd -Df ${F}", Some("/etc/ssh/c"), &[]),
            ("-@/usr/sbin/sshd sshd: -i -f/etc/ssh/d -f /etc/ssh/e", Some("/etc/ssh/e"), &[]),
            (":/usr/sbin/sshd $SSHD_OPTS", None, &[]),
            (
                "/usr/sbin/sshd -p 22 -o \"PasswordAuthentication yes\" -oX=y -E -f",
                None,
                &["PasswordAuthentication yes", "X=y"],
            ),
            ("/bin/sh -c 'exec /usr/sbin/sshd -D -f /etc/ssh/x'", Some("/etc/ssh/x"), &[]),
            ("/sbin/ip netns exec blue /usr/sbin/sshd -D -f /etc/ssh/x", Some("/etc/ssh/x"), &[]),
        ] {
            let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
            assert_eq!(sshd(line), (main.map(str::to_owned), options), "{line}");
        }
    }

    #[test]
    fn other_programs_and_lines_that_cannot_be_told() {
        let none = Environment::new();
        for line in ["/usr/sbin/nginx --prefix=/sshd", "/usr/bin/fail2ban sshd", "", "/bin/sh 'x"] {
            assert_eq!(started(line, &none), Started::Nothing, "{line}");
        }
        assert_eq!(started("/usr/sbin/dropbear -i", &none), Started::Other("dropbear".to_owned()));
        for line in ["/usr/sbin/sshd -D -f /etc/ssh/%i", "/bin/sh -c '/usr/sbin/sshd -f $(x)'"] {
            assert_eq!(started(line, &none), Started::Unclear, "{line}");
        }
    }

    #[test]
    fn files_of_variables() {
        let text = "# no\n;no\nA=1\nB=\"-o x=y -f /z\" # c\nexport C='a b'\\\n\nD\nE=a\\ b\n";
        let found: Vec<(String, String)> = assignments(text).collect();
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found[0], ("A", "1"));
        assert!(found[1].1.starts_with("-o x=y -f /z"));
        assert_eq!(found[2..], [("C", "a b"), ("E", "a b")]);
    }

    proptest! {
        #[test]
        fn any_line_is_taken(line in "[ -~\u{e9}\n]{0,60}", value in "[ -~]{0,20}") {
            let environment = Environment::from([("A".to_owned(), value)]);
            started(&line, &environment);
            assignments(&line).count();
            started(&format!("/usr/sbin/sshd {line} $A"), &environment);
        }
    }
}
