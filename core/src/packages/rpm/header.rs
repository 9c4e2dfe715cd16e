//! A package header as the database has it: an index of tags, then their data (rpm, docs/manual/format_header.md;
//! the numbers of tags are those of include/rpm/rpmtag.h).

use std::io;

use super::bytes::{be16, be32, size};
use super::damaged;
use crate::packages::{Algorithm, Sum, hex};

const OLDFILENAMES: u32 = 1027;
const FILESTATES: u32 = 1029;
const FILEMODES: u32 = 1030;
const FILEDIGESTS: u32 = 1035;
const FILEFLAGS: u32 = 1037;
const DIRINDEXES: u32 = 1116;
const BASENAMES: u32 = 1117;
const DIRNAMES: u32 = 1118;
const FILEDIGESTALGO: u32 = 5011;

const CHAR: u32 = 1;
const INT16: u32 = 3;
const INT32: u32 = 4;
const STRING_ARRAY: u32 = 8;

/// `RPMFILE_GHOST`: the package owns the name, what lies there is somebody else's.
const GHOST: u32 = 1 << 6;
/// `RPMFILE_STATE_NORMAL`; others were replaced by another package, or not installed.
const NORMAL: u8 = 0;
const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;
/// More names than any package has; a damaged header may ask for any number.
const MOST: usize = 1 << 20;
/// `PATH_MAX`.
const LONGEST: usize = 4096;

/// A file that a package brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Where it lies.
    pub path: Vec<u8>,
    /// `PGPHASHALGO` (RFC 4880, 9.4) of the digest.
    pub algorithm: u32,
    /// In hexadecimal digits; empty for what is no regular file.
    pub digest: Vec<u8>,
}

impl Owned {
    pub(super) fn sum(&self) -> Sum {
        let known = match self.algorithm {
            1 => Algorithm::Md5,
            2 => Algorithm::Sha1,
            8 => Algorithm::Sha256,
            9 => Algorithm::Sha384,
            10 => Algorithm::Sha512,
            11 => Algorithm::Sha224,
            _ => return Sum::Unknown,
        };
        let digest = match known {
            Algorithm::Md5 => hex::<16>(&self.digest).map(Vec::from),
            Algorithm::Sha1 => hex::<20>(&self.digest).map(Vec::from),
            Algorithm::Sha224 => hex::<28>(&self.digest).map(Vec::from),
            Algorithm::Sha256 => hex::<32>(&self.digest).map(Vec::from),
            Algorithm::Sha384 => hex::<48>(&self.digest).map(Vec::from),
            Algorithm::Sha512 => hex::<64>(&self.digest).map(Vec::from),
        };
        digest.map_or(Sum::Unknown, |digest| Sum::of(known, &digest))
    }
}

/// Hands each file of a package to `each`; ghosts and what this package did not install are left out.
///
/// # Errors
/// The header is damaged.
pub fn files(header: &[u8], each: &mut dyn FnMut(Owned)) -> io::Result<()> {
    let header = Header::new(header)?;
    let digests = header.texts(FILEDIGESTS)?;
    let (states, flags) = (header.bytes(FILESTATES, CHAR, 1)?, header.bytes(FILEFLAGS, INT32, 4)?);
    let modes = header.bytes(FILEMODES, INT16, 2)?;
    // Without the tag they are MD5, which was the only one until rpm 4.6.
    let algorithm = header.bytes(FILEDIGESTALGO, INT32, 4)?;
    let algorithm = algorithm.map_or(Ok(1), |bytes| be32(bytes, 0))?;
    let mut number = 0;
    header.paths(&mut |path| {
        let index = number;
        number += 1;
        let state = states.and_then(|states| states.get(index)).copied().unwrap_or(NORMAL);
        let flags = flags.map_or(Ok(0), |flags| be32(flags, 4 * index))?;
        let mode = modes.map_or(Ok(S_IFREG), |modes| be16(modes, 2 * index))?;
        if state == NORMAL && flags & GHOST == 0 && mode & S_IFMT == S_IFREG {
            let digest = digests.get(index).copied().unwrap_or_default().to_vec();
            each(Owned { path, algorithm, digest });
        }
        Ok(())
    })
}

struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn new(header: &'a [u8]) -> io::Result<Self> {
        const CUT: &str = "a header is cut";
        let entries = size(be32(header, 0)?)?;
        let length = size(be32(header, 4)?)?;
        let end = entries.checked_mul(16).and_then(|index| index.checked_add(8));
        let index = end.and_then(|end| header.get(8..end)).ok_or_else(|| damaged(CUT))?;
        let data = header.get(8 + index.len()..).and_then(|rest| rest.get(..length));
        Ok(Self { index, data: data.ok_or_else(|| damaged(CUT))? })
    }

    /// Where the data of a tag begin, and how many there are.
    fn find(&self, tag: u32, kind: u32) -> io::Result<Option<(&'a [u8], usize)>> {
        for entry in self.index.chunks_exact(16) {
            if be32(entry, 0)? == tag && be32(entry, 4)? == kind {
                let start = size(be32(entry, 8)?)?;
                let data = self.data.get(start..).ok_or_else(|| damaged("a tag lies outside"))?;
                return Ok(Some((data, size(be32(entry, 12)?)?)));
            }
        }
        Ok(None)
    }

    /// All numbers of a tag, each of `width` bytes.
    fn bytes(&self, tag: u32, kind: u32, width: usize) -> io::Result<Option<&'a [u8]>> {
        let Some((data, count)) = self.find(tag, kind)? else { return Ok(None) };
        let all = count.checked_mul(width).and_then(|length| data.get(..length));
        all.map(Some).ok_or_else(|| damaged("a tag is cut"))
    }

    /// All strings of a tag.
    fn texts(&self, tag: u32) -> io::Result<Vec<&'a [u8]>> {
        let Some((mut data, count)) = self.find(tag, STRING_ARRAY)? else { return Ok(Vec::new()) };
        if count > MOST {
            return Err(damaged("a header has too many names"));
        }
        let mut texts = Vec::new();
        for _ in 0..count {
            let end = memchr::memchr(0, data).ok_or_else(|| damaged("a string has no end"))?;
            let (text, rest) = data.split_at(end);
            texts.push(text);
            data = rest.get(1..).unwrap_or_default();
        }
        Ok(texts)
    }

    /// The path of each file, in the order of the other tags.
    fn paths(&self, each: &mut dyn FnMut(Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let names = self.texts(BASENAMES)?;
        if names.is_empty() {
            // A package of the third format (rpm 3).
            return self.texts(OLDFILENAMES)?.into_iter().try_for_each(|name| each(name.to_vec()));
        }
        let folders = self.texts(DIRNAMES)?;
        let which = self.bytes(DIRINDEXES, INT32, 4)?.unwrap_or_default();
        for (number, name) in names.iter().enumerate() {
            let folder = folders.get(size(be32(which, 4 * number)?)?);
            let folder = folder.ok_or_else(|| damaged("a file lies in no folder"))?;
            if folder.len().saturating_add(name.len()) > LONGEST {
                return Err(damaged("a path is too long"));
            }
            each([*folder, *name].concat())?;
        }
        Ok(())
    }
}
