//! Whether writing over a file reaches its old bytes, by file system, mount options and inode
//! flags.
//!
//! Magic numbers are those of statfs(2) and linux/magic.h. What ext4, xfs and btrfs do with an
//! overwrite is searched for on the raw device by the privileged tests.

use std::fs::{self, File};

use rustix::fs::{IFlags, fstatfs, ioctl_getflags, major, minor};

use crate::root::Meta;

/// What an overwrite in place is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// It replaces the old bytes.
    InPlace,
    /// It replaces them, and a journal keeps a copy.
    Journaled(&'static str),
    /// It goes to new blocks.
    CopyOnWrite(&'static str),
    /// The bytes are in memory only.
    Memory,
    /// Nobody here can say.
    Unknown(&'static str),
}

/// `EXT4_INLINE_DATA_FL` of the kernel's fs/ext4/ext4.h.
const INLINE_DATA: IFlags = IFlags::from_bits_retain(0x1000_0000);

impl Medium {
    /// The medium of an open file whose state is `meta`.
    pub(super) fn of(file: &File, meta: &Meta) -> Self {
        // Without flags (ENOTTY) a file has none of those that matter.
        let flags = ioctl_getflags(file).unwrap_or(IFlags::empty());
        let Ok(statfs) = fstatfs(file) else {
            return Self::Unknown("statfs(2) failed");
        };
        // Magic numbers have 32 bits; the field is wider and on some machines signed.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let magic = statfs.f_type as u32;
        match magic {
            0xef53 => Self::ext4(flags, || journals_data(meta.dev)),
            0x9123_683e if flags.contains(IFlags::NOCOW) => Self::InPlace,
            _ => Self::by_magic(magic),
        }
    }

    fn ext4(flags: IFlags, journals_data: impl Fn() -> bool) -> Self {
        if flags.contains(INLINE_DATA) {
            Self::Journaled("ext4 keeps the file inside its inode")
        } else if flags.contains(IFlags::JOURNALING) {
            Self::Journaled("ext4 journals the data of this file")
        } else if journals_data() {
            Self::Journaled("ext4 is mounted with data=journal")
        } else {
            Self::InPlace
        }
    }

    fn by_magic(magic: u32) -> Self {
        match magic {
            // xfs, jfs, vfat, exfat, ntfs3; shared extents of xfs show in the extent map.
            0x5846_5342 | 0x3153_464a | 0x4d44 | 0x2011_bab0 | 0x7366_746e => Self::InPlace,
            0x9123_683e => Self::CopyOnWrite("btrfs writes to new blocks"),
            0xca45_1a4e => Self::CopyOnWrite("bcachefs writes to new blocks"),
            0x2fc1_2fc1 => Self::CopyOnWrite("zfs writes to new blocks"),
            0xf2f5_2010 => Self::CopyOnWrite("f2fs writes to new blocks"),
            0x3434 => Self::CopyOnWrite("nilfs2 writes to new blocks"),
            // tmpfs, ramfs
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x794c_7630 => Self::Unknown("a lower layer of the overlay may keep the old bytes"),
            0x6969 | 0xff53_4d42 | 0xfe53_4d42 | 0x517b | 0x0102_1997 | 0x6573_5546
            | 0x786f_4256 => Self::Unknown("the file system is remote or in user space"),
            _ => Self::Unknown("the file system is of an unknown type"),
        }
    }
}

/// True when the mount options of device `dev` in proc_pid_mountinfo(5) say `data=journal`.
/// Without a readable mountinfo it is false: ext4 does so only when told to.
fn journals_data(dev: u64) -> bool {
    let device = format!("{}:{}", major(dev), minor(dev));
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    super_options(&mounts, device.as_bytes())
        .is_some_and(|options| options.split(|b| *b == b',').any(|o| o == b"data=journal"))
}

/// The super block options, the last field, of the first mount of `device` (`major:minor`).
fn super_options<'a>(mountinfo: &'a [u8], device: &[u8]) -> Option<&'a [u8]> {
    mountinfo
        .split(|b| *b == b'\n')
        .find(|line| line.split(|b| *b == b' ').nth(2) == Some(device))
        .and_then(|line| line.rsplit(|b| *b == b' ').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_journaling_is_read_from_the_super_block_options() {
        let mounts = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            40 22 7:1 / /mnt/a\\040b rw - ext4 /dev/loop1 rw,data=journal\n";
        assert_eq!(super_options(mounts, b"7:1"), Some(&b"rw,data=journal"[..]));
        assert_eq!(super_options(mounts, b"254:0"), Some(&b"rw"[..]));
        assert_eq!(super_options(mounts, b"8:1"), None);
    }

    #[test]
    fn ext4_journals_what_its_flags_say() {
        let journaled =
            |flags, mount| matches!(Medium::ext4(flags, || mount), Medium::Journaled(_));
        assert!(journaled(INLINE_DATA, false));
        assert!(journaled(IFlags::JOURNALING, false));
        assert!(journaled(IFlags::empty(), true));
        assert!(!journaled(IFlags::NODUMP, false));
    }

    #[test]
    fn what_is_not_known_is_not_erased() {
        assert!(matches!(Medium::by_magic(0), Medium::Unknown(_)));
        assert!(matches!(Medium::by_magic(0x6969), Medium::Unknown(_)));
        assert!(matches!(Medium::by_magic(0x794c_7630), Medium::Unknown(_)));
        assert_eq!(Medium::by_magic(0x0102_1994), Medium::Memory);
    }
}
