//! `Packages.db`: slots, each with the place of one header (rpm, lib/backend/ndb/rpmpkg.c). Numbers are
//! little-endian, places and lengths are counted in blocks of 16 bytes.

use std::io;

use super::bytes::{Bytes, le32, size};
use super::{HEADER, damaged};

const PAGE: usize = 4096;
const BLOCK: u64 = 16;
const MAGIC: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const HEAD: &[u8] = b"BlbS";
/// Slots begin behind the header.
const FIRST: usize = 32;

pub(super) fn headers(database: &dyn Bytes, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut page = vec![0; PAGE];
    database.read_at(0, &mut page)?;
    if !page.starts_with(MAGIC) || le32(&page, 4)? != 0 {
        return Err(damaged("it is no ndb database of version 0"));
    }
    let pages = u64::from(le32(&page, 12)?);
    // What all headers together may have: they do not overlap.
    let mut left = database.len();
    for number in 0..pages {
        database.read_at(number * 4096, &mut page)?;
        let start = if number == 0 { FIRST } else { 0 };
        for slot in page.get(start..).unwrap_or_default().chunks_exact(16) {
            if !slot.starts_with(SLOT) {
                return Err(damaged("a slot is none"));
            }
            let (package, block) = (le32(slot, 4)?, le32(slot, 8)?);
            if block != 0 {
                each(&header(database, package, u64::from(block) * BLOCK, &mut left)?);
            }
        }
    }
    Ok(())
}

fn header(database: &dyn Bytes, package: u32, offset: u64, left: &mut u64) -> io::Result<Vec<u8>> {
    let mut head = [0; 16];
    database.read_at(offset, &mut head)?;
    let length = le32(&head, 12)?;
    if !head.starts_with(HEAD) || le32(&head, 4)? != package || length > HEADER {
        return Err(damaged("a header is not where its slot says"));
    }
    *left = left.checked_sub(u64::from(length)).ok_or_else(|| damaged("headers overlap"))?;
    let mut header = vec![0; size(length)?];
    database.read_at(offset + BLOCK, &mut header)?;
    Ok(header)
}
