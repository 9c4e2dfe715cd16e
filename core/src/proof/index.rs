//! Finds many patterns at once, at a speed that hardly depends on their number.
//!
//! Every pattern has at least 16 bytes. So of nine neighbouring positions at least one that is a
//! multiple of nine begins eight bytes (a gram) that lie wholly within the first sixteen bytes of
//! any occurrence. Only those positions are looked at: one multiplication and two bits of a table
//! that holds all grams of all patterns; the rest happens where both are set. An automaton over
//! 50,000 patterns reads every byte and falls out of the cache, which is why there is none here.

use zeroize::Zeroizing;

use super::needles::Pattern;
use super::telling::SHORTEST;
use crate::erase::device::is_zero;

/// Bytes of a gram.
const GRAM: usize = 8;
/// Distance of the positions that are looked at.
const STRIDE: usize = SHORTEST - GRAM + 1;
/// Positions that are looked at in one go: those of about 4 KiB, the grain of empty space.
const GO: usize = 455;
/// Bytes that the grams of one go cover.
const COVERED: usize = (GO - 1) * STRIDE + GRAM;

/// A searchable form of patterns.
pub(super) struct Index<'a> {
    patterns: &'a [Pattern],
    /// Asked for every gram of the text.
    filter: Filter,
    /// Asked where the filter says yes.
    grams: Grams,
    /// No gram of any pattern is zero: empty space needs no look.
    skips_zeros: bool,
    longest: usize,
}

/// Two bits for each gram of the patterns, in the one word that its hash says: one look at memory
/// answers for both.
struct Filter {
    words: Zeroizing<Vec<u64>>,
    shift: u32,
}

impl Filter {
    fn new(grams: &[(u64, u32, u32)]) -> Self {
        // Sixteen bits a gram as long as that is half a MiB at most, which fits into the second
        // level of every cache.
        let bits = (grams.len().max(1) * 16).next_power_of_two().clamp(1 << 12, 1 << 22);
        let shift = 64 - (bits / 64).trailing_zeros();
        let mut filter = Self { words: Zeroizing::new(vec![0; bits / 64]), shift };
        for (gram, _, _) in grams {
            let (word, both) = filter.slot(*gram);
            if let Some(word) = filter.words.get_mut(word) {
                *word |= both;
            }
        }
        filter
    }

    /// False for what is no gram of any pattern, but for a few in a hundred.
    #[inline(always)]
    fn may_have(&self, gram: u64) -> bool {
        let (word, both) = self.slot(gram);
        self.words.get(word).is_some_and(|word| word & both == both)
    }

    /// The word and the bits of a gram.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a table has 16 bits of words at most")]
    fn slot(&self, gram: u64) -> (usize, u64) {
        let hash = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = |at: u32| 1u64.wrapping_shl(hash.wrapping_shr(at) as u32);
        (hash.wrapping_shr(self.shift) as usize, bit(30) | bit(38))
    }
}

/// All grams with where they stand, found by their hash.
struct Grams {
    /// Hash of the gram, pattern, offset of the gram in the pattern; sorted. The hash loses
    /// nothing: no two grams have the same.
    sorted: Zeroizing<Vec<(u64, u32, u32)>>,
    /// Where in `sorted` each value of the hash's first bits begins, and the end.
    begins: Vec<u32>,
    shift: u32,
}

impl Grams {
    fn new(mut grams: Zeroizing<Vec<(u64, u32, u32)>>) -> Self {
        for (gram, _, _) in grams.iter_mut() {
            *gram = Self::hash(*gram);
        }
        grams.sort_unstable();
        let slots = grams.len().next_power_of_two().clamp(1 << 8, 1 << 24);
        let shift = 64 - slots.trailing_zeros();
        let mut begins = Vec::with_capacity(slots + 1);
        for (at, (hash, _, _)) in (0u32..).zip(grams.iter()) {
            let slot = usize::try_from(hash.wrapping_shr(shift)).unwrap_or(slots);
            begins.resize((slot + 1).max(begins.len()), at);
        }
        begins.resize(slots + 1, u32::try_from(grams.len()).unwrap_or(u32::MAX));
        Self { sorted: grams, begins, shift }
    }

