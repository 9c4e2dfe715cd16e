//! Paths inside an image: absolute, bytes, never resolved on the host by accident.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An absolute path inside an image root, as bytes. Empty and `.` components are dropped; `..` is
/// kept for the kernel to resolve inside the root; NUL cannot occur.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(Vec<u8>);

impl ImagePath {
    /// The root itself.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Makes a path; a missing leading slash is added. `None` when `bytes` contains NUL.
    pub fn new(bytes: impl AsRef<[u8]>) -> Option<Self> {
        let bytes = bytes.as_ref();
        if bytes.contains(&0) {
            return None;
        }
        let mut path = Vec::with_capacity(bytes.len() + 1);
        for part in bytes.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".") {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Some(Self(path))
    }

    /// A path known at compile time.
    ///
    /// Keeps what stands before a NUL; literals have none.
    pub fn literal(text: &'static str) -> Self {
        Self::new(text.split('\0').next().unwrap_or("/")).unwrap_or_else(Self::root)
    }

    /// This path with `name` (one or more components) below it. `None` when `name` contains NUL.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Option<Self> {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        bytes.extend_from_slice(name.as_ref());
        Self::new(bytes)
    }

    /// The path with a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same without its leading slash, `.` for the root: what `openat` wants.
    pub fn relative(&self) -> &OsStr {
        match self.0.get(1..) {
            Some(rest) if !rest.is_empty() => OsStr::from_bytes(rest),
            _ => OsStr::new("."),
        }
    }

    /// The components in order; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|p| !p.is_empty())
    }

    /// The last component, `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().last()
    }

    /// The path without its last component, `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.iter().rposition(|b| *b == b'/')?;
        if self.0.len() == 1 {
            return None;
        }
        Some(if cut == 0 { Self::root() } else { Self(self.0.get(..cut)?.to_vec()) })
    }

    /// True when this is `dir` or lies below it, compared component by component.
    pub fn starts_with(&self, dir: &Self) -> bool {
        dir.0 == b"/"
            || self
                .0
                .strip_prefix(dir.0.as_slice())
                .is_some_and(|r| r.is_empty() || r.starts_with(b"/"))
    }

    /// Lossless text: valid UTF-8 as it is, other bytes and control characters as `\xNN`, a
    /// backslash as `\\`.
    pub fn escaped(&self) -> Cow<'_, str> {
        escape(&self.0)
    }
}

/// Lossless text for bytes that come from an image; see [`ImagePath::escaped`].
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if !text.chars().any(|c| c == '\\' || c.is_control()) {
            return Cow::Borrowed(text);
        }
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push_str("\\\\");
            } else if c.is_control() {
                let mut buffer = [0; 4];
                push_hex(&mut out, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                out.push(c);
            }
        }
        push_hex(&mut out, chunk.invalid());
    }
    Cow::Owned(out)
}

/// Reverses [`escape`]. `None` when a backslash is not followed by `\` or `xNN`.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            _ => return None,
        }
    }
    Some(out)
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.escaped())
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImagePath({self})")
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.escaped())
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unescape(&text)
            .and_then(Self::new)
            .ok_or_else(|| serde::de::Error::custom("not an escaped image path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).unwrap()
    }

    #[test]
    fn normalises_and_walks_up() {
        let p = path("etc//./ssh/sshd_config");
        assert_eq!(p.as_bytes(), b"/etc/ssh/sshd_config");
        assert_eq!(p.parent(), Some(path("/etc/ssh")));
        assert_eq!(path("/etc").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
        assert_eq!(p.file_name(), Some(&b"sshd_config"[..]));
        assert_eq!(ImagePath::root().relative(), ".");
        assert!(ImagePath::new(b"a\0b").is_none());
    }

    #[test]
    fn starts_with_compares_components() {
        assert!(path("/home/ann/.ssh").starts_with(&path("/home/ann")));
        assert!(!path("/home/anna").starts_with(&path("/home/ann")));
        assert!(path("/x").starts_with(&ImagePath::root()));
    }

    #[test]
    fn escapes_what_a_terminal_must_not_see() {
        let p = ImagePath::new(b"/home/\xff\x1b[2J\\".as_slice()).unwrap();
        assert_eq!(p.to_string(), r"/home/\xff\x1b[2J\\");
    }

    proptest! {
        #[test]
        fn escape_round_trips(bytes in proptest::collection::vec(1u8.., 0..64)) {
            let text = escape(&bytes).into_owned();
            prop_assert_eq!(unescape(&text), Some(bytes));
        }
    }
}
