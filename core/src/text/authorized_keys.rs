//! The lines of an `authorized_keys` file as sshd(8) reads them.
//!
//! Bytes throughout: sshd knows no character set, and neither does who writes into such files.
//! Source of the rules: sshd(8) "AUTHORIZED_KEYS FILE FORMAT", checked against `ssh-keygen -l`.

mod options;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use options::{KeyOption, Options};

use super::public_key;

/// A line of the file. Blank lines and comments are neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// A key that sshd would look at, or one of a type that is not known here.
    Key(KeyLine<'a>),
    /// A line that sshd passes over as no key.
    Skipped {
        /// 1-based line number.
        number: usize,
        /// What is wrong with it.
        why: Why,
    },
}

/// Why a line is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No key type followed by a decodable blob, neither at the start nor after options.
    NoKey,
    /// A double quote in the options is never closed.
    OpenQuote,
    /// The blob is of another type than the line says.
    TypeMismatch,
    /// The blob is cut, or its fields are not those of its type.
    BrokenBlob,
}

/// One key. Public keys are no secrets, but options may hold some (`environment=`, `command=`).
#[derive(Clone, PartialEq, Eq)]
pub struct KeyLine<'a> {
    /// 1-based line number.
    pub number: usize,
    /// What stands before the key type.
    pub options: Option<&'a [u8]>,
    /// The type as written, such as `ssh-ed25519`.
    pub key_type: &'a [u8],
    /// The decoded key or certificate.
    pub blob: Vec<u8>,
    /// What follows the key, without surrounding blanks; often empty.
    pub comment: &'a [u8],
}

impl KeyLine<'_> {
    /// The options one by one; none when the line has none.
    pub fn options(&self) -> Options<'_> {
        Options::new(self.options.unwrap_or_default())
    }

    /// True when the option stands on the line, with or without a value; names are compared without
    /// case, as sshd does. `no-pty` is a name of its own.
    pub fn has_option(&self, name: &str) -> bool {
        self.options().any(|option| option.is(name))
    }

    /// The unquoted value of the first option of that name.
    pub fn option_value(&self, name: &str) -> Option<Vec<u8>> {
        self.options().find(|option| option.is(name))?.value
    }

    /// True when sshd (9.2) knows every option and its form. It ignores a line with any other.
    pub fn options_accepted(&self) -> bool {
        self.options().all(|option| option.accepted())
    }
}

impl std::fmt::Debug for KeyLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLine").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The key lines and the skipped ones, in file order. A line ends at `\n` only, and at the first
/// NUL nothing more of it is read.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|b| *b == b'\n').enumerate().filter_map(|(index, line)| {
        let line = line.split(|b| *b == 0).next().unwrap_or_default();
        let line = skip_blanks(line);
        match line.first() {
            None | Some(b'#') => None,
            Some(b'\r') if line.len() == 1 => None,
            Some(_) => Some(read(line, index + 1)),
        }
    })
}

fn read(line: &[u8], number: usize) -> Line<'_> {
    let plain = key(line);
    if let Ok(key) = plain {
        return Line::Key(key.line(number, None));
    }
    let Some(end) = options::end(line) else {
        return Line::Skipped { number, why: Why::OpenQuote };
    };
    let (options, rest) = line.split_at(end);
    match key(skip_blanks(rest)) {
        Ok(key) => Line::Key(key.line(number, Some(options))),
        // A key that was nearly read explains more than none.
        Err(Why::NoKey) => Line::Skipped { number, why: plain.err().unwrap_or(Why::NoKey) },
        Err(why) => Line::Skipped { number, why },
    }
}

struct Read<'a> {
    key_type: &'a [u8],
    blob: Vec<u8>,
    comment: &'a [u8],
}

impl<'a> Read<'a> {
    fn line(self, number: usize, options: Option<&'a [u8]>) -> KeyLine<'a> {
        let Self { key_type, blob, comment } = self;
        KeyLine { number, options, key_type, blob, comment }
    }
}

/// Reads `type blob comment`.
fn key(text: &[u8]) -> Result<Read<'_>, Why> {
    let (key_type, rest) = token(text);
    let (encoded, rest) = token(skip_blanks(rest));
    // sshd's decoder passes over white space, of which \r, \v and \f can stand inside a token.
    let encoded: Vec<u8> = encoded.iter().copied().filter(|b| !b"\r\x0b\x0c".contains(b)).collect();
    let blob = STANDARD.decode(encoded).map_err(|_| Why::NoKey)?;
    let named = blob
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?))
        .filter(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
        .ok_or(Why::NoKey)?;
    if named != written(key_type) {
        return Err(Why::TypeMismatch);
    }
    if public_key::is_broken(&blob) {
        return Err(Why::BrokenBlob);
    }
    Ok(Read { key_type, blob, comment: rest.trim_ascii() })
}

