//! Spans of a file that go, whatever its format: the parsers of settings and the scan of contents
//! say where a secret stands, and everything around it stays byte for byte.

use std::ops::Range;

use serde::Serialize;
use zeroize::Zeroizing;

use super::Edit;
use crate::path::escape;
use crate::{Error, Result};

/// Names of settings are short; what is longer may be anything.
const LONGEST_NAME: usize = 60;

/// A span that goes, and what stands there afterwards. Offsets are those of the file that was
/// discovered; it is only edited while it is that file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cut {
    /// The first byte that goes.
    pub from: usize,
    /// The first byte behind it that stays.
    pub to: usize,
    /// The part of the span that is the secret, which the raw disk is searched for.
    #[serde(skip)]
    pub secret: (usize, usize),
    /// The number of the first line, from 1; 0 until the finder has counted.
    pub line: usize,
    /// The name of the setting or the kind of the secret; never the secret.
    pub what: String,
    /// What is put in its place, most often nothing.
    pub put: String,
}

impl Cut {
    /// A span that is a secret from end to end.
    pub fn new(span: Range<usize>, what: &[u8]) -> Self {
        let secret = span.clone();
        Self::around(span, secret, what)
    }

    /// A span that goes together with the secret in it: the line of a setting, for instance.
    pub fn around(span: Range<usize>, secret: Range<usize>, what: &[u8]) -> Self {
        Self {
            from: span.start,
            to: span.end,
            secret: (secret.start, secret.end),
            line: 0,
            what: name(what),
            put: String::new(),
        }
    }

    /// The same cut, with `put` in its place.
    #[must_use]
    pub fn put(mut self, put: &str) -> Self {
        put.clone_into(&mut self.put);
        self
    }
}

/// Gives `cuts` of `text` the numbers of their lines. In one pass: a file may consist of secrets.
pub(super) fn number(text: &[u8], cuts: &mut [Cut]) {
    let mut cuts: Vec<&mut Cut> = cuts.iter_mut().collect();
    cuts.sort_by_key(|cut| cut.from);
    let (mut at, mut line) = (0, 1);
    for cut in cuts {
        let between = text.get(at..cut.from).unwrap_or_default();
        line += between.iter().filter(|b| **b == b'\n').count();
        (at, cut.line) = (cut.from, line);
    }
}

/// A name as it may be shown.
fn name(what: &[u8]) -> String {
    let shown = escape(what);
    match shown.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", shown.get(..end).unwrap_or_default()),
        None => shown.into_owned(),
    }
}

/// The cuts among `edits`, from the first to the last.
fn cuts(edits: &[Edit]) -> Vec<&Cut> {
    let mut cuts: Vec<&Cut> = edits
        .iter()
        .filter_map(|e| if let Edit::Cut(cut) = e { Some(cut) } else { None })
        .collect();
    // Of two that begin together the longer one decides what is put there.
    cuts.sort_by_key(|cut| (cut.from, std::cmp::Reverse(cut.to)));
    cuts
}

/// The text without the spans. Two rules may see one secret: spans that overlap are one.
pub(super) fn run(text: &[u8], edits: &[Edit]) -> Result<Zeroizing<Vec<u8>>> {
    let added: usize = cuts(edits).iter().map(|cut| cut.put.len()).sum();
    // Room for all of it at once: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + added));
    let mut done = 0;
    for cut in cuts(edits) {
        if cut.from > cut.to || cut.to > text.len() {
            return Err(Error::failed("edit", format!("line {}", cut.line))
                .remedy("the file is not the one that was planned for; run again"));
        }
        if cut.from >= done {
            out.extend_from_slice(text.get(done..cut.from).unwrap_or_default());
            out.extend_from_slice(cut.put.as_bytes());
        }
        done = done.max(cut.to);
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Ok(out)
}

/// The secrets in the spans.
pub(super) fn removed<'a>(text: &'a [u8], edits: &[Edit]) -> Vec<&'a [u8]> {
    let secret = |cut: &Cut| text.get(cut.secret.0..cut.secret.1);
    cuts(edits).into_iter().filter_map(secret).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(span: Range<usize>) -> Edit {
        Edit::Cut(Cut::new(span, b"x"))
    }

    #[test]
    fn spans_go_and_the_rest_stays() {
        let text = b"a=1\npassword=secret\nb=2\n";
        let value = Cut::around(13..19, 13..19, b"password").put("''");
        assert_eq!(value.what, "password");
        let edits = [Edit::Cut(value), cut(0..4)];
        assert_eq!(&**run(text, &edits).unwrap(), b"password=''\nb=2\n");
        assert_eq!(removed(text, &edits), [&b"a=1\n"[..], b"secret"]);
    }

    #[test]
    fn a_span_behind_the_end_is_another_file() {
        assert!(run(b"abc", &[cut(2..5)]).is_err());
    }

    #[test]
    fn names_are_shown_without_control_characters_and_not_without_end() {
        let cut = Cut::new(0..0, &[b'\n'; 100]);
        assert!(!cut.what.contains('\n') && cut.what.chars().count() < 70);
    }

    #[test]
    fn cuts_know_their_lines_in_any_order() {
        let spans = [8..9, 0..3, 4..4, 5..9, 0..9];
        let mut cuts = spans.map(|span| Cut::new(span, b"x"));
        number(b"a\nb\n\nc\nd", &mut cuts);
        assert_eq!(cuts.map(|cut| cut.line), [5, 1, 3, 4, 1]);
    }

    proptest! {
        #[test]
        fn what_no_span_covers_stays_in_order(
            text in proptest::collection::vec(any::<u8>(), 0..64),
            spans in proptest::collection::vec((0usize..64, 0usize..16), 0..6),
        ) {
            let spans: Vec<Range<usize>> = spans
                .into_iter()
                .map(|(from, len)| from.min(text.len())..(from + len).min(text.len()))
                .collect();
            let edits: Vec<Edit> = spans.iter().map(|s| cut(s.clone())).collect();
            let stays = |i: &usize| !spans.iter().any(|s| s.contains(i));
            let expected: Vec<u8> = (0..text.len()).filter(stays).map(|i| text[i]).collect();
            prop_assert_eq!(run(&text, &edits).unwrap().to_vec(), expected);
        }
    }
}
