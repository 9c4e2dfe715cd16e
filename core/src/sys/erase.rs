//! The system calls of erasing that no safe wrapper offers.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Setter, Updater, ioctl, opcode};

use super::Extent;

/// Records of free and used space asked for in one call.
const RECORDS: usize = 1024;

impl Extent {
    /// `FIEMAP_EXTENT_UNKNOWN`: there is no address yet.
    const UNKNOWN: u32 = 0x2;
    /// `FIEMAP_EXTENT_DELALLOC`: nothing is allocated yet.
    const DELALLOC: u32 = 0x4;
    /// `FIEMAP_EXTENT_NOT_ALIGNED`: the addresses are not those of whole blocks.
    const NOT_ALIGNED: u32 = 0x100;
    /// `FIEMAP_EXTENT_UNWRITTEN`: reads as zeros whatever the device holds there.
    const UNWRITTEN: u32 = 0x800;

    /// True when the file system reads the extent as zeros whatever the device holds there, and
    /// the device's bytes at `physical` belong to nothing else.
    pub(crate) fn is_plain_unwritten(&self) -> bool {
        let never = Self::UNKNOWN
            | Self::DELALLOC
            | Self::ENCODED
            | Self::DATA_ENCRYPTED
            | Self::NOT_ALIGNED
            | Self::DATA_INLINE
            | Self::SHARED;
        self.flags & Self::UNWRITTEN != 0 && self.flags & never == 0
    }

    /// True when the file system reads the extent as zeros whatever the device holds there.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.flags & Self::UNWRITTEN != 0
    }

    /// True when `physical` is an address on the device.
    pub(crate) fn has_address(&self) -> bool {
        self.flags & (Self::UNKNOWN | Self::DELALLOC | Self::DATA_INLINE) == 0
    }

    /// True when no extent follows in the file.
    pub(crate) fn is_last(&self) -> bool {
        self.flags & Self::LAST != 0
    }

    /// The first byte behind the extent in the file.
    pub(crate) fn logical_end(&self) -> u64 {
        self.logical.saturating_add(self.length)
    }
}

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

/// `struct fstrim_range` of linux/fs.h, in bytes.
#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    shortest: u64,
}

const FITRIM: Opcode = opcode::read_write::<TrimRange>(b'X', 121);

/// Discards all free space of the mounted file system; the bytes it says it discarded.
///
/// # Errors
/// `EOPNOTSUPP` where the device or the file system cannot.
pub(crate) fn trim(root: impl AsFd) -> Result<u64, Errno> {
    let mut range = TrimRange { start: 0, length: u64::MAX, shortest: 0 };
    // SAFETY: FITRIM reads and writes one `struct fstrim_range`, which `TrimRange` is.
    unsafe { ioctl(root, Updater::<FITRIM, TrimRange>::new(&mut range))? };
    Ok(range.length)
}

const FIFREEZE: Opcode = opcode::read_write::<i32>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<i32>(b'X', 120);

/// Suspends all writes to the file system until [`thaw`].
pub(crate) fn freeze(root: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FIFREEZE ignores its argument.
    unsafe { ioctl(root, NoArg::<FIFREEZE>::new()) }
}

/// Ends [`freeze`]. `EINVAL` when the file system is not frozen.
pub(crate) fn thaw(root: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FITHAW ignores its argument.
    unsafe { ioctl(root, NoArg::<FITHAW>::new()) }
}

const EXT4_IOC_CHECKPOINT: Opcode = opcode::write::<u32>(b'f', 43);
/// `EXT4_IOC_CHECKPOINT_FLAG_ZEROOUT`: overwrite the journal's blocks with zeros.
const CHECKPOINT_ZEROOUT: u32 = 2;

/// Writes an ext4 journal back and overwrites it with zeros. Linux 5.14 and later.
///
/// # Errors
/// `ENOTTY` before Linux 5.14, `EOPNOTSUPP` or `ENODEV` without a journal.
pub(crate) fn checkpoint(root: impl AsFd) -> Result<(), Errno> {
    // SAFETY: EXT4_IOC_CHECKPOINT reads one u32 of flags.
    unsafe { ioctl(root, Setter::<EXT4_IOC_CHECKPOINT, u32>::new(CHECKPOINT_ZEROOUT)) }
}

