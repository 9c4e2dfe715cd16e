//! shadow(5): `name:hash:last change:min:max:warn:inactive:expire:reserved`.

use zeroize::Zeroizing;

use super::field::Field;
use super::table::Table;
use crate::Result;

/// The text of a shadow(5) file.
#[derive(Debug)]
pub struct Shadow(Table);

/// One row. The days are bytes as written, counted from 1970-01-01; `None` where the row is too
/// short to have the field, `Some(b"")` where the field is empty.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Names the row in the setters; the 0-based line number.
    pub index: usize,
    /// Login name, never empty.
    pub name: &'a [u8],
    /// What field 2 holds; `x` matches nothing here and is [`Field::NoLogin`].
    pub field: Field,
    /// Day of the last password change; `0` asks for a new password at the next login.
    pub last_change: Option<&'a [u8]>,
    /// Days after which a change is demanded.
    pub max: Option<&'a [u8]>,
    /// Days after `max` until the account is closed.
    pub inactive: Option<&'a [u8]>,
    /// Day on which the account expires.
    pub expire: Option<&'a [u8]>,
}

impl Shadow {
    /// Number of fields of a proper row.
    const COLUMNS: usize = 9;

    /// Takes the text apart; never fails.
    pub fn parse(text: &[u8]) -> Self {
        Self(Table::parse(text))
    }

