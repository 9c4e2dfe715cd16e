//! One search for the anchors of all rules. Every second pair of bytes of the text is looked up in a
//! table; only where it is one by which an anchor is known, the anchors themselves are compared.

use std::collections::BTreeMap;
use std::ops::Range;

/// Pairs of bytes.
const PAIRS: usize = 1 << 16;
/// So much of a text is looked through before its hits are put in order, in bytes; even.
const BLOCK: usize = 16 << 10;

/// Where a rule may say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    start: usize,
    anchor: usize,
}

#[derive(Debug)]
struct Anchor {
    bytes: Vec<u8>,
    any_case: bool,
    /// Indexes of the rules that have it.
    rules: Vec<usize>,
}

/// Anchors, and the pairs by which they are known.
#[derive(Debug)]
pub(super) struct Anchors {
    anchors: Vec<Anchor>,
    longest: usize,
    /// 1 for each pair that has a list.
    marks: Box<[u8; PAIRS]>,
    /// The number of the list of a pair; that of other pairs is 0, and empty.
    numbers: Box<[u16; PAIRS]>,
    /// Anchors, and how far behind their beginning the pair stands.
    lists: Vec<Vec<(usize, usize)>>,
}

impl Anchors {
    /// The anchors of at least 3 bytes of rules, each with whether its letters may be of any case,
    /// and the rule's index.
    pub(super) fn new<'a>(of: impl IntoIterator<Item = (&'a str, bool, usize)>) -> Self {
        let mut rules: BTreeMap<(Vec<u8>, bool), Vec<usize>> = BTreeMap::new();
        for (text, any_case, rule) in of {
            let text = if any_case { text.to_ascii_lowercase() } else { text.to_owned() };
            rules.entry((text.into_bytes(), any_case)).or_default().push(rule);
        }
        let of = rules.into_iter();
        let anchors = of.map(|((bytes, any_case), rules)| Anchor { bytes, any_case, rules });
        let mut all = Self {
            anchors: anchors.collect(),
            longest: 0,
            marks: Box::new([0; PAIRS]),
            numbers: Box::new([0; PAIRS]),
            lists: vec![Vec::new()],
        };
        all.longest = all.anchors.iter().map(|a| a.bytes.len()).max().unwrap_or_default();
        for index in 0..all.anchors.len() {
            // One of the two stands at an even place, wherever the anchor begins.
            all.know(index, 0);
            all.know(index, 1);
        }
        all
    }

    /// Makes the anchor known by its rarest pair at an even or odd distance from its beginning.
    fn know(&mut self, index: usize, parity: usize) {
        let Some(anchor) = self.anchors.get(index) else { return };
        let pairs = anchor.bytes.windows(2).enumerate().skip(parity).step_by(2);
        let rarest =
            pairs.min_by_key(|(_, pair)| pair.iter().map(|b| commonness(*b)).product::<u32>());
        let Some((distance, &[first, second])) = rarest else { return };
        let forms = |byte: u8| match anchor.any_case && byte.is_ascii_alphabetic() {
            true => vec![byte, byte.to_ascii_uppercase()],
            false => vec![byte],
        };
        for pair in
            forms(first).into_iter().flat_map(|a| forms(second).into_iter().map(move |b| [a, b]))
        {
            let pair = usize::from(u16::from_le_bytes(pair));
            let (Some(mark), Some(number)) = (self.marks.get_mut(pair), self.numbers.get_mut(pair))
            else {
                continue;
            };
            if *number == 0 {
                *mark = 1;
                *number = u16::try_from(self.lists.len()).unwrap_or_default();
                self.lists.push(Vec::new());
            }
            if let Some(list) = self.lists.get_mut(usize::from(*number)) {
                list.push((index, distance));
            }
        }
    }

    /// Calls `take` for each anchor in `text` that begins in `within`, with its place and the rules
    /// that have it, by place.
    pub(super) fn each(
        &self,
        text: &[u8],
        within: Range<usize>,
        mut take: impl FnMut(usize, &[usize]),
    ) {
        let end = within.end.saturating_add(self.longest).min(text.len());
        let mut hits: Vec<Hit> = Vec::new();
        let mut from = within.start & !1;
        while from < end {
            let until = (from + BLOCK).min(end);
            self.compare(text, from..until, &mut hits);
            hits.sort_unstable();
            // A later pair may belong to an anchor that began a little before it.
            let settled =
                if until == end { usize::MAX } else { until.saturating_sub(self.longest) };
            let ready = hits.partition_point(|hit| hit.start < settled);
            for hit in hits.drain(..ready).filter(|hit| within.contains(&hit.start)) {
                take(hit.start, self.anchors.get(hit.anchor).map_or(&[], |anchor| &anchor.rules));
            }
            from = until;
        }
    }

    /// Adds the anchors that are known by a pair at an even place in `range`, which begins at one.
    fn compare(&self, text: &[u8], range: Range<usize>, hits: &mut Vec<Hit>) {
        let mark = |pair: [u8; 2]| {
            self.marks.get(usize::from(u16::from_le_bytes(pair))).copied().unwrap_or_default()
        };
        let mut at = range.start;
        let pieces = text.get(range).unwrap_or_default().chunks_exact(8);
        let rest = pieces.remainder();
        for piece in pieces {
            if let &[a, b, c, d, e, f, g, h] = piece {
                let marks = [mark([a, b]), mark([c, d]), mark([e, f]), mark([g, h])];
                if marks != [0; 4] {
                    for (marked, at) in marks.into_iter().zip((at..).step_by(2)) {
                        if marked != 0 {
                            self.known(text, at, hits);
                        }
                    }
                }
            }
            at += 8;
        }
        for at in (at..).step_by(2).take(rest.len() / 2) {
            self.known(text, at, hits);
        }
    }

    /// Adds the anchors that are known by the pair at `at`.
    fn known(&self, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
        let Some(pair) = text.get(at..).and_then(<[u8]>::first_chunk) else { return };
        let number = self.numbers.get(usize::from(u16::from_le_bytes(*pair)));
        let list = number.and_then(|number| self.lists.get(usize::from(*number)));
        for (index, distance) in list.into_iter().flatten() {
            let Some(anchor) = self.anchors.get(*index) else { continue };
            let start = at.checked_sub(*distance);
            let Some((start, there)) =
                start.and_then(|s| Some((s, text.get(s..s + anchor.bytes.len())?)))
            else {
                continue;
            };
            let same = match anchor.any_case {
                true => there.eq_ignore_ascii_case(&anchor.bytes),
                false => there == anchor.bytes,
            };
            if same {
                hits.push(Hit { start, anchor: *index });
            }
        }
    }
}

