//! Finds many patterns at once, at a speed that does not depend on their number.
//!
//! Every pattern has at least 16 bytes. So of nine neighbouring positions at least one that is a
//! multiple of nine begins eight bytes (a gram) that lie wholly within the first sixteen bytes of
//! any occurrence. Only those positions are looked at: one multiplication and one bit of a table
//! that holds all grams of all patterns; the rest happens where the bit is set. An automaton over
//! 50,000 patterns reads every byte and falls out of the cache, which is why there is none here.

use zeroize::Zeroizing;

use super::needles::Pattern;

/// Bytes of a gram.
const GRAM: usize = 8;
/// The shortest pattern.
const SHORTEST: usize = 16;
/// Distance of the positions that are looked at.
const STRIDE: usize = SHORTEST - GRAM + 1;

/// A searchable form of patterns.
pub(super) struct Index<'a> {
    patterns: &'a [Pattern],
    /// Sorted: gram, pattern, offset of the gram in the pattern.
    grams: Zeroizing<Vec<(u64, u32, u32)>>,
    /// Asked for every gram of the text.
    first: Filter,
    /// Asked where the first one says yes: with thousands of patterns that is every tenth gram, and
    /// each look at the sorted ones costs as much as a hundred of these.
    second: Filter,
    longest: usize,
}

/// One bit for each gram of the patterns, at the place that its hash says.
struct Filter {
    bits: Zeroizing<Vec<u64>>,
    shift: u32,
    factor: u64,
}

impl Filter {
    fn new(grams: &[(u64, u32, u32)], size: usize, factor: u64) -> Self {
        let mut filter = Self {
            bits: Zeroizing::new(vec![0; size / 64]),
            shift: 64 - size.trailing_zeros(),
            factor,
        };
        for (gram, _, _) in grams {
            let (word, bit) = filter.slot(*gram);
            if let Some(word) = filter.bits.get_mut(word) {
                *word |= bit;
            }
        }
        filter
    }

    /// False for what is no gram of any pattern, but for a few.
    #[inline(always)]
    fn may_have(&self, gram: u64) -> bool {
        let (word, bit) = self.slot(gram);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The word and the bit of a gram.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a table of 16 Mibit has 18 bits of words")]
    fn slot(&self, gram: u64) -> (usize, u64) {
        let hash = gram.wrapping_mul(self.factor).wrapping_shr(self.shift);
        ((hash >> 6) as usize, 1u64.wrapping_shl(hash as u32))
    }
}

impl<'a> Index<'a> {
    pub(super) fn new(patterns: &'a [Pattern]) -> Self {
        let usable = patterns.iter().zip(0u32..).filter(|(p, _)| p.bytes.len() >= SHORTEST);
        let mut grams = Zeroizing::new(Vec::with_capacity(patterns.len() * STRIDE));
        for (pattern, number) in usable {
            for (gram, offset) in pattern.bytes.windows(GRAM).take(STRIDE).zip(0u32..) {
                grams.extend(gram.first_chunk().map(|g| (u64::from_le_bytes(*g), number, offset)));
            }
        }
        grams.sort_unstable();
        // Sixteen bits a gram: one look in sixteen at most is in vain. Half a MiB at most fits
        // into the second level of every cache.
        let wanted = (grams.len().max(1) * 16).next_power_of_two();
        let first = Filter::new(&grams, wanted.clamp(1 << 12, 1 << 22), 0x9e37_79b9_7f4a_7c15);
        let second = Filter::new(&grams, wanted.clamp(1 << 12, 1 << 24), 0xc2b2_ae3d_27d4_eb4f);
        let longest = patterns.iter().map(|p| p.bytes.len()).max().unwrap_or(0);
        Self { patterns, grams, first, second, longest }
    }

    /// Bytes of the longest pattern.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Calls `hit` with the position of every occurrence that lies wholly in `text`.
    pub(super) fn find(&self, text: &[u8], hit: &mut dyn FnMut(usize, &Pattern)) {
        // Few and small steps, because release builds are made for size.
        let mut rest = text;
        let mut at = 0usize;
        while let Some(gram) = rest.first_chunk() {
            let gram = u64::from_le_bytes(*gram);
            if self.first.may_have(gram) && self.second.may_have(gram) {
                self.check(text, at, gram, hit);
            }
            let Some(next) = rest.get(STRIDE..) else { break };
            rest = next;
            at = at.wrapping_add(STRIDE);
        }
    }

    /// Compares all patterns that have `gram` with the text around `at`.
    #[cold]
    fn check(&self, text: &[u8], at: usize, gram: u64, hit: &mut dyn FnMut(usize, &Pattern)) {
        let first = self.grams.partition_point(|entry| entry.0 < gram);
        let same = self.grams.iter().skip(first).take_while(|entry| entry.0 == gram);
        for (_, pattern, offset) in same {
            let start = usize::try_from(*offset).ok().and_then(|offset| at.checked_sub(offset));
            let pattern = usize::try_from(*pattern).ok().and_then(|p| self.patterns.get(p));
            let (Some(start), Some(pattern)) = (start, pattern) else { continue };
            if text.get(start..start + pattern.bytes.len()) == Some(pattern.bytes.as_slice()) {
                hit(start, pattern);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Form;
    use proptest::prelude::*;

    fn pattern(secret: u32, bytes: Vec<u8>) -> Pattern {
        Pattern { bytes: Zeroizing::new(bytes), secret, form: Form::Plain }
    }

    fn naive(text: &[u8], patterns: &[Pattern]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for pattern in patterns {
            for (at, window) in text.windows(pattern.bytes.len()).enumerate() {
                if window == pattern.bytes.as_slice() {
                    found.push((at, pattern.secret));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn indexed(text: &[u8], patterns: &[Pattern]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        Index::new(patterns).find(text, &mut |at, p| found.push((at, p.secret)));
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            text in proptest::collection::vec(0u8..2, 16..400),
            cuts in proptest::collection::vec((0usize..380, 16usize..40), 0..8),
            strange in proptest::collection::vec(proptest::collection::vec(0u8..2, 16..24), 0..4),
        ) {
            // Two letters only: grams repeat and occurrences overlap.
            let inside = cuts.iter().filter_map(|(at, length)| text.get(*at..at + length));
            let all = inside.map(<[u8]>::to_vec).chain(strange);
            let patterns: Vec<Pattern> = all.zip(0..).map(|(bytes, i)| pattern(i, bytes)).collect();
            prop_assert_eq!(indexed(&text, &patterns), naive(&text, &patterns));
        }
    }

    #[test]
    fn finds_at_both_ends_and_every_phase() {
        let needle: Vec<u8> = (100..116).collect();
        for length in 16..64 {
            for at in 0..=length - 16 {
                let mut text = vec![0; length];
                text[at..at + 16].copy_from_slice(&needle);
                assert_eq!(indexed(&text, &[pattern(3, needle.clone())]), [(at, 3)]);
            }
        }
    }
}
