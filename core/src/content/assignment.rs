//! A name that says secret, a sign, a value: environment files, shell, INI, YAML, JSON, XML, code.

use std::ops::Range;

use super::check::{entropy, is_placeholder, mixed};
use crate::catalogue::Certainty;

/// Names and values that are longer are something else.
const LONGEST_NAME: usize = 80;
const LONGEST_VALUE: usize = 2048;
/// What is shorter is a number, a flag or a word.
const SHORTEST: usize = 6;
/// A word of letters alone may be a password from this length on.
const SHORTEST_WORD: usize = 8;

/// How a name ends that says where, how long or how, and not what.
const ABOUT: &[&str] = &[
    "file",
    "path",
    "dir",
    "url",
    "uri",
    "name",
    "type",
    "length",
    "len",
    "size",
    "expiry",
    "expires",
    "expire",
    "ttl",
    "timeout",
    "policy",
    "prompt",
    "min",
    "max",
    "age",
    "days",
    "required",
    "enabled",
    "field",
    "endpoint",
    "count",
    "help",
    "changed",
    "change",
    "attempts",
    "format",
    "algorithm",
    "algo",
    "encoding",
    "method",
    "provider",
    "class",
    "store",
    "manager",
    "header",
    "var",
    "env",
    "regex",
    "reset",
    "label",
    "host",
    "port",
    "authentication",
    "auth_method",
    "id",
    "ids",
    "mode",
    "hint",
    "user",
    "username",
    "login",
    "mount",
    "version",
    "kind",
    "scheme",
    "scopes",
    "scope",
    "refresh_interval",
    "lifetime",
    "quality",
    "check",
    "strength",
    "ref",
    "title",
    "text",
    "message",
    "error",
    "icon",
    "fingerprint",
    "public",
    "pub",
    "helper",
];

/// Ends of names that hold a secret although they hold one of the words in passing.
const SECRET_WORDS: &[&str] = &[
    "pass",
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pwd",
    "psk",
    "secret",
    "token",
    "key",
    "credential",
    "credentials",
    "auth",
    "pw",
    "hash",
    "salt",
];

/// The value that is assigned to the name round the anchor at `at`. `code`: only quoted values are
/// texts, the others are expressions.
pub(super) fn read(text: &[u8], at: usize, code: bool) -> Option<(Range<usize>, Certainty)> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let head = text.get(at.saturating_sub(LONGEST_NAME)..at)?;
    let start = at - head.iter().rev().take_while(|b| is_name(b)).count();
    let tail = text.get(at..(at + LONGEST_NAME).min(text.len()))?;
    let end = at + tail.iter().take_while(|b| is_name(b)).count();
    let name = text.get(start..end)?;
    if !names_secret(name) {
        return None;
    }
    let element = start > 0 && text.get(start - 1) == Some(&b'<') && text.get(end) == Some(&b'>');
    if element {
        let value = text.get(end + 1..(end + 1 + LONGEST_VALUE).min(text.len()))?;
        let len = memchr::memchr2(b'<', b'\n', value)?;
        let span = trimmed(text, end + 1..end + 1 + len)?;
        return judge(name, text.get(span.clone())?, Form::Quoted).map(|c| (span, c));
    }
    let (span, form) = value(text, end)?;
    if code && form != Form::Quoted {
        return None;
    }
    judge(name, text.get(span.clone())?, form).map(|certainty| (span, certainty))
}

/// True for a name whose last words say secret.
fn names_secret(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|b| matches!(b, b'_' | b'-' | b'.')).filter(|w| !w.is_empty());
    let Some(last) = words().next_back() else { return false };
    let ends = |list: &[&str]| list.iter().any(|word| last.ends_with(word.as_bytes()));
    // `passwordFile`, `tokenUrl`, and `password_file` alike; `token1` and `secret_v2` hold one.
    let last_is_about = ABOUT.iter().any(|word| last == word.as_bytes() || camel(name, word));
    if last_is_about {
        return false;
    }
    let digits =
        last.iter().all(u8::is_ascii_digit) || last.first() == Some(&b'v') && last.len() < 4;
    ends(SECRET_WORDS)
        || digits
        || SECRET_WORDS
            .iter()
            .any(|w| w.len() > 4 && memchr::memmem::find(last, w.as_bytes()).is_some())
}

