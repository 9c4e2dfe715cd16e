//! cpio archives in the `newc` format, with and without sums (`070701`, `070702`).

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::{Visit, damaged};

/// A header: a magic number and thirteen fields of eight hexadecimal digits.
const HEADER: usize = 110;
/// Longer names are no names.
const NAME: u64 = 4096;
/// Keys and account files are smaller than this; larger files are passed over.
const SMALL: u64 = 64 * 1024;
/// The name of the last entry.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Reads one archive and the padding of its last entry.
pub(super) fn walk(source: &mut dyn Read, visit: &mut Visit<'_>) -> io::Result<()> {
    loop {
        let mut header = [0; HEADER];
        source.read_exact(&mut header)?;
        if !matches!(header.get(..6), Some(b"070701" | b"070702")) {
            return Err(damaged("no entry of a cpio archive where one must be"));
        }
        let (mode, size, length) = (field(&header, 1)?, field(&header, 6)?, field(&header, 11)?);
        if length == 0 || length > NAME {
            return Err(damaged("a name in the cpio archive is too long"));
        }
        let name = exactly(source, length)?;
        skip(source, padding(HEADER as u64 + length))?;
        let name = name.strip_suffix(&[0]).unwrap_or(&name);
        if name == TRAILER {
            return skip(source, size + padding(size));
        }
        let regular = mode & 0o170_000 == 0o100_000;
        match (regular, size) {
            (true, 0..=SMALL) => visit(name, Some(&exactly(source, size)?)),
            (true, _) => {
                visit(name, None);
                skip(source, size)?;
            }
            (false, _) => skip(source, size)?,
        }
        skip(source, padding(size))?;
    }
}

/// The field with this number, from 0.
fn field(header: &[u8; HEADER], number: usize) -> io::Result<u64> {
    let digits = header.get(6 + 8 * number..14 + 8 * number);
    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let value = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    value.ok_or_else(|| damaged("a field of the cpio archive is no number"))
}

/// Names and contents begin at multiples of four.
fn padding(length: u64) -> u64 {
    length.wrapping_neg() % 4
}

fn exactly(source: &mut dyn Read, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or_default()]);
    source.read_exact(&mut content)?;
    Ok(content)
}

fn skip(source: &mut dyn Read, length: u64) -> io::Result<()> {
    match io::copy(&mut source.take(length), &mut io::sink())? {
        skipped if skipped == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
