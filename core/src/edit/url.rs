//! Logins in URLs, RFC 3986, 3.2.1: `user:password@` goes, the rest of the address stays.

use std::ops::Range;

use super::Cut;
use super::line::Line;
use super::value::is_secret;

/// The name under which such a login is reported.
const WHAT: &[u8] = b"login in a URL";

/// Schemes in which a lone user is a token: `https://TOKEN@host`. With ssh it is an account.
const TOKEN_SCHEMES: &[&[u8]] = &[b"http", b"https"];

/// A user without a password that is this long is a token.
const TOKEN: usize = 16;

/// The logins in every URL of `text`.
pub(super) fn find(text: &[u8]) -> Vec<Cut> {
    logins(text).into_iter().map(|(at, secret)| Cut::around(at, secret, WHAT)).collect()
}

/// The logins in the URLs of one line of `text`.
pub(super) fn in_line(text: &[u8], line: &Line<'_>) -> Vec<Cut> {
    in_span(text, line.start..line.start + line.text.len())
}

/// The logins in the URLs of a part of `text`.
pub(super) fn in_span(text: &[u8], span: Range<usize>) -> Vec<Cut> {
    let shift = |at: Range<usize>| at.start + span.start..at.end + span.start;
    logins(text.get(span.clone()).unwrap_or_default())
        .into_iter()
        .map(|(at, secret)| Cut::around(shift(at), shift(secret), WHAT))
        .collect()
}

/// Places of the logins, their `@` included, and of the secrets in them.
fn logins(text: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| position(rest, b"://")) {
        let colon = from + found;
        let start = colon + 3;
        from = start;
        if let Some(login) = login(text, scheme(text, colon), start) {
            from = login.0.end;
            out.push(login);
        }
    }
    out
}

fn position(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|w| w == word)
}

fn scheme(text: &[u8], colon: usize) -> &[u8] {
    let before = text.get(..colon).unwrap_or_default();
    let is_scheme = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let length = before.iter().rev().take_while(|b| is_scheme(b)).count();
    before.get(before.len() - length..).unwrap_or_default()
}

/// The login behind `//`. A password may hold an `@` that was never encoded, so that the last one
/// before the path counts.
fn login(text: &[u8], scheme: &[u8], start: usize) -> Option<(Range<usize>, Range<usize>)> {
    if scheme.is_empty() {
        return None;
    }
    let rest = text.get(start..)?;
    let ends = |b: &u8| {
        b.is_ascii_whitespace()
            || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`')
    };
    let authority = rest.get(..rest.iter().position(ends).unwrap_or(rest.len()))?;
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let login = authority.get(..at)?;
    let place = start..start + at + 1;
    match login.iter().position(|b| *b == b':') {
        Some(colon) => {
            let secret = login.get(colon + 1..)?;
            is_secret(secret).then_some((place, start + colon + 1..start + at))
        }
        None => {
            let token = login.len() >= TOKEN
                && TOKEN_SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme))
                && is_secret(login);
            token.then_some((place, start..start + at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};

    fn edited(text: &str) -> String {
        let edits: Vec<Edit> = find(text.as_bytes()).into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn logins_go_and_addresses_stay() {
        for (old, new) in [
            ("deb [a=b] https://u:p4ss@h/debian x", "deb [a=b] https://h/debian x"),
            ("http_proxy=\"http://u:p@ss@h:3128/\"", "http_proxy=\"http://h:3128/\""),
            ("https://ghp_0123456789abcdef@github.com/a", "https://github.com/a"),
            ("smb://w;u:pw1@h/q redis://:pw2@h", "smb://h/q redis://h"),
        ] {
            assert_eq!(edited(old), new);
            assert_eq!(edited(new), new);
        }
    }

    #[test]
    fn accounts_and_variables_stay() {
        for text in [
            "ssh://git@github.com/a",
            "https://$U:$P@h",
            "https://u:${P}@h/",
            "http://h/a:b@c",
            "a://",
            "://a:b@c",
            "https://me@h/",
        ] {
            assert_eq!(edited(text), text);
        }
    }
}
