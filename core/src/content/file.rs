//! One file: what kind of text it is, read once in pieces that overlap, every match with its place.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::mark::Key;
use super::scanner::{Match, Reading, Scanner};
use super::unpack::{MOST, Packed};
use super::wide::Wide;
use super::zone::Zone;
use crate::catalogue::Certainty;

/// A piece of a file that is searched at once, in bytes.
const PIECE: usize = 1 << 20;
/// What stays of a piece before the next one: rules look this far back.
const BACK: usize = 1 << 10;
/// More secrets than this in one file are counted, not listed.
const MOST_FOUND: usize = 10_000;
/// Only a short file can be nothing but its secret.
const BARE: usize = 64 << 10;

/// A match with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule's id.
    pub rule: String,
    /// How sure it is.
    pub certainty: Certainty,
    /// The bytes that go when the rule acts.
    pub cut: Range<usize>,
    /// The secret in them.
    pub secret: Range<usize>,
    /// What is put in their place.
    pub put: String,
    /// The line, from 1.
    pub line: usize,
    /// The keyed fingerprint of the secret.
    pub mark: String,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct Held {
    /// Every secret, by place.
    pub found: Vec<Found>,
    /// The file is packed: places are those of what it holds, and only the whole file can go.
    pub packed: bool,
    /// The file is no text: what is cut has to be replaced byte for byte.
    pub binary: bool,
    /// Without its secrets nothing is left but blanks and comments.
    pub bare: bool,
    /// Not all of it was looked into: it holds more, or is packed and damaged.
    pub cut_short: bool,
}

/// Buffers of one thread.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    scanner: &'a Scanner,
    key: &'a Key,
    piece: Zeroizing<Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scanner: &'a Scanner, key: &'a Key) -> Self {
        let piece = Zeroizing::new(vec![0; BACK + PIECE + Scanner::WINDOW]);
        Self { scanner, key, piece }
    }

    /// Looks through `file`, which is called `name` and lies in a place of the kind `zone`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&mut self, file: impl Read, name: &[u8], zone: Zone) -> io::Result<Held> {
        let mut piece = std::mem::take(&mut self.piece);
        let held = self.look(&mut piece, file, name, zone);
        self.piece = piece;
        held
    }

    fn look(
        &self,
        piece: &mut [u8],
        mut file: impl Read,
        name: &[u8],
        zone: Zone,
    ) -> io::Result<Held> {
        let first = fill(&mut file, piece, 0)?;
        let head = piece.get(..first).unwrap_or_default();
        let kind = Kind::of(head, name);
        if let (Some(packed), false) = (kind.packed, zone == Zone::Vendor) {
            return self.look_inside(piece, first, packed, file);
        }
        let reading = if zone == Zone::Vendor { Reading::Shapes } else { kind.reading };
        let mut held = Held { binary: kind.binary, ..Held::default() };
        if let Some(wide) = Wide::of(head) {
            let head = Zeroizing::new(head.to_vec());
            let mut text = wide.narrow(&head, file);
            let first = fill(&mut text, piece, 0)?;
            held.binary = false;
            let place = Place::first(usize::MAX, Some(wide));
            self.pieces(&mut held, piece, first, &mut text, reading, place)?;
            return Ok(held);
        }
        let place = Place::first(usize::MAX, None);
        self.pieces(&mut held, piece, first, &mut file, reading, place)?;
        Ok(held)
    }

    /// What is packed. Where it is broken, what could be read was looked into.
    ///
    /// # Errors
    /// The file itself cannot be read.
    fn look_inside(
        &self,
        piece: &mut [u8],
        first: usize,
        packed: Packed,
        file: impl Read,
    ) -> io::Result<Held> {
        let head = Zeroizing::new(piece.get(..first).unwrap_or_default().to_vec());
        let mut held = Held { packed: true, ..Held::default() };
        let (unread, broken) = (Cell::new(None), Cell::new(None));
        let source = head.as_slice().chain(Ending::new(file, &unread));
        match packed.open(source) {
            Ok(inside) => {
                let mut inside = Ending::new(inside, &broken);
                let first = fill(&mut inside, piece, 0)?;
                let reading = Kind::of(piece.get(..first).unwrap_or_default(), b"").reading;
                let place = Place::first(MOST, None);
                self.pieces(&mut held, piece, first, &mut inside, reading, place)?;
            }
            Err(error) => broken.set(Some(error)),
        }
        if let Some(error) = unread.take() {
            return Err(error);
        }
        if let Some(error) = broken.take() {
            log::debug!("a packed file is damaged: {error}");
            held.cut_short = true;
        }
        Ok(held)
    }

    /// Searches the piece, of which `filled` bytes are there, and all that follow in `source`.
    fn pieces(
        &self,
        held: &mut Held,
        piece: &mut [u8],
        mut filled: usize,
        source: &mut dyn Read,
        reading: Reading,
        mut place: Place,
    ) -> io::Result<()> {
        let mut from = 0;
        loop {
            let last = filled < piece.len();
            let until = if last { filled } else { filled - Scanner::WINDOW };
            let text = piece.get(..filled).unwrap_or_default();
            let found = self.scanner.scan(text, from..until, reading);
            if last && place.base == 0 {
                held.bare = is_bare(text, &found);
            }
            self.keep(held, text, &found, &place);
            if last {
                return Ok(());
            }
            if place.base + until >= place.most {
                held.cut_short = true;
                return Ok(());
            }
            let stays = until - BACK;
            place.lines += newlines(piece.get(..stays).unwrap_or_default());
            place.base += stays;
            piece.copy_within(stays..filled, 0);
            from = BACK;
            filled = fill(source, piece, filled - stays)?;
        }
    }

    fn keep(&self, held: &mut Held, text: &[u8], matches: &[Match], place: &Place) {
        for one in matches {
            if held.found.len() >= MOST_FOUND {
                held.cut_short = true;
                return;
            }
            let absolute = |span: &Range<usize>| {
                let span = place.base + span.start..place.base + span.end;
                place.wide.map_or(span.clone(), |wide| wide.span(&span))
            };
            held.found.push(Found {
                rule: self.scanner.id(one).to_owned(),
                certainty: one.certainty,
                cut: absolute(&one.cut),
                secret: absolute(&one.secret),
                put: if place.wide.is_some() {
                    String::new()
                } else {
                    self.scanner.put(one).to_owned()
                },
                line: place.lines + newlines(text.get(..one.cut.start).unwrap_or_default()) + 1,
                mark: self.key.mark(text.get(one.secret.clone()).unwrap_or_default()),
            });
        }
    }
}

