//! Variables in shell scripts and profiles: the value goes and `NAME=` stays, because a line that is
//! taken out of a block may leave a script that does not run.

use std::ops::Range;

use super::line::lines;
use super::select::{KeyPattern, selects};
use super::value::{is_secret, unquoted, was_in_use};
use super::{Cut, url};

/// Commands that set a variable with a blank in place of `=`: those of csh(1) and fish(1).
const SETTERS: &[&[u8]] = &[b"setenv", b"set -gx", b"set -Ux", b"set -x", b"set -xg", b"set -xU"];

/// A quote that ends nowhere near is no quote.
const LONGEST_VALUE: usize = 16 << 10;

/// The secret variables of `text`, and the logins in all its URLs.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut done = 0;
    for line in lines(text) {
        let end = line.start + line.text.len();
        // A value in quotes may end in the middle of a later line.
        let place = done.max(line.start)..end;
        if place.start > end {
            continue;
        }
        if let Some(body) = line.commented(b"#").filter(|_| done <= line.start) {
            if assignments(text, line.place_of(body)).any(|(name, value)| {
                selects(keys, &[name]) && was_in_use(text.get(value).unwrap_or_default())
            }) {
                cuts.push(Cut::new(line.start..line.end, b"commented-out variable"));
            } else {
                cuts.extend(url::in_line(text, &line));
            }
            continue;
        }
        let first = cuts.len();
        for (name, value) in assignments(text, place.clone()).chain(setter(text, place.clone())) {
            let content = text.get(value.clone()).unwrap_or_default();
            if value.start < done || !selects(keys, &[name]) {
                continue;
            }
            done = value.end;
            if is_value(content) {
                cuts.push(variable(text, name, value));
            }
        }
        let logins = url::in_span(text, place);
        let new = cuts.get(first..).unwrap_or_default().to_vec();
        cuts.extend(
            logins.into_iter().filter(|l| !new.iter().any(|c| c.from <= l.from && l.from < c.to)),
        );
    }
    cuts
}

