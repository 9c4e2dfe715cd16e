//! Settings one a line: `key = value`, `key: value` or `key value`, in sections or without, as ini
//! files, keyfiles, TOML and most daemons have them. A secret setting goes with its line, because
//! an empty value would mean an empty password to some of them.

use std::ops::Range;

use super::line::{Line, lines};
use super::select::{KeyPattern, selects, separates, shown};
use super::value::{is_secret, unquoted, was_in_use};
use super::{Cut, url};

/// A value in quotes that ends nowhere is no reason to remove the rest of the file.
const LONGEST_VALUE: usize = 200;

/// A setting with all lines of its value.
struct Setting<'a> {
    /// What of the key may be shown.
    name: &'a [u8],
    /// Behind the separator, up to the end of the last line.
    value: &'a [u8],
    /// The part of `value` that the proof searches for.
    secret: Range<usize>,
}

/// The secret settings of `text`, and the logins in all its URLs.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let all: Vec<Line<'_>> = lines(text).collect();
    let mut cuts = Vec::new();
    let mut section: &[u8] = b"";
    let mut i = 0;
    while let Some(line) = all.get(i) {
        let comment = line.commented(b"#;");
        let body = comment.unwrap_or(line.trimmed());
        if let Some(name) = section_of(body).filter(|_| comment.is_none()) {
            section = name;
        }
        let last = if comment.is_none() { end_of_value(&all, i) } else { i };
        let end = all.get(last).map_or(line.end, |l| l.end);
        let found = setting(text, line, body, end, |key| selects(keys, &path(section, key)))
            .filter(|s| if comment.is_some() { was_in_use(s.value) } else { is_secret(s.value) });
        match found {
            Some(s) => cuts.push(Cut::around(line.start..end, s.secret, s.name)),
            None => {
                for inner in all.get(i..=last).unwrap_or_default() {
                    cuts.extend(inline(text, inner, section, keys));
                    cuts.extend(url::in_line(text, inner));
                }
            }
        }
        i = last + 1;
    }
    cuts
}

fn path<'a>(section: &'a [u8], key: &'a [u8]) -> Vec<&'a [u8]> {
    if section.is_empty() { vec![key] } else { vec![section, key] }
}

/// The name in `[name]` or `[[name]]`.
fn section_of(body: &[u8]) -> Option<&[u8]> {
    let inner = body.strip_prefix(b"[")?;
    let end = inner.iter().rposition(|b| *b == b']')?;
    let inner = inner.get(..end)?;
    let inner = inner.strip_prefix(b"[").and_then(|i| i.strip_suffix(b"]")).unwrap_or(inner);
    Some(inner.trim_ascii())
}

/// The setting on `line`, by whichever separator gives a key that is `wanted`, the first one in the
/// line before all others: a password may hold every one of them.
fn setting<'a>(
    text: &'a [u8],
    line: &Line<'a>,
    body: &'a [u8],
    end: usize,
    wanted: impl Fn(&[u8]) -> bool,
) -> Option<Setting<'a>> {
    let body = without_lead(body);
    let candidates: [fn(&u8) -> bool; 4] =
        [separates, |b| *b == b'=', |b| *b == b':', u8::is_ascii_whitespace];
    candidates.into_iter().find_map(|separates| {
        let at = body.iter().position(separates)?;
        let key = bare(body.get(..at)?);
        wanted(key).then_some(())?;
        let start = line.place_of(body.get(at..)?).start;
        let value = text.get(start..end)?;
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b":=").or(value.strip_prefix(b"=>")).unwrap_or(value);
        let value = value.strip_prefix(b"=").or(value.strip_prefix(b":")).unwrap_or(value);
        let value = value.trim_ascii();
        let secret = unquoted(value.strip_suffix(b";").unwrap_or(value));
        let from = end - (text.get(..end)?.len() - offset(text, secret));
        Some(Setting { name: shown(key, &wanted), value, secret: from..from + secret.len() })
    })
}

