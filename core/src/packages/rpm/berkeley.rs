//! `Packages`: a hash table of Berkeley DB (its src/dbinc/db_page.h), from number to header. Pages of the
//! table hold pairs; what is too large for one lies in a chain of overflow pages. In what order numbers
//! are written is told by the magic one.

use std::io;

use super::bytes::{Bytes, at, size};
use super::{HEADER, damaged};

const MAGIC: u32 = 0x0006_1561;
/// Of a page's own header.
const PAGE_HEADER: usize = 26;
const UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// Kinds of items.
const KEYDATA: u8 = 1;
const OFFPAGE: u8 = 3;

struct Table<'a> {
    file: &'a dyn Bytes,
    page: usize,
    last: u32,
    swapped: bool,
    /// Overflow pages that may still be read: each belongs to one item.
    left: u32,
    /// Bytes that the values which are not read yet may have: no two lie in the same place.
    values: u64,
}

pub(super) fn headers(database: &dyn Bytes, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut table = Table::open(database)?;
    for number in 1..=table.last {
        let page = table.page(number)?;
        if !matches!(page.get(25), Some(&(UNSORTED | HASH))) {
            continue;
        }
        let items = usize::from(table.half(&page, 20)?);
        // A pair is a key and its value.
        for pair in 0..items / 2 {
            let value = table.value(&page, 2 * pair + 1)?;
            // The entry under 0 is a counter.
            if let Some(header) = value.filter(|header| header.len() > 8) {
                each(&header);
            }
        }
    }
    Ok(())
}

impl<'a> Table<'a> {
    fn open(file: &'a dyn Bytes) -> io::Result<Self> {
        let mut meta = [0; 72];
        file.read_at(0, &mut meta)?;
        let magic = at(&meta, 12).map(u32::from_ne_bytes)?;
        let swapped = magic == MAGIC.swap_bytes();
        if magic != MAGIC && !swapped {
            return Err(damaged("it is no hash table of Berkeley DB"));
        }
        let mut table = Self { file, page: 0, last: 0, swapped, left: 0, values: file.len() };
        // 8 to 10: Berkeley DB 3.1 to 18. A page with a checksum or a cipher has another header.
        let known = matches!(table.word(&meta, 16)?, 8..=10);
        if !known || meta.get(24) != Some(&0) || meta.get(26).is_none_or(|flags| flags & 1 != 0) {
            return Err(damaged("it is a hash table of a version that is not known"));
        }
        table.page = size(table.word(&meta, 20)?)?;
        if !matches!(table.page, 512..=65536) || !table.page.is_power_of_two() {
            return Err(damaged("its pages have an impossible size"));
        }
        let pages = file.len() / u64::try_from(table.page).unwrap_or(u64::MAX);
        table.last = table.word(&meta, 32)?;
        if u64::from(table.last) >= pages {
            return Err(damaged("it is cut short"));
        }
        table.left = table.last;
        Ok(table)
    }

    fn page(&self, number: u32) -> io::Result<Vec<u8>> {
        let mut page = vec![0; self.page];
        let length = u64::try_from(self.page).unwrap_or(u64::MAX);
        self.file.read_at(u64::from(number).saturating_mul(length), &mut page)?;
        Ok(page)
    }

    fn word(&self, page: &[u8], offset: usize) -> io::Result<u32> {
        let word = at(page, offset).map(u32::from_ne_bytes)?;
        Ok(if self.swapped { word.swap_bytes() } else { word })
    }

    fn half(&self, page: &[u8], offset: usize) -> io::Result<u16> {
        let half = at(page, offset).map(u16::from_ne_bytes)?;
        Ok(if self.swapped { half.swap_bytes() } else { half })
    }

    /// Item `index` of a page. They are put from its end towards its start, so each ends where the
    /// one before it begins.
    fn value(&mut self, page: &[u8], index: usize) -> io::Result<Option<Vec<u8>>> {
        let start_of = |index: usize| self.half(page, PAGE_HEADER + 2 * index).map(usize::from);
        let (start, end) = (start_of(index)?, start_of(index.saturating_sub(1))?);
        let item = page.get(start..end).ok_or_else(|| damaged("items overlap"))?;
        let length = u64::try_from(item.len()).unwrap_or(u64::MAX);
        let values = self.values.checked_sub(length);
        self.values = values.ok_or_else(|| damaged("items overlap"))?;
        match item.split_first() {
            Some((&KEYDATA, value)) => Ok(Some(value.to_vec())),
            Some((&OFFPAGE, _)) => {
                let (number, length) = (self.word(item, 4)?, self.word(item, 8)?);
                self.chain(number, length).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn chain(&mut self, mut number: u32, length: u32) -> io::Result<Vec<u8>> {
        if length > HEADER {
            return Err(damaged("a header is too large"));
        }
        let length = size(length)?;
        let mut value = Vec::new();
        while value.len() < length {
            self.left = self.left.checked_sub(1).ok_or_else(|| damaged("pages are in a loop"))?;
            if number == 0 || number > self.last {
                return Err(damaged("a page lies outside"));
            }
            let page = self.page(number)?;
            let end = PAGE_HEADER + usize::from(self.half(&page, 22)?);
            let piece = page.get(PAGE_HEADER..end).filter(|_| page.get(25) == Some(&OVERFLOW));
            value.extend_from_slice(piece.ok_or_else(|| damaged("a page is of another kind"))?);
            number = self.word(&page, 16)?;
        }
        value.truncate(length);
        Ok(value)
    }
}