/// `passwordFile` ends with the word `File`.
fn camel(name: &[u8], word: &str) -> bool {
    let at = name.len().checked_sub(word.len());
    at.and_then(|at| name.split_at_checked(at)).is_some_and(|(head, tail)| {
        tail.eq_ignore_ascii_case(word.as_bytes())
            && tail.first().is_some_and(u8::is_ascii_uppercase)
            && head.last().is_some_and(u8::is_ascii_lowercase)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Quoted,
    /// To the end of the word, with nothing but a comment or punctuation behind it.
    Bare,
    /// More words follow.
    Prose,
}

/// The value behind the name that ends at `end`.
fn value(text: &[u8], end: usize) -> Option<(Range<usize>, Form)> {
    let mut at = end;
    // "name": or ['name'] = or name\": inside of another string
    for close in [&b"\\"[..], b"\"'", b"]"] {
        at += usize::from(text.get(at).is_some_and(|b| close.contains(b)));
    }
    at += blanks(text, at);
    let sign = match text.get(at..(at + 3).min(text.len()))? {
        [b'=', b'=' | b'~', ..] => return None,
        [b'=' | b':', b'>' | b'=', ..] => 2,
        [b'?' | b'+', b'=', ..] => 2,
        [b'=', ..] => 1,
        [b':', b':', ..] => return None,
        [b':', ..] => 1,
        _ => return None,
    };
    at += sign;
    at += blanks(text, at);
    let nested = text.get(at) == Some(&b'\\') && matches!(text.get(at + 1), Some(b'"' | b'\''));
    at += usize::from(nested);
    let rest = text.get(at..(at + LONGEST_VALUE).min(text.len()))?;
    match rest.first()? {
        quote @ (b'"' | b'\'' | b'`') => {
            let inside = rest.get(1..)?;
            // A string inside of a string ends with `\"`.
            let mut escaped = false;
            let len = inside.iter().position(|b| {
                let end = !escaped && b == if nested { &b'\\' } else { quote } || *b == b'\n';
                escaped = *b == b'\\' && !escaped;
                end
            })?;
            let closed = inside.get(len + usize::from(nested)) == Some(quote);
            closed.then_some((at + 1..at + 1 + len, Form::Quoted))
        }
        _ => {
            let stops = |b: &u8| b.is_ascii_whitespace() || b"\"'`,;<>(){}&|\0".contains(b);
            let len = rest.iter().position(stops).unwrap_or(rest.len());
            // A call or a type, such as f(x) or list<str>.
            if matches!(rest.get(len), Some(b'(' | b'<' | b'{')) {
                return None;
            }
            let line = rest.get(len..)?.split(|b| *b == b'\n').next()?.trim_ascii();
            let ends =
                line.first().is_none_or(|b| b"#;,})&\\\"'".contains(b)) || line.starts_with(b"//");
            Some((at..at + len, if ends { Form::Bare } else { Form::Prose }))
        }
    }
}

fn blanks(text: &[u8], at: usize) -> usize {
    text.get(at..)
        .unwrap_or_default()
        .iter()
        .take(16)
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

fn trimmed(text: &[u8], span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let front = value.len() - value.trim_ascii_start().len();
    let back = value.len() - value.trim_ascii_end().len();
    (front + back < value.len()).then(|| span.start + front..span.end - back)
}

fn judge(name: &[u8], value: &[u8], form: Form) -> Option<Certainty> {
    if value.len() < SHORTEST || is_placeholder(value) || is_elsewhere(value) {
        return None;
    }
    // Hashes have rules of their own.
    if value.first() == Some(&b'$') || value.iter().any(|b| !(0x20..0x7f).contains(b)) {
        return None;
    }
    let spaces = value.iter().filter(|b| **b == b' ').count();
    if spaces > 3 || form == Form::Prose && !mixed(value) {
        return None;
    }
    let symbols =
        value.iter().any(|b| b.is_ascii_punctuation() && !matches!(b, b'_' | b'-' | b'.'));
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let digits = value.iter().any(u8::is_ascii_digit);
    let classes = [symbols, upper, lower, digits].into_iter().filter(|c| *c).count();
    if !digits && !symbols {
        let repeats = name.to_ascii_lowercase().ends_with(&value.to_ascii_lowercase());
        let word = value.len() >= SHORTEST_WORD
            && form != Form::Prose
            && spaces == 0
            && !repeats
            && !is_words(value);
        return word.then_some(Certainty::Likely);
    }
    if classes == 1 {
        return (digits && !upper && !lower && names_password(name)).then_some(Certainty::Likely);
    }
    if is_words(value) || spaces > 0 {
        return (form == Form::Quoted && spaces > 0 && digits && names_password(name))
            .then_some(Certainty::Likely);
    }
    let strong = value.len() >= 8
        && entropy(value) >= 2.5
        && (classes >= 3 || value.len() >= 12 && entropy(value) >= 3.0);
    Some(if strong && form != Form::Prose { Certainty::Sure } else { Certainty::Likely })
}

fn names_password(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    memchr::memmem::find(&lower, b"pass").is_some() || lower.ends_with(b"pwd")
}

/// A path or an address: the secret stands there, not here. Base64 may begin with a slash too.
fn is_elsewhere(value: &[u8]) -> bool {
    let dense = value.len() >= 20
        && mixed(value)
        && value.iter().any(u8::is_ascii_uppercase)
        && value.iter().filter(|b| **b == b'/').count() < 4;
    memchr::memmem::find(value, b"://").is_some()
        || (value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"~/"))
            && !dense
}

/// Words of a program: `utf8_decoder`, `self.token`, `net-http2`, `IDENTIFIER_2`. A number of three or
/// four digits behind one word is what people make of a password.
fn is_words(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> =
        value.split(|b| matches!(b, b'_' | b'-' | b'.' | b':' | b'/')).collect();
    let word = |part: &&[u8]| {
        let letters = part.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let digits = part.iter().skip(letters).take_while(|b| b.is_ascii_digit()).count();
        letters + digits == part.len()
            && letters < 20
            && digits <= 3
            && (letters > 1 || digits > 0 || part.is_empty())
            && one_case(part.get(..letters).unwrap_or_default())
    };
    parts.len() > 1 && parts.iter().all(word)
}

/// All lower, all upper, or upper at the beginning of words.
fn one_case(letters: &[u8]) -> bool {
    let upper = letters.iter().filter(|b| b.is_ascii_uppercase()).count();
    upper == 0 || upper == letters.len() || upper <= 1 + letters.len() / 4
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
