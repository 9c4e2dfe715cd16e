//! The system calls that no safe wrapper offers. The only module of this crate with unsafe
//! code; `sys::erase` is its part for whole file systems.
#![expect(unsafe_code, reason = "ioctl(2) takes pointers; each call says why it is sound")]

#[cfg(feature = "scrub")]
pub(crate) mod erase;

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `FIEMAP_FLAG_SYNC`: write back delayed data first, so that every block is known.
const FIEMAP_FLAG_SYNC: u32 = 1;
/// Extents asked for in one call.
const BATCH: usize = 128;

/// `struct fiemap_extent` of linux/fiemap.h. Offsets and lengths are bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset in the file.
    pub(crate) logical: u64,
    /// Offset on the device of the file system.
    pub(crate) physical: u64,
    /// Length.
    pub(crate) length: u64,
    reserved64: [u64; 2],
    /// `FIEMAP_EXTENT_*`.
    pub(crate) flags: u32,
    reserved: [u32; 3],
}

impl Extent {
    /// `FIEMAP_EXTENT_LAST`: no extent follows.
    pub(crate) const LAST: u32 = 0x1;
    /// `FIEMAP_EXTENT_ENCODED`: compressed or encrypted by the file system.
    pub(crate) const ENCODED: u32 = 0x8;
    /// `FIEMAP_EXTENT_DATA_ENCRYPTED`: encrypted, which sets `ENCODED` too.
    pub(crate) const DATA_ENCRYPTED: u32 = 0x80;
    /// `FIEMAP_EXTENT_DATA_INLINE`: the data lies in a metadata block.
    pub(crate) const DATA_INLINE: u32 = 0x200;
    /// `FIEMAP_EXTENT_SHARED`: another file or snapshot uses the same blocks.
    pub(crate) const SHARED: u32 = 0x2000;
}

/// `struct fiemap` without its flexible array.
#[repr(C)]
struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
}

#[repr(C)]
struct Request {
    header: Header,
    extents: [Extent; BATCH],
}

const FS_IOC_FIEMAP: Opcode = opcode::read_write::<Header>(b'f', 11);

/// The extents of a file from byte `start` on, unwritten ones included; at most a batch, the last
/// one of the file marked [`Extent::LAST`]. Empty when nothing is allocated there.
///
/// # Errors
/// `EOPNOTSUPP` or `ENOTTY` where the file system has no map.
pub(crate) fn fiemap(file: impl AsFd, start: u64) -> Result<Vec<Extent>, Errno> {
    let header = Header {
        start,
        length: u64::MAX - start,
        flags: FIEMAP_FLAG_SYNC,
        mapped: 0,
        count: 128,
        reserved: 0,
    };
    let mut request = Request { header, extents: [Extent::default(); BATCH] };
    // SAFETY: the opcode is FS_IOC_FIEMAP, whose argument is a `struct fiemap` with `count`
    // extents behind it. `Request` is that, as repr(C) without padding in between (the header is
    // 32 bytes long, an extent 56), and `count` is the length of its array. Every bit pattern is
    // valid for the integer fields that the kernel writes.
    unsafe { ioctl(file, Updater::<FS_IOC_FIEMAP, Request>::new(&mut request))? };
    let mapped = usize::try_from(request.header.mapped).unwrap_or(0).min(BATCH);
    Ok(request.extents.get(..mapped).unwrap_or_default().to_vec())
}

const _: () = assert!(size_of::<Header>() == 32 && size_of::<Extent>() == 56 && BATCH == 128);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_opcode_is_the_one_of_linux_fs_h() {
        assert_eq!(FS_IOC_FIEMAP, 0xc020_660b);
    }

    #[test]
    fn a_file_with_data_has_an_extent_where_the_file_system_can_tell() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        match fiemap(&file, 0) {
            Ok(extents) => {
                assert_eq!(extents.first().unwrap().logical, 0);
                assert!(extents.iter().map(|e| e.length).sum::<u64>() >= 10_000);
                assert!(extents.last().unwrap().flags & Extent::LAST != 0);
            }
            Err(errno) => assert!(matches!(errno, Errno::OPNOTSUPP | Errno::NOTTY), "{errno}"),
        }
    }
}
