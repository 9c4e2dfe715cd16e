//! Words `name=value` between blanks: the kernel command line, kernel-command-line(7), also inside
//! the quotes of /etc/default/grub; and options of mounts between commas, fstab(5).

use std::ops::Range;

use super::line::lines;
use super::select::{KeyPattern, selects, shown};
use super::value::{is_secret, was_in_use};
use super::{Cut, url};

/// The secret words of a command line; a word goes with the blank in front of it.
pub(super) fn find(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let ends = |b: u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'');
    cuts(text, keys, ends, |text, word| {
        let blank = |i: usize| text.get(i).is_some_and(|b| matches!(b, b' ' | b'\t'));
        match word.start.checked_sub(1) {
            Some(before) if blank(before) => (before..word.end, ""),
            _ if blank(word.end) => (word.start..word.end + 1, ""),
            _ => (word, ""),
        }
    })
}

/// The secret options of mounts; one goes with its comma, and the last one becomes `defaults`.
pub(super) fn options(text: &[u8], keys: &[KeyPattern]) -> Vec<Cut> {
    let ends = |b: u8| b.is_ascii_whitespace() || matches!(b, b',' | b'"' | b'\'');
    cuts(text, keys, ends, |text, word| {
        let comma = |i: usize| text.get(i) == Some(&b',');
        match word.start.checked_sub(1) {
            Some(before) if comma(before) => (before..word.end, ""),
            _ if comma(word.end) => (word.start..word.end + 1, ""),
            _ => (word, "defaults"),
        }
    })
}

/// The files that options such as `credentials=` name.
pub fn named_files<'a>(text: &'a [u8], options: &[&[u8]]) -> Vec<&'a [u8]> {
    let ends = |b: u8| b.is_ascii_whitespace() || matches!(b, b',' | b'"' | b'\'');
    lines(text)
        .filter(|line| line.commented(b"#").is_none())
        .flat_map(|line| {
            let named = move |word: Range<usize>| {
                let (name, value) = pair(line.text, word)?;
                options.contains(&name).then(|| line.text.get(value))?
            };
            words(line.text, ends).into_iter().filter_map(named).collect::<Vec<_>>()
        })
        .collect()
}

fn cuts(
    text: &[u8],
    keys: &[KeyPattern],
    ends: fn(u8) -> bool,
    widen: impl Fn(&[u8], Range<usize>) -> (Range<usize>, &'static str),
) -> Vec<Cut> {
    let mut out = Vec::new();
    for line in lines(text) {
        let comment = line.commented(b"#").is_some();
        let judge = if comment { was_in_use } else { is_secret };
        let first = out.len();
        for word in words(line.text, ends) {
            let Some((name, value)) = pair(line.text, word.clone()) else { continue };
            let secret = line.text.get(value.clone()).unwrap_or_default();
            if selects(keys, &[name]) && judge(secret) {
                let at = |r: Range<usize>| r.start + line.start..r.end + line.start;
                let (span, put) = widen(text, at(name_start(line.text, name)..word.end));
                let name = shown(name, |n| selects(keys, &[n]));
                out.push(Cut::around(span, at(value), name).put(put));
            }
        }
        let found = out.get(first..).unwrap_or_default().to_vec();
        let free = |l: &Cut| !found.iter().any(|c: &Cut| c.from <= l.from && l.from < c.to);
        out.extend(url::in_line(text, &line).into_iter().filter(free));
    }
    out
}

/// Where `name`, a piece of `line`, begins.
fn name_start(line: &[u8], name: &[u8]) -> usize {
    (name.as_ptr() as usize).saturating_sub(line.as_ptr() as usize)
}

fn words(line: &[u8], ends: fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    for (i, b) in line.iter().enumerate() {
        if ends(*b) {
            out.push(start..i);
            start = i + 1;
        }
    }
    out.push(start..line.len());
    out.retain(|word| !word.is_empty());
    out
}

/// Name and value. `Options=password=x` of a mount unit and `-password=x` of an autofs map begin
/// with something else; the name is then the last one that has a value.
fn pair(line: &[u8], word: Range<usize>) -> Option<(&[u8], Range<usize>)> {
    let text = line.get(word.clone())?;
    let (mut from, mut rest) = (0, text);
    for lead in [&b"Options="[..], b"-"] {
        if let Some(behind) = rest.strip_prefix(lead) {
            (from, rest) = (from + lead.len(), behind);
        }
    }
    let equals = rest.iter().position(|b| *b == b'=')?;
    let name = rest.get(..equals)?;
    Some((name, word.start + from + equals + 1..word.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Finder;
    use crate::edit::{Edit, Format, run};
    use proptest::prelude::*;

    fn edited(find: Finder, text: &str, keys: &[&str]) -> String {
        let keys: Vec<KeyPattern> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let found = crate::edit::find(find, text.as_bytes(), &keys).unwrap_or_default();
        let edits: Vec<Edit> = found.into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_word_goes_with_one_blank() {
        for (old, new) in [
            ("root=/dev/x rd.iscsi.password=p1 ro\n", "root=/dev/x ro\n"),
            ("GRUB_CMDLINE_LINUX=\"rd.iscsi.password=p1 ro\"\n", "GRUB_CMDLINE_LINUX=\"ro\"\n"),
            ("GRUB_CMDLINE_LINUX=\"rd.iscsi.password=p1\"\n", "GRUB_CMDLINE_LINUX=\"\"\n"),
            ("ro ds=nocloud;s=http://u:p@h/ x\n", "ro ds=nocloud;s=http://h/ x\n"),
        ] {
            assert_eq!(edited(Finder::CommandLine, old, &["*.password"]), new);
        }
    }

    #[test]
    fn an_option_goes_with_its_comma() {
        for (old, new) in [
            ("//s/x /m cifs user=a,password=p1,ro 0 0\n", "//s/x /m cifs user=a,ro 0 0\n"),
            ("//s/x /m cifs password=p1,ro 0 0\n", "//s/x /m cifs ro 0 0\n"),
            ("//s/x /m cifs pass=p1 0 0\n", "//s/x /m cifs defaults 0 0\n"),
            ("m -fstype=cifs,password=p1 ://s/x\n", "m -fstype=cifs ://s/x\n"),
            ("[Mount]\nOptions=password=p1,ro\n", "[Mount]\nOptions=ro\n"),
            ("#//s/x /m cifs ro,pass=hunter2 0 0\n", "#//s/x /m cifs ro 0 0\n"),
        ] {
            assert_eq!(edited(Finder::MountOptions, old, &["password", "pass"]), new);
        }
    }

    proptest! {
        #[test]
        fn other_words_survive_and_twice_is_once(
            words in proptest::collection::vec(
                prop_oneof!["[a-z]{1,3}(=[a-z0-9]{0,4})?", "pass=[a-z0-9]{1,4}"], 0..8,
            ),
            comma: bool,
        ) {
            let find: Finder = if comma { Finder::MountOptions } else { Finder::CommandLine };
            let old = words.join(if comma { "," } else { " " });
            let new = edited(find, &old, &["pass"]);
            prop_assert_eq!(edited(find, &new, &["pass"]), new.clone());
            for word in words.iter().filter(|w| !w.starts_with("pass=")) {
                prop_assert!(new.contains(word.as_str()), "{word} left {old}");
            }
        }
    }
}
