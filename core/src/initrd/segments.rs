//! The row of segments.

use std::io::{self, BufRead, Read};

use super::{Visit, cpio, damaged, lz4};
use crate::unpack;

/// Ends every row that somebody made up: the real ones have two or three segments.
const MOST: usize = 64;

/// A stream whose next bytes can be looked at.
pub(super) struct Source<'a> {
    inner: io::BufReader<&'a mut dyn Read>,
    /// Bytes that were looked at and not taken yet.
    ahead: Vec<u8>,
}

impl<'a> Source<'a> {
    pub(super) fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner: io::BufReader::with_capacity(128 * 1024, inner), ahead: Vec::new() }
    }

    /// The next bytes, fewer than `count` at the end of the stream.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < count {
            let missing = count - self.ahead.len();
            let mut chunk = vec![0; missing];
            match self.inner.read(&mut chunk)? {
                0 => break,
                read => self.ahead.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            }
        }
        Ok(self.ahead.get(..count).unwrap_or(&self.ahead))
    }

    pub(super) fn starts_with(&mut self, magic: &[u8]) -> io::Result<bool> {
        Ok(self.peek(magic.len())? == magic)
    }

    /// Skips zeros; false at the end of the stream.
    fn skip_zeros(&mut self) -> io::Result<bool> {
        loop {
            let zeros = self.ahead.iter().take_while(|byte| **byte == 0).count();
            self.ahead.drain(..zeros);
            if !self.ahead.is_empty() {
                return Ok(true);
            }
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
            let all = zeros == buffer.len();
            self.inner.consume(zeros);
            if !all {
                return Ok(true);
            }
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.inner.read(out);
        }
        let count = out.len().min(self.ahead.len());
        for (to, from) in out.iter_mut().zip(self.ahead.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

/// So that an unpacker takes no byte more than its own stream.
impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.is_empty() { self.inner.fill_buf() } else { Ok(&self.ahead) }
    }

    fn consume(&mut self, count: usize) {
        if self.ahead.is_empty() {
            self.inner.consume(count);
        } else {
            self.ahead.drain(..count.min(self.ahead.len()));
        }
    }
}

/// Every file of every segment.
pub(super) fn walk(source: &mut Source<'_>, visit: &mut Visit<'_>) -> io::Result<()> {
    for _ in 0..MOST {
        if !source.skip_zeros()? {
            return Ok(());
        }
        segment(source, visit)?;
    }
    Err(damaged("more segments than any initial RAM disk has"))
}

fn segment(source: &mut Source<'_>, visit: &mut Visit<'_>) -> io::Result<()> {
    match *source.peek(6)? {
        [b'0', b'7', b'0', b'7', b'0', b'1' | b'2'] => cpio::walk(source, visit),
        [0x1f, 0x8b, 8, ..] => packed(&mut flate2::bufread::GzDecoder::new(source), visit),
        [b'B', b'Z', b'h', ..] => packed(&mut bzip2::bufread::BzDecoder::new(source), visit),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => packed(&mut unpack::xz(source, false), visit),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => packed(&mut unpack::zstd_frame(source)?, visit),
        [0x02, 0x21, 0x4c, 0x18, ..] => packed(&mut lz4::Legacy::new(source), visit),
        _ => Err(damaged("packed in a way that is not known")),
    }
}

/// The archives in an unpacked stream, to its end: what follows it begins a new segment.
fn packed(stream: &mut dyn Read, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut source = Source::new(stream);
    while source.skip_zeros()? {
        if !source.starts_with(b"07070")? {
            return Err(damaged("no cpio archive is packed in it"));
        }
        cpio::walk(&mut source, visit)?;
    }
    Ok(())
}