/// Stops paging to a swap area. swapoff(2)
pub(crate) fn swap_off(path: &CStr) -> io::Result<()> {
    // SAFETY: the pointer is a string with a final NUL that outlives the call.
    match unsafe { libc::swapoff(path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts paging to a swap area. swapon(2). A negative priority is the kernel's choice.
pub(crate) fn swap_on(path: &CStr, priority: i32) -> io::Result<()> {
    const PREFER: libc::c_int = 0x8000;
    const MASK: libc::c_int = 0x7fff;
    let flags = if priority < 0 { 0 } else { PREFER | (priority & MASK) };
    // SAFETY: the pointer is a string with a final NUL that outlives the call.
    match unsafe { libc::swapon(path.as_ptr(), flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The signal that asked this process to end while [`Signals`] existed; 0 for none.
static ARRIVED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    ARRIVED.store(signal, Ordering::Relaxed);
}

/// Turns the signals that end a process (HUP, INT, QUIT, TERM) into a note, until it is dropped.
/// A signal that the process ignores stays ignored.
pub(crate) struct Signals {
    before: Vec<(libc::c_int, libc::sigaction)>,
}

impl Signals {
    pub(crate) fn catch() -> Self {
        ARRIVED.store(0, Ordering::Relaxed);
        let wanted = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
        let before = wanted.into_iter().filter_map(|s| Some((s, catch_one(s)?))).collect();
        Self { before }
    }

    /// The number of the signal that has arrived.
    pub(crate) fn arrived(&self) -> Option<i32> {
        Some(ARRIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}

/// The handler before, `None` when the signal is ignored or cannot be caught.
fn catch_one(signal: libc::c_int) -> Option<libc::sigaction> {
    // SAFETY: all zeros is a valid sigaction: default handler, empty mask, no flags.
    let (mut new, mut old) =
        unsafe { (std::mem::zeroed::<libc::sigaction>(), std::mem::zeroed::<libc::sigaction>()) };
    let handler: extern "C" fn(libc::c_int) = note;
    new.sa_sigaction = handler as libc::sighandler_t;
    new.sa_flags = libc::SA_RESTART;
    // SAFETY: both pointers are to live structures; the handler only stores to an atomic, which is
    // safe in a signal handler.
    unsafe {
        if libc::sigaction(signal, std::ptr::null(), &mut old) != 0
            || old.sa_sigaction == libc::SIG_IGN
        {
            return None;
        }
        (libc::sigaction(signal, &new, std::ptr::null_mut()) == 0).then_some(old)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, action) in &self.before {
            // SAFETY: `action` is what sigaction(2) returned for the same signal.
            unsafe { libc::sigaction(*signal, action, std::ptr::null_mut()) };
        }
    }
}

const _: () = assert!(size_of::<FsmapHead>() == 192 && size_of::<Record>() == 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcodes_are_those_of_the_kernel_headers() {
        assert_eq!(FS_IOC_GETFSMAP, 0xc0c0_583b);
        assert_eq!(FITRIM, 0xc018_5879);
        assert_eq!((FIFREEZE, FITHAW), (0xc004_5877, 0xc004_5878));
        assert_eq!(EXT4_IOC_CHECKPOINT, 0x4004_662b);
    }

    #[test]
    fn a_caught_signal_is_noted() {
        let signals = Signals::catch();
        assert_eq!(signals.arrived(), None);
        // SAFETY: the handler is the one above. It has run when raise(3) returns, which is not so
        // for a signal to the whole process.
        assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
        assert_eq!(signals.arrived(), Some(libc::SIGHUP));
    }

    #[test]
    fn only_unwritten_extents_of_nobody_else_may_be_written() {
        let extent = |flags| {
            let mut extents = [Extent::default()];
            extents[0].flags = flags;
            extents[0]
        };
        assert!(extent(0x800).is_plain_unwritten());
        assert!(extent(0x801).is_plain_unwritten());
        for bad in [0, 0x802, 0x804, 0x808, 0x880, 0x900, 0xa00, 0x2800] {
            assert!(!extent(bad).is_plain_unwritten(), "{bad:#x}");
        }
    }
}
