//! Empties the free inodes of ext4 that still hold something.
//!
//! Short files (`inline_data`), short symbolic links and extended attributes lie inside inodes, and
//! stay there when the inode is freed. ext4 overwrites an inode with zeros when it gives it to a
//! new file, so each of them is given to an empty file once: the setting `inode_goal` says which
//! comes next. Only the part of the tables that was ever used is read. Layout: fs/ext4/ext4.h and
//! Documentation/filesystems/ext4 of Linux.

use super::device::{Device, DirectBuffer, is_zero};
use super::filesystem::{FileSystem, little};
use super::filler::Fillers;
use super::run::{Run, Step};
use super::tunable::{INODE_GOAL, Tunable};
use crate::Result;

/// `EXT4_FEATURE_INCOMPAT_META_BG`: group descriptors lie elsewhere.
const META_BG: u64 = 0x10;
/// `EXT4_FEATURE_INCOMPAT_64BIT`: group descriptors have upper halves.
const WIDE: u64 = 0x80;
/// `EXT4_BG_INODE_UNINIT`: no inode of the group was ever used.
const UNUSED_GROUP: u64 = 0x1;
/// `EXT4_EXT_MAGIC`, little-endian, where a file's extent tree begins.
pub(super) const EXTENTS: [u8; 2] = [0x0a, 0xf3];
/// Where the 60 bytes of block map, extents or content begin in an inode.
const CONTENT: usize = 0x28;
/// What one read of a table takes; a multiple of every size of an inode.
const PIECE: usize = 1 << 20;

/// Takes every free inode with old content once. How many were had, and how many not; `None` for a
/// layout that is not read here.
///
/// # Errors
/// The device cannot be read, a file cannot be made, or a signal asks to end.
pub(super) fn renew(
    run: &mut Run<'_>,
    fillers: &mut Fillers,
    device: &Device,
) -> Result<Option<(u64, u64)>> {
    run.begin(Step::Inodes, 0)?;
    run.fs.sync()?;
    let Some(wanted) = with_content(run, device)? else { return Ok(None) };
    let Some(goal) = Tunable::open(run.fs, fillers, INODE_GOAL)? else {
        return Ok(Some((0, wanted.len() as u64)));
    };
    run.begin(Step::Inodes, wanted.len() as u64)?;
    let outcome = take(run, fillers, &goal, &wanted);
    goal.restore(run.fs, fillers)?;
    outcome.map(Some)
}

fn take(
    run: &mut Run<'_>,
    fillers: &mut Fillers,
    goal: &Tunable,
    wanted: &[u64],
) -> Result<(u64, u64)> {
    let fs: &FileSystem = run.fs;
    let (mut had, mut left) = (0, 0);
    for inode in wanted {
        goal.set(fs, *inode)?;
        // Another one when somebody else was faster: then it is not free any more.
        match fillers.take_inode(fs)? {
            Some(_) => had += 1,
            None => left += 1,
        }
        if had % 256 == 0 {
            run.moved(256)?;
        }
    }
    Ok((had, left))
}

/// Where the tables lie.
struct Layout {
    block: u64,
    groups: u64,
    inodes_per_group: u64,
    first_inode: u64,
    inode_size: usize,
    descriptors: u64,
    descriptor_size: u64,
    wide: bool,
}

impl Layout {
    /// `None` for a layout that is not read here.
    fn read(device: &Device) -> Result<Option<Self>> {
        let mut buffer = DirectBuffer::new(4096);
        device.read(buffer.slice(4096), 0)?;
        let head = buffer.slice(4096);
        let field = |at: usize, width| little(head, 1024 + at, width);
        let block = 1024u64 << field(0x18, 4).min(6);
        let incompatible = field(0x60, 4);
        let wide = incompatible & WIDE != 0;
        let (inodes, per_group) = (field(0, 4), field(0x28, 4));
        let inode_size = usize::try_from(field(0x58, 2)).unwrap_or_default();
        let sane =
            per_group > 0 && inode_size.is_power_of_two() && (128..=4096).contains(&inode_size);
        if incompatible & META_BG != 0 || !sane {
            return Ok(None);
        }
        Ok(Some(Self {
            block,
            groups: inodes.div_ceil(per_group),
            inodes_per_group: per_group,
            first_inode: field(0x54, 4).max(11),
            inode_size,
            // Behind the superblock, which begins at byte 1024 whatever the size of a block.
            descriptors: (1024 / block + 1) * block,
            descriptor_size: if wide { field(0xfe, 2).max(64) } else { 32 },
            wide,
        }))
    }
}

