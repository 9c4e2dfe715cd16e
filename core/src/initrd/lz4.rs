//! LZ4's legacy frames, as `lz4 -l` writes them for the kernel: a magic number, then blocks with
//! their packed size in front, each of at most 8 MiB unpacked.

use std::io::{self, BufRead, Read};

use super::damaged;
use super::segments::Source;

const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
const BLOCK: usize = 8 << 20;

/// What the blocks hold.
pub(super) struct Legacy<'a, 'b> {
    source: &'a mut Source<'b>,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<'a, 'b> Legacy<'a, 'b> {
    pub(super) fn new(source: &'a mut Source<'b>) -> Self {
        Self { source, block: Vec::new(), at: 0, ended: false }
    }

    /// Unpacks the next block; empty at the end of the frame. A frame has no mark for its end: what
    /// is no possible size begins something else.
    fn next(&mut self) -> io::Result<()> {
        self.at = 0;
        self.block.clear();
        // A frame may follow directly.
        while self.source.starts_with(&MAGIC)? {
            self.source.consume(MAGIC.len());
        }
        let size = match *self.source.peek(4)? {
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 || size > BLOCK + BLOCK / 128 {
            self.ended = true;
            return Ok(());
        }
        self.source.consume(4);
        let mut packed = vec![0; size];
        self.source.read_exact(&mut packed)?;
        self.block.resize(BLOCK, 0);
        let length = lz4_flex::block::decompress_into(&packed, &mut self.block)
            .map_err(|_| damaged("a block of lz4 is broken"))?;
        self.block.truncate(length);
        Ok(())
    }
}

impl Read for Legacy<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.ended {
            self.next()?;
        }
        let count = self.block.get(self.at..).unwrap_or_default().read(out)?;
        self.at += count;
        Ok(count)
    }
}
