//! Calls on a whole file system: discard, freeze, checkpoint.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Setter, Updater, ioctl, opcode};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcodes_are_those_of_the_kernel_headers() {
        assert_eq!(FITRIM, 0xc018_5879);
        assert_eq!((FIFREEZE, FITHAW), (0xc004_5877, 0xc004_5878));
        assert_eq!(EXT4_IOC_CHECKPOINT, 0x4004_662b);
    }
}
