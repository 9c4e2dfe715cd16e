//! passwd(5): `name:password:uid:gid:gecos:home:shell`.

use zeroize::Zeroizing;

use super::field::Field;
use super::table::{Table, number};
use crate::Result;

/// The text of a passwd(5) file. Lines that are no rows are kept and never turned into accounts.
#[derive(Debug)]
pub struct Passwd(Table);

/// One account row. Rows with too few or too many fields are entries too, with what they have.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Names the row in the setters; the 0-based line number.
    pub index: usize,
    /// Login name, never empty.
    pub name: &'a [u8],
    /// What field 2 holds.
    pub password: Field,
    /// User id; `None` when it is no number of 32 bits.
    pub uid: Option<u32>,
    /// Primary group id; `None` when it is no number of 32 bits.
    pub gid: Option<u32>,
    /// Full name and more; often empty.
    pub gecos: &'a [u8],
    /// Home directory as written: may be empty, relative or not UTF-8.
    pub home: &'a [u8],
    /// Login shell; empty means `/bin/sh`.
    pub shell: &'a [u8],
}

impl Passwd {
    /// Number of fields of a proper row.
    const COLUMNS: usize = 7;

    /// Takes the text apart; never fails.
    pub fn parse(text: &[u8]) -> Self {
        Self(Table::parse(text))
    }

    /// The account rows in file order, duplicates included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.rows().map(|index| {
            let field = |column| self.0.field(index, column);
            Entry {
                index,
                name: field(0).unwrap_or_default(),
                password: self.0.password(index),
                uid: number(field(2)),
                gid: number(field(3)),
                gecos: field(4).unwrap_or_default(),
                home: field(5).unwrap_or_default(),
                shell: field(6).unwrap_or_default(),
            }
        })
    }

    /// Writes field 2 of a row.
    ///
    /// # Errors
    /// `index` is no row, or `value` holds a colon, a line end or NUL.
    pub fn set_password(&mut self, index: usize, value: &[u8]) -> Result<()> {
        self.0.set_password(index, value)
    }

    /// Takes a row out. The other indices stay valid.
    ///
    /// # Errors
    /// `index` is no row.
    pub fn remove(&mut self, index: usize) -> Result<()> {
        self.0.remove(index)
    }

    /// The text with its edits.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_bytes()
    }

    /// 1-based numbers of the lines that are neither proper rows nor NIS rows: blank, comment, no
    /// colon, leading blank, no name, NUL, wrong number of fields. The last two are still edited.
    pub fn malformed(&self) -> Vec<usize> {
        self.0.malformed(Self::COLUMNS)
    }

    /// 1-based numbers of the NIS rows (`+`, `+@group`, `-user`).
    pub fn nis(&self) -> Vec<usize> {
        self.0.nis()
    }

    /// 1-based numbers of lines that no editor touches and that may still hold a hash or, behind a
    /// leading blank that the C library skips, an account without password.
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
    fn accounts_are_bytes() {
        let text = b"root:x:0:0:root:/root:/bin/bash\nann:$1$a$b:1000:100::/srv/data/Ann Lee:\n\
            z\xff:x:4294967296:-1:,,:/home/\xff:/bin/sh\n+::::::\n+@grp::::::\n-bob\n\n# note\n:\nshort:x\n";
        let mut passwd = Passwd::parse(text);
        let entries: Vec<_> = passwd.entries().collect();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[1].home, b"/srv/data/Ann Lee");
        assert_eq!(entries[1].password, Field::Hash);
        assert_eq!((entries[1].uid, entries[1].gid), (Some(1000), Some(100)));
        assert_eq!((entries[2].uid, entries[2].gid), (None, None));
        assert_eq!(entries[2].home, b"/home/\xff");
        assert_eq!(entries[3].home, b"");
        assert_eq!(passwd.nis(), [4, 5, 6]);
        assert_eq!(passwd.malformed(), [7, 8, 9, 10]);
        assert!(passwd.suspicious().is_empty());

        passwd.set_password(1, b"x").unwrap();
        let expected = String::from_utf8_lossy(text).replace("$1$a$b", "x");
        assert_eq!(String::from_utf8_lossy(&passwd.to_bytes()), expected);
    }
}