/// The free inodes with something inside, in rising order; `None` for a layout that is not read.
fn with_content(run: &Run<'_>, device: &Device) -> Result<Option<Vec<u64>>> {
    let Some(layout) = Layout::read(device)? else { return Ok(None) };
    let mut found = Vec::new();
    let bytes = (layout.groups * layout.descriptor_size).next_multiple_of(4096);
    let bytes = usize::try_from(bytes).unwrap_or_default();
    let mut descriptors = DirectBuffer::new(bytes);
    device.read(descriptors.slice(bytes), layout.descriptors)?;
    let size = usize::try_from(layout.descriptor_size).unwrap_or(64);
    for (descriptor, group) in descriptors.slice(bytes).chunks_exact(size).zip(0..layout.groups) {
        let field = |low, high, width| {
            let upper = if layout.wide { little(descriptor, high, width) } else { 0 };
            little(descriptor, low, width) | upper << (width * 8)
        };
        if little(descriptor, 0x12, 2) & UNUSED_GROUP != 0 {
            continue;
        }
        let used = layout.inodes_per_group.saturating_sub(field(0x1c, 0x32, 2));
        let tables = Tables { bitmap: field(4, 0x24, 4), table: field(8, 0x28, 4), used };
        in_group(device, &layout, group, &tables, &mut found)?;
        run.stop()?;
    }
    Ok(Some(found))
}

/// The tables of one group, in blocks, and how many of its inodes were ever used.
struct Tables {
    bitmap: u64,
    table: u64,
    used: u64,
}

fn in_group(
    device: &Device,
    layout: &Layout,
    group: u64,
    tables: &Tables,
    found: &mut Vec<u64>,
) -> Result<()> {
    let block = usize::try_from(layout.block).unwrap_or(4096);
    let mut bitmap = DirectBuffer::new(block);
    device.read(bitmap.slice(block), tables.bitmap * layout.block)?;
    let bitmap = bitmap.slice(block);
    let in_use =
        |index: usize| bitmap.get(index / 8).is_none_or(|byte| byte >> (index % 8) & 1 == 1);
    let mut buffer = DirectBuffer::new(PIECE);
    let whole = usize::try_from(tables.used).unwrap_or_default() * layout.inode_size;
    let first = group * layout.inodes_per_group + 1;
    for start in (0..whole).step_by(PIECE) {
        let length = (whole - start).min(PIECE);
        let aligned = length.next_multiple_of(block);
        device.read(buffer.slice(aligned), tables.table * layout.block + start as u64)?;
        let index = start / layout.inode_size;
        for (raw, index) in buffer.slice(length).chunks_exact(layout.inode_size).zip(index..) {
            let inode = first + index as u64;
            if inode >= layout.first_inode && !in_use(index) && holds_something(raw) {
                found.push(inode);
            }
        }
    }
    Ok(())
}

/// True when a freed inode holds content, a link target or attributes. An extent tree holds only
/// numbers of blocks.
fn holds_something(raw: &[u8]) -> bool {
    let content = raw.get(CONTENT..CONTENT + 60).unwrap_or_default();
    let extra = usize::try_from(little(raw, 0x80, 2)).unwrap_or_default();
    let attributes = raw.get(128 + extra..).unwrap_or_default();
    (!content.starts_with(&EXTENTS) && !is_zero(content)) || !is_zero(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_links_and_attributes_are_something_and_extents_are_not() {
        let mut raw = [0; 256];
        raw[0x80] = 32;
        raw[CONTENT..CONTENT + 2].copy_from_slice(&EXTENTS);
        raw[CONTENT + 20] = 9;
        assert!(!holds_something(&raw));
        raw[200] = 1;
        assert!(holds_something(&raw));
        raw[200] = 0;
        raw[CONTENT..CONTENT + 4].copy_from_slice(b"/etc");
        assert!(holds_something(&raw));
        assert!(!holds_something(&[0; 128]));
    }
}
