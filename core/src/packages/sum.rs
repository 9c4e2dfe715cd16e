//! Digests of files as the databases of packages have them.

use std::io::{self, Read};

use md5::Md5;
use sha1::Sha1;
use sha1::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// dpkg's, and rpm's before 4.6.
    Md5,
    /// apk's.
    Sha1,
    Sha224,
    /// What distributions with rpm take.
    Sha256,
    Sha384,
    Sha512,
}

/// What a database knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// The name only.
    Unknown,
    /// Its digest: of a longer one the first 32 bytes, of a shorter one zeros behind it. There are a
    /// hundred thousand of them.
    Known(Algorithm, [u8; 32]),
}

impl Sum {
    pub(super) fn of(algorithm: Algorithm, digest: &[u8]) -> Self {
        let mut head = [0; 32];
        head.iter_mut().zip(digest).for_each(|(place, byte)| *place = *byte);
        Self::Known(algorithm, head)
    }

    /// Whether `file` has this digest.
    pub(super) fn is_of(&self, file: impl Read) -> io::Result<bool> {
        let Self::Known(algorithm, _) = *self else { return Ok(false) };
        let found = match algorithm {
            Algorithm::Md5 => digest::<Md5>(file)?,
            Algorithm::Sha1 => digest::<Sha1>(file)?,
            Algorithm::Sha224 => digest::<Sha224>(file)?,
            Algorithm::Sha256 => digest::<Sha256>(file)?,
            Algorithm::Sha384 => digest::<Sha384>(file)?,
            Algorithm::Sha512 => digest::<Sha512>(file)?,
        };
        Ok(*self == Self::of(algorithm, &found))
    }
}

fn digest<D: Digest>(mut file: impl Read) -> io::Result<Vec<u8>> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Bytes from hexadecimal digits; `None` for anything else.
pub(super) fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
