//! Which pieces of a secret are told from everything else on a disk.

use zeroize::Zeroizing;

/// The shortest secret that is searched for, in bytes.
pub(super) const SHORTEST: usize = 16;
/// The longest piece that is kept of a secret, in bytes.
const PIECE: usize = 32;
/// Up to this length a secret is kept whole.
const WHOLE: usize = 48;
/// Longer ones give a piece for each half of a block, because blocks survive one by one.
const SPACING: usize = 2048;
/// Pieces of one secret at most.
const MOST: usize = 64;
/// Bits per byte below which a piece is too regular to be telling.
const ENTROPY: f64 = 3.5;

/// The pieces of a secret that are telling: its lines where it is a text, because a line is what
/// is copied, else pieces from the inside in equal distances.
pub(super) fn pieces(secret: &[u8]) -> Vec<&[u8]> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