/// Where a piece stands in its file.
#[derive(Debug)]
struct Place {
    base: usize,
    lines: usize,
    wide: Option<Wide>,
    /// As much of the file is looked into, in bytes.
    most: usize,
}

impl Place {
    fn first(most: usize, wide: Option<Wide>) -> Self {
        Self { base: 0, lines: 0, wide, most }
    }
}

/// Ends where its source fails, so that what came before is looked into, and keeps the error.
struct Ending<'a, R> {
    source: R,
    error: &'a Cell<Option<io::Error>>,
    ended: bool,
}

impl<'a, R: Read> Ending<'a, R> {
    fn new(source: R, error: &'a Cell<Option<io::Error>>) -> Self {
        Self { source, error, ended: false }
    }
}

impl<R: Read> Read for Ending<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        match self.source.read(out) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.ended = true;
                self.error.set(Some(error));
                Ok(0)
            }
            other => other,
        }
    }
}

/// Reads until `buffer` is full or the source ends, beginning at `filled`; returns what is there.
pub(super) fn fill(
    source: &mut (impl Read + ?Sized),
    buffer: &mut [u8],
    mut filled: usize,
) -> io::Result<usize> {
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// What a file is, by its first bytes and its name.
struct Kind {
    packed: Option<Packed>,
    binary: bool,
    reading: Reading,
}

impl Kind {
    fn of(head: &[u8], name: &[u8]) -> Self {
        /// Programs, objects, archives, images, fonts, translations: no text that a person wrote.
        const BUILT: &[&[u8]] = &[
            b"\x7fELF",
            b"!<arch>",
            b"MZ",
            b"\xca\xfe\xba\xbe",
            b"\0asm",
            b"\x89PNG",
            b"\xff\xd8\xff",
            b"GIF8",
            b"\0\x01\0\0",
            b"OTTO",
            b"wOF",
            b"\xde\x12\x04\x95",
            b"\x95\x04\x12\xde",
            b"RIFF",
        ];
        const CODE: &[&[u8]] = &[
            b"py", b"pyi", b"c", b"h", b"cc", b"cpp", b"hpp", b"go", b"rs", b"js", b"mjs", b"ts",
            b"java", b"kt", b"rb", b"pl", b"pm", b"php", b"lua", b"cs", b"swift", b"scala", b"el",
            b"vim", b"R", b"tcl",
        ];
        let binary =
            memchr::memchr(0, head.get(..head.len().min(8192)).unwrap_or_default()).is_some();
        let built = binary && BUILT.iter().any(|magic| head.starts_with(magic));
        let suffix = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
        let reading = match () {
            () if built => Reading::Shapes,
            () if CODE.contains(&suffix) => Reading::Code,
            () => Reading::All,
        };
        Self { packed: Packed::of(head), binary, reading }
    }
}

/// True where nothing but blanks, comments and punctuation is left without the secrets.
fn is_bare(text: &[u8], found: &[Match]) -> bool {
    if found.is_empty() || text.len() > BARE {
        return false;
    }
    let mut rest = Zeroizing::new(text.to_vec());
    for one in found {
        rest.get_mut(one.cut.clone()).unwrap_or_default().fill(b' ');
    }
    rest.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).all(|line| {
        line.starts_with(b"#")
            || line.iter().all(|b| b.is_ascii_punctuation() || b.is_ascii_whitespace())
    })
}

#[cfg(test)]
mod tests {
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
        let wide: Vec<u8> =
            format!("a = {token}").encode_utf16().flat_map(u16::to_le_bytes).collect();
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
}
