//! Wildcards: those of sshd's own lists, and those of glob(3) in `Include`.

/// Matches `*` and `?` and nothing else, as ssh_config(5) "PATTERNS" has it.
pub fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((t, p));
                p += 1;
            }
            Some(b'?') => (t, p) = (t + 1, p + 1),
            Some(other) if other == byte => (t, p) = (t + 1, p + 1),
            _ => match retry {
                Some((from, star)) => {
                    retry = Some((from + 1, star));
                    (t, p) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// What a comma separated list says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// A pattern matches and no negated one does.
    Yes,
    /// No pattern matches.
    No,
    /// A pattern with `!` in front matches: wins over every other.
    Negated,
}

/// Looks `text` up in a list of patterns, with `judge` for one pattern.
pub(super) fn listed(list: &[u8], judge: impl Fn(&[u8]) -> bool) -> Listed {
    let mut found = Listed::No;
    for pattern in list.split(|b| *b == b',') {
        match pattern.strip_prefix(b"!") {
            Some(pattern) if judge(pattern) => return Listed::Negated,
            None if judge(pattern) => found = Listed::Yes,
            _ => {}
        }
    }
    found
}

/// True when glob(3) has work to do on this path component.
pub(super) fn is_glob(component: &[u8]) -> bool {
    component.iter().any(|b| b"*?[".contains(b))
}

/// Matches one path component against glob(3): `*`, `?`, `[a-z]`, `[!a-z]`, a backslash that takes
/// the next byte as it is. A leading dot is matched by a dot only. There is no `**`. In the
/// negation `^` is a plain byte: portable OpenSSH brings its own glob(3) on Linux.
pub(super) fn glob(name: &[u8], pattern: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut n, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        let rest = pattern.get(p..).unwrap_or_default();
        if rest.first() == Some(&b'*') {
            retry = Some((n, p));
            p += 1;
            continue;
        }
        match (single(rest, *byte), retry) {
            (Some(used), _) => (n, p) = (n + 1, p + used),
            (None, Some((from, star))) => {
                retry = Some((from + 1, star));
                (n, p) = (from + 1, star + 1);
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// Bytes of the pattern that one byte of the name uses up; `None` when it does not match.
fn single(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', set @ ..] => match bracket(set, byte) {
            Some((true, used)) => Some(used + 1),
            Some((false, _)) => None,
            None => (byte == b'[').then_some(1), // never closed: a plain bracket
        },
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// Judges `byte` by the set behind a `[`; with the number of bytes up to and with `]`.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = set.first() == Some(&b'!');
    let start = usize::from(negated);
    let mut at = start;
    let mut found = false;
    loop {
        let low = *set.get(at)?;
        if low == b']' && at > start {
            return Some((found != negated, at + 1));
        }
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                found |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

/// Takes the backslashes out of a component that is no glob.
pub(super) fn unescape(component: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(component.len());
    let mut bytes = component.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().unwrap_or(b'\\') } else { byte });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks() {
        for (text, pattern, expected) in [
            ("root", "root", true),
            ("root", "r*t", true),
            ("root", "*", true),
            ("", "*", true),
            ("", "", true),
            ("root", "ro?", false),
            ("root", "ro??", true),
            ("root", "*o", false),
            ("abcabc", "*abc", true),
            ("[a]", "[a]", true),
            ("Root", "root", false),
        ] {
            assert_eq!(matches(text.as_bytes(), pattern.as_bytes()), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn negation_wins() {
        let lookup = |list: &str| listed(list.as_bytes(), |p| matches(b"ann", p));
        assert_eq!(lookup("bob,a*"), Listed::Yes);
        assert_eq!(lookup("a*,!ann"), Listed::Negated);
        assert_eq!(lookup("!bob"), Listed::No);
        assert_eq!(lookup("!bob,*"), Listed::Yes);
    }

    #[test]
    fn globs() {
        for (name, pattern, expected) in [
            ("10-a.conf", "*.conf", true),
            (".conf", "*.conf", false),
            (".a.conf", ".*.conf", true),
            ("a.conf.bak", "*.conf", false),
            ("a", "[a-c]", true),
            ("d", "[!a-c]", true),
            ("b", "[!a-c]", false),
            ("]", "[]]", true),
            ("-", "[a-]", true),
            ("[", "[", true),
            ("[x", "[x", true),
            ("*", "\\*", true),
            ("x", "\\*", false),
            ("^b", "[^a]b", true),
            ("cb", "[^a]b", false),
            ("a1b2", "a?b[0-9]", true),
        ] {
            assert_eq!(glob(name.as_bytes(), pattern.as_bytes()), expected, "{name} {pattern}");
        }
        assert_eq!(unescape(b"a\\*b\\"), b"a*b\\");
    }

    proptest! {
        #[test]
        fn a_star_swallows_anything(name in "[a-z]{0,6}", tail in "[a-z]{0,6}", junk: Vec<u8>) {
            let text = format!("{name}{tail}");
            let pattern = format!("{name}*{tail}");
            prop_assert!(matches(text.as_bytes(), pattern.as_bytes()));
            prop_assert!(glob(text.as_bytes(), pattern.as_bytes()));
            prop_assert!(matches(&junk, b"*"));
            let _ = (glob(&junk, &junk), glob(text.as_bytes(), &junk)).0;
        }
    }
}
