//! Patterns of paths: globs with `{home}` and alternatives, matched component by component.
//!
//! `*` and `?` match inside one component and, unlike in a shell, a leading dot too: a hidden file
//! is no safer. `[...]` is a class. `**` as a whole component matches any depth, at least one
//! component when it stands last. `{a,b}` are alternatives. `{home}` may only stand first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A parsed pattern; prints as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    alternatives: Vec<Alternative>,
}

/// One alternative without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Relative to every home instead of the root.
    pub in_home: bool,
    /// The components.
    pub parts: Vec<Part>,
}

/// One component of an alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Matches exactly this name.
    Name(Vec<u8>),
    /// Matches names by a glob.
    Glob(Vec<u8>),
    /// `**`: any number of components.
    Deep,
}

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Neither `/` nor `{home}` first.
    #[error("a path pattern starts with / or {{home}}")]
    NotAbsolute,
    /// A brace without its partner, or `{home}` not in front.
    #[error("unbalanced brace, or {{home}} not in front")]
    Brace,
    /// `.`, `..` or NUL.
    #[error("a pattern may not contain `.` or `..` as a component, nor NUL")]
    Component,
    /// More than 512 alternatives.
    #[error("more than 512 alternatives")]
    TooMany,
}

/// A policy is written by people; this many alternatives in one line are a mistake.
const MOST_ALTERNATIVES: usize = 512;

impl Pattern {
    /// Exactly this path, and everything below it.
    pub fn subtree(path: &crate::ImagePath) -> Self {
        let names: Vec<Part> = path.components().map(|n| Part::Name(n.to_vec())).collect();
        let mut below = names.clone();
        below.push(Part::Deep);
        let alternative = |parts| Alternative { in_home: false, parts };
        Self {
            text: format!("{path}{{,/**}}"),
            alternatives: vec![alternative(names), alternative(below)],
        }
    }

    /// The alternatives without braces.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// True when `path` (absolute, no home expansion) matches an alternative that is not
    /// relative to a home.
    pub fn matches(&self, path: &crate::ImagePath) -> bool {
        let parts: Vec<&[u8]> = path.components().collect();
        self.alternatives.iter().any(|a| !a.in_home && matches_parts(&a.parts, &parts))
    }

    /// True when `path`, given relative to one home, matches a `{home}` alternative.
    pub fn matches_in_home(&self, relative: &[&[u8]]) -> bool {
        self.alternatives.iter().any(|a| a.in_home && a.matches(relative))
    }
}

impl Alternative {
    /// True when the components match, which are relative to a home where the alternative is.
    pub fn matches(&self, components: &[&[u8]]) -> bool {
        matches_parts(&self.parts, components)
    }
}

/// Matches a list of components against parts, `**` included.
pub(crate) fn matches_parts(parts: &[Part], names: &[&[u8]]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((Part::Deep, rest)), Some((_, below))) => {
            matches_parts(rest, names) && !rest.is_empty()
                || rest.is_empty()
                || matches_parts(parts, below)
        }
        (Some((Part::Deep, _)) | Some(_), None) => false,
        (Some((part, rest)), Some((name, below))) => {
            part.matches(name) && matches_parts(rest, below)
        }
    }
}

impl Part {
    /// True when this part matches one component; `**` matches each.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(n) => n == name,
            Self::Glob(g) => glob(g, name),
            Self::Deep => true,
        }
    }

    fn parse(text: &str) -> Result<Self, PatternError> {
        match text {
            "." | ".." => Err(PatternError::Component),
            "**" => Ok(Self::Deep),
            _ if text.contains('\0') => Err(PatternError::Component),
            _ if text.contains(['*', '?', '[']) => Ok(Self::Glob(text.as_bytes().to_vec())),
            _ => Ok(Self::Name(text.as_bytes().to_vec())),
        }
    }
}

/// `*`, `?` and `[...]` on bytes, without special treatment of dots. Linear in the product of
/// lengths: only the last star is ever retried.
pub(crate) fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match p.split_first() {
            None if n.is_empty() => return true,
            Some((b'*', rest)) => {
                retry = Some((rest, n));
                p = rest;
                continue;
            }
            Some((b'?', rest)) => n.split_first().map(|(_, below)| (rest, below)),
            Some((b'[', _)) => n.split_first().and_then(|(c, below)| {
                let (hit, rest) = class(p, *c)?;
                hit.then_some((rest, below))
            }),
            Some((c, rest)) => {
                n.split_first().and_then(|(d, below)| (c == d).then_some((rest, below)))
            }
            None => None,
        };
        if let Some((rest, below)) = step {
            (p, n) = (rest, below);
            continue;
        }
        let Some((after_star, from)) = retry else { return false };
        let Some((_, below)) = from.split_first() else { return false };
        retry = Some((after_star, below));
        (p, n) = (after_star, below);
    }
}

