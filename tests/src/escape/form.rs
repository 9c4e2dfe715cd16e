//! How a text lies in a file: as it is, packed, in another encoding, in a program's own format.

use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::dice::Dice;
use super::world::unescape;
use crate::{Context, Result, failed};

/// The ways that the corpora know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As it is.
    #[default]
    Plain,
    /// At the end of a file that exists; `\xNN` is one byte.
    Append,
    /// gzip(1).
    Gzip,
    /// UTF-16, little endian, with a byte order mark.
    Utf16,
    /// One line of base64.
    Base64,
    /// A database of `SQLite`; the text is SQL.
    Sqlite,
    /// Memory of a process: an ELF header, zeros, the text, noise.
    Core,
    /// A swap area of 256 KiB with the text in one of its pages (mkswap(8)).
    Swap,
    /// A record of btmp(5): the text is the user's name that somebody typed.
    Login,
}

impl Form {
    /// The bytes of the file.
    ///
    /// # Errors
    /// When a program that is needed fails.
    pub fn encode(self, text: &str, dice: &mut Dice) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Plain => text.as_bytes().to_vec(),
            Self::Append => unescape(text).into_os_string().into_vec(),
            Self::Gzip => through(&["gzip", "-9n"], text.as_bytes())?,
            Self::Utf16 => "\u{feff}"
                .encode_utf16()
                .chain(text.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect(),
            Self::Base64 => (STANDARD.encode(text) + "\n").into_bytes(),
            Self::Sqlite => sqlite(text)?,
            Self::Core => {
                let header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0".to_vec();
                let zeros = vec![0; 4096];
                [header, zeros.clone(), text.as_bytes().to_vec(), zeros, dice.bytes(512)].concat()
            }
            Self::Swap => swap(text),
            Self::Login => login(text),
        })
    }
}

fn through(argv: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let (program, arguments) = argv.split_first().ok_or_else(|| failed("no program".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(|| format!("start {program}"))?;
    // What it reads is short and what it writes is shorter: neither pipe can fill up.
    child.stdin.take().ok_or_else(|| failed("no pipe".to_owned()))?.write_all(input)?;
    let output = child.wait_with_output()?;
    output
        .status
        .success()
        .then_some(output.stdout)
        .ok_or_else(|| failed(format!("{program} failed")))
}

fn sqlite(statements: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("db");
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.executescript(sys.argv[2])";
    crate::command::run(Command::new("python3").args(["-c", script]).arg(&file).arg(statements))?;
    Ok(std::fs::read(&file)?)
}

fn swap(text: &str) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut area = vec![0_u8; 64 * PAGE];
    let mut put = |at: usize, bytes: &[u8]| {
        area.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    };
    // Version 1, last page 63, no bad pages; the signature ends the first page.
    put(1024, &[1, 0, 0, 0, 63, 0, 0, 0]);
    put(PAGE - 10, b"SWAPSPACE2");
    put(17 * PAGE + 100, text.as_bytes());
    area
}

/// `struct utmp` of glibc: a failed login (6) on ssh:notty from an address.
fn login(user: &str) -> Vec<u8> {
    let field = |text: &str, length: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let mut record = vec![6, 0, 0, 0, 0x39, 5, 0, 0];
    record.extend(field("ssh:notty", 32));
    record.extend(field("", 4));
    record.extend(field(user, 32));
    record.extend(field("198.51.100.7", 256));
    record.resize(384, 0);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_the_signature_of_its_program() {
        let mut dice = Dice::with_seed(1);
        let mut encode = |form: Form, text: &str| form.encode(text, &mut dice).unwrap();
        assert!(encode(Form::Gzip, "x").starts_with(b"\x1f\x8b"));
        assert_eq!(encode(Form::Utf16, "hi"), b"\xff\xfeh\0i\0");
        assert_eq!(encode(Form::Base64, "hi"), b"aGk=\n");
        assert!(encode(Form::Sqlite, "create table t(a)").starts_with(b"SQLite format 3\0"));
        assert!(encode(Form::Swap, "page").get(4086..4096) == Some(b"SWAPSPACE2"));
        assert_eq!(encode(Form::Login, "name").len(), 384);
    }
}
