//! Zstandard, all frames of a file: `pzstd` and a log that is added to write several. Source: RFC 8878,
//! section 3.1.

use std::io::{self, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder, StreamingDecoder};

/// A frame that holds nothing. A decoder refuses a window of more than 100 MiB from its second frame
/// on, and takes as much memory as the first one asks for.
const EMPTY: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];

fn decoder() -> io::Result<FrameDecoder> {
    let (mut decoder, mut empty) = (FrameDecoder::new(), EMPTY);
    decoder.init(&mut empty).map_err(broken)?;
    decoder.decode_blocks(&mut empty, BlockDecodingStrategy::All).map_err(broken)?;
    Ok(decoder)
}

/// What is packed in one frame, to its end and not further.
pub(crate) fn zstd_frame<R: Read>(source: R) -> io::Result<impl Read> {
    StreamingDecoder::new_with_decoder(source, decoder()?).map_err(broken)
}

/// What is packed in the frames of a source.
pub(crate) struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: Read> Zstd<R> {
    pub(crate) fn new(source: R) -> io::Result<Self> {
        Ok(Self { source, decoder: decoder()? })
    }

    /// Begins the next frame; false at the end of the source.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            let mut magic = Vec::new();
            (&mut self.source).take(4).read_to_end(&mut magic)?;
            match *magic {
                [] => return Ok(false),
                // Holds what some program wants to remember, and no data.
                [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                    let mut length = [0; 4];
                    self.source.read_exact(&mut length)?;
                    let length = u64::from(u32::from_le_bytes(length));
                    io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
                }
                _ => {
                    let frame = magic.as_slice().chain(&mut self.source);
                    return self.decoder.init(frame).map_err(broken).map(|()| true);
                }
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(out);
            }
            if !self.decoder.is_finished() {
                let much = BlockDecodingStrategy::UptoBytes(out.len());
                self.decoder.decode_blocks(&mut self.source, much).map_err(broken)?;
            } else if !self.next()? {
                return Ok(0);
            }
        }
    }
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn text(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Zstd::new(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_frame_is_read() {
        let frame = |text: &[u8]| compress_to_vec(text, CompressionLevel::Fastest);
        let long = b"0123456789\n".repeat(70_000);
        let skipped = b"\x51\x2a\x4d\x18\x03\0\0\0abc";
        let bytes = [&frame(b"one "), &skipped[..], &frame(&long), EMPTY, &frame(b" end")].concat();
        assert_eq!(text(&bytes).unwrap(), [b"one ", &long[..], b" end"].concat());
        assert!(text(&bytes[..bytes.len() - 3]).is_err());
        assert!(text(&[&frame(b"one"), &b"plain text"[..]].concat()).is_err());
    }

    #[test]
    fn a_window_without_bound_is_refused() {
        // 2 GiB: 10 and 21 for the power of two.
        let bytes = [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0];
        assert!(text(&bytes).unwrap_err().to_string().contains("too big"));
        assert!(zstd_frame(&bytes[..]).is_err());
    }
}
