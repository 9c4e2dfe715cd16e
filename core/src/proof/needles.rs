//! What is searched for: pieces of secrets that stand nowhere else by chance.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::telling::{SHORTEST, pieces};

/// Pieces with all their forms that are kept for all secrets together; of later secrets the first
/// piece alone. Some 50 MB of memory with the index.
const ALL: usize = 200_000;

/// Whether a secret can be proven gone by a search for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provable {
    /// It is searched for.
    Yes,
    /// It has fewer than 16 bytes: finding them would say nothing.
    TooShort,
    /// It is too regular (below 3.5 bits a byte): other text would be taken for it.
    TooRegular,
}

/// The form in which a piece may stand on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As it was.
    Plain,
    /// As UTF-16, little-endian.
    Utf16,
    /// Inside base64 text, at any of the three offsets.
    Base64,
}

/// Bytes to find.
pub(super) struct Pattern {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) secret: u32,
    pub(super) form: Form,
}

/// How much of one secret was seen, and whether a piece of it was kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts {
    length: usize,
    kept: bool,
}

/// Telling pieces of secrets. They never leave this memory, which is overwritten when dropped.
#[derive(Default)]
pub struct Needles {
    patterns: Vec<Pattern>,
    provable: u32,
    not_provable: u32,
}

impl Needles {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps pieces of a secret. `number` is the caller's and comes back with each hit.
    ///
    /// A file that is longer than a block gives a piece for every 2 KiB, 64 at most. Pieces come
    /// from the inside, because the first bytes of keys are alike.
    pub fn add(&mut self, number: u32, secret: &[u8]) -> Provable {
        let mut tally = Parts::default();
        self.add_part(number, secret, &mut tally);
        self.count(tally)
    }

    /// Keeps pieces of one part of a secret. [`Needles::count`] ends it.
    pub(crate) fn add_part(&mut self, number: u32, part: &[u8], tally: &mut Parts) {
        tally.length = tally.length.saturating_add(part.len());
        let full = self.patterns.len() >= ALL;
        for piece in pieces(part) {
            if !full {
                self.keep(number, piece);
            } else if !tally.kept {
                self.push(number, Form::Plain, Zeroizing::new(piece.to_vec()));
            }
            tally.kept = true;
        }
    }

    /// Counts the secret whose parts were added.
    pub(crate) fn count(&mut self, tally: Parts) -> Provable {
        let verdict = match tally {
            Parts { kept: true, .. } => Provable::Yes,
            Parts { length, .. } if length < SHORTEST => Provable::TooShort,
            Parts { .. } => Provable::TooRegular,
        };
        match verdict {
            Provable::Yes => self.provable += 1,
            _ => self.not_provable += 1,
        }
        verdict
    }

    /// Secrets that are searched for.
    pub fn provable(&self) -> u32 {
        self.provable
    }

    /// Secrets that are too short or too regular to be searched for.
    pub fn not_provable(&self) -> u32 {
        self.not_provable
    }

    /// True when there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    fn keep(&mut self, secret: u32, piece: &[u8]) {
        self.push(secret, Form::Plain, Zeroizing::new(piece.to_vec()));
        if piece.is_ascii() && !piece.contains(&0) {
            let mut wide = Zeroizing::new(Vec::with_capacity(piece.len() * 2));
            piece.iter().for_each(|byte| wide.extend_from_slice(&[*byte, 0]));
            self.push(secret, Form::Utf16, wide);
        }
        for offset in 0..3 {
            self.push(secret, Form::Base64, base64_inside(piece, offset));
        }
    }

    fn push(&mut self, secret: u32, form: Form, bytes: Zeroizing<Vec<u8>>) {
        self.patterns.push(Pattern { bytes, secret, form });
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({} secrets)", self.provable)
    }
}

/// The characters of base64 text that depend on `piece` alone when it begins `offset` bytes behind
/// a multiple of three.
fn base64_inside(piece: &[u8], offset: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(piece);
    let text = Zeroizing::new(STANDARD_NO_PAD.encode(padded.as_slice()).into_bytes());
    let first = (offset * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    Zeroizing::new(text.get(first..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_and_regular_secrets_are_counted_apart() {
        let mut needles = Needles::new();
        assert_eq!(needles.add(0, b"hunter2"), Provable::TooShort);
        assert_eq!(needles.add(1, b"aaaaaaaabbbbbbbbcccc"), Provable::TooRegular);
        assert_eq!(needles.add(2, b"wJalrXUtnFEMIK7MDENGbPxRfiCY"), Provable::Yes);
        assert_eq!((needles.provable(), needles.not_provable()), (1, 2));
        assert!(!format!("{needles:?}").contains("wJal"));
    }

    #[test]
    fn when_there_are_very_many_each_secret_still_has_a_piece() {
        let mut needles = Needles::new();
        needles.patterns = (0..ALL)
            .map(|_| Pattern { bytes: Zeroizing::default(), secret: 0, form: Form::Plain })
            .collect();
        let file: Vec<u8> =
            (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(needles.add(7, &file), Provable::Yes);
        assert_eq!(needles.patterns.len(), ALL + 1);
    }

    proptest! {
        #[test]
        fn base64_of_anything_around_holds_one_of_the_three(
            before in proptest::collection::vec(any::<u8>(), 0..9),
            piece in proptest::collection::vec(any::<u8>(), 16..48),
            after in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let text = STANDARD_NO_PAD.encode([before.as_slice(), &piece, &after].concat());
            let wanted = base64_inside(&piece, before.len() % 3);
            prop_assert!(wanted.len() >= 16);
            prop_assert!(text.as_bytes().windows(wanted.len()).any(|w| w == wanted.as_slice()));
        }
    }
}