    /// Pattern and offset of each place where `gram` stands.
    fn of(&self, gram: u64) -> impl Iterator<Item = (usize, usize)> {
        let hash = Self::hash(gram);
        let slot = usize::try_from(hash.wrapping_shr(self.shift)).unwrap_or(usize::MAX);
        let begin = |slot: usize| self.begins.get(slot).and_then(|at| usize::try_from(*at).ok());
        let (from, to) = (begin(slot), begin(slot.saturating_add(1)));
        let here = self.sorted.get(from.unwrap_or(0)..to.unwrap_or(0)).unwrap_or_default();
        here.iter().filter(move |entry| entry.0 == hash).filter_map(|(_, pattern, offset)| {
            Some((usize::try_from(*pattern).ok()?, usize::try_from(*offset).ok()?))
        })
    }

    /// Multiplying by an odd number can be undone.
    fn hash(gram: u64) -> u64 {
        gram.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
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
        let longest = patterns.iter().map(|p| p.bytes.len()).max().unwrap_or(0);
        let skips_zeros = grams.iter().all(|(gram, _, _)| *gram != 0);
        let filter = Filter::new(&grams);
        Self { patterns, filter, grams: Grams::new(grams), skips_zeros, longest }
    }

    /// Bytes of the longest pattern.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Calls `hit` with the position of every occurrence that lies wholly in `text`.
    pub(super) fn find(&self, text: &[u8], hit: &mut dyn FnMut(usize, &'a Pattern)) {
        let mut at = 0;
        // Of a length that the compiler knows: no bound is checked in it.
        while let Some(part) = text.get(at..).and_then(<[u8]>::first_chunk::<COVERED>) {
            if !(self.skips_zeros && is_zero(part)) {
                self.look(text, at, part, hit);
            }
            at += GO * STRIDE;
        }
        self.look(text, at, text.get(at..).unwrap_or_default(), hit);
    }

    /// Looks at the positions of `part`, which begins at `start` of `text`.
    #[inline(always)]
    fn look(
        &self,
        text: &[u8],
        start: usize,
        part: &[u8],
        hit: &mut dyn FnMut(usize, &'a Pattern),
    ) {
        let mut at = 0usize;
        while let Some(gram) = part.get(at..).and_then(<[u8]>::first_chunk) {
            let gram = u64::from_le_bytes(*gram);
            if self.filter.may_have(gram) {
                self.check(text, start.wrapping_add(at), gram, hit);
            }
            at = at.wrapping_add(STRIDE);
        }
    }

    /// Compares all patterns that have `gram` with the text around `at`.
    #[cold]
    fn check(&self, text: &[u8], at: usize, gram: u64, hit: &mut dyn FnMut(usize, &'a Pattern)) {
        for (pattern, offset) in self.grams.of(gram) {
            let (Some(start), Some(pattern)) = (at.checked_sub(offset), self.patterns.get(pattern))
            else {
                continue;
            };
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

    proptest! {
        #[test]
        fn finds_what_lies_between_empty_space(
            length in 4000usize..20_000,
            places in proptest::collection::vec((0usize..20_000, 0usize..3), 0..12),
            empty in any::<bool>(),
        ) {
            // The third one holds a gram of zeros: then no block may be passed over.
            let mut patterns = vec![pattern(0, (1..17).collect()), pattern(1, (40..72).collect())];
            if empty {
                patterns.push(pattern(2, [&[7; 4][..], &[0; 12], &[9; 4]].concat()));
            }
            let mut text = vec![0; length];
            for (at, which) in places {
                let Some(pattern) = patterns.get(which) else { continue };
                if let Some(there) = text.get_mut(at..at + pattern.bytes.len()) {
                    there.copy_from_slice(&pattern.bytes);
                }
            }
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