/// The blob type for the type on the line: signature algorithm names count as the key they sign
/// with, which is how sshd looks names up.
fn written(key_type: &[u8]) -> &[u8] {
    match key_type {
        b"rsa-sha2-256" | b"rsa-sha2-512" => b"ssh-rsa",
        b"rsa-sha2-256-cert-v01@openssh.com" | b"rsa-sha2-512-cert-v01@openssh.com" => {
            b"ssh-rsa-cert-v01@openssh.com"
        }
        other => other,
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

/// Cuts at the first blank.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn one(text: &[u8]) -> KeyLine<'_> {
        let all: Vec<_> = lines(text).collect();
        match all.as_slice() {
            [Line::Key(key)] => key.clone(),
            other => panic!("{other:?} from {}", String::from_utf8_lossy(text)),
        }
    }

    fn skipped(text: &str) -> Why {
        match lines(text.as_bytes()).next() {
            Some(Line::Skipped { why, .. }) => why,
            other => panic!("{other:?} from {text}"),
        }
    }

    #[test]
    fn plain_lines() {
        for (line, comment) in [
            (KEY.to_string(), ""),
            (format!("{KEY}\n"), ""),
            (format!("{KEY} ann@host  two words \r\n"), "ann@host  two words"),
            (format!("  \t{KEY}\tuser#1"), "user#1"),
            (format!("{}\r", KEY.replace(' ', " \t ")), ""),
            (format!("{KEY} cut\0here"), "cut"),
        ] {
            let key = one(line.as_bytes());
            assert_eq!((key.options, key.comment), (None, comment.as_bytes()), "{line}");
            assert_eq!((key.key_type, key.blob.len()), (&b"ssh-ed25519"[..], 51));
        }
    }

    #[test]
    fn options_with_quotes_tabs_and_foreign_letters() {
        for options in [
            "command=\"a b\"",
            "command=\"echo #1\"",
            "command=\"✓✓✓✓✓\"",
            "command=\"say \\\"hi there\\\"\",no-pty",
            "no-pty",
            "environment=\"A=ssh-rsa AAAA\"",
        ] {
            let line = format!("{options}\t{KEY} c");
            let key = one(line.as_bytes());
            assert_eq!(key.options, Some(options.as_bytes()));
            assert!(key.options_accepted(), "{options}");
        }
    }

    #[test]
    fn lines_that_sshd_passes_over() {
        let blob = KEY.split_once(' ').unwrap().1;
        assert_eq!(skipped("ssh-ed25519"), Why::NoKey);
        assert_eq!(skipped(&format!("\u{feff}{KEY}")), Why::TypeMismatch);
        assert_eq!(skipped("2048 65537 1234567 old@protocol1"), Why::NoKey);
        assert_eq!(skipped(&format!("ssh-rsa {blob}")), Why::TypeMismatch);
        assert_eq!(skipped(&format!("no-pty ssh-rsa {blob}")), Why::TypeMismatch);
        assert_eq!(skipped(&format!("command=\"x {KEY}")), Why::OpenQuote);
        assert_eq!(skipped(KEY.get(..60).unwrap()), Why::BrokenBlob);
        assert_eq!(skipped(&format!("{KEY}=")), Why::NoKey);
        assert_eq!(lines(b"\n# c\n \t\n  # c\n\r\n").count(), 0);
        let numbers: Vec<_> = lines(format!("x\n\n{KEY}\n").as_bytes())
            .map(|line| match line {
                Line::Key(key) => key.number,
                Line::Skipped { number, .. } => number,
            })
            .collect();
        assert_eq!(numbers, [1, 3]);
    }

    #[test]
    fn debug_shows_no_options() {
        let line = format!("environment=\"TOKEN=s3cret\" {KEY}");
        assert_eq!(format!("{:?}", one(line.as_bytes())), "KeyLine { number: 1, .. }");
    }

    #[test]
    fn a_line_of_one_mebibyte() {
        let line = format!("command=\"{}\" {KEY}", "x ".repeat(1 << 19));
        assert_eq!(one(line.as_bytes()).option_value("command").unwrap().len(), 1 << 20);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'"'), Just(b','), Just(b' '), Just(b'\n'), Just(b'\\'), Just(b'=')
        ], 0..80)) {
            let line = [bytes, b" ".to_vec(), KEY.as_bytes().to_vec()].concat();
            for line in lines(&line) {
                if let Line::Key(key) = line {
                    let options: Vec<_> = key.options().collect();
                    prop_assert!(options.len() <= key.options.unwrap_or_default().len() + 1);
                }
            }
        }

        #[test]
        fn what_was_written_is_read(value in "[ -~]{0,20}", comment in "[!-~]{0,9}") {
            let quoted = value.replace('\\', "/").replace('"', "\\\"");
            let text = format!("command=\"{quoted}\",no-pty {KEY} {comment}");
            let key = one(text.as_bytes());
            let expected = value.replace('\\', "/").into_bytes();
            prop_assert_eq!(key.option_value("COMMAND"), Some(expected));
            prop_assert!(key.has_option("no-pty") && !key.has_option("pty"));
            prop_assert_eq!(key.comment, comment.as_bytes());
        }
    }
}
