//! Rows that give an account the rights of root, sudoers(5) and doas.conf(5): those that name an
//! account which is not there go, because whoever gets that name next would have them.

use std::ops::Range;

use super::Cut;
use super::cut::number;
use super::line::lines;

/// What of a file names accounts that are not there.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Rows, or names in a row that names others too.
    pub cuts: Vec<Cut>,
    /// Nothing would be left but comments.
    pub all: bool,
}

/// Orphaned rows of a sudoers(5) file. Groups, aliases and ids are taken as they are: nobody can
/// tell who will be in them.
pub fn sudoers(text: &[u8], known: &dyn Fn(&[u8]) -> bool) -> Orphans {
    let mut orphans = Orphans::default();
    let mut others = false;
    for span in logical(text) {
        let body = text.get(span.clone()).unwrap_or_default();
        match names_of(body) {
            Row::Comment => {}
            Row::Other => others = true,
            Row::Names(at) => {
                let start = span.start + at;
                others |= !row(text, span, start, known, &mut orphans.cuts);
            }
        }
    }
    number(text, &mut orphans.cuts);
    orphans.all = !others && !orphans.cuts.is_empty();
    orphans
}

/// Orphaned rows of a doas.conf(5) file.
pub fn doas(text: &[u8], known: &dyn Fn(&[u8]) -> bool) -> Orphans {
    let mut cuts = Vec::new();
    for span in logical(text) {
        let body = text.get(span.clone()).unwrap_or_default();
        let body = body.split(|b| *b == b'#').next().unwrap_or_default();
        let mut braces = 0i32;
        let mut words = body
            .split(|b| b.is_ascii_whitespace() || *b == b'\\')
            .filter(|word| !word.is_empty())
            .filter(|word| {
                let inside = braces > 0;
                braces += i32::from(word.contains(&b'{')) - i32::from(word.contains(&b'}'));
                !inside && braces <= 0
            });
        if words.next() != Some(b"permit") {
            continue;
        }
        let options: [&[u8]; 5] = [b"nopass", b"nolog", b"persist", b"keepenv", b"setenv"];
        let name = words.find(|word| !options.contains(word) && !word.ends_with(b"}"));
        if name.is_some_and(|name| is_plain(name) && !known(name)) {
            cuts.push(Cut::new(span, name.unwrap_or_default()));
        }
    }
    number(text, &mut cuts);
    Orphans { cuts, all: false }
}

/// Lines; those that end with a backslash go on.
fn logical(text: &[u8]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut goes_on = false;
    for line in lines(text) {
        match out.last_mut() {
            Some(last) if goes_on => last.end = line.end,
            _ => out.push(line.start..line.end),
        }
        goes_on = line.text.ends_with(b"\\");
    }
    out
}

enum Row {
    /// Nothing that sudo acts on.
    Comment,
    /// Settings, aliases, files to include.
    Other,
    /// A list of accounts begins at this offset.
    Names(usize),
}

fn names_of(row: &[u8]) -> Row {
    let body = row.trim_ascii_start();
    let start = row.len() - body.len();
    let is_id = |b: &u8| b.is_ascii_digit() || *b == b'-';
    match body {
        [] => Row::Comment,
        [b'#', next, ..] if is_id(next) => Row::Names(start),
        [b'#', rest @ ..] if rest.starts_with(b"include") => Row::Other,
        [b'#', ..] => Row::Comment,
        [b'@', ..] => Row::Other,
        _ => {
            let word = body.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            match word.strip_prefix(b"Defaults") {
                Some([b':', ..]) => Row::Names(start + b"Defaults:".len()),
                Some(_) => Row::Other,
                None if word.ends_with(b"_Alias") => Row::Other,
                None => Row::Names(start),
            }
        }
    }
}

/// Cuts what is orphaned in one row; false when something of it stays.
fn row(
    text: &[u8],
    span: Range<usize>,
    start: usize,
    known: &dyn Fn(&[u8]) -> bool,
    cuts: &mut Vec<Cut>,
) -> bool {
    let names = list(text, start..span.end);
    let orphaned = |at: &Range<usize>| {
        let name = text.get(at.clone()).unwrap_or_default();
        let name = super::value::unquoted(name);
        is_plain(name) && !known(name)
    };
    let gone: Vec<bool> = names.iter().map(orphaned).collect();
    let name = |i: usize| names.get(i).and_then(|at| text.get(at.clone())).unwrap_or_default();
    if gone.contains(&true) && !gone.contains(&false) {
        cuts.push(Cut::new(span, name(0)));
        return true;
    }
    for (i, at) in names.iter().enumerate().filter(|(i, _)| gone.get(*i) == Some(&true)) {
        // A name goes with the comma behind it, those at the end with the comma before them.
        let rest = gone.get(i..).unwrap_or_default();
        let span = match (names.get(i + 1), i.checked_sub(1).and_then(|i| names.get(i))) {
            (Some(next), _) if rest.contains(&false) => at.start..next.start,
            (_, Some(before)) => before.end..at.end,
            _ => at.clone(),
        };
        cuts.push(Cut::new(span, name(i)));
    }
    false
}