/// Matches `[a-z]`, `[!a]`; an unclosed bracket matches nothing. Returns the rest behind `]`.
fn class(pattern: &[u8], c: u8) -> Option<(bool, &[u8])> {
    let body = pattern.get(1..)?;
    let (negated, body) = match body.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, body),
    };
    // A `]` right behind the bracket is a member.
    let end = body.iter().skip(1).position(|b| *b == b']')? + 1;
    let (members, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut hit = false;
    let mut i = 0;
    while let Some(first) = members.get(i) {
        match (members.get(i + 1), members.get(i + 2)) {
            (Some(b'-'), Some(last)) => {
                hit |= (*first..=*last).contains(&c);
                i += 3;
            }
            _ => {
                hit |= *first == c;
                i += 1;
            }
        }
    }
    Some((hit != negated, rest))
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (in_home, body) = match text.strip_prefix("{home}") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !body.starts_with('/') {
            return Err(PatternError::NotAbsolute);
        }
        let alternatives = expand(body)?
            .iter()
            .map(|plain| {
                let parts = plain
                    .split('/')
                    .filter(|p| !p.is_empty())
                    .map(Part::parse)
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Alternative { in_home, parts })
            })
            .collect::<Result<Vec<_>, PatternError>>()?;
        Ok(Self { text: text.to_owned(), alternatives })
    }
}

/// Expands `{a,b}` groups, nested ones too, from the left.
fn expand(text: &str) -> Result<Vec<String>, PatternError> {
    let Some(open) = text.find('{') else {
        return if text.contains('}') {
            Err(PatternError::Brace)
        } else {
            Ok(vec![text.to_owned()])
        };
    };
    let (head, tail) = text.split_at(open);
    if head.contains('}') || tail.starts_with("{home}") {
        return Err(PatternError::Brace);
    }
    let (mut depth, mut start, mut choices, mut close) = (0usize, 1usize, Vec::new(), None);
    for (i, c) in tail.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                choices.push(tail.get(start..i).unwrap_or_default());
                start = i + 1;
            }
            _ => {}
        }
        if depth == 0 {
            choices.push(tail.get(start..i).unwrap_or_default());
            close = Some(i);
            break;
        }
    }
    let rest = close.and_then(|i| tail.get(i + 1..)).ok_or(PatternError::Brace)?;
    let mut out = Vec::new();
    for choice in choices {
        out.extend(expand(&format!("{head}{choice}{rest}"))?);
        if out.len() > MOST_ALTERNATIVES {
            return Err(PatternError::TooMany);
        }
    }
    Ok(out)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e| serde::de::Error::custom(format!("{e}: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImagePath;

    fn hit(pattern: &str, path: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&ImagePath::new(path).unwrap())
    }

    #[test]
    fn globs_match_hidden_names_and_stay_in_their_component() {
        assert!(hit("/tmp/*", "/tmp/.hidden"));
        assert!(!hit("/tmp/*", "/tmp/a/b"));
        assert!(hit("/etc/ssh/ssh_host_*", "/etc/ssh/ssh_host_rsa_key.pub"));
        assert!(hit("/a/[a-c]x", "/a/bx"));
        assert!(!hit("/a/[!a-c]x", "/a/bx"));
        assert!(hit("/a/?", "/a/b"));
    }

    #[test]
    fn deep_matches_below_and_in_between() {
        assert!(hit("/var/log/**", "/var/log/a/b/c"));
        assert!(!hit("/var/log/**", "/var/log"));
        assert!(hit("/a/**/k.pem", "/a/b/c/k.pem"));
        assert!(hit("/a/**/k.pem", "/a/k.pem"));
        assert!(!hit("/a/**/k.pem", "/a/b/c/k.pem/x"));
    }

    #[test]
    fn braces_are_alternatives() {
        let pattern: Pattern = "/etc/{passwd,shadow}{-,.bak}".parse().unwrap();
        assert_eq!(pattern.alternatives().len(), 4);
        assert!(pattern.matches(&ImagePath::new("/etc/shadow.bak").unwrap()));
        assert_eq!("/a/{b".parse::<Pattern>(), Err(PatternError::Brace));
        assert_eq!("/a/{home}".parse::<Pattern>(), Err(PatternError::Brace));
        assert_eq!("a".parse::<Pattern>(), Err(PatternError::NotAbsolute));
        assert_eq!("/a/../b".parse::<Pattern>(), Err(PatternError::Component));
    }

    #[test]
    fn a_subtree_takes_names_as_they_are() {
        let pattern = Pattern::subtree(&ImagePath::new("/tmp/a*b").unwrap());
        assert!(pattern.matches(&ImagePath::new("/tmp/a*b").unwrap()));
        assert!(pattern.matches(&ImagePath::new("/tmp/a*b/c/d").unwrap()));
        assert!(!pattern.matches(&ImagePath::new("/tmp/axb").unwrap()));
    }

    #[test]
    fn home_patterns_match_relative_to_a_home() {
        let pattern: Pattern = "{home}/.ssh/id_*".parse().unwrap();
        assert!(pattern.matches_in_home(&[b".ssh", b"id_rsa"]));
        assert!(!pattern.matches(&ImagePath::new("/.ssh/id_rsa").unwrap()));
    }

    #[test]
    fn a_hostile_glob_ends() {
        let name = vec![b'a'; 4096];
        let pattern = format!("/{}b", "a*".repeat(64));
        let path = ImagePath::new([b"/".as_slice(), &name].concat()).unwrap();
        assert!(!pattern.parse::<Pattern>().unwrap().matches(&path));
    }
}
