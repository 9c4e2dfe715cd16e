use std::io::{self, Read};

use super::Value;

/// What one value may cost; a peer that asks for more gets an error.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nesting of arrays and maps.
    pub depth: usize,
    /// Encoded bytes of the whole value.
    pub bytes: usize,
}

impl Default for Limits {
    /// 64 levels, 64 MiB: Packer's largest message is a template's whole variable set.
    fn default() -> Self {
        Self { depth: 64, bytes: 64 << 20 }
    }
}

/// Why no value came out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended before the first byte of a value: a clean end between messages.
    #[error("end of stream")]
    End,
    /// The stream ended, or the bytes did, inside a value.
    #[error("the msgpack value is cut off")]
    Truncated,
    /// The byte 0xc1 has no meaning in msgpack.
    #[error("byte 0xc1 starts no msgpack value")]
    Invalid,
    /// A value larger or deeper than [`Limits`].
    #[error("the msgpack value is larger or nested deeper than allowed")]
    TooLarge,
    /// [`decode`] only: something follows the value.
    #[error("bytes follow the msgpack value")]
    Trailing,
    /// The stream itself failed.
    #[error("read a msgpack value")]
    Io(#[source] io::Error),
}

/// Decodes exactly one value that fills `bytes`.
///
/// # Errors
/// [`Error`], where an empty slice is [`Error::End`].
pub fn decode(mut bytes: &[u8], limits: Limits) -> Result<Value, Error> {
    let value = read(&mut bytes, limits)?;
    if bytes.is_empty() { Ok(value) } else { Err(Error::Trailing) }
}

/// Reads one value and not one byte more.
///
/// # Errors
/// [`Error`]; [`Error::End`] only when not a single byte could be read.
pub fn read(source: &mut impl Read, limits: Limits) -> Result<Value, Error> {
    let mut decoder = Decoder { source, left: limits.bytes };
    let tag = match decoder.take::<1>() {
        Ok([tag]) => tag,
        Err(Error::Truncated) => return Err(Error::End),
        Err(other) => return Err(other),
    };
    decoder.value(tag, limits.depth)
}

struct Decoder<'a, R> {
    source: &'a mut R,
    left: usize,
}

impl<R: Read> Decoder<'_, R> {
    fn value(&mut self, tag: u8, depth: usize) -> Result<Value, Error> {
        Ok(match tag {
            0x00..=0x7f => Value::UInt(u64::from(tag)),
            0x80..=0x8f => self.map(usize::from(tag & 0x0f), depth)?,
            0x90..=0x9f => self.array(usize::from(tag & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(tag & 0x1f))?,
            0xc0 => Value::Nil,
            0xc1 => return Err(Error::Invalid),
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(tag - 0xc4)?;
                Value::Bin(self.bytes(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(tag - 0xc7)?;
                self.extension(len)?
            }
            0xca => Value::F64(f64::from(f32::from_be_bytes(self.take()?))),
            0xcb => Value::F64(f64::from_be_bytes(self.take()?)),
            0xcc => Value::UInt(u64::from(u8::from_be_bytes(self.take()?))),
            0xcd => Value::UInt(u64::from(u16::from_be_bytes(self.take()?))),
            0xce => Value::UInt(u64::from(u32::from_be_bytes(self.take()?))),
            0xcf => Value::UInt(u64::from_be_bytes(self.take()?)),
            0xd0 => Value::from(i64::from(i8::from_be_bytes(self.take()?))),
            0xd1 => Value::from(i64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Value::from(i64::from(i32::from_be_bytes(self.take()?))),
            0xd3 => Value::from(i64::from_be_bytes(self.take()?)),
            0xd4..=0xd8 => self.extension(1 << (tag - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.length(tag - 0xd9)?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.length(tag - 0xdb)?;
                self.array(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.length(tag - 0xdd)?;
                self.map(len, depth)?
            }
            0xe0..=0xff => Value::from(i64::from(i8::from_be_bytes([tag]))),
        })
    }

    /// A length of 8, 16 or 32 bits for `width` 0, 1, 2.
    fn length(&mut self, width: u8) -> Result<usize, Error> {
        let len = match width {
            0 => u32::from(u8::from_be_bytes(self.take()?)),
            1 => u32::from(u16::from_be_bytes(self.take()?)),
            _ => u32::from_be_bytes(self.take()?),
        };
        usize::try_from(len).map_err(|_| Error::TooLarge)
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Value, Error> {
        let depth = depth.checked_sub(1).ok_or(Error::TooLarge)?;
        // Each element costs at least one byte, so a count beyond the budget is a lie; the
        // vector still grows only with what really arrives.
        if len > self.left {
            return Err(Error::TooLarge);
        }
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(self.next(depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, Error> {
        let depth = depth.checked_sub(1).ok_or(Error::TooLarge)?;
        if len > self.left / 2 {
            return Err(Error::TooLarge);
        }
        let mut pairs = Vec::new();
        for _ in 0..len {
            let key = self.next(depth)?;
            pairs.push((key, self.next(depth)?));
        }
        Ok(Value::Map(pairs))
    }

    fn next(&mut self, depth: usize) -> Result<Value, Error> {
        let [tag] = self.take()?;
        self.value(tag, depth)
    }

    fn text(&mut self, len: usize) -> Result<Value, Error> {
        let bytes = self.bytes(len)?;
        Ok(String::from_utf8(bytes).map_or_else(|e| Value::Bin(e.into_bytes()), Value::Str))
    }

    fn extension(&mut self, len: usize) -> Result<Value, Error> {
        let kind = i8::from_be_bytes(self.take()?);
        Ok(Value::Ext(kind, self.bytes(len)?))
    }

    fn bytes(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        self.left = self.left.checked_sub(len).ok_or(Error::TooLarge)?;
        let mut bytes = Vec::new();
        let want = u64::try_from(len).map_err(|_| Error::TooLarge)?;
        let got = self.source.by_ref().take(want).read_to_end(&mut bytes).map_err(Error::Io)?;
        if got == len { Ok(bytes) } else { Err(Error::Truncated) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.left = self.left.checked_sub(N).ok_or(Error::TooLarge)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Truncated,
            _ => Error::Io(error),
        })?;
        Ok(bytes)
    }
}
