//! Units of systemd: secrets in `Environment=` and `SetCredential=`, systemd.exec(5), and arguments
//! of commands that carry one.

use std::ops::Range;

use super::line::{Line, lines};
use super::select::{KeyPattern, selects, shown};
use super::value::{is_secret, unquoted};
use super::{Cut, url};

/// Variables and credentials. A word of `Environment=` goes alone; its line goes with the last one,
/// because `Environment=` without a value would forget those of other drop-ins.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (name, value, whole) in settings(text) {
        let content = text.get(value.clone()).unwrap_or_default();
        match name {
            b"Environment" | b"DefaultEnvironment" | b"ManagerEnvironment" => {
                cuts.extend(environment(text, value, whole, keys));
            }
            b"SetCredential" | b"SetCredentialEncrypted" => {
                let colon = content.iter().position(|b| *b == b':');
                if colon.is_some_and(|at| is_secret(content.get(at + 1..).unwrap_or_default())) {
                    cuts.push(Cut::around(whole, value, name));
                }
            }
            _ => cuts.extend(url::in_span(text, value)),
        }
    }
    cuts
}

/// Arguments such as `--password=x` and `--token x` of commands; the option stays without a value.
pub(super) fn arguments(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let commands = settings(text).into_iter().filter(|(name, _, _)| name.starts_with(b"Exec"));
    let mut cuts = Vec::new();
    for (_, value, _) in commands {
        let words = words(text, value);
        for (i, word) in words.iter().enumerate() {
            let content = unquoted(text.get(word.clone()).unwrap_or_default());
            if !content.starts_with(b"--") {
                continue;
            }
            let option = content.get(2..).unwrap_or_default();
            let (name, secret) = match option.iter().position(|b| *b == b'=') {
                Some(at) => {
                    let value = option.get(at + 1..).unwrap_or_default();
                    let end = word.start + offset(text, value, word) + value.len();
                    (option.get(..at).unwrap_or_default(), end - value.len()..end)
                }
                None => (option, words.get(i + 1).cloned().unwrap_or(word.end..word.end)),
            };
            let value = text.get(secret.clone()).unwrap_or_default();
            let is_option = value.starts_with(b"-");
            if selects(keys, &[name]) && !is_option && is_secret(value) {
                let put = if option.contains(&b'=') { "" } else { "\"\"" };
                let name = shown(name, |n| selects(keys, &[n]));
                cuts.push(Cut::new(secret, name).put(put));
            }
        }
    }
    cuts
}

/// Where `part`, a piece of the word, begins in it.
fn offset(text: &[u8], part: &[u8], word: &Range<usize>) -> usize {
    let start = text.get(word.start..).unwrap_or_default();
    (part.as_ptr() as usize).saturating_sub(start.as_ptr() as usize)
}

/// Name, value and lines of every setting; lines that end with a backslash go on.
fn settings(text: &[u8]) -> Vec<(&[u8], Range<usize>, Range<usize>)> {
    let all: Vec<Line<'_>> = lines(text).collect();
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(line) = all.get(i) {
        let mut last = *line;
        let comment = line.commented(b"#;").is_some();
        while !comment && last.text.ends_with(b"\\") && i + 1 < all.len() {
            i += 1;
            last = all.get(i).copied().unwrap_or(last);
        }
        i += 1;
        let Some(at) = line.text.iter().position(|b| *b == b'=').filter(|_| !comment) else {
            continue;
        };
        let name = line.text.get(..at).unwrap_or_default().trim_ascii();
        let value = line.start + at + 1..(last.start + last.text.len()).max(line.start + at + 1);
        out.push((name, value, line.start..last.end));
    }
    out
}

fn environment(
    text: &[u8],
    value: Range<usize>,
    whole: Range<usize>,
    keys: &[KeyPattern],
) -> Vec<Cut> {
    let words = words(text, value.clone());
    let secret = |word: &Range<usize>| {
        let content = unquoted(text.get(word.clone()).unwrap_or_default());
        let at = content.iter().position(|b| *b == b'=')?;
        let (name, value) = (content.get(..at)?, content.get(at + 1..)?);
        let wanted = |name: &[u8]| selects(keys, &[name]);
        (wanted(name) && is_secret(value)).then(|| shown(name, wanted))
    };
    let found: Vec<(Range<usize>, &[u8])> =
        words.iter().filter_map(|w| Some((w.clone(), secret(w)?))).collect();
    if found.is_empty() {
        return url::in_span(text, value);
    }
    if found.len() == words.len() {
        let name = found.first().map_or(&b""[..], |(_, name)| name);
        return vec![Cut::around(whole, value, name)];
    }
    let blank = |i: usize| text.get(i).is_some_and(|b| matches!(b, b' ' | b'\t'));
    let mut cuts: Vec<Cut> = found
        .into_iter()
        .map(|(word, name)| {
            let span = match word.start.checked_sub(1) {
                Some(before) if before > value.start && blank(before) => before..word.end,
                _ if blank(word.end) => word.start..word.end + 1,
                _ => word.clone(),
            };
            Cut::around(span, word, name)
        })
        .collect();
    let free = |l: &Cut| !cuts.iter().any(|c: &Cut| c.from <= l.from && l.from < c.to);
    let logins: Vec<Cut> = url::in_span(text, value).into_iter().filter(free).collect();
    cuts.extend(logins);
    cuts
}

