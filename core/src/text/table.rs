//! Lines of fields between colons, edited in place of nothing else: the shape that passwd, shadow,
//! group and gshadow share.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::field::{Field, classify, hash_like};
use crate::{Error, Result};

/// The column of the password in all four files.
const PASSWORD: usize = 1;

/// A text of colon separated rows. Lines that were not edited come back byte for byte.
pub(super) struct Table {
    text: Zeroizing<Vec<u8>>,
    lines: Vec<Line>,
}

struct Line {
    /// Where the line stood, its line end included.
    place: Range<usize>,
    edit: Edit,
}

enum Edit {
    None,
    Replaced(Zeroizing<Vec<u8>>),
    Removed,
}

/// What a line is to the C library, judged leniently: what can be edited is a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A name and at least one field more.
    Row,
    /// An NIS row: begins with `+` or `-`.
    Nis,
    /// Blank, a comment, no colon, a leading blank, no name, or a NUL in the name.
    Malformed,
}

impl Table {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut lines = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let end = start + line.len();
            lines.push(Line { place: start..end, edit: Edit::None });
            start = end;
        }
        Self { text: Zeroizing::new(bytes.to_vec()), lines }
    }

    /// The line with its line end; empty when it was removed or never was.
    fn line(&self, index: usize) -> &[u8] {
        match self.lines.get(index) {
            Some(Line { edit: Edit::Replaced(new), .. }) => new,
            Some(Line { edit: Edit::None, place }) => {
                self.text.get(place.clone()).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// The line without its line end.
    fn content(&self, index: usize) -> &[u8] {
        without_line_end(self.line(index))
    }

    pub(super) fn shape(&self, index: usize) -> Shape {
        let content = self.content(index);
        let name = content.split(|b| *b == b':').next().unwrap_or_default();
        match name.first() {
            Some(b'+' | b'-') => Shape::Nis,
            None | Some(b'#' | b' ' | b'\t') => Shape::Malformed,
            _ if !content.contains(&b':') || name.contains(&0) => Shape::Malformed,
            _ => Shape::Row,
        }
    }

    fn present(&self) -> impl Iterator<Item = usize> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !matches!(line.edit, Edit::Removed))
            .map(|(index, _)| index)
    }

    /// Indices of the lines that are rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.present().filter(|index| self.shape(*index) == Shape::Row)
    }

    pub(super) fn field(&self, index: usize, column: usize) -> Option<&[u8]> {
        self.content(index).split(|b| *b == b':').nth(column)
    }

    pub(super) fn password(&self, index: usize) -> Field {
        classify(self.field(index, PASSWORD).unwrap_or_default())
    }

    /// Number of fields of a line.
    pub(super) fn columns(&self, index: usize) -> usize {
        self.content(index).split(|b| *b == b':').count()
    }

    /// 1-based numbers of the lines that are no rows, hold a NUL, or have another number of fields
    /// than `columns`.
    pub(super) fn malformed(&self, columns: usize) -> Vec<usize> {
        self.numbers(|index| match self.shape(index) {
            Shape::Malformed => true,
            Shape::Row => self.columns(index) != columns || self.content(index).contains(&0),
            Shape::Nis => false,
        })
    }

    /// 1-based numbers of the NIS rows.
    pub(super) fn nis(&self) -> Vec<usize> {
        self.numbers(|index| self.shape(index) == Shape::Nis)
    }

    /// 1-based numbers of the lines that are no rows, are therefore never edited, and still carry
    /// something like a hash or (the C library skips leading blanks) an open account.
    pub(super) fn suspicious(&self) -> Vec<usize> {
        self.numbers(|index| {
            let content = self.content(index);
            let indented = content.first().is_some_and(|b| b" \t".contains(b));
            let comment = content.trim_ascii_start().starts_with(b"#");
            self.shape(index) != Shape::Row
                && (hash_like(content)
                    || (indented && !comment && self.field(index, PASSWORD) == Some(&[])))
        })
    }

    fn numbers(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        self.present().filter(|index| wanted(*index)).map(|index| index + 1).collect()
    }

    pub(super) fn set_password(&mut self, index: usize, value: &[u8]) -> Result<()> {
        self.set(index, PASSWORD, value)
    }

    /// Writes one field of a row; every other byte of the line stays.
    pub(super) fn set(&mut self, index: usize, column: usize, value: &[u8]) -> Result<()> {
        if value.iter().any(|b| matches!(b, b':' | b'\n' | b'\r' | 0)) {
            return Err(Error::failed("write a field", "a value with a colon, a line end or NUL"));
        }
        let old = match self.field(index, column) {
            Some(old) if self.shape(index) == Shape::Row => old,
            _ => return Err(no_field(index, column)),
        };
        if old == value {
            return Ok(());
        }
        let before: usize =
            self.content(index).split(|b| *b == b':').take(column).map(|f| f.len() + 1).sum();
        let after = before + old.len();
        let line = self.line(index);
        // Room for all of it at once: growing would leave a copy that nobody wipes.
        let mut new = Zeroizing::new(Vec::with_capacity(line.len() + value.len()));
        new.extend_from_slice(line.get(..before).unwrap_or_default());
        new.extend_from_slice(value);
        new.extend_from_slice(line.get(after..).unwrap_or_default());
        if let Some(line) = self.lines.get_mut(index) {
            line.edit = Edit::Replaced(new);
        }
        Ok(())
    }

    /// Takes a row out, its line end included. The other indices stay as they are.
    pub(super) fn remove(&mut self, index: usize) -> Result<()> {
        if self.shape(index) != Shape::Row {
            return Err(no_field(index, 0));
        }
        if let Some(line) = self.lines.get_mut(index) {
            line.edit = Edit::Removed;
        }
        Ok(())
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let size = (0..self.lines.len()).map(|index| self.line(index).len()).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        for index in 0..self.lines.len() {
            out.extend_from_slice(self.line(index));
        }
        out
    }

    /// True when [`Table::to_bytes`] differs from what was parsed.
    pub(super) fn changed(&self) -> bool {
        self.lines.iter().any(|line| match &line.edit {
            Edit::None => false,
            Edit::Removed => true,
            Edit::Replaced(new) => self.text.get(line.place.clone()) != Some(new.as_slice()),
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

/// A number as the C library reads ids: digits only, in 32 bits.
pub(super) fn number(field: Option<&[u8]>) -> Option<u32> {
    let field = field.filter(|f| f.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The names of a comma separated list; no empty ones.
pub(super) fn names(list: Option<&[u8]>) -> Vec<&[u8]> {
    let list = list.unwrap_or_default();
    list.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect()
}

fn no_field(index: usize, column: usize) -> Error {
    Error::failed("edit", format!("line {}: it has no field {}", index + 1, column + 1))
}

/// Cuts `\n` or `\r\n`, so that an edit of the last field keeps a DOS line end.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edits_keep_line_ends_and_neighbours() {
        let mut table = Table::parse(b"a:1:x\r\n\nb:2:y");
        table.set(0, 2, b"new").unwrap();
        table.set(2, 2, b"").unwrap();
        assert_eq!(table.to_bytes().as_slice(), b"a:1:new\r\n\nb:2:");
        assert!(table.changed());
        table.set(0, 2, b"x").unwrap();
        table.set(2, 2, b"y").unwrap();
        assert!(!table.changed(), "an edit taken back is no change");
    }

    #[test]
    fn refuses_what_would_break_the_row() {
        let mut table = Table::parse(b"a:1\n#c:1\n");
        for value in [b"a:b".as_slice(), b"a\nb", b"a\0", b"a\r"] {
            assert!(table.set(0, 1, value).is_err());
        }
        assert!(table.set(0, 2, b"x").is_err(), "no such field");
        assert!(table.set(1, 1, b"x").is_err(), "a comment");
        assert!(table.set(9, 1, b"x").is_err(), "no such line");
        assert!(table.remove(1).is_err());
        assert!(!table.changed());
    }

    #[test]
    fn debug_shows_no_content() {
        let table = Table::parse(b"root:$6$secret:1\n");
        assert_eq!(format!("{table:?}"), "Table { lines: 1, .. }");
    }

    /// Lines as they are found and as nobody should write them.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            proptest::collection::vec(prop_oneof![Just(b':'), any::<u8>()], 0..24),
            "[a-z]{1,4}:[$!*x]{0,3}[a-z0-9]{0,5}(:[a-z0-9]{0,3}){0,8}".prop_map(String::into_bytes),
            "[+#@ -]?[a-z]{0,3}:?:?".prop_map(String::into_bytes),
        ];
        let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..]), Just(&b""[..])];
        proptest::collection::vec((line, end), 0..8).prop_map(|lines| {
            lines.into_iter().flat_map(|(l, e)| [l, e.to_vec()].concat()).collect()
        })
    }

    proptest! {
        #[test]
        fn unedited_text_comes_back(bytes in text()) {
            let table = Table::parse(&bytes);
            prop_assert_eq!(table.to_bytes().to_vec(), bytes.clone());
            prop_assert!(!table.changed());
        }

        #[test]
        fn one_field_changes_and_no_other_byte(bytes in text(), column in 0usize..9, pick: usize) {
            let mut table = Table::parse(&bytes);
            let rows: Vec<usize> = table.rows().collect();
            prop_assume!(!rows.is_empty());
            let index = rows[pick % rows.len()];
            let fields: Vec<Vec<u8>> =
                table.content(index).split(|b| *b == b':').map(<[u8]>::to_vec).collect();
            let line_end = table.line(index)[table.content(index).len()..].to_vec();
            if table.set(index, column, b"NEW").is_err() {
                prop_assert!(column >= fields.len());
                prop_assert_eq!(table.to_bytes().to_vec(), bytes.clone());
                return Ok(());
            }
            let mut expected = Vec::new();
            for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
                if number == index {
                    let mut fields = fields.clone();
                    fields[column] = b"NEW".to_vec();
                    expected.extend(fields.join(&b':'));
                    expected.extend(&line_end);
                } else {
                    expected.extend(line);
                }
            }
            prop_assert_eq!(table.to_bytes().to_vec(), expected.clone());
        }
    }
}