/// How often a byte stands in programs and texts, roughly and relatively.
fn commonness(byte: u8) -> u32 {
    match byte {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' | b'_' => 12,
        b' ' => 15,
        b'a'..=b'z' => 7,
        b'0'..=b'9' => 4,
        b'A'..=b'Z' => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(anchors: &[(&str, bool)], text: &[u8], within: Range<usize>) -> Vec<(usize, usize)> {
        let numbered = anchors.iter().enumerate().map(|(rule, (text, any))| (*text, *any, rule));
        let mut found = Vec::new();
        Anchors::new(numbered).each(text, within, |start, rules| {
            found.extend(rules.iter().map(|rule| (start, *rule)));
        });
        assert!(found.is_sorted_by_key(|(start, _)| *start));
        found.sort_unstable();
        found
    }

    /// The same by looking everywhere.
    fn everywhere(
        anchors: &[(&str, bool)],
        text: &[u8],
        within: Range<usize>,
    ) -> Vec<(usize, usize)> {
        let is_at = |start: usize, (anchor, any): (&str, bool)| {
            let there = text.get(start..start + anchor.len());
            there.is_some_and(|t| {
                t == anchor.as_bytes() || any && t.eq_ignore_ascii_case(anchor.as_bytes())
            })
        };
        let starts = within.start..within.end.min(text.len());
        starts
            .flat_map(|start| (0..anchors.len()).map(move |rule| (start, rule)))
            .filter(|(start, rule)| anchors.get(*rule).is_some_and(|anchor| is_at(*start, *anchor)))
            .collect()
    }

    const SOME: &[(&str, bool)] = &[
        ("aba", false),
        ("abab", false),
        ("bab", true),
        ("Aab", true),
        ("b-a-b-a", false),
        ("a\u{e9}b", true),
    ];

    #[test]
    fn an_anchor_is_found_wherever_blocks_end() {
        for at in [0, 1, BLOCK - 7, BLOCK - 6, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 3] {
            let mut text = vec![b'.'; at];
            text.extend(b"b-a-b-a");
            for after in 0..3 {
                let all = 0..text.len();
                assert_eq!(found(SOME, &text, all), [(at, 4)], "{at} {after}");
                text.push(b'.');
            }
        }
    }

    #[test]
    fn only_what_begins_within_counts() {
        let text = b"aba.aba.aba";
        assert_eq!(found(SOME, text, 1..8), [(4, 0)]);
        assert_eq!(found(SOME, text, 4..5), [(4, 0)]);
        assert_eq!(found(SOME, text, 5..5), []);
        assert_eq!(found(&[], text, 0..11), []);
    }

    proptest! {
        #[test]
        fn nothing_is_missed(
            text in proptest::collection::vec(prop::sample::select(b"abAB-\xc3\xa9.".to_vec()), 0..300),
            from in 0usize..40,
            length in 0usize..300,
        ) {
            let within = from..from + length;
            prop_assert_eq!(found(SOME, &text, within.clone()), everywhere(SOME, &text, within));
        }
    }
}