/// Words between blanks, quotes respected; a backslash at a line's end is a blank.
fn words(text: &[u8], span: Range<usize>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut quote) = (None, None);
    for i in span.clone() {
        let b = text.get(i).copied().unwrap_or_default();
        let newline = b == b'\\' && text.get(i + 1).is_some_and(|b| matches!(b, b'\n' | b'\r'));
        let blank = b.is_ascii_whitespace() || newline;
        match (quote, b) {
            (Some(q), b) if q == b => quote = None,
            (None, b'"' | b'\'') => {
                quote = Some(b);
                start = start.or(Some(i));
            }
            (None, _) if blank => out.extend(start.take().map(|s| s..i)),
            _ => start = start.or(Some(i)),
        }
    }
    out.extend(start.map(|s| s..span.end));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Finder;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(find: Finder, text: &str) -> String {
        let keys: Vec<KeyPattern> = vec!["@secrets".parse().unwrap()];
        let found = crate::edit::find(find, text.as_bytes(), &keys).unwrap_or_default();
        let edits: Vec<Edit> = found.into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn words_go_and_a_line_goes_with_the_last_one() {
        for (old, new) in [
            (
                "[Service]\nEnvironment=A=1 \"API_TOKEN=a b\" B=2\n",
                "[Service]\nEnvironment=A=1 B=2\n",
            ),
            ("Environment=API_TOKEN=x1\nUser=a\n", "User=a\n"),
            ("Environment=\"TOKEN=x1\" A=1\n", "Environment=A=1\n"),
            ("Environment=TOKEN=x1 \\\n  PASSWORD=x2\nUser=a\n", "User=a\n"),
            ("SetCredential=id:s3cret\nSetCredential=\n", "SetCredential=\n"),
            ("Environment=HTTP_PROXY=http://u:p@h/\n", "Environment=HTTP_PROXY=http://h/\n"),
            ("Environment=TOKEN=%h/x TOKEN_FILE=x\n", "Environment=TOKEN_FILE=x\n"),
        ] {
            assert_eq!(edited(Finder::Unit, old), new);
            assert_eq!(edited(Finder::Unit, new), new);
        }
    }

    #[test]
    fn arguments_lose_their_values() {
        for (old, new) in [
            ("ExecStart=/bin/a --token=x1 --b\n", "ExecStart=/bin/a --token= --b\n"),
            ("ExecStart=/bin/a --db-password x1\n", "ExecStart=/bin/a --db-password \"\"\n"),
            (
                "ExecStart=/bin/a --token ${T} --token-file x\n",
                "ExecStart=/bin/a --token ${T} --token-file x\n",
            ),
        ] {
            assert_eq!(edited(Finder::UnitArguments, old), new);
            assert_eq!(edited(Finder::UnitArguments, new), new);
        }
    }

    proptest! {
        #[test]
        fn other_lines_survive_and_twice_is_once(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[A-Z][a-z]{1,4}=[a-z0-9 ]{0,6}",
                    "Environment=( ?\"?(A|TOKEN)=[a-z0-9]{1,4}\"?){1,3}\\\\?",
                    "[#;\\[][ -~]{0,8}",
                    "ExecStart=/a( --(b|token)[= ][a-z0-9]{1,3}){0,3}",
                ],
                0..8,
            ),
        ) {
            for find in [Finder::Unit, Finder::UnitArguments] {
                let old = lines.join("\n");
                let new = edited(find, &old);
                prop_assert_eq!(edited(find, &new), new.clone());
                if !old.contains(['\\', '@']) {
                    for line in lines.iter().filter(|l| !l.contains("TOKEN") && !l.contains("token")) {
                        prop_assert!(new.contains(line.as_str()), "{line:?} left {old:?}");
                    }
                }
            }
        }
    }
}