/// Where `part`, a piece of `text`, begins.
fn offset(text: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// A key without quotes, blanks and the words that may stand in front of it.
fn bare(key: &[u8]) -> &[u8] {
    unquoted(without_lead(key))
}

/// Without blanks and the words that may stand in front of a key.
fn without_lead(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    let rest = text.strip_prefix(b"export ").or(text.strip_prefix(b"set ")).unwrap_or(text);
    rest.trim_ascii_start()
}

/// The index of the last line of the value that begins on line `i`: lines behind a backslash, in
/// open quotes, or indented deeper than a setting at the margin.
fn end_of_value(all: &[Line<'_>], i: usize) -> usize {
    let Some(first) = all.get(i) else { return i };
    let body = first.trimmed();
    if body.is_empty() {
        return i;
    }
    if let Some(last) = open_quotes(all, i) {
        return last;
    }
    let mut last = i;
    while all.get(last).is_some_and(|l| l.text.ends_with(b"\\")) && last + 1 < all.len() {
        last += 1;
    }
    let block = body.ends_with(b"{") || body.starts_with(b"[") || body.starts_with(b"<");
    let continues =
        |l: &Line<'_>| l.indent() > 0 && !l.trimmed().is_empty() && l.commented(b"#;").is_none();
    // Indented settings below a word, as interfaces(5) has them, are no values.
    if first.indent() == 0 && !block && body.contains(&b'=') {
        while all.get(last + 1).is_some_and(|l| continues(l) && !l.text.contains(&b'=')) {
            last += 1;
        }
    }
    last
}

/// The line that closes the quotes in which the value on line `i` begins. A lone quote in front of
/// a password opens nothing: then settings follow.
fn open_quotes(all: &[Line<'_>], i: usize) -> Option<usize> {
    let body = all.get(i)?.trimmed();
    let at = body.iter().position(|b| matches!(b, b'=' | b':'))?;
    let value = body.get(at + 1..)?.trim_ascii_start();
    let quotes = [&b"\"\"\""[..], b"'''", b"\"", b"'"];
    let quote: &[u8] = quotes.into_iter().find(|q| value.starts_with(q))?;
    let closes = |text: &[u8]| text.windows(quote.len()).any(|w| w == quote);
    if closes(value.get(quote.len()..)?) {
        return None;
    }
    let behind = all.get(i + 1..)?.iter().take(LONGEST_VALUE);
    let (n, _) = behind
        .enumerate()
        .take_while(|(_, l)| quote.len() > 1 || closes(l.text) || !is_setting(l.text))
        .find(|(_, l)| closes(l.text))?;
    Some(i + 1 + n)
}

/// Looks like `key = value`; the padding of base64 does not.
fn is_setting(line: &[u8]) -> bool {
    let Some(at) = line.iter().position(|b| *b == b'=') else { return false };
    let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
    !value.is_empty() && !value.starts_with(b"=")
}

/// Settings inside braces on one line, `auth = { username = "a", password = "b" }`: a pair goes with
/// one comma, so that the line can still be read.
fn inline(text: &[u8], line: &Line<'_>, section: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let Some(open) = line.text.iter().position(|b| *b == b'{') else { return Vec::new() };
    if line.commented(b"#;").is_some() {
        return Vec::new();
    }
    let inner = line.text.get(open + 1..).unwrap_or_default();
    let cut = |part: &[u8]| {
        let at = part.iter().position(|b| matches!(b, b'=' | b':'))?;
        let (key, value) = (bare(part.get(..at)?), part.get(at + 1..)?.trim_ascii());
        let wanted = |key: &[u8]| selects(keys, &path(section, key));
        (wanted(key) && is_secret(value)).then_some(())?;
        let secret = line.place_of(unquoted(value));
        let pair = with_comma(text, line.place_of(part.trim_ascii()));
        Some(Cut::around(pair, secret, shown(key, wanted)))
    };
    pairs(inner).into_iter().filter_map(cut).collect()
}

/// The pair with the comma in front of it, or else with the one behind it.
fn with_comma(text: &[u8], pair: Range<usize>) -> Range<usize> {
    let separates = |b: Option<&u8>| matches!(b, Some(b',' | b';'));
    let before = text.get(..pair.start).unwrap_or_default().trim_ascii_end();
    let behind = text.get(pair.end..).unwrap_or_default();
    let blanks = behind.len() - behind.trim_ascii_start().len();
    if separates(before.last()) {
        return before.len() - 1..pair.end;
    }
    match behind.get(blanks) {
        Some(b',' | b';') => pair.start..pair.end + blanks + 1,
        _ => pair,
    }
}

/// The parts between braces, commas and semicolons that do not stand in quotes.
fn pairs(inner: &[u8]) -> Vec<&[u8]> {
    let mut quote = None;
    inner
        .split(|b| match (quote, b) {
            (None, b'"' | b'\'') => {
                quote = Some(*b);
                false
            }
            (Some(q), b) => {
                if q == *b {
                    quote = None;
                }
                false
            }
            (None, b) => matches!(b, b',' | b';' | b'{' | b'}'),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Finder;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(text: &str, keys: &[&str]) -> String {
        let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let found = crate::edit::find(Finder::Settings, text.as_bytes(), &keys).unwrap_or_default();
        let edits: Vec<Edit> = found.into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_secret_setting_goes_with_its_line() {
        for (old, new) in [
            ("[a]\nuser = x\npassword = p1=:x\n[b]\nk=v\n", "[a]\nuser = x\n[b]\nk=v\n"),
            ("uri ldap://x\r\nbindpw s3 cret\r\nbase y\r\n", "uri ldap://x\r\nbase y\r\n"),
            ("password: 'p1'", ""),
            ("password = {\n", "password = {\n"),
            ("passwords are below\n", "passwords are below\n"),
            ("network={\n\tpassword=\"p1\"\n\tid=1\n}\n", "network={\n\tid=1\n}\n"),
            ("password = \"\"\"\na\nb\"\"\"\nk=1\n", "k=1\n"),
            ("password =\n  hunter2\nk=1\n", "k=1\n"),
            ("bindpw\tx\\\n y\nk 1\n", "k 1\n"),
        ] {
            assert_eq!(edited(old, &["password", "bindpw"]), new);
        }
    }

    #[test]
    fn sections_narrow_and_keys_may_begin_with_slashes() {
        let old = "[auth]\na.password=x1\n[ui]\na.password=x1\n";
        assert_eq!(edited(old, &["auth/*.password"]), "[auth]\n[ui]\na.password=x1\n");
        let old = "//r.example/:_authToken=npm_1\nregistry=https://r.example/\n";
        assert_eq!(edited(old, &["*:_authtoken"]), "registry=https://r.example/\n");
    }

    #[test]
    fn inline_tables_keep_their_shape() {
        let old = "auth = { username = \"a\", password = \"b, }c\" } # x\nsecrets { ike { secret = x1 } }\n";
        let new = "auth = { username = \"a\" } # x\nsecrets { ike {  } }\n";
        assert_eq!(edited(old, &["password", "secret"]), new);
        assert_eq!(edited(new, &["password", "secret"]), new);
    }

    #[test]
    fn comments_lose_what_was_in_use_and_keep_examples() {
        let old =
            "#password = hunter2\n# password = secret\n; password=\n# the password: see man 5\n";
        let new = "# password = secret\n; password=\n# the password: see man 5\n";
        assert_eq!(edited(old, &["password"]), new);
    }

    #[test]
    fn logins_in_urls_go_alone() {
        assert_eq!(edited("url = https://u:p@h/x\n", &["password"]), "url = https://h/x\n");
    }

    proptest! {
        #[test]
        fn other_lines_survive_and_twice_is_once(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[a-z]{1,6} ?[=: ] ?[a-z0-9]{0,8}",
                    "[ \t]?[#;]?[ -~]{0,16}",
                    "password ?= ?[a-z0-9\"{}]{0,8}",
                    "\\[[a-z]{0,4}\\]",
                ],
                0..10,
            ),
            end in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let old = lines.join(end);
            let new = edited(&old, &["password"]);
            prop_assert_eq!(edited(&new, &["password"]), new.clone());
            // Quotes, indentation and a backslash make lines part of a value.
            let plain = |l: &&String| {
                !old.contains(['"', '\'', '\\', '@']) && !l.contains("passw") && !l.starts_with([' ', '\t'])
            };
            for line in lines.iter().filter(plain) {
                prop_assert!(new.contains(line.as_str()), "{line:?} left {old:?}");
            }
        }
    }
}
