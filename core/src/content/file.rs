//! One file: what kind of text it is, read once in pieces that overlap, every match with its place.

use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::mark::Key;
use super::scanner::{Match, Reading, Scanner};
use super::unpack::{MOST, Packed, Wide, narrow};
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
    /// It holds more than was looked into.
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
            return Ok(self.look_inside(piece, first, packed, file));
        }
        let reading = if zone == Zone::Vendor { Reading::Shapes } else { kind.reading };
        let mut held = Held { binary: kind.binary, ..Held::default() };
        if first < piece.len() {
            if let Some((text, wide)) = narrow(head) {
                let found = self.scanner.scan(&text, 0..text.len(), reading);
                held.binary = false;
                held.bare = is_bare(&text, &found);
                let place = Place { wide: Some(wide), ..Place::default() };
                self.keep(&mut held, &text, &found, &place);
                return Ok(held);
            }
        }
        self.pieces(&mut held, piece, first, &mut file, usize::MAX, reading)?;
        Ok(held)
    }

    /// What is packed. Where it is broken, what could be read was looked into: nobody else gets
    /// more out of it.
    fn look_inside(&self, piece: &mut [u8], first: usize, packed: Packed, file: impl Read) -> Held {
        let head = Zeroizing::new(piece.get(..first).unwrap_or_default().to_vec());
        let mut held = Held { packed: true, ..Held::default() };
        let looked = packed.open(head.as_slice().chain(file)).and_then(|mut inside| {
            let first = fill(&mut inside, piece, 0)?;
            let reading = Kind::of(piece.get(..first).unwrap_or_default(), b"").reading;
            self.pieces(&mut held, piece, first, &mut inside, MOST, reading)
        });
        if let Err(error) = looked {
            log::debug!("a packed file ends early: {error}");
        }
        held
    }

    /// Searches the piece, of which `filled` bytes are there, and all that follow in `source`.
    fn pieces(
        &self,
        held: &mut Held,
        piece: &mut [u8],
        mut filled: usize,
        source: &mut dyn Read,
        most: usize,
        reading: Reading,
    ) -> io::Result<()> {
        let mut place = Place::default();
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
            if place.base + until >= most {
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
            let absolute = |span: &Range<usize>| match place.wide {
                Some(wide) => wide.span(span),
                None => place.base + span.start..place.base + span.end,
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
#[derive(Debug, Default)]
struct Place {
    base: usize,
    lines: usize,
    wide: Option<Wide>,
}

/// Reads until `buffer` is full or the source ends, beginning at `filled`; returns what is there.
fn fill(
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
        // A packed file that ends early tells what it can.
        assert!(held(&packed[..packed.len() - 4], "x.gz", Zone::Log).packed);
        let wide: Vec<u8> =
            format!("a = {token}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let found = held(&wide, "x", Zone::System).found;
        assert_eq!(found[0].cut, 8..8 + 2 * token.len());
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
