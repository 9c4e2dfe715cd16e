//! The RAM disk in a PE program (Microsoft's "PE Format": the offset of the PE header at 0x3c, the
//! section table behind the optional header, 40 bytes a section).

use std::io::{self, Read};

use super::damaged;
use super::segments::Source;

/// The kernel's stub and systemd's keep everything in front of the first section in one page or two.
const HEADERS: usize = 64 * 1024;
const SECTION: &[u8; 8] = b".initrd\0";

/// The content of the section `.initrd`; `None` for a program without one.
pub(super) fn initrd<'a>(source: &'a mut Source<'_>) -> io::Result<Option<impl Read + 'a>> {
    let head = source.peek(HEADERS)?;
    let Some((offset, length)) = section(head) else { return Ok(None) };
    let skipped = io::copy(&mut source.take(offset), &mut io::sink())?;
    if skipped != offset {
        return Err(damaged("the program ends before its section .initrd"));
    }
    Ok(Some(source.take(length)))
}

/// Offset and length of the section in the file.
fn section(head: &[u8]) -> Option<(u64, u64)> {
    let pe = usize::try_from(number(head, 0x3c, 4)?).ok()?;
    if head.get(pe..pe.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let count = number(head, pe.checked_add(6)?, 2)?;
    let optional = usize::try_from(number(head, pe.checked_add(20)?, 2)?).ok()?;
    let table = pe.checked_add(24)?.checked_add(optional)?;
    (0..usize::try_from(count).ok()?).find_map(|index| {
        let at = table.checked_add(index.checked_mul(40)?)?;
        let named = head.get(at..at.checked_add(8)?)? == SECTION;
        let length = number(head, at + 8, 4)?.min(number(head, at + 16, 4)?);
        let offset = number(head, at + 20, 4)?;
        named.then_some((offset, length))
    })
}

/// A little-endian number of `bytes` bytes.
fn number(head: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let slice = head.get(at..at.checked_add(bytes)?)?;
    Some(slice.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
