//! gshadow(5): `name:password:administrators:members`.

use zeroize::Zeroizing;

use super::field::Field;
use super::table::{Table, names};
use crate::Result;

/// The text of a gshadow(5) file.
#[derive(Debug)]
pub struct GShadow(Table);

/// One group.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Names the row in the setters; the 0-based line number.
    pub index: usize,
    /// Group name, never empty.
    pub name: &'a [u8],
    /// What field 2 holds; `x` matches nothing here and is [`Field::NoLogin`]. Empty is harmless:
    /// without a password only members get in.
    pub field: Field,
    /// Login names of those who may change members and password.
    pub admins: Vec<&'a [u8]>,
    /// Login names of the members.
    pub members: Vec<&'a [u8]>,
}

impl GShadow {
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
            field: match self.0.password(index) {
                Field::Placeholder => Field::NoLogin,
                other => other,
            },
            admins: names(self.0.field(index, 2)),
            members: names(self.0.field(index, 3)),
        })
    }

    /// Makes field 2 a `!`: newgrp(1) accepts no password any more.
    ///
    /// # Errors
    /// `index` is no row.
    pub fn lock(&mut self, index: usize) -> Result<()> {
        self.0.set_password(index, b"!")
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
    fn only_the_password_goes() {
        let mut gshadow = GShadow::parse(b"wheel:$6$s$h:root:ann,bob\ndisk:!::\nopen:::\n");
        let entries: Vec<_> = gshadow.entries().collect();
        assert_eq!(entries[0].admins, [b"root"]);
        assert_eq!(entries[0].members, [b"ann", b"bob"]);
        let fields: Vec<_> = entries.iter().map(|e| e.field).collect();
        assert_eq!(fields, [Field::Hash, Field::NoLogin, Field::Empty]);
        gshadow.lock(0).unwrap();
        assert_eq!(gshadow.to_bytes().as_slice(), b"wheel:!:root:ann,bob\ndisk:!::\nopen:::\n");
    }
}
