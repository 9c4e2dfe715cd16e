//! What a btrfs says of its space: the chunks of its device, and whether anybody holds an address.
//! Structures: linux/btrfs.h and linux/btrfs_tree.h.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

/// A part of the file system's own addresses, and where the device has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its first address.
    pub(crate) logical: u64,
    /// Bytes.
    pub(crate) length: u64,
    /// Holds data of files, maybe beside trees.
    pub(crate) data: bool,
    /// Where on the device each whole copy of it begins.
    pub(crate) copies: Vec<u64>,
}

/// `struct btrfs_ioctl_search_key`.
#[repr(C)]
struct SearchKey {
    tree: u64,
    objects: [u64; 2],
    offsets: [u64; 2],
    transactions: [u64; 2],
    types: [u32; 2],
    items: u32,
    unused: u32,
    reserved: [u64; 4],
}

/// What is left of the 4096 bytes of `struct btrfs_ioctl_search_args`.
const ROOM: usize = 4096 - size_of::<SearchKey>();

#[repr(C)]
struct Search {
    key: SearchKey,
    found: [u8; ROOM],
}

const TREE_SEARCH: Opcode = opcode::read_write::<Search>(0x94, 17);

/// `struct btrfs_ioctl_fs_info_args`; only the number of devices is of interest here.
#[repr(C)]
struct FsInfo {
    highest: u64,
    devices: u64,
    rest: [u64; 126],
}

const FS_INFO: Opcode = opcode::read::<FsInfo>(0x94, 31);

/// `struct btrfs_ioctl_logical_ino_args`.
#[repr(C)]
struct Holders {
    logical: u64,
    size: u64,
    reserved: [u64; 4],
    answer: *mut Answer,
}

/// `struct btrfs_data_container` with room for one inode.
#[repr(C)]
struct Answer {
    counts: [u32; 4],
    values: [u64; 3],
}

const LOGICAL_INO: Opcode = opcode::read_write::<Holders>(0x94, 36);

/// `BTRFS_CHUNK_TREE_OBJECTID`, `BTRFS_FIRST_CHUNK_TREE_OBJECTID`, `BTRFS_CHUNK_ITEM_KEY`.
const CHUNKS: (u64, u64, u32) = (3, 256, 228);
/// `BTRFS_BLOCK_GROUP_DATA`.
const DATA: u64 = 1;
/// Bytes of `struct btrfs_ioctl_search_header`, of a `struct btrfs_chunk` without its stripes, and
/// of a `struct btrfs_stripe`.
const HEADER: usize = 32;
const FIXED: usize = 48;
const STRIPE: usize = 32;

/// The chunks of a btrfs on one device, by address.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `ENOTTY` for another file system, `ENOTSUP` where it has several
/// devices, whose addresses are their own each.
pub(crate) fn chunks(root: impl AsFd) -> Result<Vec<Chunk>, Errno> {
    let mut info = FsInfo { highest: 0, devices: 0, rest: [0; 126] };
    // SAFETY: BTRFS_IOC_FS_INFO reads and writes one `struct btrfs_ioctl_fs_info_args` of 1024
    // bytes, which `FsInfo` is; every bit pattern is valid for its integers.
    unsafe { ioctl(root.as_fd(), Updater::<FS_INFO, FsInfo>::new(&mut info))? };
    if info.devices != 1 {
        return Err(Errno::NOTSUP);
    }
    let (tree, object, kind) = CHUNKS;
    let mut chunks = Vec::new();
    let mut next = 0;
    loop {
        let key = SearchKey {
            tree,
            objects: [object; 2],
            offsets: [next, u64::MAX],
            transactions: [0, u64::MAX],
            types: [kind; 2],
            items: u32::MAX,
            unused: 0,
            reserved: [0; 4],
        };
        let mut search = Box::new(Search { key, found: [0; ROOM] });
        // SAFETY: BTRFS_IOC_TREE_SEARCH reads and writes one `struct btrfs_ioctl_search_args` of
        // 4096 bytes, which `Search` is; every bit pattern is valid for its integers and bytes.
        unsafe { ioctl(root.as_fd(), Updater::<TREE_SEARCH, Search>::new(&mut search))? };
        let before = chunks.len();
        chunks.extend(items(&search.found, search.key.items));
        match chunks.get(before..).and_then(<[Chunk]>::last) {
            Some(last) => next = last.logical.saturating_add(1),
            None => return Ok(chunks),
        }
    }
}

/// The chunks among the first `count` items of an answer.
fn items(found: &[u8], count: u32) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = found;
    for _ in 0..count {
        let Some((header, behind)) = rest.split_at_checked(HEADER) else { break };
        let length = usize::try_from(number::<4>(header, 28)).unwrap_or(usize::MAX);
        let Some((item, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        let stripes = item.get(FIXED..).unwrap_or_default().chunks_exact(STRIPE);
        chunks.push(Chunk {
            logical: number::<8>(header, 16),
            length: number::<8>(item, 0),
            data: number::<8>(item, 24) & DATA != 0,
            copies: stripes.map(|stripe| number::<8>(stripe, 8)).collect(),
        });
    }
    chunks
}

/// The little-endian number of `N` bytes at `at`; 0 where there is none.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk::<N>).copied().unwrap_or([0; N]);
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Whether no file of any subvolume or snapshot holds the address `logical`.
///
/// # Errors
/// As [`chunks`]; `EINVAL` for an address of a tree.
pub(crate) fn is_nobodys(root: impl AsFd, logical: u64) -> Result<bool, Errno> {
    let mut answer = Answer { counts: [0; 4], values: [0; 3] };
    let size = size_of::<Answer>() as u64;
    let holders = Holders { logical, size, reserved: [0; 4], answer: &mut answer };
    // SAFETY: BTRFS_IOC_LOGICAL_INO reads one `struct btrfs_ioctl_logical_ino_args`, which `Holders`
    // is, and writes at most `size` bytes to `answer`, which lives until the call is over.
    match unsafe { ioctl(root.as_fd(), Setter::<LOGICAL_INO, Holders>::new(holders)) } {
        Ok(()) => Ok(false),
        Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno),
    }
}

const _: () = assert!(size_of::<Search>() == 4096 && size_of::<FsInfo>() == 1024);
const _: () = assert!(size_of::<Holders>() == 56);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcodes_are_those_of_the_kernel_headers() {
        assert_eq!(TREE_SEARCH, 0xd000_9411);
        assert_eq!(FS_INFO, 0x8400_941f);
        assert_eq!(LOGICAL_INO, 0xc038_9424);
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let mut answer = Vec::new();
        for (logical, copies) in [(7u64, &[11u64, 13][..]), (9, &[17])] {
            let mut item = vec![0; FIXED];
            item[0] = 5;
            item[24] = 1;
            for copy in copies {
                item.extend([0; 8]);
                item.extend(copy.to_le_bytes());
                item.extend([0; 16]);
            }
            answer.extend([0; 16]);
            answer.extend(logical.to_le_bytes());
            answer.extend([0; 4]);
            answer.extend(u32::try_from(item.len()).unwrap().to_le_bytes());
            answer.extend(item);
        }
        let found = items(&answer, u32::MAX);
        let all: Vec<_> = found.iter().map(|c| (c.logical, c.length, c.data, &*c.copies)).collect();
        assert_eq!(all, [(7, 5, true, &[11, 13][..]), (9, 5, true, &[17])]);
        assert_eq!(items(&answer, 1).len(), 1);
        for cut in 0..answer.len() {
            assert!(items(answer.get(..cut).unwrap(), 2).len() < 2);
        }
    }
}
