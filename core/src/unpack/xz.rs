//! xz, with a bound on the dictionary that a header asks for: the reader allocates it at once, and a
//! few bytes can ask for 4 GiB. Source: The .xz File Format 1.2.1, sections 3.1 and 5.3.1.

use std::io::{self, Read};

use flate2::Crc;
use lzma_rust2::XzReader;

/// As large a dictionary is accepted, in bytes; `xz -9` has 64 MiB.
const MOST: u64 = 128 << 20;
const LZMA2: u64 = 0x21;

/// What is packed in `source`, of one stream or of all that follow each other.
pub(crate) fn xz<R: Read>(source: R, all: bool) -> XzReader<impl Read> {
    XzReader::new(Gate { inner: source, byte: None }, all)
}

/// Stands between the reader and its source and looks at every header of a block before the reader
/// does. The reader asks for a header's first byte, which is its length, and then for the rest; its
/// checksum tells a header from data that is asked for in the same way.
struct Gate<R> {
    inner: R,
    /// The last read was for this one byte.
    byte: Option<u8>,
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let byte = self.byte.take();
        let Some(first) = byte.filter(|first| rest(*first) == Some(out.len())) else {
            let count = self.inner.read(out)?;
            self.byte = out.first().copied().filter(|_| count == 1 && out.len() == 1);
            return Ok(count);
        };
        self.inner.read_exact(out)?;
        if dictionary(first, out).is_some_and(|size| size > MOST) {
            let what = "its xz dictionary is larger than 128 MiB: it cannot be looked into";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(out.len())
    }
}

/// How many bytes of a header follow its first one.
fn rest(first: u8) -> Option<usize> {
    (first != 0).then(|| (usize::from(first) + 1) * 4 - 1)
}

/// The size of the dictionary in the header of a block; `None` where it is none.
fn dictionary(first: u8, rest: &[u8]) -> Option<u64> {
    let (header, sum) = rest.split_last_chunk::<4>()?;
    let mut crc = Crc::new();
    crc.update(&[first]);
    crc.update(header);
    if crc.sum() != u32::from_le_bytes(*sum) {
        return None;
    }
    let (flags, mut left) = header.split_first()?;
    for size in [0x40, 0x80] {
        if flags & size != 0 {
            number(&mut left)?;
        }
    }
    for _ in 0..=flags & 3 {
        let filter = number(&mut left)?;
        let length = usize::try_from(number(&mut left)?).ok()?;
        let (properties, after) = left.split_at_checked(length)?;
        if filter == LZMA2 {
            let bits = u64::from(*properties.first()?);
            // 40 stands for 4 GiB less one byte, and nothing stands for more.
            return Some((2 | bits & 1) << (bits.min(40) / 2 + 11));
        }
        left = after;
    }
    None
}

/// A number of seven bits a byte, the lowest first.
fn number(left: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, after) = left.split_first()?;
        *left = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> [u8; 4] {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    }

    /// A stream with one block for each text, which is stored; `bits` give the block's dictionary.
    pub(crate) fn packed(blocks: &[(&[u8], u8)]) -> Vec<u8> {
        let mut out = b"\xfd7zXZ\0\0\0".to_vec();
        out.extend(sum(&[0, 0]));
        let mut index = vec![0, u8::try_from(blocks.len()).unwrap()];
        for (text, bits) in blocks {
            let header = [2, 0, 0x21, 1, *bits, 0, 0, 0];
            out.extend(header);
            out.extend(sum(&header));
            let data = u16::try_from(text.len() - 1).unwrap().to_be_bytes();
            let block = [&[1], &data[..], text, &[0]].concat();
            index.extend([
                u8::try_from(12 + block.len()).unwrap(),
                u8::try_from(text.len()).unwrap(),
            ]);
            out.extend(&block);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        index.resize(index.len().next_multiple_of(4), 0);
        out.extend(&index);
        out.extend(sum(&index));
        let size = u32::try_from(index.len() / 4).unwrap().to_le_bytes();
        let footer = [&size[..], &[0, 0]].concat();
        out.extend(sum(&footer));
        out.extend(footer);
        out.extend(b"YZ");
        out
    }

    fn text(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        xz(bytes, true).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn no_block_of_any_stream_has_a_dictionary_without_bound() {
        let sound = packed(&[(b"one ", 0), (b"two ", 30)]);
        assert_eq!(text(&sound).unwrap(), b"one two ");
        assert_eq!(text(&[&sound[..], &sound].concat()).unwrap(), b"one two one two ");
        for bits in [31, 39, 40] {
            let late = packed(&[(b"one ", 0), (b"two ", bits)]);
            let first = packed(&[(b"one ", bits)]);
            for bytes in [first, late.clone(), [sound.clone(), late].concat()] {
                let error = text(&bytes).unwrap_err().to_string();
                assert!(error.contains("dictionary is larger than 128 MiB"), "{bits}: {error}");
            }
        }
    }
}