    /// The rows in file order, duplicates included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.rows().map(|index| Entry {
            index,
            name: self.0.field(index, 0).unwrap_or_default(),
            field: match self.0.password(index) {
                Field::Placeholder => Field::NoLogin,
                other => other,
            },
            last_change: self.0.field(index, 2),
            max: self.0.field(index, 4),
            inactive: self.0.field(index, 6),
            expire: self.0.field(index, 7),
        })
    }

    /// Makes field 2 a `*`: no hash left, no password matches, and sshd without PAM still takes the
    /// account's keys (it refuses a field that begins with `!`).
    ///
    /// # Errors
    /// `index` is no row.
    pub fn lock(&mut self, index: usize) -> Result<()> {
        self.0.set_password(index, b"*")
    }

    /// Locks every row whose field is empty or holds a secret and returns their indices. Fields that
    /// match nothing anyway stay as they are.
    ///
    /// # Errors
    /// None in practice; those of [`Shadow::lock`].
    pub fn lock_all(&mut self) -> Result<Vec<usize>> {
        let open: Vec<usize> =
            self.entries().filter(|e| e.field.needs_lock()).map(|e| e.index).collect();
        for index in &open {
            self.lock(*index)?;
        }
        Ok(open)
    }

    /// Writes field 2 of a row.
    ///
    /// # Errors
    /// `index` is no row, or `value` holds a colon, a line end or NUL.
    pub fn set_password(&mut self, index: usize, value: &[u8]) -> Result<()> {
        self.0.set_password(index, value)
    }

    /// Writes field 3 of a row: days since 1970-01-01, or empty.
    ///
    /// # Errors
    /// `index` is no row with three fields, or `value` holds a colon, a line end or NUL.
    pub fn set_last_change(&mut self, index: usize, value: &[u8]) -> Result<()> {
        self.0.set(index, 2, value)
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
    use proptest::prelude::*;

    /// Every kind of field, and rows of 8 and 10 fields, as they come in and go out.
    const TABLE: [(&str, &str); 17] = [
        ("root:$6$salt$hash:19000:0:99999:7:::", "root:*:19000:0:99999:7:::"),
        ("a:$y$j9T$salt$hash:19000:0:99999:7:::", "a:*:19000:0:99999:7:::"),
        ("b:!$6$salt$hash:19000:0:99999:7:::", "b:*:19000:0:99999:7:::"),
        ("c:!!$6$salt$hash:1::::::", "c:*:1::::::"),
        ("d:!!:19000:0:99999:7:::", "d:!!:19000:0:99999:7:::"),
        ("e:*:19000:0:99999:7:::", "e:*:19000:0:99999:7:::"),
        ("f:x:19000:0:99999:7:::", "f:x:19000:0:99999:7:::"),
        ("g::19000:0:99999:7:::", "g:*:19000:0:99999:7:::"),
        ("h:abJnggxhB/yWI:19000:0:99999:7:::", "h:*:19000:0:99999:7:::"),
        ("i:!:19000:0:99999:7:::", "i:!:19000:0:99999:7:::"),
        ("j:$1$s$h:19000:0:99999:7::", "j:*:19000:0:99999:7::"),
        ("k:$1$s$h:19000:0:99999:7:::more:", "k:*:19000:0:99999:7:::more:"),
        ("root:$5$again$hash:0::::::", "root:*:0::::::"),
        ("+bob::::::::", "+bob::::::::"),
        (" ind:$6$salt$hashhash:1::::::", " ind:$6$salt$hashhash:1::::::"),
        ("#old:$6$salt$hashhash:1::::::", "#old:$6$salt$hashhash:1::::::"),
        ("nul:$6$sa\0lt$hash:1::::::", "nul:*:1::::::"),
    ];

    fn column(pick: fn(&(&'static str, &'static str)) -> &'static str) -> Vec<u8> {
        TABLE.iter().map(pick).collect::<Vec<_>>().join("\n").into_bytes()
    }

    #[test]
    fn every_field_of_the_table() {
        let mut shadow = Shadow::parse(&column(|row| row.0));
        assert_eq!(shadow.malformed(), [11, 12, 15, 16, 17]);
        assert_eq!(shadow.nis(), [14]);
        assert_eq!(shadow.suspicious(), [15, 16]);
        shadow.lock_all().unwrap();
        let out = shadow.to_bytes();
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&column(|row| row.1)));

        let mut again = Shadow::parse(&out);
        assert!(again.lock_all().unwrap().is_empty());
        assert!(!again.changed());
    }

    #[test]
    fn open_account_behind_a_blank_is_reported() {
        assert_eq!(Shadow::parse(b" root::1::::::\n #x::1\n").suspicious(), [1]);
    }

    #[test]
    fn ageing_and_removal() {
        let mut shadow = Shadow::parse(b"a:*:0:0:9:7:3:20000:\nb:*\nc:*:1::::::");
        let entry = shadow.entries().next().unwrap();
        assert_eq!(entry.last_change, Some(&b"0"[..]));
        assert_eq!((entry.max, entry.inactive), (Some(&b"9"[..]), Some(&b"3"[..])));
        assert_eq!(entry.expire, Some(&b"20000"[..]));
        shadow.set_last_change(0, b"").unwrap();
        assert!(shadow.set_last_change(1, b"").is_err());
        shadow.remove(1).unwrap();
        assert_eq!(shadow.to_bytes().as_slice(), b"a:*::0:9:7:3:20000:\nc:*:1::::::");
        assert_eq!(shadow.entries().count(), 2);
    }

    #[test]
    fn a_line_of_one_mebibyte() {
        let mut text = b"big:".to_vec();
        text.resize(1 << 20, b'h');
        text.extend_from_slice(b":1::::::\nlast:h");
        let mut shadow = Shadow::parse(&text);
        shadow.lock_all().unwrap();
        assert_eq!(shadow.to_bytes().as_slice(), b"big:*:1::::::\nlast:*");
    }

    proptest! {
        #[test]
        fn lock_is_idempotent_and_keeps_the_rest(
            bytes in proptest::collection::vec(prop_oneof![Just(b':'), Just(b'\n'), any::<u8>()], 0..200)
        ) {
            let mut shadow = Shadow::parse(&bytes);
            prop_assert_eq!(shadow.to_bytes().to_vec(), bytes.clone());
            let locked = shadow.lock_all().unwrap();
            let once = shadow.to_bytes();
            prop_assert_eq!(shadow.changed(), !locked.is_empty());
            let mut again = Shadow::parse(&once);
            prop_assert!(again.lock_all().unwrap().is_empty());
            prop_assert!(again.entries().all(|e| !e.field.needs_lock()));
        }
    }
}
