//! Quoted values behind a name, as configuration that is a program has them: `$password = 'x';`,
//! `'password' => 'x'`, `define('DB_PASSWORD', 'x')`, `"password": "x"`. The text between the quotes
//! goes.

use std::ops::Range;

use super::line::lines;
use super::select::{KeyPattern, selects, shown};
use super::value::{is_secret, was_in_use};
use super::{Cut, url};

/// The secret values of `text`, and the logins in all its URLs.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for line in lines(text) {
        let body = line.trimmed();
        let comment =
            [&b"#"[..], b"//", b"*", b"/*", b";", b"--"].iter().any(|m| body.starts_with(m));
        let judge = if comment { was_in_use } else { is_secret };
        let first = cuts.len();
        for value in strings(line.text) {
            let Some(name) = name_before(line.text.get(..value.start - 1).unwrap_or_default())
            else {
                continue;
            };
            let content = line.text.get(value.clone()).unwrap_or_default();
            if selects(keys, &[name]) && judge(content) {
                let name = shown(name, |n| selects(keys, &[n]));
                cuts.push(Cut::new(line.place_of(content), name));
            }
        }
        let new = cuts.get(first..).unwrap_or_default().to_vec();
        let free = |l: &Cut| !new.iter().any(|c: &Cut| c.from <= l.from && l.from < c.to);
        cuts.extend(url::in_line(text, &line).into_iter().filter(free));
    }
    cuts
}

/// The insides of all quoted strings of a line.
fn strings(line: &[u8]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(quote) = line.get(i) {
        if !matches!(quote, b'"' | b'\'') {
            i += 1;
            continue;
        }
        let start = i + 1;
        i = start;
        while line.get(i).is_some_and(|b| b != quote) {
            i += if line.get(i) == Some(&b'\\') { 2 } else { 1 };
        }
        if i >= line.len() {
            break;
        }
        out.push(start..i);
        i += 1;
    }
    out
}

/// The name that a value behind `before` is given to.
fn name_before(before: &[u8]) -> Option<&[u8]> {
    // Prefixes of strings in Python and the like: u'x', b"x".
    let before = before.trim_ascii_end();
    let before =
        before.strip_suffix(b"u").or(before.strip_suffix(b"b")).unwrap_or(before).trim_ascii_end();
    let (before, comma) = match before {
        [head @ .., b'=', b'>'] | [head @ .., b':', b'='] => (head, false),
        [head @ .., b'=' | b':'] => (head, false),
        [head @ .., b','] => (head, true),
        _ => return None,
    };
    let before = before.trim_ascii_end();
    let before = before.strip_suffix(b"]").unwrap_or(before);
    let (last, head) = before.split_last()?;
    if matches!(last, b'"' | b'\'') {
        let open = head.iter().rposition(|b| b == last)?;
        let call = head.get(..open)?.trim_ascii_end().ends_with(b"define(");
        return (!comma || call).then(|| head.get(open + 1..))?;
    }
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let length = before.iter().rev().take_while(|b| is_name(b)).count();
    (!comma && length > 0).then(|| before.get(before.len() - length..))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Finder;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(text: &str) -> String {
        let keys: Vec<KeyPattern> = vec!["@secrets".parse().unwrap()];
        let found = crate::edit::find(Finder::Code, text.as_bytes(), &keys).unwrap_or_default();
        let edits: Vec<Edit> = found.into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn values_go_and_quotes_stay() {
        for (old, new) in [
            ("define( 'DB_PASSWORD', 'x1' );\n", "define( 'DB_PASSWORD', '' );\n"),
            ("  'password' => \"x\\\"1\",\n", "  'password' => \"\",\n"),
            ("public $password = 'x1';\n", "public $password = '';\n"),
            ("$c['db']['password']='x1';\n", "$c['db']['password']='';\n"),
            ("c.App.password = u'x1'\n", "c.App.password = u''\n"),
            (
                "{\"ConnectionPassword\": \"x1\", \"a\": \"b\"}\n",
                "{\"ConnectionPassword\": \"\", \"a\": \"b\"}\n",
            ),
            ("dsn = 'mysql://u:p@h/d'\n", "dsn = 'mysql://h/d'\n"),
            (
                "// $password = 'hunter2';\n# $password = 'secret';\n",
                "// $password = '';\n# $password = 'secret';\n",
            ),
        ] {
            assert_eq!(edited(old), new);
            assert_eq!(edited(new), new);
        }
    }

    #[test]
    fn other_strings_stay() {
        for text in [
            "f('password', 'x')\n",
            "echo 'password: x';\n",
            "$a = 'b';\n",
            "$password = getenv('P');\n",
        ] {
            assert_eq!(edited(text), text);
        }
    }

    proptest! {
        #[test]
        fn only_secrets_go_and_twice_is_once(text in "([a-z]{0,3}(password)?['\"=:>,\\[\\] \n]{0,4}){0,10}") {
            let new = edited(&text);
            prop_assert_eq!(edited(&new), new.clone());
            prop_assert_eq!(new.matches('\n').count(), text.matches('\n').count());
        }
    }
}