/// The names of a list with commas, which ends at the first word that no comma announces.
fn list(text: &[u8], span: Range<usize>) -> Vec<Range<usize>> {
    let byte = |i: usize| text.get(i).copied().filter(|_| i < span.end).unwrap_or_default();
    let blank = |i: usize| {
        byte(i).is_ascii_whitespace() || byte(i) == b'\\' && matches!(byte(i + 1), b'\n' | b'\r')
    };
    let skip = |mut i: usize| {
        while i < span.end && blank(i) {
            i += 1;
        }
        i
    };
    let mut out = Vec::new();
    let mut at = skip(span.start);
    loop {
        let start = at;
        let quote = if byte(at) == b'"' {
            at += 1;
            true
        } else {
            false
        };
        while at < span.end && if quote { byte(at) != b'"' } else { !blank(at) && byte(at) != b',' }
        {
            at += if byte(at) == b'\\' { 2 } else { 1 };
        }
        at = (at + usize::from(quote)).min(span.end);
        out.push(start..at);
        at = skip(at);
        if byte(at) != b',' {
            return out;
        }
        at = skip(at + 1);
    }
}

/// A name of one account, and nothing that stands for others.
fn is_plain(name: &[u8]) -> bool {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$') || *b > 127;
    let alias = name.first().is_some_and(u8::is_ascii_uppercase)
        && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    !name.is_empty() && !alias && name.iter().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn known(name: &[u8]) -> bool {
        matches!(name, b"root" | b"ann")
    }

    type Find = fn(&[u8], &dyn Fn(&[u8]) -> bool) -> Orphans;

    fn edited(text: &str, find: Find) -> (String, bool) {
        let orphans = find(text.as_bytes(), &known);
        let edits: Vec<Edit> = orphans.cuts.into_iter().map(Edit::Cut).collect();
        let new = run(Format::Spans, text.as_bytes(), &edits).unwrap();
        (String::from_utf8(new.to_vec()).unwrap(), orphans.all)
    }

    #[test]
    fn rows_of_accounts_that_are_gone_go() {
        for (old, new) in [
            ("root ALL=(ALL) ALL\nbob ALL=(ALL) NOPASSWD: ALL\n", "root ALL=(ALL) ALL\n"),
            ("bob, ann , eve ALL=(ALL) ALL\n", "ann ALL=(ALL) ALL\n"),
            ("ann,bob,eve ALL=ALL\n", "ann ALL=ALL\n"),
            ("Defaults:bob !requiretty\nDefaults env_reset\n", "Defaults env_reset\n"),
            ("bob ALL=\\\n  ALL\n%wheel ALL=ALL\n", "%wheel ALL=ALL\n"),
            (
                "%bob ALL=ALL\nADMINS ALL=ALL\n#1000 ALL=ALL\n+net ALL=ALL\n",
                "%bob ALL=ALL\nADMINS ALL=ALL\n#1000 ALL=ALL\n+net ALL=ALL\n",
            ),
            (
                "User_Alias X = bob\n@includedir /etc/sudoers.d\n# bob ALL=ALL\n",
                "User_Alias X = bob\n@includedir /etc/sudoers.d\n# bob ALL=ALL\n",
            ),
        ] {
            assert_eq!(edited(old, sudoers), (new.into(), false), "{old}");
        }
        assert_eq!(edited("# x\nbob ALL=ALL\n", sudoers), ("# x\n".into(), true));
    }

    #[test]
    fn doas_loses_permits_and_keeps_denials() {
        let old = "permit nopass bob\npermit setenv { A=b eve } eve as root\npermit persist ann\n\
                   permit :wheel\ndeny bob\n# permit bob\n";
        let new = "permit persist ann\npermit :wheel\ndeny bob\n# permit bob\n";
        assert_eq!(edited(old, doas).0, new);
        let lines = doas(old.as_bytes(), &known).cuts.into_iter().map(|cut| cut.line);
        assert_eq!(lines.collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn rows_of_others_survive_and_twice_is_once(
            rows in proptest::collection::vec(
                prop_oneof![
                    "(ann|bob|eve|%x|ROOT)( ?, ?(ann|bob)){0,2} ALL=ALL",
                    "Defaults(:bob)? x",
                    "[ -~]{0,12}",
                ],
                0..6,
            ),
        ) {
            let old = rows.join("\n");
            for find in [sudoers as Find, doas] {
                let (new, _) = edited(&old, find);
                prop_assert_eq!(edited(&new, find).0, new.clone());
                if !old.contains('\\') {
                    for row in rows.iter().filter(|r| r.starts_with('%') && !r.contains(',')) {
                        prop_assert!(new.contains(row.as_str()));
                    }
                }
            }
        }
    }
}
