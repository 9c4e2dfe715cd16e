//! `rpmdb.sqlite`: the table `Packages` with a number and a blob in each row (rpm,
//! lib/backend/sqlite.c), read as SQLite's File Format says: a b-tree of pages, long rows in chains of
//! overflow pages, newer pages in the write-ahead log.

use std::io;

use super::bytes::{Bytes, at, be16, be32, size};
use super::wal::{self, Newer};
use super::{HEADER, damaged};

const MAGIC: &[u8] = b"SQLite format 3\0";
const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;
/// A tree of 2^32 pages is not as high.
const HEIGHT: usize = 32;

struct Database<'a> {
    file: &'a dyn Bytes,
    log: Option<&'a dyn Bytes>,
    newer: Newer,
    page_size: u32,
    /// Bytes of a page that are in use.
    usable: usize,
    count: u32,
    /// Pages that may still be read: each belongs to one place of one tree.
    left: u32,
    /// Bytes that the rows which are not read yet may have: no two lie in the same place.
    rows: u64,
}

pub(super) fn headers(
    file: &dyn Bytes,
    log: Option<&dyn Bytes>,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let mut database = Database::open(file, log)?;
    let mut root = None;
    // The schema is the table of page 1: type, name, table, first page, text.
    database.rows(1, 0, &mut |row| {
        if text(row, 0)? == b"table" && text(row, 1)?.eq_ignore_ascii_case(b"Packages") {
            root = Some(number(row, 3)?);
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| damaged("it has no table of packages"))?;
    database.rows(root, 0, &mut |row| {
        each(text(row, 1)?);
        Ok(())
    })
}

impl<'a> Database<'a> {
    fn open(file: &'a dyn Bytes, log: Option<&'a dyn Bytes>) -> io::Result<Self> {
        let mut header = [0; 100];
        file.read_at(0, &mut header)?;
        let page_size = match be16(&header, 16)? {
            1 => 65536,
            size => u32::from(size),
        };
        if !header.starts_with(MAGIC) || !page_size.is_power_of_two() || page_size < 512 {
            return Err(damaged("it is no SQLite database"));
        }
        let newer = match log {
            Some(log) => wal::read(log, page_size)?,
            None => Newer::default(),
        };
        let pages = u32::try_from(file.len() / u64::from(page_size)).unwrap_or(u32::MAX);
        // A page that the file does not have must be in the log.
        let logged = u32::try_from(newer.pages.len()).unwrap_or(u32::MAX);
        let count = newer.count.map_or(pages, |count| count.min(pages.saturating_add(logged)));
        let (left, rows) = (count.saturating_add(2), u64::from(count) * u64::from(page_size));
        let mut database = Self { file, log, newer, page_size, usable: 0, count, left, rows };
        // The first page may be in the log too.
        let first = database.page(1)?;
        let reserved = first.get(20).copied().map_or(0, usize::from);
        database.usable = size(page_size)?.saturating_sub(reserved);
        if database.usable < 480 {
            return Err(damaged("it leaves no room in its pages"));
        }
        Ok(database)
    }

    fn page(&mut self, number: u32) -> io::Result<Vec<u8>> {
        self.left = self.left.checked_sub(1).ok_or_else(|| damaged("its pages are in a loop"))?;
        if number == 0 || number > self.count {
            return Err(damaged("a page lies outside"));
        }
        let mut page = vec![0; size(self.page_size)?];
        match (self.newer.pages.get(&number), self.log) {
            (Some(offset), Some(log)) => log.read_at(*offset, &mut page)?,
            _ => {
                let offset = u64::from(number - 1) * u64::from(self.page_size);
                self.file.read_at(offset, &mut page)?;
            }
        }
        Ok(page)
    }

    /// Hands each row of the table whose tree begins at page `number` to `each`.
    fn rows(
        &mut self,
        number: u32,
        height: usize,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if height > HEIGHT {
            return Err(damaged("its tree is too high"));
        }
        let page = self.page(number)?;
        // The header of the file stands in front of that of the first page.
        let start = if number == 1 { 100 } else { 0 };
        let [kind] = at(&page, start)?;
        let cells = usize::from(be16(&page, start + 3)?);
        let first = start + if kind == INTERIOR { 12 } else { 8 };
        for cell in 0..cells {
            let cell = usize::from(be16(&page, first + 2 * cell)?);
            match kind {
                INTERIOR => self.rows(be32(&page, cell)?, height + 1, each)?,
                LEAF => each(&self.row(&page, cell)?)?,
                _ => return Err(damaged("a page is of another kind")),
            }
        }
        if kind == INTERIOR { self.rows(be32(&page, start + 8)?, height + 1, each) } else { Ok(()) }
    }

    /// The row whose cell begins at `cell`: its length, its number, and what of it lies in this page.
    fn row(&mut self, page: &[u8], cell: usize) -> io::Result<Vec<u8>> {
        let rest = page.get(cell..).ok_or_else(|| damaged("a row lies outside"))?;
        let (length, rest) = varint(rest)?;
        let (_, rest) = varint(rest)?;
        let length = u32::try_from(length).ok().filter(|length| *length <= HEADER);
        let length = length.ok_or_else(|| damaged("a row is too large"))?;
        let rows = self.rows.checked_sub(u64::from(length));
        self.rows = rows.ok_or_else(|| damaged("its rows overlap"))?;
        let length = size(length)?;
        let here = self.here(length);
        let piece = rest.get(..here).ok_or_else(|| damaged("a row is cut"))?;
        let mut row = piece.to_vec();
        if here == length {
            return Ok(row);
        }
        let mut next = be32(rest, here)?;
        while row.len() < length {
            let page = self.page(next)?;
            next = be32(&page, 0)?;
            let piece = page.get(4..self.usable).unwrap_or_default();
            row.extend_from_slice(piece.get(..length - row.len()).unwrap_or(piece));
        }
        Ok(row)
    }

    /// How many bytes of a row of `length` lie in its own page (File Format, 1.6).
    fn here(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fits = least + (length - least) % (self.usable - 4);
        if fits <= most { fits } else { least }
    }
}

/// A number of one to nine bytes, and what stands behind it.
fn varint(bytes: &[u8]) -> io::Result<(u64, &[u8])> {
    let mut value: u64 = 0;
    for index in 0..9 {
        let [byte] = at(bytes, index)?;
        let rest = bytes.get(index + 1..).unwrap_or_default();
        if index == 8 {
            return Ok((value << 8 | u64::from(byte), rest));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(damaged("a number has no end"))
}

/// Type and bytes of a column: the types stand in front, the values behind them in the same order.
fn column(row: &[u8], wanted: usize) -> io::Result<(u64, &[u8])> {
    let (length, mut types) = varint(row)?;
    let start = usize::try_from(length).map_err(|_| damaged("a row is cut"))?;
    let mut values = row.get(start..).ok_or_else(|| damaged("a row is cut"))?;
    for index in 0..=wanted {
        let (kind, rest) = varint(types)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            // Even: a blob; odd: a text.
            _ => kind.saturating_sub(12) / 2,
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= values.len());
        let (value, behind) = values.split_at(size.ok_or_else(|| damaged("a value is cut"))?);
        if index == wanted {
            return Ok((kind, value));
        }
        (types, values) = (rest, behind);
    }
    Err(damaged("a column is missing"))
}

/// A text or a blob.
fn text(row: &[u8], wanted: usize) -> io::Result<&[u8]> {
    match column(row, wanted)? {
        (12.., value) => Ok(value),
        _ => Err(damaged("a column is of another type")),
    }
}

/// The number of a page: an integer of up to eight bytes, big-endian.
fn number(row: &[u8], wanted: usize) -> io::Result<u32> {
    let (kind, value) = column(row, wanted)?;
    let value = match kind {
        9 => 1,
        1..=6 => value.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)),
        _ => return Err(damaged("a column is of another type")),
    };
    u32::try_from(value).map_err(|_| damaged("a page lies outside"))
}
