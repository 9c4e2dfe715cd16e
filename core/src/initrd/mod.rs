//! Initial RAM disks: what lies in them is in the image, and no scrub of files reaches it.
//!
//! An initial RAM disk is a row of segments: cpio archives, plain (microcode, for the kernel to read
//! early) or packed (gzip, xz, zstd, lz4, bzip2), with zeros between them. A unified kernel image is
//! a PE program with the RAM disk in its section `.initrd`. Sources: the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst and scripts/Makefile.lib (the packers),
//! the UAPI group's Unified Kernel Image.
//!
//! Everything is read as a stream and nothing is kept but small files while they are judged.

mod cpio;
mod judge;
mod lz4;
mod segments;
#[cfg(test)]
mod tests;
mod uki;

use std::io::{self, Read};

use crate::catalogue::Severity;

/// Something in an initial RAM disk that does not belong into an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inside {
    /// Where in the archive, without a leading slash, escaped.
    pub path: String,
    /// What it is, without its text.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
}

/// Looks through an initial RAM disk or a unified kernel image. What is neither (a kernel that a
/// wide pattern named) holds nothing.
///
/// # Errors
/// It is cut, damaged, or packed in a way that is not known: then nobody knows what it holds.
pub fn look(source: &mut dyn Read) -> io::Result<Vec<Inside>> {
    let mut found = Vec::new();
    let mut visit = |name: &[u8], content: Option<&[u8]>| judge::judge(name, content, &mut found);
    let mut source = segments::Source::new(source);
    if source.starts_with(b"MZ")? {
        let Some(mut inner) = uki::initrd(&mut source)? else { return Ok(found) };
        segments::walk(&mut segments::Source::new(&mut inner), &mut visit)?;
    } else {
        segments::walk(&mut source, &mut visit)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Hears of each regular file: its name, and its content where that is small enough to be judged.
type Visit<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
