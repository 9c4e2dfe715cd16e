//! What is searched for: pieces of secrets that stand nowhere else by chance.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The shortest secret that is searched for, in bytes.
const SHORTEST: usize = 16;
/// The longest piece that is kept of a secret, in bytes.
const PIECE: usize = 32;
/// Up to this length a secret is kept whole.
const WHOLE: usize = 48;
/// Longer ones give a piece for each half of a block, because blocks survive one by one.
const SPACING: usize = 2048;
/// Pieces of one secret at most.
const MOST: usize = 64;
/// Pieces with all their forms that are kept for all secrets together; of later secrets the first
/// piece alone. Some 50 MB of memory with the index.
const ALL: usize = 200_000;
/// Bits per byte below which a piece is too regular to be telling.
const ENTROPY: f64 = 3.5;

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

/// The pieces of a secret that are telling: its lines where it is a text, because a line is what
/// is copied, else pieces from the inside in equal distances.
fn pieces(secret: &[u8]) -> Vec<&[u8]> {
    let lines = lines(secret);
    if !lines.is_empty() {
        return lines;
    }
    let secret = secret.trim_ascii_end();
    if secret.len() <= WHOLE {
        return Some(secret).filter(|piece| is_telling(piece)).into_iter().collect();
    }
    let count = (secret.len() / SPACING + 1).min(MOST);
    let stride = secret.len() / count;
    let parts = secret.chunks(stride.max(PIECE)).take(count);
    parts.filter_map(telling_piece).collect()
}

/// Telling lines of a text, or a piece of each long one; none for what is no text, a key, or one
/// long line. Comments stand in other files too.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let armour = b"-----BEGIN";
    let is_text =
        text.iter().all(|b| *b >= b' ' && *b != 0x7f || matches!(b, b'\n' | b'\r' | b'\t'));
    if !is_text || text.windows(armour.len()).any(|window| window == armour) {
        return Vec::new();
    }
    let comment = |line: &&[u8]| [b"#".as_slice(), b";", b"//"].iter().any(|c| line.starts_with(c));
    let found: Vec<&[u8]> = text
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !comment(line))
        .filter_map(|line| if line.len() <= WHOLE { Some(line) } else { telling_piece(line) })
        .filter(|line| is_telling(line))
        .collect();
    let step = found.len().div_ceil(MOST).max(1);
    found.into_iter().step_by(step).collect()
}

/// A piece from the middle of `part`, or the next one outwards that is telling; within one line
/// where there is one.
fn telling_piece(part: &[u8]) -> Option<&[u8]> {
    let middle = part.len().saturating_sub(PIECE) / 2;
    let places = || {
        let after = (middle..=part.len().saturating_sub(PIECE)).step_by(8);
        after.chain((0..middle).rev().step_by(8))
    };
    let at = |start: usize| part.get(start..start + PIECE).filter(|piece| is_telling(piece));
    let in_line = places().filter_map(at).find(|piece| !piece.contains(&b'\n'));
    in_line.or_else(|| places().find_map(at))
}

/// Shannon's entropy of the bytes' frequencies reaches 3.5 bits.
fn is_telling(piece: &[u8]) -> bool {
    if piece.len() < SHORTEST {
        return false;
    }
    let mut sorted = Zeroizing::new(piece.to_vec());
    sorted.sort_unstable();
    let whole = count(piece.len());
    let bits: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|same| count(same.len()) / whole)
        .map(|share| -share * share.log2())
        .sum();
    bits >= ENTROPY
}

fn count(length: usize) -> f64 {
    u32::try_from(length).map_or(f64::MAX, f64::from)
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

    #[test]
    fn a_long_file_gives_a_piece_for_each_half_block() {
        let file: Vec<u8> =
            (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let found = pieces(&file);
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|p| p.len() == PIECE && is_telling(p)));
    }

    #[test]
    fn each_line_of_a_text_is_a_piece_but_comments() {
        let text = b"# token of the builder, see wiki\nls\n  export A=k3J9xQ7vR2mT8wZ5\r\n\
            curl -u admin:Zt8Kq2Lw9Xv4 https://host.example/a/very/long/path/that/goes/on\n";
        let found = pieces(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], b"export A=k3J9xQ7vR2mT8wZ5");
        assert_eq!(found[1].len(), PIECE);
        assert_eq!(pieces(b"k3J9xQ7vR2mT8wZ5\n"), [b"k3J9xQ7vR2mT8wZ5"]);
    }

    #[test]
    fn the_armour_of_a_key_is_not_a_piece() {
        let body: String =
            (0..400u32).map(|i| char::from(b'A' + (i * i % 57 % 26) as u8)).collect();
        let key = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
        );
        for piece in pieces(key.as_bytes()) {
            assert!(!piece.contains(&b'-'));
        }
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
