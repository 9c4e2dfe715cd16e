//! Reading files: pieces, packed and wide texts, what is a program.

use super::*;
use crate::catalogue::Catalogue;
use crate::content::example::Dice;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write as _;

fn held(bytes: &[u8], name: &str, zone: Zone) -> Held {
    let catalogue = Catalogue::builtin().unwrap();
    let scanner = Scanner::new(catalogue.rules()).unwrap();
    let key = Key::random().unwrap();
    let mut reader = Reader::new(&scanner, &key);
    reader.read(bytes, name.as_bytes(), zone).unwrap()
}

/// A text of `len` bytes without secrets, in lines of 64.
fn padding(len: usize) -> Vec<u8> {
    let mut text = vec![b'.'; len];
    text.iter_mut().skip(63).step_by(64).for_each(|b| *b = b'\n');
    text
}

#[test]
fn a_secret_is_found_once_wherever_the_pieces_end() {
    let token = Dice::new().fill("ghp_<<alnum 30>><<crc32>>");
    let key = Dice::new().fill("<<pem RSA PRIVATE KEY>>");
    for secret in [token, key] {
        let edge = BACK + PIECE;
        for at in [0, edge - 20, edge, edge + Scanner::WINDOW - 9, edge + 77, 3 * PIECE] {
            let mut text = padding(at);
            text.extend_from_slice(format!("\n{secret}\n").as_bytes());
            text.extend(padding(70_000));
            let held = held(&text, "x", Zone::System);
            let found: Vec<_> = held.found.iter().map(|f| (f.cut.clone(), f.line)).collect();
            let line = text[..=at].iter().filter(|b| **b == b'\n').count() + 1;
            assert_eq!(found, [(at + 1..at + 1 + secret.len(), line)], "{at}");
            assert!(!held.bare && !held.binary);
        }
    }
}

#[test]
fn packed_and_wide_texts_are_looked_into() {
    let token = Dice::new().fill("glpat-<<base64url 20>>");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("x\n{token}\n").as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let inside = held(&packed, "x.gz", Zone::Log);
    assert!(inside.packed && inside.found.len() == 1 && inside.found[0].line == 2);
    let wide: Vec<u8> = format!("a = {token}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = held(&wide, "x", Zone::System).found;
    assert_eq!(found[0].cut, 8..8 + 2 * token.len());
}

#[test]
fn a_wide_text_is_looked_into_to_its_end() {
    let token = Dice::new().fill("glpat-<<base64url 20>>");
    for (lines, end) in [(PIECE / 2, "\n"), (PIECE, "\n"), (PIECE / 3 * 4, "")] {
        let before = "x\n".repeat(lines);
        let wide: Vec<u8> = format!("\u{feff}{before}{token}{end}")
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let held = held(&wide, "x", Zone::System);
        let at = 2 + 2 * before.len();
        let found: Vec<_> = held.found.iter().map(|f| (f.secret.clone(), f.line)).collect();
        assert_eq!(found, [(at..at + 2 * token.len(), lines + 1)]);
        assert!(!held.cut_short && !held.binary);
    }
}

#[test]
fn what_of_a_packed_file_was_not_read_is_never_clean() {
    let token = Dice::new().fill("glpat-<<base64url 20>>");
    let text = format!("x\n{token}\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let xz = crate::unpack::packed_xz(&[(text.as_bytes(), 0)]);
    // Nothing of a block is known before its end.
    let frames = [text.as_bytes(), b"end"];
    let zstd = frames.map(|frame| compress_to_vec(frame, CompressionLevel::Fastest)).concat();
    for whole in [gzip, xz, zstd] {
        assert!(!held(&whole, "x", Zone::Log).cut_short);
        // What ends early tells what it can.
        let cut = held(&whole[..whole.len() - 1], "x", Zone::Log);
        assert!(cut.packed && cut.cut_short && cut.found.len() == 1);
        let head = held(&whole[..7], "x", Zone::Log);
        assert!(head.packed && head.cut_short && head.found.is_empty());
        // And where the disk fails, that is not the file's fault.
        let catalogue = Catalogue::builtin().unwrap();
        let scanner = Scanner::new(catalogue.rules()).unwrap();
        let key = Key::random().unwrap();
        let mut reader = Reader::new(&scanner, &key);
        let enough = whole.repeat((BACK + PIECE + Scanner::WINDOW) / whole.len() + 1);
        let error = reader.read(enough.chain(Failing), b"x", Zone::Log).unwrap_err();
        assert_eq!(error.to_string(), "bad sector");
    }
    let early = crate::unpack::packed_xz(&[(b"one", 40)]);
    assert!(held(&early, "x", Zone::Log).cut_short);
    let text = held(b"BZh9 is how bzip2 begins", "x", Zone::Log);
    assert!(!text.packed && !text.cut_short);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}

#[test]
fn a_file_of_nothing_but_its_secret_is_known() {
    let mut dice = Dice::new();
    assert!(held(dice.fill("# mine\n<<openssh>>\n").as_bytes(), "x", Zone::Home).bare);
    let both = dice.fill("<<pem CERTIFICATE>>\n<<pem PRIVATE KEY>>\n");
    assert!(!held(both.as_bytes(), "x", Zone::Home).bare);
}

#[test]
fn programs_are_searched_for_shapes_alone() {
    let mut dice = Dice::new();
    let text = dice.fill("\x7fELF\0\0 password=<<alnum 16>> ghp_<<alnum 30>><<crc32>>");
    let rules: Vec<String> =
        held(text.as_bytes(), "x", Zone::System).found.into_iter().map(|f| f.rule).collect();
    assert_eq!(rules, ["con-github-token"]);
}
