//! msgpack values as Go's ugorji codec writes them (new spec: `str` and `bin` are different).
//!
//! Source: the msgpack specification, and real bytes of Packer 1.6.6 and packer-plugin-sdk 0.6.10.

mod decode;
mod encode;

use std::fmt;

pub use decode::{Error, Limits, decode, read};
pub use encode::encode;

/// One msgpack value.
///
/// Numbers are kept in one form: what is not negative is [`Value::UInt`], whatever width and sign
/// it had on the wire. A `str` that is not UTF-8 (Go allows it) is read as [`Value::Bin`], so that
/// no byte is lost.
///
/// `Debug` prints the shape and the keys, never the text: the values carry passwords.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `nil`: Go's nil pointer, interface, slice or map, or "no reply".
    Nil,
    /// A boolean.
    Bool(bool),
    /// A negative integer (use [`Value::from`] to build integers of unknown sign).
    Int(i64),
    /// An integer that is not negative.
    UInt(u64),
    /// A float of either width.
    F64(f64),
    /// UTF-8 text.
    Str(String),
    /// Bytes: Go's `[]byte`, or a `str` that is not UTF-8.
    Bin(Vec<u8>),
    /// A sequence.
    Array(Vec<Self>),
    /// Key and value pairs in the order of the wire.
    Map(Vec<(Self, Self)>),
    /// An extension, for example −1 = time stamp.
    Ext(i8, Vec<u8>),
}

impl Value {
    /// A map with text keys, in the given order.
    pub fn map<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (Self::from(k), v)).collect())
    }

    /// The value under a text key; `None` when this is no map or has no such key.
    ///
    /// A key that occurs twice counts with its last value, as in Go.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => {
                pairs.iter().rev().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
            }
            _ => None,
        }
    }

    /// The text, if this is UTF-8 text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of text or binary.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text.as_bytes()),
            Self::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::UInt(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The integer, if it is one and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::UInt(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether this is `nil`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::UInt(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::UInt(u64::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Int(value), Self::UInt)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(_) | Self::UInt(_) => f.write_str("int"),
            Self::F64(_) => f.write_str("float"),
            Self::Str(text) => write!(f, "str[{}]", text.len()),
            Self::Bin(bytes) => write!(f, "bin[{}]", bytes.len()),
            Self::Ext(kind, bytes) => write!(f, "ext{kind}[{}]", bytes.len()),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Map(pairs) => {
                let named = pairs.iter().map(|(key, value)| (key.as_str().unwrap_or("?"), value));
                f.debug_map().entries(named).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_keys_and_no_values() {
        let value = Value::map([("Password", "hunter2".into()), ("Port", 22022_u32.into())]);
        let text = format!("{value:?}");
        assert_eq!(text, r#"{"Password": str[7], "Port": int}"#);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let value = Value::map([("a", 1_u32.into()), ("a", 2_u32.into())]);
        assert_eq!(value.get("a").and_then(Value::as_u64), Some(2));
        assert_eq!(value.get("b"), None);
        assert_eq!(Value::Nil.get("a"), None);
    }
}
