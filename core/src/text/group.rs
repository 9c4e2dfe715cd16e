//! group(5): `name:password:gid:members`.

use zeroize::Zeroizing;

use super::field::Field;
use super::table::{Table, names, number};
use crate::Result;

/// The text of a group(5) file.
#[derive(Debug)]
pub struct Group(Table);

/// One group.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Names the row in the setters; the 0-based line number.
    pub index: usize,
    /// Group name, never empty.
    pub name: &'a [u8],
    /// What field 2 holds. Empty is harmless here: without a password only members get in.
    pub field: Field,
    /// Group id; `None` when it is no number of 32 bits.
    pub gid: Option<u32>,
    /// Login names of the members; those who have the group as their primary one are not listed.
    pub members: Vec<&'a [u8]>,
}

impl Group {
    /// Number of fields of a proper row.
    const COLUMNS: usize = 4;

    /// Takes the text apart; never fails.
    pub fn parse(text: &[u8]) -> Self {
        Self(Table::parse(text))
    }

    /// The groups in file order, duplicates included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.rows().map(|index| Entry {
            index,
            name: self.0.field(index, 0).unwrap_or_default(),
            field: self.0.password(index),
            gid: number(self.0.field(index, 2)),
            members: names(self.0.field(index, 3)),
        })
    }

    /// Writes field 2 of a row.
    ///
    /// # Errors
    /// `index` is no row, or `value` holds a colon, a line end or NUL.
    pub fn set_password(&mut self, index: usize, value: &[u8]) -> Result<()> {
        self.0.set_password(index, value)
    }

    /// The text with its edits.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_bytes()
    }

    /// 1-based numbers of the lines that are neither proper rows nor NIS rows.
    pub fn malformed(&self) -> Vec<usize> {
        self.0.malformed(Self::COLUMNS)
    }

    /// 1-based numbers of the NIS rows.
    pub fn nis(&self) -> Vec<usize> {
        self.0.nis()
    }

    /// 1-based numbers of lines that no editor touches and that may still hold a hash.
    pub fn suspicious(&self) -> Vec<usize> {
        self.0.suspicious()
    }

    /// True when an edit changed the text.
    pub fn changed(&self) -> bool {
        self.0.changed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_passwords() {
        let mut group = Group::parse(b"wheel:$6$s$h:10:ann,bob,\nnobody:*:99:\n+:::\nbad\n");
        let entries: Vec<_> = group.entries().collect();
        assert_eq!(entries[0].members, [b"ann", b"bob"]);
        assert_eq!((entries[0].field, entries[0].gid), (Field::Hash, Some(10)));
        assert!(entries[1].members.is_empty());
        assert_eq!((group.nis(), group.malformed()), (vec![3], vec![4]));
        group.set_password(0, b"x").unwrap();
        assert_eq!(group.to_bytes().as_slice(), b"wheel:x:10:ann,bob,\nnobody:*:99:\n+:::\nbad\n");
    }
}
