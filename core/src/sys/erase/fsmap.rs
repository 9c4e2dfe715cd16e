//! What the space of a file system belongs to: FS_IOC_GETFSMAP.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Records of free and used space asked for in one call.
const RECORDS: usize = 1024;

/// `struct fsmap` of linux/fsmap.h. Addresses and lengths are bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) device: u32,
    pub(crate) flags: u32,
    pub(crate) physical: u64,
    pub(crate) owner: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    reserved: [u64; 3],
}

impl Record {
    const SPECIAL_OWNER: u32 = 0x10;
    const LAST: u32 = 0x20;
    const OWN_FREE: u64 = 1;
    const OWN_UNKNOWN: u64 = 2;

    /// True for space that the file system has not given to anybody.
    pub(crate) fn is_free(&self) -> bool {
        self.flags & Self::SPECIAL_OWNER != 0 && self.owner == Self::OWN_FREE
    }

    /// True for space that holds something of the file system's own: a log, inodes, bitmaps.
    pub(crate) fn is_metadata(&self) -> bool {
        self.flags & Self::SPECIAL_OWNER != 0
            && self.owner != Self::OWN_FREE
            && self.owner != Self::OWN_UNKNOWN
    }

    /// True for the file system's log (`XFS_FMR_OWN_LOG`, `EXT4_FMR_OWN_LOG`).
    pub(crate) fn is_log(&self) -> bool {
        self.flags & Self::SPECIAL_OWNER != 0 && self.owner == (u64::from(b'X') << 32) | 2
    }
}

#[repr(C)]
struct FsmapHead {
    iflags: u32,
    oflags: u32,
    count: u32,
    entries: u32,
    reserved: [u64; 6],
    keys: [Record; 2],
}

#[repr(C)]
struct FsmapRequest {
    head: FsmapHead,
    records: [Record; RECORDS],
}

const FS_IOC_GETFSMAP: Opcode = opcode::read_write::<FsmapHead>(b'X', 59);

/// What the space from byte `start` on belongs to, appended to `out` in the order of addresses.
/// Stops behind `end`. Allocates nothing but the growth of `out`.
///
/// # Errors
/// `EOPNOTSUPP` or `ENOTTY` where the file system has no such map (only ext4 and xfs do).
pub(crate) fn space_map(
    root: impl AsFd,
    start: u64,
    end: u64,
    scratch: &mut SpaceMapBuffer,
    out: &mut Vec<Record>,
) -> Result<(), Errno> {
    let request = scratch.0.as_mut();
    let all = Record {
        device: u32::MAX,
        flags: u32::MAX,
        owner: u64::MAX,
        offset: u64::MAX,
        ..Record::default()
    };
    request.head.keys =
        [Record { physical: start, ..Record::default() }, Record { physical: end, ..all }];
    loop {
        request.head.iflags = 0;
        request.head.oflags = 0;
        request.head.count = 1024;
        request.head.entries = 0;
        // SAFETY: FS_IOC_GETFSMAP takes a `struct fsmap_head` with `count` records behind it. The
        // request is that, without padding in between, and `count` is the length of its array.
        // Every bit pattern is valid for the integer fields that the kernel writes.
        unsafe { ioctl(root.as_fd(), Updater::<FS_IOC_GETFSMAP, FsmapRequest>::new(request))? };
        let count = usize::try_from(request.head.entries).unwrap_or(0).min(RECORDS);
        let found = request.records.get(..count).unwrap_or_default();
        out.extend_from_slice(found);
        match found.last() {
            Some(last) if last.flags & Record::LAST == 0 => request.head.keys[0] = *last,
            _ => return Ok(()),
        }
    }
}

/// Memory for [`space_map`], made before a freeze so that none is asked for during it.
pub(crate) struct SpaceMapBuffer(Box<FsmapRequest>);

impl SpaceMapBuffer {
    pub(crate) fn new() -> Self {
        let empty = Record::default();
        let head = FsmapHead {
            iflags: 0,
            oflags: 0,
            count: 0,
            entries: 0,
            reserved: [0; 6],
            keys: [empty; 2],
        };
        Self(Box::new(FsmapRequest { head, records: [empty; RECORDS] }))
    }
}

const _: () = assert!(size_of::<FsmapHead>() == 192 && size_of::<Record>() == 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcode_is_that_of_the_kernel_headers() {
        assert_eq!(FS_IOC_GETFSMAP, 0xc0c0_583b);
    }
}