/// In double quotes and without any, `$NAME` is a variable wherever it stands at the beginning.
fn is_value(value: &[u8]) -> bool {
    let inner = unquoted(value);
    let dollar = inner.first() == Some(&b'$')
        && inner.get(1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && !inner.get(1..).unwrap_or_default().contains(&b'$')
        && !value.starts_with(b"'");
    is_secret(value) && !dollar
}

/// fish and csh want a word where the value was.
fn variable(text: &[u8], name: &[u8], value: Range<usize>) -> Cut {
    let before = text.get(..value.start).unwrap_or_default();
    let content = text.get(value.clone()).unwrap_or_default();
    let inner = unquoted(content);
    let lead = content.windows(inner.len().max(1)).position(|w| w == inner).unwrap_or_default();
    let secret = value.start + lead..value.start + lead + inner.len();
    let cut = Cut::around(value, secret, name);
    if before.ends_with(b"=") { cut } else { cut.put("''") }
}

/// Every `NAME=value` in the span; the value is a word of the shell and may go on behind the span.
fn assignments(text: &[u8], span: Range<usize>) -> impl Iterator<Item = (&[u8], Range<usize>)> {
    let line = text.get(span.clone()).unwrap_or_default();
    let equals = (0..line.len()).filter(|i| line.get(*i) == Some(&b'='));
    equals.filter_map(move |i| {
        let before = line.get(..i)?;
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let length = before.iter().rev().take_while(|b| is_name(b)).count();
        let name = before.get(i - length..)?;
        let lead = before.get(..i - length)?.last().copied();
        let fits = !name.is_empty() && !name.first().is_some_and(u8::is_ascii_digit);
        let begins = lead.is_none_or(|b| {
            b.is_ascii_whitespace() || matches!(b, b';' | b'&' | b'|' | b'(' | b'"' | b'\'' | b'`')
        });
        let enclosing = lead.filter(|b| matches!(b, b'"' | b'\'' | b'`'));
        let start = span.start + i + 1;
        (fits && begins)
            .then(|| (name, start..start + word(text.get(start..).unwrap_or_default(), enclosing)))
    })
}

/// The length of the word at the beginning of `text`; `enclosing` is the quote it stands in.
fn word(text: &[u8], enclosing: Option<u8>) -> usize {
    let mut i = 0;
    while let Some(b) = text.get(i) {
        match b {
            b if Some(*b) == enclosing => break,
            b'"' | b'\'' => match quoted(text.get(i..).unwrap_or_default()) {
                Some(length) => i += length,
                None => i += 1,
            },
            b'\\' => i += 2,
            b';' | b'&' | b'|' | b')' | b'<' | b'>' => break,
            b if b.is_ascii_whitespace() => break,
            _ => i += 1,
        }
    }
    i.min(text.len())
}

/// The length of the quoted text at the beginning, both quotes included.
fn quoted(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut i = 1;
    while let Some(b) = text.get(i).filter(|_| i < LONGEST_VALUE) {
        match b {
            b'\\' if quote == b'"' => i += 2,
            b if *b == quote => return Some(i + 1),
            _ => i += 1,
        }
    }
    None
}

/// `setenv NAME value` and its kin.
fn setter(text: &[u8], span: Range<usize>) -> Option<(&[u8], Range<usize>)> {
    let line = text.get(span.clone())?;
    let body = line.trim_ascii_start();
    let rest = SETTERS.iter().find_map(|s| body.strip_prefix(*s))?;
    let rest = rest.strip_prefix(b" ").or(rest.strip_prefix(b"\t"))?.trim_ascii_start();
    let end = rest.iter().position(u8::is_ascii_whitespace)?;
    let name = rest.get(..end)?;
    let value = rest.get(end..)?.trim_ascii_start();
    let start = span.end - value.len();
    Some((name, start..start + word(text.get(start..)?, None)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Finder;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(text: &str) -> String {
        let keys: Vec<KeyPattern> = vec!["@secrets".parse().unwrap()];
        let found = crate::edit::find(Finder::Shell, text.as_bytes(), &keys).unwrap_or_default();
        let edits: Vec<Edit> = found.into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn values_go_and_names_stay() {
        for (old, new) in [
            ("export A=1 GH_TOKEN=x1 B=2\n", "export A=1 GH_TOKEN= B=2\n"),
            (
                "if a; then\n\texport DB_PASSWORD='a b'\nfi\n",
                "if a; then\n\texport DB_PASSWORD=\nfi\n",
            ),
            ("API_KEY=\"a\nb\"; run\n", "API_KEY=; run\n"),
            ("alias x=\"TOKEN=abc run\"\n", "alias x=\"TOKEN= run\"\n"),
            ("alias x='TOKEN=abc'\n", "alias x='TOKEN='\n"),
            ("setenv API_TOKEN abc\n", "setenv API_TOKEN ''\n"),
            ("set -gx API_TOKEN \"a b\"\n", "set -gx API_TOKEN ''\n"),
            ("#export TOKEN=hunter2\n# TOKEN=secret\n", "# TOKEN=secret\n"),
            ("http_proxy=http://u:p@h:1/\n", "http_proxy=http://h:1/\n"),
            ("PASSWORD=https://u:p@h/\n", "PASSWORD=\n"),
        ] {
            assert_eq!(edited(old), new);
            assert_eq!(edited(new), new);
        }
    }

    #[test]
    fn variables_paths_and_other_words_stay() {
        for text in [
            "export TOKEN=$OTHER\n",
            "TOKEN=\"$(pass x)\"\n",
            "TOKEN_FILE=abc\n",
            "x --token=abc\n",
            "PS1='token=> '\n",
            "[ \"$TOKEN\" = x ]\n",
            "TOKEN=\"$A/b\"\n",
        ] {
            assert_eq!(edited(text), text);
        }
    }

    proptest! {
        #[test]
        fn other_lines_survive_and_twice_is_once(
            lines in proptest::collection::vec(
                prop_oneof!["[ -~]{0,20}", "(export )?[A-Z]{1,4}=[a-z0-9]{0,4}", "TOKEN=[a-z0-9'\"$ ]{0,8}"],
                0..8,
            ),
        ) {
            let old = lines.join("\n");
            let new = edited(&old);
            prop_assert_eq!(edited(&new), new.clone());
            if !old.contains(['"', '\'', '\\', '@']) {
                for line in lines.iter().filter(|l| {
                    let l = l.to_lowercase();
                    !["token", "pass", "key", "secret", "pwd", "psk"].iter().any(|w| l.contains(w))
                }) {
                    prop_assert!(new.contains(line.as_str()), "{line:?} left {old:?}");
                }
            }
        }
    }
}
