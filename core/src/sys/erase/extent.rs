//! What the flags of an extent allow.

use crate::sys::Extent;

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

#[cfg(test)]
mod tests {
    use super::*;

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
