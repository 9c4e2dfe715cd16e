//! SQLite's write-ahead log: pages that are newer than those of the database (SQLite, File Format, 4).
//! A machine that was switched off, or an image of a running one, has it.

use std::collections::HashMap;
use std::io;

use super::bytes::{Bytes, at, be32, size};

const HEADER: u64 = 32;
const FRAME: u64 = 24;
/// The last bit says that checksums are made of big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Where the newest page of each number lies in the log, and how many pages the database has with it.
#[derive(Debug, Default)]
pub(super) struct Newer {
    pub(super) pages: HashMap<u32, u64>,
    pub(super) count: Option<u32>,
}

/// Reads the log up to its last whole transaction. A log that is none, or of another time, holds
/// nothing: SQLite takes it so too.
pub(super) fn read(log: &dyn Bytes, page_size: u32) -> io::Result<Newer> {
    let mut newer = Newer::default();
    let mut header = [0; 32];
    if log.len() < HEADER {
        return Ok(newer);
    }
    log.read_at(0, &mut header)?;
    let magic = be32(&header, 0)?;
    let whole = header.get(..24).unwrap_or_default();
    let mut sum = Checksum { big: magic & 1 == 1, words: (0, 0) };
    sum.take(whole)?;
    if magic & !1 != MAGIC || be32(&header, 8)? != page_size || !sum.is(&header, 24)? {
        return Ok(newer);
    }
    let salt: [u8; 8] = at(&header, 16)?;
    let mut frame = vec![0; size(page_size)? + 24];
    let length = FRAME + u64::from(page_size);
    let mut offset = HEADER;
    // Of a transaction that has no end yet.
    let mut open = HashMap::new();
    while offset.checked_add(length).is_some_and(|end| end <= log.len()) {
        log.read_at(offset, &mut frame)?;
        sum.take(frame.get(..8).unwrap_or_default())?;
        sum.take(frame.get(24..).unwrap_or_default())?;
        if at::<8>(&frame, 8)? != salt || !sum.is(&frame, 16)? {
            break;
        }
        open.insert(be32(&frame, 0)?, offset + FRAME);
        let count = be32(&frame, 4)?;
        if count != 0 {
            newer.pages.extend(open.drain());
            newer.count = Some(count);
        }
        offset += length;
    }
    Ok(newer)
}

struct Checksum {
    big: bool,
    words: (u32, u32),
}

impl Checksum {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for pair in bytes.chunks_exact(8) {
            let word = |offset| {
                let word: [u8; 4] = at(pair, offset)?;
                Ok::<_, io::Error>(match self.big {
                    true => u32::from_be_bytes(word),
                    false => u32::from_le_bytes(word),
                })
            };
            let (first, second) = (word(0)?, word(4)?);
            self.words.0 = self.words.0.wrapping_add(first).wrapping_add(self.words.1);
            self.words.1 = self.words.1.wrapping_add(second).wrapping_add(self.words.0);
        }
        Ok(())
    }

    fn is(&self, page: &[u8], offset: usize) -> io::Result<bool> {
        Ok((be32(page, offset)?, be32(page, offset + 4)?) == self.words)
    }
}
